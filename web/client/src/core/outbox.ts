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
import type { Entry } from "../wire.ts";
import { messageId } from "./ids.ts";
import { type Commit, guard, keyOf, OUTBOX, write } from "./keys.ts";
import { defined } from "./values.ts";

// What asks a model for an answer.
export const ASKING: readonly string[] = ["message", "edit", "answer", "outputs"];
// Of an entry that sets a field, which one it is, and which one that is in what is told. Of these the last one counts, whatever
// came between; a pin of an item and a beginning are told alike, and do not fold.
export const FOLDING: Fields = {
  rename: ["title", "title"],
  pin: ["pinned", "pinned_at"],
  choose: ["branch", "branch"],
  metadata: ["metadata", "metadata"],
  read: ["item", "read_item"],
  feedback: ["rating", "rating"],
  fact: ["words", "words"],
};

export type Fields = { readonly [type: string]: readonly [said: string, told: string] };
export type Changes = { readonly [K in keyof Kept]?: Kept[K] | undefined };

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

// --- take back ------------------------------------------------------------------------------------------

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

// --- settle -----------------------------------------------------------------------------------------------

// --- shared -----------------------------------------------------------------------------------------------

export function changed(
  entries: readonly Kept[],
  change: (kept: Kept) => Changes | undefined,
): Commit {
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

export function removed(entries: readonly Kept[]): Commit {
  return changed(entries, () => undefined);
}
