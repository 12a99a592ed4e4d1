import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { contrast, linearRgb, type Oklch } from "./oklch.ts";

const css = readFileSync(join(import.meta.dirname, "tokens.css"), "utf8");

type Tokens = Record<string, Oklch>;

/** The colours of one `:root` block; translucent ones are shadows and carry no text. */
function coloursAfter(opening: string): Tokens {
  const start = css.indexOf(opening) + opening.length;
  const block = css.slice(start, css.indexOf("}", start));
  const found: Tokens = {};
  for (const [, name, l, c, h] of block.matchAll(
    /--([\w-]+): oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)/g,
  )) {
    found[name ?? ""] = { lightness: Number(l), chroma: Number(c), hue: Number(h) };
  }
  return found;
}

const light = coloursAfter(":root {");
const dark = { ...light, ...coloursAfter("@media (prefers-color-scheme: dark) {\n  :root {") };
const more = coloursAfter("@media (prefers-contrast: more) {\n  :root {");
const lightMore = { ...light, ...more };
const darkMore = {
  ...dark,
  ...more,
  ...coloursAfter("@media (prefers-contrast: more) and (prefers-color-scheme: dark) {\n  :root {"),
};

const grounds = ["paper", "raised", "bubble", "sunken"];
const inks = ["ink", "ink-quiet", "ink-brass", "ink-waiting"];
const marks = ["mark-brass", "mark-loss"];

describe.each([
  ["light", light, 7, 4.5],
  ["dark", dark, 7, 4.5],
  ["light, more contrast", lightMore, 9, 7],
  ["dark, more contrast", darkMore, 9, 7],
] as const)("%s", (_, tokens, textRatio, markRatio) => {
  const of = (name: string): Oklch => {
    const colour = tokens[name];
    if (!colour) throw new Error(`no token --${name}`);
    return colour;
  };

  test.each(inks.flatMap((ink) => grounds.map((ground) => [ink, ground])))(
    "text in %s reads on %s",
    (ink, ground) => {
      expect(contrast(of(ink as string), of(ground as string))).toBeGreaterThanOrEqual(textRatio);
    },
  );

  test.each(marks.flatMap((mark) => ["paper", "raised", "sunken"].map((ground) => [mark, ground])))(
    "%s stands out on %s",
    (mark, ground) => {
      expect(contrast(of(mark as string), of(ground as string))).toBeGreaterThanOrEqual(markRatio);
    },
  );

  test("what lies on brass stands out from it", () => {
    expect(contrast(of("on-brass"), of("mark-brass"))).toBeGreaterThanOrEqual(markRatio);
  });

  test("the edge of a control can be seen on paper (WCAG 1.4.11)", () => {
    expect(contrast(of("mark-edge"), of("raised"))).toBeGreaterThanOrEqual(3);
  });

  test.each(Object.keys(tokens))("--%s is a colour that every screen can show", (name) => {
    for (const channel of linearRgb(of(name))) {
      expect(channel).toBeGreaterThan(-0.002);
      expect(channel).toBeLessThan(1.002);
    }
  });
});
