// The parts that act while this process leads, as one.

import type { Situation } from "./core/activity.ts";
import { type Activity, activityOf, chooseTransport, type Shunned, shun } from "./core/activity.ts";
import type { Clock } from "./effects.ts";
import { type Course, type Fresher, makeFollowing } from "./following.ts";
import { makeKeeping } from "./keeping.ts";
import type { Lead, Ways } from "./lead.ts";
import { makeSyncing } from "./syncing.ts";
import type { Transport } from "./transport.ts";

export interface Leading {
  /** Whether changes are being listened to, all that there was is known, and by which way. */
  readonly isLive: boolean;
  readonly transport: Transport["name"] | undefined;
  /** Whether nothing that is unsent can be sent now. */
  readonly isStuck: boolean;
  /** Do what is to be done now. */
  attend(situation: Situation): void;
  /** Something has changed that may help: do not wait any longer. */
  hurry(): void;
}

/** Act until the scope of `lead` is over. */
export function makeLeading(
  lead: Lead,
  fresher: Fresher,
  noted: (response: string, course: Course) => void,
): Leading {
  const keeping = makeKeeping(lead);
  const syncing = makeSyncing(lead, keeping.told);
  const parts = [syncing, makeFollowing(lead, fresher, noted), keeping];
  let activity: Activity = "off";
  return {
    get isLive() {
      return syncing.isLive;
    },
    get transport() {
      return syncing.transport;
    },
    get isStuck() {
      return !syncing.isBusy && (activity === "off" || syncing.isIdle);
    },
    attend(situation) {
      activity = activityOf(situation, activity);
      for (const part of parts) part.attend(activity);
    },
    hurry() {
      for (const part of parts) part.hurry();
    },
  };
}

/** Choose among these transports; what did not work is left alone for some time. */
export function makeWays(transports: readonly Transport[], clock: Clock): Ways {
  let shunned: Shunned = {};
  const choose = () => chooseTransport(transports, shunned, clock.elapsed_ms());
  return {
    choose,
    shun(name) {
      const elapsed_ms = clock.elapsed_ms();
      shunned = shun(shunned, name, elapsed_ms);
      return (shunned[choose()?.name ?? name] ?? 0) <= elapsed_ms;
    },
  };
}
