// How the outbox gets to the server: what is to be sent next, and what became of it. It says what to write; who writes it, and
// sends, is elsewhere.

import type { Kept } from "../state.ts";
import type { Write } from "../store.ts";
import type { Change, Entry, ErrorDetails, SyncResult } from "../wire.ts";
import { sizeOf_bytes } from "./bytes.ts";
import type { Commit } from "./keys.ts";
import {
  ASKING,
  type Changes,
  changed,
  type Fields,
  FOLDING,
  isAsking,
  isUnsent,
  itemOf,
  put,
  removed,
  thingOf,
} from "./outbox.ts";
import { hasEnded } from "./said.ts";

/** How much one push may hold. */
export interface Bounds {
  readonly entries: number;
  readonly bytes: number;
}

export interface Due {
  /** What is to be sent now, in order. */
  readonly batch: readonly Kept[];
  /** When to look again, by the device's clock, where nobody says so before. */
  readonly wake_ms: number | undefined;
}

/** Where the server does not say when to come again. */
const USUAL_WAIT_s = 5;

/** What is to wait for longer than any limit lasts was written by a clock that was wrong. */
const LONGEST_WAIT_ms = 32 * 24 * 3600 * 1000;

/** A refusal of these is something that a person has to see; of all else the optimism ends, and that is all. */
const LASTING: readonly string[] = [...ASKING, "conversation", "fact"];

/** Refusals for now, which are given before anything is done. */
const CERTAIN =
  /^(conversation_(locked|changed)|rate_limit_exceeded|too_many_waiting|provider_busy)$/;

const TOLD: Fields = { ...FOLDING, conversation: ["type", "type"], pin_item: ["pinned", "pinned"] };

type Values = { readonly [field: string]: unknown };

/**
 * Choose what is to be sent at once: of each thing the entries in order, up to the first that has to wait.
 *
 * Ask only while no push is under way: one that is still `sending` was cut off. The first entry is chosen whatever its size.
 */
export function due(entries: readonly Kept[], now_ms: number, bounds: Bounds): Due {
  const held = new Set<string>();
  const batch: Kept[] = [];
  let bytes = 0;
  let wake_ms = Number.POSITIVE_INFINITY;
  for (const kept of entries) {
    const thing = thingOf(kept.entry);
    if (!isUnsent(kept) || hasExpired(kept, now_ms)) continue;
    if (!kept.isUnclear) wake_ms = Math.min(wake_ms, kept.expires_ms ?? wake_ms);
    if (held.has(thing)) continue;
    const wait_ms = (kept.notBefore_ms ?? 0) - now_ms;
    if (wait_ms > 0 && wait_ms < LONGEST_WAIT_ms) {
      held.add(thing);
      wake_ms = Math.min(wake_ms, now_ms + wait_ms);
      continue;
    }
    const size_bytes = sizeOf_bytes(JSON.stringify(kept.entry));
    if (batch.length && (batch.length >= bounds.entries || bytes + size_bytes > bounds.bytes))
      break;
    batch.push(kept);
    bytes += size_bytes;
  }
  return { batch, wake_ms: Number.isFinite(wake_ms) ? wake_ms : undefined };
}

/** Note that a batch is about to leave. Only when this is committed may it. */
export function sending(batch: readonly Kept[]): Commit {
  return changed(batch, (kept) => ({
    status: "sending",
    isUnclear: true,
    attempts: kept.attempts + 1,
    notBefore_ms: undefined,
    error: undefined,
  }));
}

/**
 * Take in what became of a batch. `results` are in its order, `entries` are as they are by now.
 *
 * What has to be cancelled gets its entry, under an id of `newId`. What no result is told of may have arrived.
 */
export function took(
  batch: readonly Kept[],
  results: readonly SyncResult[],
  entries: readonly Kept[],
  now_ms: number,
  newId: () => string,
): Commit {
  const byId = new Map(batch.map(({ entry }, place) => [entry.id, results[place]]));
  const cancels: Write[] = [];
  const commit = changed(
    underWay(entries).filter(({ entry }) => byId.has(entry.id)),
    (kept) => {
      const result = byId.get(kept.entry.id);
      if (!result) return { status: "saved" };
      const { status, response } = result;
      if (status === "done" && kept.isUnwanted && response)
        cancels.push(...put([], { type: "cancel", id: newId(), response }, now_ms).writes);
      return outcome(kept, result, now_ms);
    },
  );
  return { writes: [...commit.writes, ...cancels], guards: commit.guards };
}

function outcome(kept: Kept, result: SyncResult, now_ms: number): Changes | undefined {
  const { status, item, response, retry_after_s = USUAL_WAIT_s } = result;
  const error = result.error ?? undefined;
  if (status === "done") return { status, item, response, error: undefined, expires_ms: undefined };
  if (status === "refused") {
    if (!LASTING.includes(kept.entry.type)) return undefined;
    return { status, error, isUnclear: false, attempts: 0, expires_ms: undefined };
  }
  // Without an error it was not even tried, for the sake of what is before it.
  const undone = !error || CERTAIN.test(error.code ?? "") ? withoutAttempt(kept) : {};
  return undone && { ...undone, status, error, notBefore_ms: now_ms + retry_after_s * 1000 };
}

