// What was done on the device and has to get to the server, each thing once and in order. It says what to write; who
// writes it, and sends, is elsewhere.
//
// Theory of operation. An entry is marked `sending` in the store before its bytes leave. From then on it may have arrived, and
// only a reply says whether it did: it is never taken back and never changed until one came, and sent again as it is,
// for the server does each id once. `attempts` counts the sendings that nobody has answered for certain; when a reply
// says "not now" to the only one, the entry is as it was before. Every change is a Commit guarded by what was seen, so
// two processes that decide at the same time cannot both be obeyed.

import type { Kept } from "../state.ts";
import type { Guard, Write } from "../store.ts";
import type { Change, Entry, ErrorDetails, SyncResult } from "../wire.ts";
import { hasEnded } from "./answer.ts";
import { messageId } from "./ids.ts";
import { type Commit, guard, keyOf, OUTBOX, write } from "./keys.ts";
import { defined } from "./values.ts";

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
// What asks a model for an answer.
const ASKING: readonly string[] = ["message", "edit", "answer", "outputs"];
/** A refusal of these is something that a person has to see; of all else the optimism ends, and that is all. */
const LASTING: readonly string[] = [...ASKING, "conversation", "fact"];
/** Refusals for now, which are given before anything is done. */
const CERTAIN =
  /^(conversation_(locked|changed)|rate_limit_exceeded|too_many_waiting|provider_busy)$/;
// Of an entry that sets a field, which one it is, and which one that is in what is told. Of these the last one counts, whatever
// came between; a pin of an item and a beginning are told alike, and do not fold.
const FOLDING: Fields = {
  rename: ["title", "title"],
  pin: ["pinned", "pinned_at"],
  choose: ["branch", "branch"],
  metadata: ["metadata", "metadata"],
  read: ["item", "read_item"],
  feedback: ["rating", "rating"],
  fact: ["words", "words"],
};
const TOLD: Fields = { ...FOLDING, conversation: ["type", "type"], pin_item: ["pinned", "pinned"] };

type Fields = { readonly [type: string]: readonly [said: string, told: string] };
type Values = { readonly [field: string]: unknown };
type Changes = { readonly [K in keyof Kept]?: Kept[K] | undefined };

const FRESH: Changes = {
  status: "saved",
  notBefore_ms: undefined,
  expires_ms: undefined,
  error: undefined,
  isUnwanted: undefined,
};

/** Name what an entry is about: a conversation, a fact or a response. What is done to one thing has an order. */
export function thingOf(entry: Entry): string {
  if ("conversation" in entry) return entry.conversation;
  return "fact" in entry ? entry.fact : entry.response;
}

/** Say whether an entry is still to be sent, or sent again. */
export function isUnsent({ status }: Kept): boolean {
  return status === "saved" || status === "sending" || status === "waiting";
}

/** Say whether an entry asks a model for an answer. */
export function isAsking(
  entry: Entry,
): entry is Extract<Entry, { type: "message" | "edit" | "answer" | "outputs" }> {
  return ASKING.includes(entry.type);
}

/** Name the item that an entry becomes; undefined of what becomes none. */
export function itemOf(entry: Entry): string | undefined {
  return entry.type === "message" || entry.type === "edit" ? messageId(entry.id) : undefined;
}

// --- put in -------------------------------------------------------------------------------------------

/**
 * Put a new entry in, behind all others: its id must be above theirs.
 *
 * What it makes pointless and surely never left goes: the last rename, pin, choice, metadata, read mark, rating or fact of
 * the same thing; with the deletion of a conversation all that was to be said in it. `expires_ms` is by the device's clock.
 */
export function put(
  entries: readonly Kept[],
  entry: Entry,
  at_ms: number,
  expires_ms?: number,
): Commit {
  const pointless = removed(pointlessBy(entries, entry));
  const kept = {
    entry,
    status: "saved",
    at_ms,
    isUnclear: false,
    attempts: 0,
    expires_ms,
  } as const;
  const key = keyOf(OUTBOX, entry.id);
  return {
    writes: [...pointless.writes, write(key, defined<Kept>(kept))],
    guards: [...pointless.guards, guard(key, undefined)],
  };
}

