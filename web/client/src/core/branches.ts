// A conversation is a tree of items kept as branches: a branch goes along its parent up to the position `fork`, and has
// items of its own from there on. An item that was deleted is not there; what follows on it follows on the one before.

import type { Kept } from "../state.ts";
import type { Branch, ConversationTold, ItemTold } from "../wire.ts";
import { grouped } from "./values.ts";

/** A message that stands at the same place in another branch, or the same one. */
export interface Sibling {
  readonly item: string;
  readonly branch: number;
}

/** What was said here, at the place where the server will put it. */
export interface Local extends Pick<ItemTold, "id" | "branch" | "position"> {
  readonly kept: Kept;
}

/** The tree as the server told it, to which can be done what the server will do. */
export interface Tree {
  /** The items of a branch from the beginning on, up to a position; those of its parents included. */
  path(branch: number, end?: number): (ItemTold | Local)[];
  /** Of each item beside which others follow on the same one: all of these, itself included, in the order of their branches. */
  siblings(): ReadonlyMap<string, readonly Sibling[]>;
  /**
   * Name the branch to go on in behind an item, or at the beginning: the one that is chosen where that ends there, else that of
   * the item, else a new one. What is not known is the end of the one that is chosen.
   */
  behind(item: string | null | undefined, chosen: number): number;
  /** Name the branch to go on in where an item is, beside it. */
  beside(item: string, chosen: number): number;
  say(id: string, branch: number, kept: Kept): void;
  remove(id: string): void;
}

/** The number of a branch that the server has yet to make. */
export const LOCAL_BRANCH = -1;
/** Behind all that the server numbers: positions and branches that it has yet to number. */
const LOCAL = 1e9;

/** Order the items of a conversation as its branches say. */
export function makeTree(
  conversation: ConversationTold | undefined,
  items: ReadonlyMap<string, ItemTold>,
): Tree {
  const branches = new Map<number, Pick<Branch, "parent" | "fork">>(
    conversation?.branches?.map((branch) => [branch.number, branch]),
  );
  const inOrder = [...items.values()].sort((one, other) => one.position - other.position);
  const own = grouped<number, ItemTold | Local>(inOrder, ({ branch }) => branch);
  let next = LOCAL;

  const path: Tree["path"] = (number, end = Number.POSITIVE_INFINITY) => {
    const { parent = null, fork = 0 } = branches.get(number) ?? {};
    const stretch = (own.get(number) ?? []).filter(
      ({ position }) => position >= fork && position < end,
    );
    // A branch is always younger than its parent.
    return parent !== null && parent < number
      ? [...path(parent, Math.min(fork, end)), ...stretch]
      : stretch;
  };
  const find = (id: string) => [...own.values()].flat().find((item) => item.id === id);

  const forked = (place: ItemTold | Local | undefined, chosen: number): number => {
    const isEnd = (branch: number) => path(branch).at(-1) === place;
    if (isEnd(chosen)) return chosen;
    if (place && isEnd(place.branch)) return place.branch;
    next += 1;
    branches.set(next, { parent: place?.branch ?? null, fork: place ? place.position + 1 : 0 });
    return next;
  };

  return {
    path,
    siblings() {
      // Only the first item of a branch follows on one of another branch, or on none as others do.
      const follow = [...own.keys()]
        .sort((one, other) => one - other)
        .flatMap((number) => {
          const { fork = 0 } = branches.get(number) ?? {};
          const head = own.get(number)?.find(({ position }) => position >= fork);
          const before = head && path(number, head.position).at(-1);
          const its = before && own.get(before.branch);
          const all = [before && its?.[its.indexOf(before) + 1], head];
          return all.flatMap((item) => (item ? { item, before: before?.id } : []));
        });
      const stands = new Map<string, readonly Sibling[]>();
      for (const group of grouped(follow, ({ before }) => before).values()) {
        const stand = [...new Set(group.map(({ item }) => item))].map(({ id, branch }) => ({
          item: id,
          branch: branch < LOCAL ? branch : LOCAL_BRANCH,
        }));
        if (stand.length > 1) for (const { item } of stand) stands.set(item, stand);
      }
      return stands;
    },
    behind(item, chosen) {
      const place = item ? find(item) : undefined;
      return place || item === null ? forked(place, chosen) : chosen;
    },
    beside(item, chosen) {
      const place = find(item);
      return place ? forked(path(place.branch, place.position).at(-1), chosen) : chosen;
    },
    say(id, branch, kept) {
      next += 1;
      const items = own.get(branch) ?? [];
      items.push({ id, branch, position: next, kept });
      own.set(branch, items);
    },
    remove(id) {
      for (const [branch, items] of own)
        own.set(
          branch,
          items.filter((item) => item.id !== id),
        );
    },
  };
}
