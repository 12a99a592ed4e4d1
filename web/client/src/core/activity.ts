// What who leads is to do now, over which transport, and when again: decided from what is known of the world, done elsewhere.

import type { Mark } from "../state.ts";
import type { Transport } from "../transport.ts";

/** What decides whether who leads asks anything of the server. */
export interface Situation {
  readonly isOnline: boolean;
  readonly isVisible: boolean;
  readonly isSignedIn: boolean;
  /** The server serves this app no more: 426. */
  readonly isTooOld: boolean;
  readonly mark: Mark | undefined;
  /** By the device's clock. */
  readonly now_ms: number;
  readonly hasUnsent: boolean;
}

/**
 * What one process does:
 *
 *     off            asks nothing
 *     pushing        sends what is unsent, while nobody looks
 *     catching_up    syncs page by page, with what is unsent
 *     live           listens to the changes, and pushes beside that
 */
export type Activity = "off" | "pushing" | "catching_up" | "live";

/** Until when, by elapsed time, a transport is left alone that did not work. */
export type Shunned = { readonly [transport: string]: number };

const SHUN_ms = 600_000;
const FRESH_ms = 24 * 3600 * 1000;
const FIRST_BACKOFF_ms = 1_000;
const MOST_BACKOFF_ms = 60_000;
const ORDER: readonly Transport["name"][] = ["stream", "socket", "xhr", "poll"];

/** Say what this process is to do, and `was` doing until now: who is live stays so, for its feed tells of a reset as well. */
export function activityOf(situation: Situation, was: Activity): Activity {
  const { isOnline, isSignedIn, isTooOld, isVisible, hasUnsent, mark } = situation;
  if (!isOnline || !isSignedIn || isTooOld) return "off";
  if (!isVisible) return hasUnsent ? "pushing" : "off";
  if (was === "live") return "live";
  // A clock that was set back makes no mark too old.
  const isFresh = mark?.isWhole && situation.now_ms - mark.at_ms < FRESH_ms;
  return isFresh ? "live" : "catching_up";
}

/**
 * Say how long to wait after so many failures in a row, from 1 on: anything up to a bound that doubles from 1 s to 60 s, so that all
 * devices of a server that went down do not come back at once. `random` is from 0 to 1. Who wants few bytes waits twice as long.
 */
export function backoff_ms(failures: number, random: number, savesData: boolean): number {
  const bound_ms = Math.min(FIRST_BACKOFF_ms * 2 ** Math.max(failures - 1, 0), MOST_BACKOFF_ms);
  return Math.ceil(Math.max(bound_ms * random, FIRST_BACKOFF_ms / 10)) * (savesData ? 2 : 1);
}

/** Choose the best transport that works here, as far as is known; where all are shunned, the one whose time is up first. */
export function chooseTransport(
  transports: readonly Transport[],
  shunned: Shunned,
  elapsed_ms: number,
): Transport | undefined {
  const capable = transports
    .filter(({ isCapable }) => isCapable)
    .sort((one, other) => ORDER.indexOf(one.name) - ORDER.indexOf(other.name));
  const until = ({ name }: Transport) => shunned[name] ?? 0;
  const free = capable.find((transport) => until(transport) <= elapsed_ms);
  return free ?? [...capable].sort((one, other) => until(one) - until(other))[0];
}

/** Leave a transport alone for 10 minutes: it is silent, or unfit. */
export function shun(shunned: Shunned, name: Transport["name"], elapsed_ms: number): Shunned {
  return { ...shunned, [name]: elapsed_ms + SHUN_ms };
}
