import { expect, test } from "vitest";
import { sentenceEnd, spoken } from "./sentences.ts";

test.each([
  ["One. Two", 0, 4],
  ["One. Two. Thr", 4, 9],
  ["Pi is 3.14 and", 0, 0],
  ["Not yet.", 0, 0],
  ["He said “yes.” Then", 0, 13],
  ["好。再", 0, 0],
  ["Para\n\nNext", 0, 6],
  ["Code:\n\n```js\na. b. c\n", 0, 7],
])("%j from %i: a sentence ends at %i", (text, from, end) => {
  expect(sentenceEnd(text, from)).toBe(end);
});

test.each([
  ["## A **bold** [link](https://example.org) and `code`", "A bold link and code"],
  ["- one\n- two", "one two"],
  ["| a | b |\n|---|---|\n| c | d |", "a b c d"],
  ["Look:\n```js\nconst x = 1;\n```\nDone.", "Look: (code) Done."],
  ["![a cat](https://example.org/x.png)", "a cat"],
])("%j is read as %j", (markdown, read) => {
  expect(spoken(markdown, "(code)")).toBe(read);
});
