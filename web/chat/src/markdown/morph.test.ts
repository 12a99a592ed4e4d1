import { expect, test } from "vitest";
import { morph } from "./morph.ts";

function place(html: string): HTMLDivElement {
  const made = document.createElement("div");
  made.innerHTML = html;
  return made;
}

test.each([
  ["", "<p>a</p>"],
  ["<p>a</p>", ""],
  ["<p>a</p>", "<p>ab</p>"],
  ["<p>a **b</p>", "<p>a <strong>b</strong></p>"],
  ["<p>a</p>", "<h3>a</h3><p>b</p>"],
  ['<ol start="2"><li>a</li></ol>', '<ol start="3"><li>a</li><li class="x">b</li></ol>'],
  ['<a href="x" rel="y">a</a>', '<a href="z">a</a>'],
  ["a<b>c</b>d", "<b>c</b>d<i>e</i>"],
])("%j becomes %j", (before, after) => {
  const shown = place(before);

  morph(shown, place(after));

  expect(shown.innerHTML).toBe(after);
});

test("what stays the same stays the same node", () => {
  const shown = place("<p>one</p><pre><code>a</code></pre>");
  const [paragraph, text] = [shown.firstChild, shown.firstChild?.firstChild];
  const code = shown.querySelector("pre");

  morph(shown, place("<p>one</p><pre><code>a b</code></pre><p>two</p>"));

  expect([shown.firstChild, shown.firstChild?.firstChild]).toEqual([paragraph, text]);
  expect(shown.querySelector("pre")).toBe(code);
});