/** Take in that no reply came: what was under way may have arrived. It is sent again as it is. */
export function lost(entries: readonly Kept[]): Commit {
  return changed(underWay(entries), () => ({ status: "saved" }));
}

/** Take in that nothing of what was under way was done, for certain: the request as a whole was refused. */
export function spared(entries: readonly Kept[]): Commit {
  return changed(underWay(entries), (kept) => {
    const undone = withoutAttempt(kept);
    return undone && { ...undone, status: "saved" };
  });
}

/** Give an entry up that no server reads: one that is too large, say, by itself. */
export function refuse(kept: Kept, error: ErrorDetails): Commit {
  return changed([kept], () => outcome(kept, { id: kept.entry.id, status: "refused", error }, 0));
}

function underWay(entries: readonly Kept[]): Kept[] {
  return entries.filter((kept) => kept.status === "sending");
}

/** As if it had not been sent this time; undefined of what nobody wants, and surely was never done. */
function withoutAttempt({ attempts: all, isUnwanted }: Kept): Changes | undefined {
  const attempts = Math.max(all - 1, 0);
  return isUnwanted && !attempts ? undefined : { attempts, isUnclear: attempts > 0 };
}

/** Give up what has waited for longer than the person wanted. */
export function expire(entries: readonly Kept[], now_ms: number): Commit {
  return changed(
    entries.filter((kept) => isUnsent(kept) && hasExpired(kept, now_ms)),
    () => ({ status: "expired" }),
  );
}

function hasExpired({ isUnclear, expires_ms }: Kept, now_ms: number): boolean {
  return !isUnclear && expires_ms !== undefined && expires_ms <= now_ms;
}

/**
 * Remove the entries that changes tell of by now, as part of the commit that keeps those changes.
 *
 * A message that is told has arrived, also where its reply was lost; it is not sent again, unless its answer is yet to be cancelled.
 * What asked for another answer, which failed without a word, stays until something else is asked for, on any device: nothing
 * else tells of which message it was.
 */
export function settle(entries: readonly Kept[], changes: readonly Change[]): Commit {
  const told = new Map(
    entries.map((kept) => [kept, changes.filter((change) => isToldBy(kept, change))]),
  );
  const spoken = new Set(changes.map(spokenIn));
  const isOvertaken = ({ entry }: Kept) => spoken.has(thingOf(entry));
  return changed(
    entries.filter(
      (kept) =>
        (kept.hasFailed && isOvertaken(kept)) ||
        (told.get(kept)?.length &&
          (kept.status === "done" || (kept.isUnclear && !kept.isUnwanted && itemOf(kept.entry)))),
    ),
    (kept) => {
      const isLast =
        !isOvertaken(kept) &&
        !entries.some(
          ({ entry }) =>
            isAsking(entry) && thingOf(entry) === thingOf(kept.entry) && entry.id > kept.entry.id,
        );
      const hasFailed = isLast && isAsking(kept.entry) && told.get(kept)?.every(isFailure);
      return hasFailed ? { hasFailed } : undefined;
    },
  );
}

/** Remove those of these entries that are done: all that they changed has been told, whether it looks like that or not. */
export function settleAll(entries: readonly Kept[], ids: ReadonlySet<string>): Commit {
  return removed(
    entries.filter(
      ({ status, hasFailed, entry }) => status === "done" && !hasFailed && ids.has(entry.id),
    ),
  );
}

function isToldBy({ entry, response }: Kept, change: Change): boolean {
  const isGone = "deleted" in change;
  const isIts = (told: string | undefined) =>
    (entry.type === "answer" || entry.type === "outputs") &&
    told !== undefined &&
    told === response;
  switch (change.type) {
    case "item":
      if (entry.type !== "delete" && entry.type !== "pin_item")
        return itemOf(entry) === change.id || isIts(change.response);
      return (
        entry.conversation === change.conversation &&
        entry.item === change.id &&
        (isGone || isSaid(entry, change))
      );
    case "turn":
      if (entry.type !== "cancel") return isIts(change.id);
      return entry.response === change.id && (isGone || hasEnded(change));
    default:
      if (thingOf(entry) !== (change.type === "feedback" ? change.response : change.id))
        return false;
      return (isGone && change.type === "conversation") || isSaid(entry, change);
  }
}

function isSaid(entry: Entry, change: Change): boolean {
  const [field = "", its = ""] = TOLD[entry.type] ?? [];
  const said = (entry as Values)[field];
  const told = (change as Values)[its];
  // What is pinned is told with the time, or at all.
  if (typeof said === "boolean") return said === (told !== undefined);
  return field !== "" && JSON.stringify(said ?? null) === JSON.stringify(told ?? null);
}

/** Name the conversation in which a change tells of what a person said. */
function spokenIn(change: Change): string | undefined {
  if (change.type !== "item" || "deleted" in change || change.item?.type !== "message")
    return undefined;
  return change.item.role === "user" ? change.conversation : undefined;
}

function isFailure(change: Change): boolean {
  return "state" in change && change.state === "failed";
}
