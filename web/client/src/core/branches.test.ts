import { expect, test } from "vitest";
import type { ConversationTold, ItemTold } from "../wire.ts";
import { makeTree } from "./branches.ts";

//    position   0   1   2   3   4
//    branch 0   q1──a1──q2──a2
//    branch 1        │   └──b2──b3     parent 0, fork 3
//    branch 2        └──c2──c3         parent 1, fork 2
const branches = [
  { number: 0, parent: null, fork: 0, length: 4 },
  { number: 1, parent: 0, fork: 3, length: 5 },
  { number: 2, parent: 1, fork: 2, length: 4 },
];
const told = { type: "conversation", id: "c", branch: 0, branches } as unknown as ConversationTold;
const item = (id: string, branch: number, position: number): ItemTold => ({
  type: "item",
  conversation: "c",
  id,
  branch,
  position,
  created_at: 0,
});
const items = [
  item("q1", 0, 0),
  item("a1", 0, 1),
  item("q2", 0, 2),
  item("a2", 0, 3),
  item("b2", 1, 3),
  item("b3", 1, 4),
  item("c2", 2, 2),
  item("c3", 2, 3),
];
const mapOf = (all: readonly ItemTold[]) => new Map(all.map((each) => [each.id, each]));
const ids = (path: readonly { readonly id: string }[]) => path.map(({ id }) => id).join(" ");

test("a branch goes along its parents up to its forks, in whatever order items are told", () => {
  const tree = makeTree(told, mapOf([...items].reverse()));

  expect([0, 1, 2].map((branch) => ids(tree.path(branch)))).toEqual([
    "q1 a1 q2 a2",
    "q1 a1 q2 b2 b3",
    "q1 a1 c2 c3",
  ]);
});

test("beside an item stand all that follow on the same one, where it is not alone", () => {
  const tree = makeTree(told, mapOf(items));

  const beside = items.map((each) =>
    (tree.siblings().get(each.id) ?? []).map(({ item, branch }) => `${item}@${branch}`).join(" "),
  );

  expect(beside).toEqual(["", "", "q2@0 c2@2", "a2@0 b2@1", "a2@0 b2@1", "", "q2@0 c2@2", ""]);
});

test("what follows on a deleted item follows on the one before it", () => {
  const tree = makeTree(told, mapOf(items.filter(({ id }) => id !== "q2")));

  expect(
    tree
      .siblings()
      .get("a2")
      ?.map(({ item }) => item),
  ).toEqual(["a2", "b2", "c2"]);
});

test("a conversation of one branch is its items in order, also before it is told itself", () => {
  const tree = makeTree(undefined, mapOf([item("b", 0, 1), item("a", 0, 0)]));

  expect(ids(tree.path(0))).toBe("a b");
});

test("branches that are each other's parents come to an end", () => {
  const circle = [
    { number: 0, parent: 1, fork: 9, length: 9 },
    { number: 1, parent: 0, fork: 9, length: 9 },
  ];

  expect(ids(makeTree({ ...told, branches: circle }, mapOf(items)).path(0))).toBe("");
});
