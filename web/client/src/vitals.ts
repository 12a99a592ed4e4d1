// What a turn felt like on the device, in figures. No text, and nobody's name.

import { isAsking, itemOf } from "./core/outbox.ts";
import { textOf } from "./core/said.ts";
import type { Effects } from "./effects.ts";
import type { Engine } from "./engine.ts";

/** One turn, measured. Times are Unix milliseconds by the device's clock; what did not happen is left out. */
export interface Vitals {
  readonly response: string | undefined;
  readonly outcome: "done" | "failed" | "cancelled" | "refused" | "expired";
  /** Why it failed, was refused: a stable code. */
  readonly code?: string;
  /** How it was followed at its end. */
  readonly transport?: string;
  readonly tapped_ms: number;
  /** From the tap on: until it was on the disk, its bytes left, the server had it, its first text was here, its end was. */
  readonly stored_ms?: number;
  readonly sent_ms?: number;
  readonly accepted_ms?: number;
  readonly firstText_ms?: number;
  readonly ended_ms?: number;
  /** For how long it waited for a network. */
  readonly offline_ms: number;
  /** How often its stream was lost and gone on with. */
  readonly resumes: number;
}

export interface VitalsTaken {
  /** Something was said that asks for an answer. */
  tapped(entry: string, tapped_ms: number): void;
  /** See how far those turns are. */
  look(): void;
}

interface Watched {
  vitals: Vitals;
  /** Since when there is no network, by elapsed time. */
  offline_ms: number | undefined;
  readonly started_ms: number;
  /** What its answer answers. */
  readonly item: string;
}

const BATCH = 20;

/** What takes the vitals of a client: the client calls it, once. */
export type VitalsOf = (client: {
  readonly effects: Effects;
  readonly engine: Engine;
}) => VitalsTaken;

/** Have `report` called with what turns felt like, a batch at a time: the `vitals` of `createClient`. */
export function vitals(report: (vitals: readonly Vitals[]) => void): VitalsOf {
  return (client) => takeVitals(client, report);
}

function takeVitals(
  { effects, engine }: Parameters<VitalsOf>[0],
  report: (vitals: readonly Vitals[]) => void,
): VitalsTaken {
  const { clock, surroundings } = effects;
  const watched = new Map<string, Watched>();
  let batch: Vitals[] = [];

  const look = (): void => {
    const { outbox, answers } = engine.replica.held;
    const elapsed_ms = clock.elapsed_ms();
    for (const [id, each] of watched) {
      const kept = outbox.find(({ entry }) => entry.id === id);
      const since_ms = elapsed_ms - each.started_ms;
      const note = (part: Partial<Vitals>) => {
        each.vitals = { ...part, ...each.vitals };
      };
      if (surroundings.isOnline === (each.offline_ms !== undefined)) {
        const waited_ms = each.offline_ms === undefined ? 0 : elapsed_ms - each.offline_ms;
        each.vitals = { ...each.vitals, offline_ms: each.vitals.offline_ms + waited_ms };
        each.offline_ms = surroundings.isOnline ? undefined : elapsed_ms;
      }
      if (kept?.isUnclear || kept?.status === "done") note({ sent_ms: since_ms });
      // Its entry may go in the same moment in which its reply, or the item in its place, comes.
      const answered = [...answers.values()].find(({ to }) => to === each.item);
      const response = each.vitals.response ?? kept?.response ?? answered?.response;
      if (response !== undefined && each.vitals.response === undefined)
        each.vitals = { ...each.vitals, response };
      if (response !== undefined) note({ sent_ms: since_ms, accepted_ms: since_ms });
      const answer = response === undefined ? undefined : answers.get(response);
      if (answer?.output.some((item) => textOf(item) !== "")) note({ firstText_ms: since_ms });
      const outcome = outcomeOf(kept?.status, answer);
      if (outcome === undefined) continue;
      const course = response === undefined ? undefined : engine.course(response);
      const code = kept?.error?.code ?? answer?.error?.code;
      batch.push({
        ...each.vitals,
        ...(course?.transport !== undefined && { transport: course.transport }),
        resumes: course?.resumes ?? 0,
        ...(code && { code }),
        ended_ms: since_ms,
        outcome,
      });
      watched.delete(id);
    }
    if (batch.length < BATCH && (surroundings.isVisible || batch.length === 0)) return;
    const full = batch;
    batch = [];
    report(full);
  };
  return {
    tapped(entry, tapped_ms) {
      const kept = engine.replica.held.outbox.find((each) => each.entry.id === entry);
      if (kept === undefined || !isAsking(kept.entry)) return;
      const stored_ms = Math.max(clock.now_ms() - tapped_ms, 0);
      watched.set(entry, {
        vitals: {
          response: undefined,
          outcome: "done",
          tapped_ms,
          stored_ms,
          offline_ms: 0,
          resumes: 0,
        },
        offline_ms: surroundings.isOnline ? undefined : clock.elapsed_ms(),
        item: itemOf(kept.entry) ?? "",
        started_ms: clock.elapsed_ms() - stored_ms,
      });
    },
    look,
  };

  function outcomeOf(
    status: string | undefined,
    answer: { readonly phase: string } | undefined,
  ): Vitals["outcome"] | undefined {
    if (status === "refused" || status === "expired") return status;
    if (answer === undefined || !["done", "failed", "cancelled"].includes(answer.phase))
      return undefined;
    return answer.phase as Vitals["outcome"];
  }
}
