import { expect, test } from "vitest";
import { closed } from "./unfinished.ts";

test.each([
  ["Some **bold wo", "Some **bold wo**"],
  ["Some *it", "Some *it*"],
  ["Call `f", "Call `f`"],
  ["- one\n-", "- one\n"],
  ["- one\n2.", "- one\n"],
  ["##", ""],
  ["```js\nconst x = 'a*b", "```js\nconst x = 'a*b"],
  ["```js\nx\n``", "```js\nx\n"],
  ["| a | b", ""],
  ["| a | b |\n|--", ""],
  ["| a | b |\n|---|---|\n| c", "| a | b |\n|---|---|\n| c"],
  ["A whole sentence.", "A whole sentence."],
])("%j is shown as %j", (source, expected) => {
  expect(closed(source)).toBe(expected);
});

test("half a link shows its words, not its address", () => {
  expect(closed("See [the table](https://exam")).not.toContain("exam");
});
