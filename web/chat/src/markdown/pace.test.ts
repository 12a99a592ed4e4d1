import { expect, test } from "vitest";
import { Pace, wordEnd } from "./pace.ts";

test("a burst is spread evenly over 80 ms and then complete", () => {
  const pace = new Pace(0);
  pace.arrive(80, 1000);

  expect([1016, 1032, 1048, 1064, 1080].map((now) => pace.due(now))).toEqual([16, 32, 48, 64, 80]);
  expect(pace.isBehind).toBe(false);
});

test("text that keeps arriving is at most 80 ms behind", () => {
  const pace = new Pace(0);
  let due = 0;
  for (let now = 0; now <= 1600; now += 16) {
    pace.arrive(now, now);
    due = pace.due(now);
  }

  expect(due).toBeGreaterThan(1600 - 81);
});

test("a late frame shows everything that is due", () => {
  const pace = new Pace(0);
  pace.arrive(500, 1000);

  expect(pace.due(5000)).toBe(500);
});

test("a shorter text takes the place of a longer one", () => {
  const pace = new Pace(300);
  pace.arrive(4, 1000);

  expect(pace.due(1016)).toBe(4);
});

test.each([
  ["whole words only", "one two three", 9, 7],
  ["all of it", "one two", 7, 7],
  [
    "a script without spaces",
    "你好你好你好你好你好你好你好你好你好你好你好你好你好你好你好",
    26,
    26,
  ],
  ["never half a character", `${"a".repeat(29)}👩👩`, 30, 29],
])("%s", (_, text, due, end) => {
  expect(wordEnd(text, due)).toBe(end);
});