function pointlessBy(entries: readonly Kept[], entry: Entry): Kept[] {
  const thing = thingOf(entry);
  const all = entries.filter((kept) => thingOf(kept.entry) === thing);
  const queue = all.filter(({ status }) => status !== "done");
  if (entry.type === "delete" && !entry.item) return queue.filter((kept) => !kept.isUnclear);
  // What asked for an answer that failed is shown until something else is asked for.
  if (isAsking(entry)) return all.filter(({ hasFailed }) => hasFailed);
  if (!FOLDING[entry.type]) return [];
  const end = queue.findLastIndex((kept) => kept.isUnclear || !FOLDING[kept.entry.type]);
  return queue.slice(end + 1).filter((kept) => kept.entry.type === entry.type);
}

// --- send ---------------------------------------------------------------------------------------------

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

// --- take back ------------------------------------------------------------------------------------------

/** Give up what has waited for longer than the person wanted. */
export function expire(entries: readonly Kept[], now_ms: number): Commit {
  return changed(
    entries.filter((kept) => isUnsent(kept) && hasExpired(kept, now_ms)),
    () => ({ status: "expired" }),
  );
}

/** Remove an entry as if it had never been; undefined where it may have left. */
export function withdraw(kept: Kept): Commit | undefined {
  return mayChange(kept) ? removed([kept]) : undefined;
}

/** Say something else than was said; undefined where it may have left. */
export function reword(
  kept: Kept,
  content: Extract<Entry, { type: "message" }>["content"],
): Commit | undefined {
  const { entry } = kept;
  if (!mayChange(kept) || !itemOf(entry)) return undefined;
  return changed([kept], () => ({ ...FRESH, entry: { ...entry, content } as Entry }));
}

/** Take back what asks for an answer: remove it, or where it may have left, have its answer cancelled. */
export function stop(kept: Kept): Commit {
  return withdraw(kept) ?? changed([kept], () => ({ isUnwanted: true }));
}

/** Send an entry again, or now, that was refused, has expired or waits. */
export function again(kept: Kept): Commit {
  return changed([kept], () => FRESH);
}

function mayChange({ isUnclear, status }: Kept): boolean {
  return !isUnclear && status !== "done";
}

function hasExpired({ isUnclear, expires_ms }: Kept, now_ms: number): boolean {
  return !isUnclear && expires_ms !== undefined && expires_ms <= now_ms;
}

// --- settle -----------------------------------------------------------------------------------------------

/**
 * Remove the entries that changes tell of by now, as part of the commit that keeps those changes.
 *
 * A message that is told has arrived, also where its reply was lost; it is not sent again, unless its answer is yet to be cancelled.
 * What asked for another answer, which failed without a word, stays: nothing else tells of which message it was.
 */
export function settle(entries: readonly Kept[], changes: readonly Change[]): Commit {
  const told = new Map(
    entries.map((kept) => [kept, changes.filter((change) => isToldBy(kept, change))]),
  );
  return changed(
    entries.filter(
      (kept) =>
        told.get(kept)?.length &&
        (kept.status === "done" || (kept.isUnclear && !kept.isUnwanted && itemOf(kept.entry))),
    ),
    (kept) => {
      const hasFailed = isAsking(kept.entry) && told.get(kept)?.every(isFailure);
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

function isFailure(change: Change): boolean {
  return "state" in change && change.state === "failed";
}

// --- shared -----------------------------------------------------------------------------------------------

function changed(entries: readonly Kept[], change: (kept: Kept) => Changes | undefined): Commit {
  const writes: Write[] = [];
  const guards: Guard[] = [];
  for (const kept of entries) {
    const key = keyOf(OUTBOX, kept.entry.id);
    const changes = change(kept);
    writes.push(write(key, changes && defined<Kept>({ ...kept, ...changes })));
    guards.push(guard(key, kept));
  }
  return { writes, guards };
}

function removed(entries: readonly Kept[]): Commit {
  return changed(entries, () => undefined);
}

/** Count the bytes of a text in UTF-8. Halves of a pair count two each, which is what both have together. */
export function sizeOf_bytes(text: string): number {
  return text.replace(/[\u0800-\ud7ff\ue000-\uffff]/g, "xxx").replace(/[^\0-\x7f]/g, "xx").length;
}
