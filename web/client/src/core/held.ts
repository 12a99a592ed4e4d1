// What is in memory of all that is in the store: what was written becomes what is shown and decided upon.

import type { Answer, Call, Kept, Mark } from "../state.ts";
import type { Write } from "../store.ts";
import type {
  Bootstrap,
  Change,
  ConversationTold,
  FactTold,
  FeedbackTold,
  Gone,
  ItemTold,
  TurnTold,
} from "../wire.ts";
import {
  ANSWER,
  BOOTSTRAP,
  CACHED,
  CALL,
  CONVERSATION,
  FACT,
  FEEDBACK,
  ITEM,
  MARK,
  OUTBOX,
  TURN,
} from "./keys.ts";

/** A thing as the server told it, and in which generation: what a reset does not tell again is of an earlier one. */
export interface Stored<T extends Change = Exclude<Change, Gone>> {
  readonly generation: number;
  readonly told: T;
}

/** Of a conversation that is open, what is in memory of no other. */
export interface Opened {
  readonly items: ReadonlyMap<string, ItemTold>;
  /** By response. */
  readonly turns: ReadonlyMap<string, TurnTold>;
}

/** All that is known of a conversation. It is replaced, never changed: what is the same object is the same. */
export interface Shelf extends Opened {
  readonly conversation: ConversationTold | undefined;
  /** By response. */
  readonly answers: ReadonlyMap<string, Answer>;
  /** By their keys; those of other conversations as well. */
  readonly calls: ReadonlyMap<string, Call>;
}

/** What is known of a conversation's place in the store. */
export interface Cached {
  /** When it was looked at last, to the hour. */
  readonly at_ms: number;
  readonly bytes: number;
  /** Whether its older items had to leave. */
  readonly isPartial: boolean;
}

/** All that is in memory. Each part is replaced, never changed. */
export interface Held {
  readonly mark: Mark | undefined;
  readonly bootstrap: Bootstrap | undefined;
  /** In the order in which it was said. */
  readonly outbox: readonly Kept[];
  readonly conversations: ReadonlyMap<string, ConversationTold>;
  readonly facts: ReadonlyMap<string, FactTold>;
  /** By response. */
  readonly feedback: ReadonlyMap<string, FeedbackTold>;
  readonly answers: ReadonlyMap<string, Answer>;
  /** By their keys. */
  readonly calls: ReadonlyMap<string, Call>;
  readonly cached: ReadonlyMap<string, Cached>;
  /** Responses that nobody has read, by conversation. */
  readonly unread: ReadonlyMap<string, ReadonlySet<string>>;
  /** Those conversations that are open. */
  readonly shelves: ReadonlyMap<string, Opened>;
}

export const EMPTY: Shelf = {
  conversation: undefined,
  items: new Map(),
  turns: new Map(),
  answers: new Map(),
  calls: new Map(),
};

export const NOTHING: Held = {
  mark: undefined,
  bootstrap: undefined,
  outbox: [],
  conversations: new Map(),
  facts: new Map(),
  feedback: new Map(),
  answers: new Map(),
  calls: new Map(),
  cached: new Map(),
  unread: new Map(),
  shelves: new Map(),
};

// Where the things of a kind are, and in which part of a key their name is.
const PLACES: { readonly [kind: string]: readonly [part: keyof Held, name: number] } = {
  [CONVERSATION]: ["conversations", 1],
  [FACT]: ["facts", 1],
  [FEEDBACK]: ["feedback", 1],
  [CACHED]: ["cached", 1],
  [ANSWER]: ["answers", 2],
};

/** Put in what was written. */
export function applied(held: Held, writes: Iterable<Write>): Held {
  const next: { -readonly [part in keyof Held]: Held[part] } = { ...held };
  const copies = new WeakSet<object>();
  const set = <V>(
    map: ReadonlyMap<string, V>,
    name: string,
    value: V | undefined,
  ): ReadonlyMap<string, V> => {
    const copy = copies.has(map) ? (map as Map<string, V>) : new Map(map);
    copies.add(copy);
    if (value === undefined) copy.delete(name);
    else copy.set(name, value);
    return copy;
  };
  for (const [key, value] of writes) {
    const names = key.split("/");
    const [type, one = "", other = ""] = names;
    const kind = `${type}/`;
    const thing = value as unknown as Partial<Stored> | undefined;
    const told = thing?.told ?? thing;
    const shelf = next.shelves.get(one);
    const [part, at = 0] = PLACES[kind] ?? [];
    if (part)
      next[part] = set(
        next[part] as ReadonlyMap<string, never>,
        names[at] ?? "",
        told as never,
      ) as never;
    else if (kind === CALL) next.calls = set(next.calls, key, value as unknown as Call | undefined);
    else if (kind === OUTBOX) next.outbox = queued(next.outbox, one, value as Kept | undefined);
    else if (kind === ITEM && shelf) {
      const items = set(shelf.items, other, told as ItemTold | undefined);
      next.shelves = set(next.shelves, one, { ...shelf, items });
    } else if (kind === TURN) {
      const turn = told as TurnTold | undefined;
      if (shelf) {
        const turns = set(shelf.turns, other, turn);
        next.shelves = set(next.shelves, one, { ...shelf, turns });
      }
      const before = next.unread.get(one);
      const isUnread = turn?.state === "answered";
      if (isUnread !== !!before?.has(other)) {
        const responses = new Set(before);
        if (isUnread) responses.add(other);
        else responses.delete(other);
        next.unread = set(next.unread, one, responses.size > 0 ? responses : undefined);
      }
    } else if (key === MARK) next.mark = value as Mark | undefined;
    else if (key === BOOTSTRAP) next.bootstrap = value as unknown as Bootstrap | undefined;
  }
  return next;
}

function queued(outbox: readonly Kept[], id: string, kept: Kept | undefined): readonly Kept[] {
  const rest = outbox.filter(({ entry }) => entry.id !== id);
  if (kept === undefined) return rest;
  const behind = rest.findIndex(({ entry }) => entry.id > id);
  return behind < 0 ? [...rest, kept] : [...rest.slice(0, behind), kept, ...rest.slice(behind)];
}
