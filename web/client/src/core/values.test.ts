import fc from "fast-check";
import { expect, test } from "vitest";
import { defined, grouped, joined, memo, shared } from "./values.ts";

test("what is undefined is left out, and nothing else", () => {
  const fields = { one: undefined, two: null, three: 0, four: "" };

  expect(Object.keys(defined<object>(fields))).toEqual(["two", "three", "four"]);
});

test("values of one name are together, in their order", () => {
  expect([...grouped([1, 2, 3, 4, 5], (value) => value % 2)]).toEqual([
    [1, [1, 3, 5]],
    [0, [2, 4]],
  ]);
});

test("what is said by the objects of the one before is the same, and the very same where all of it is", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (before, next) => {
      const copy = JSON.parse(JSON.stringify(before));

      expect(shared(before, next)).toEqual(next);
      expect(JSON.stringify(shared(before, copy)) === "0" || shared(before, copy) === before).toBe(
        true,
      );
    }),
  );
});

test("of what has changed the parts that have not stay the same objects", () => {
  const before = { a: { deep: [1] }, b: [{ is: 1 }, { is: 2 }], gone: 1 };

  const next = shared(before, { a: { deep: [1] }, b: [{ is: 1 }, { is: 3 }] });

  expect([next, next.a === before.a, next.b[0] === before.b[0], next.b === before.b]).toEqual([
    { a: { deep: [1] }, b: [{ is: 1 }, { is: 3 }] },
    true,
    true,
    false,
  ]);
});

test("what has an id is the same wherever it stands", () => {
  const before = [
    { id: "a", is: [1] },
    { id: "b", is: [2] },
    { id: "c", is: [3] },
  ];

  const next = shared(before, [
    { id: "c", is: [3] },
    { id: "b", is: [4] },
  ]);

  expect([next, next[0] === before[2], next[1] === before[1]]).toEqual([
    [
      { id: "c", is: [3] },
      { id: "b", is: [4] },
    ],
    true,
    false,
  ]);
});

test("a list and a record, or fields that are undefined, are never taken for each other", () => {
  expect([shared([], {}), shared({}, []), shared({ a: 1 }, { b: undefined })]).toEqual([
    {},
    [],
    { b: undefined },
  ]);
  expect(Object.keys(shared({ a: 1 } as object, { b: undefined }))).toEqual(["b"]);
});

test("what is remembered is made again only of other objects", () => {
  const remembered = memo<object>();
  const [one, other] = [{}, {}];
  const first = remembered([one, 1], () => ({}));

  expect(remembered([one, 1], () => ({}))).toBe(first);
  expect(remembered([other, 1], () => ({}))).not.toBe(first);
  expect(remembered([], () => one)).toBe(one);
});

test("texts are joined as far as they say something", () => {
  expect(joined(["", "one", undefined, "two", ""], ", ")).toBe("one, two");
});
