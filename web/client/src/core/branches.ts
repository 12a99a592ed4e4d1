// A conversation is a tree of items kept as branches: a branch goes along its parent up to the position `fork`, and has
// items of its own from there on. An item that was deleted is not there; what follows on it follows on the one before.

import type { ConversationTold, ItemTold } from "../wire.ts";
import { grouped } from "./values.ts";

/** A message that stands at the same place in another branch, or the same one. */
export interface Sibling {
  readonly item: string;
  readonly branch: number;
}

export interface Tree {
  /** The items of a branch from the beginning on; those of its parents included. */
  path(branch: number): readonly ItemTold[];
  /** All items that follow on the same one as this one, itself included, in the order of their branches. */
  siblings(item: string): readonly Sibling[];
}

/** The number of a branch that the server has yet to make. */
export const LOCAL_BRANCH = -1;

/** Order the items of a conversation as its branches say. */
export function makeTree(
  conversation: ConversationTold | undefined,
  items: ReadonlyMap<string, ItemTold>,
): Tree {
  const branches = new Map(conversation?.branches?.map((branch) => [branch.number, branch]));
  const inOrder = [...items.values()].sort((one, other) => one.position - other.position);
  const own = grouped(inOrder, ({ branch }) => branch);

  const path = (number: number, end = Number.POSITIVE_INFINITY): ItemTold[] => {
    const { parent = null, fork = 0 } = branches.get(number) ?? {};
    const stretch = own.get(number)?.filter((item) => item.position >= fork && item.position < end);
    // A branch is always younger than its parent.
    const before = parent !== null && parent < number ? path(parent, Math.min(fork, end)) : [];
    return [...before, ...(stretch ?? [])];
  };

  // What stands behind each item, by that and by each that stands there; "" is the beginning.
  const behind = new Map<string, Sibling[]>();
  const stands = new Map<string, Sibling[]>();
  for (const number of [...own.keys()].sort((one, other) => one - other)) {
    let before = "";
    for (const { id, branch } of path(number)) {
      const stand = behind.get(before) ?? [];
      if (branch === number) {
        stand.push({ item: id, branch });
        behind.set(before, stand);
        stands.set(id, stand);
      }
      before = id;
    }
  }
  return {
    path: (branch) => path(branch),
    siblings: (id) => stands.get(id) ?? [{ item: id, branch: LOCAL_BRANCH }],
  };
}
