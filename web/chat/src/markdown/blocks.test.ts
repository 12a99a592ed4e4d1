import { expect, test } from "vitest";
import { type Blocks, grow, noBlocks } from "./blocks.ts";

const text = `# Title

A paragraph with **bold** text
over two lines.

- one
- two

  still two

  \`\`\`js
  const x = 1;

  const y = 2;
  \`\`\`
- three

1. first

2. second

| a | b |
|---|---|
| c | d |

\`\`\`python
def f():

    return 1
\`\`\`

> quoted
and lazily continued

Setext
======

<div>
html
</div>

See [there][1] and Grüezi 👩‍🚀.

[1]: https://example.org

The end.`;

test("blocks grown at every cut are those of the whole text", () => {
  const whole = grow(noBlocks, text);

  let grown: Blocks = noBlocks;
  for (let end = 1; end <= text.length; end++) grown = grow(grown, text.slice(0, end));

  expect(grown).toEqual(whole);
  expect(whole.list.map(({ source }) => source).join("")).toBe(text);
  expect(whole.definitions).toBe("[1]: https://example.org\n");
});

test("finished blocks are the same objects, so that nothing draws them again", () => {
  const before = grow(noBlocks, "One.\n\nTwo.\n\nThree.\n\nFo");

  const after = grow(before, "One.\n\nTwo.\n\nThree.\n\nFour.");

  expect(after.list[0]).toBe(before.list[0]);
  expect(after.list[1]).toBe(before.list[1]);
  expect(after.list.at(-1)?.source).toBe("Four.");
});

test("another text starts afresh", () => {
  const before = grow(noBlocks, "One.\n\nTwo.\n\nThree.\n\nFour.");

  expect(grow(before, "Uno.\n\nDos.")).toEqual(grow(noBlocks, "Uno.\n\nDos."));
});
