import fc from "fast-check";
import { expect, test } from "vitest";
import { boundaryBefore, makePace } from "./pace.ts";

const FRAME_ms = 16;
const texts = fc.array(
  fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.constantFrom(
      "👩‍👩‍👧‍👦",
      "🇩🇪🇫🇷",
      "e\u0301",
      "👍🏽",
      "\r\n",
      "각",
      "क्षि",
      "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
      "1️⃣",
      "plain words ",
    ),
  ),
  { maxLength: 12 },
);
const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
const boundaries = (text: string) =>
  new Set([...segmenter.segment(text)].map(({ index }) => index).concat(text.length));

test("a boundary is always one between characters as people see them", () => {
  fc.assert(
    fc.property(texts, (parts) => {
      const text = parts.join("");
      const real = boundaries(text);

      for (let at = 0; at <= text.length; at++)
        expect(real.has(boundaryBefore(text, at))).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test("plain text may be parted anywhere", () => {
  const text = "Plain words,\nÜber alles: 日本語, Ελληνικά.";

  expect([...text].map((_, at) => boundaryBefore(text, at))).toEqual([...text].map((_, at) => at));
});

test("what is shown is a whole beginning of the text, and in the end all of it", () => {
  fc.assert(
    fc.property(texts, fc.array(fc.nat(5), { maxLength: 30 }), (parts, frames) => {
      const pace = makePace();
      const whole = parts.join("");
      let came = 0;
      let now_ms = 0;
      for (const more of frames) {
        came = Math.min(came + more, parts.length);
        const text = parts.slice(0, came).join("");

        now_ms += FRAME_ms;
        const shown = pace.show(text, false, now_ms);

        expect(whole.startsWith(shown) && boundaries(whole).has(shown.length)).toBe(true);
      }
      let shown = "";
      for (let frame = 0; frame < 300 && shown !== whole; frame++) {
        now_ms += FRAME_ms;
        shown = pace.show(whole, true, now_ms);
      }

      expect(shown).toBe(whole);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["20 characters a second", 50, 1],
  ["100 characters a second", 10, 1],
  ["bursts of 60 characters", 300, 60],
  ["1,000 characters a second", 4, 4],
])("it is no more than 80 ms behind in the mean: %s", (_, every_ms, size) => {
  const pace = makePace();
  const arrived: number[] = [];
  let behind_ms = 0;
  let shown = 0;
  let length = 0;
  pace.show("", false, 0);
  for (let now_ms = 0; now_ms < 20_000; now_ms++) {
    if (now_ms % every_ms === 0) for (let at = 0; at < size; at++) arrived[length++] = now_ms;
    if (now_ms % FRAME_ms !== 0) continue;
    const next = pace.show("x".repeat(length), false, now_ms).length;
    for (; shown < next; shown++) behind_ms += now_ms - (arrived[shown] ?? 0);
  }

  expect(shown).toBeGreaterThan(length * 0.99);
  expect(behind_ms / shown).toBeLessThanOrEqual(80);
});

test("a burst is not shown at once, but bit by bit", () => {
  const pace = makePace();
  pace.show("", false, 0);
  const text = "x".repeat(100);

  const steps = [16, 32, 48, 64].map((now_ms) => pace.show(text, false, now_ms).length);

  expect(steps.every((step, at) => step > (steps[at - 1] ?? 0) && step < 90)).toBe(true);
});

test("what is there at the first call is shown at once", () => {
  expect(makePace().show("All of this was there.", false, 1_000)).toBe("All of this was there.");
});

test("a text that becomes another one goes on from where they differ", () => {
  const pace = makePace();
  pace.show("The sky is blue", true, 0);

  expect(pace.show("The sky is grey today", true, 0).startsWith("The sky is ")).toBe(true);
  expect(pace.show("The sky is grey today", true, 10_000)).toBe("The sky is grey today");
});
