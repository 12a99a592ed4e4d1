// Takes in what the server tells of: pages of changes become writes for the store, and writes become what is in memory.

import type { components } from "../contract.ts";
import type { Mark } from "../state.ts";
import type { Json, Write } from "../store.ts";
import type { Change, ItemTold } from "../wire.ts";
import type { Stored } from "./held.ts";
import {
  ANSWER,
  CACHED,
  CALL,
  CONVERSATION,
  FACT,
  FEEDBACK,
  ITEM,
  keyOf,
  keyOfChange,
  MARK,
  prefixOf,
  TURN,
  write,
} from "./keys.ts";
import { defined } from "./values.ts";

/** Some changes, as a sync's answer or a feed tells them. */
export interface Page {
  readonly changes: readonly Change[];
  /** Where one is behind them; undefined of a feed's reset, which says that only later. */
  readonly cursor: string | undefined;
  readonly isReset: boolean;
  /** Whether all that there was has been told by that: `has_more` is false; `ready`, or a heartbeat. */
  readonly isEnd: boolean;
}

export interface Taken {
  /** The things and the mark, for one commit. */
  readonly writes: readonly Write[];
  readonly mark: Mark;
  /** The end of a reset: what is of another generation has to be swept, before `whole` may be written. */
  readonly mustSweep: boolean;
}

export type Placed = components["schemas"]["PlacedItem"];

/** What the keys of all things of the server begin with. */
export const THINGS: readonly string[] = [CONVERSATION, ITEM, TURN, FEEDBACK, FACT];

/** What of a conversation is kept under keys that begin with its name. */
const WITHIN: readonly string[] = [ITEM, TURN, ANSWER, CALL];

/** Tell under which prefixes all has to go with what these changes delete: list their keys, for `takePage`. */
export function prefixesGone(changes: readonly Change[]): string[] {
  const gone = changes.filter((change) => change.type === "conversation" && "deleted" in change);
  return gone.flatMap(({ id = "" }) => WITHIN.map((kind) => prefixOf(kind, id)));
}

/**
 * Take in a page: its changes in order, the last word on each thing, and the mark with them.
 *
 * `keysGone` are those in the store under `prefixesGone`. A reset begins a generation and makes the mark partial; the
 * next end makes it whole again, once what was not told by then has been swept.
 */
export function takePage(
  mark: Mark | undefined,
  page: Page,
  keysGone: readonly string[],
  now_ms: number,
): Taken {
  const generation = (mark?.generation ?? 1) + (mark && page.isReset ? 1 : 0);
  const isWhole = !page.isReset && (mark?.isWhole ?? false);
  const next: Mark = {
    cursor: page.cursor ?? mark?.cursor ?? "",
    isWhole,
    generation,
    at_ms: now_ms,
  };
  const things = new Map<string, object | undefined>();
  for (const change of page.changes) {
    const isGone = "deleted" in change;
    things.set(keyOfChange(change), isGone ? undefined : { generation, told: change });
    const prefixes = prefixesGone([change]);
    for (const key of [...things.keys(), ...keysGone])
      if (prefixes.some((prefix) => key.startsWith(prefix))) things.set(key, undefined);
    if (prefixes.length) things.set(keyOf(CACHED, change.id ?? ""), undefined);
  }
  const writes = [...things].map(([key, thing]) => write(key, thing));
  return { writes: [...writes, write(MARK, next)], mark: next, mustSweep: page.isEnd && !isWhole };
}

/** Say which of these things were not told again since the reset: a piece of a listing by `THINGS` at a time. */
export function sweep(
  listed: readonly (readonly [key: string, thing: Json])[],
  generation: number,
): Write[] {
  const stale = listed.filter(
    ([, thing]) => (thing as unknown as Stored).generation !== generation,
  );
  return stale.map(([key]) => [key, undefined]);
}

/** Note that the store has all that there is, up to the mark: when all was swept. */
export function whole(mark: Mark): { readonly mark: Mark; readonly write: Write } {
  const next: Mark = { ...mark, isWhole: true };
  return { mark: next, write: write(MARK, next) };
}

/**
 * Put in what was asked for of a conversation whose items had to leave the store. What is there by now has been told
 * by changes since, and stays; `known` has its keys.
 */
export function fill(
  generation: number,
  conversation: string,
  page: readonly Placed[],
  known: ReadonlySet<string>,
): Write[] {
  return page.flatMap(({ id, branch, position, created_at, item, response_id, pinned }) => {
    const key = keyOf(ITEM, conversation, id);
    const told = defined<ItemTold>({
      type: "item",
      conversation,
      id,
      branch,
      position,
      created_at,
      item,
      response: response_id ?? undefined,
      pinned: pinned || undefined,
    });
    return known.has(key) ? [] : [write(key, { generation, told })];
  });
}
