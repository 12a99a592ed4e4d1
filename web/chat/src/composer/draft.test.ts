import { beforeEach, expect, test } from "vitest";
import { Draft } from "./draft.ts";

beforeEach(() => localStorage.clear());

test("unsent text outlives a reload", () => {
  new Draft(localStorage).write("Dear neighbour,");

  expect(new Draft(localStorage).text).toBe("Dear neighbour,");
});

test("sent text is gone", () => {
  const draft = new Draft(localStorage);
  draft.write("Dear");
  draft.write("");

  expect(new Draft(localStorage).text).toBe("");
  expect(localStorage).toHaveLength(0);
});

test.each([
  ["denied", null],
  ["full", { getItem: () => null, setItem: () => fail(), removeItem: () => fail() }],
])("typing goes on where storage is %s", (_, storage) => {
  const draft = new Draft(storage as Storage | null);

  draft.write("Dear");

  expect(draft.text).toBe("Dear");
});

function fail(): never {
  throw new DOMException("Quota", "QuotaExceededError");
}
