import { afterEach, describe, expect, test } from "vitest";
import { words as english } from "./languages/en.ts";
import type { Language, Reason } from "./languages/language.ts";
import { failureText, greeting, language, shortenedText, speak, words } from "./words.ts";

const FILES = Object.entries(
  import.meta.glob<Language>(["./*.ts", "!./language.ts"], {
    base: "./languages",
    import: "words",
    eager: true,
  }),
);

afterEach(() => speak(["en"]));

test.each([
  ["rate_limit_exceeded", 1, "try again in 1 second."],
  ["rate_limit_exceeded", 40, "try again in 40 seconds."],
  ["rate_limit_exceeded", null, "try again in a moment."],
  ["server_overloaded", 600, "try again in 10 minutes."],
  ["server_overloaded", 7200, "try again in 2 hours."],
])("%s with %s s to wait says when", (code, retryAfterS, end) => {
  expect(failureText({ code, message: "", retryAfterS })).toContain(end);
});

test("a server that failed and says when to come back is busy", () => {
  const texts = [null, 5].map((retryAfterS) =>
    failureText({ code: "server_error", message: "x", retryAfterS }),
  );

  expect(texts).toEqual([
    "Could not be answered: the model did not answer as it should. Your message is kept.",
    "Could not be answered: the model is busy. Your message is kept; try again in 5 seconds.",
  ]);
});

test("the server's own words are told where its code is new to this page", () => {
  expect(failureText({ code: "new_rule", message: "Not on Sundays.", retryAfterS: null })).toBe(
    "Could not be answered: Not on Sundays.",
  );
});

test("there is always something to tell", () => {
  expect(failureText({ code: "http_502", message: "", retryAfterS: null })).toBe(
    "Could not be answered: something went wrong. Your message is kept.",
  );
  expect(shortenedText("constructor")).toBe("The answer ended before it was complete.");
});

test.each([
  [4, "Good evening."],
  [5, "Good morning."],
  [12, "Good afternoon."],
  [18, "Good evening."],
])("at %i o'clock it says %s", (hour, said) => {
  expect(greeting(hour)).toBe(said);
});

describe("the language", () => {
  test.each([
    [["de-AT", "en"], "de-AT", "Senden"],
    [["ar-EG-u-nu-latn"], "ar-EG-u-nu-latn", "إرسال"],
    [["xx", "DE"], "DE", "Senden"],
    [["en-GB", "de"], "en-GB", "Send"],
    [["xx", "../words", "language"], "en", "Send"],
    [[], "en", "Send"],
  ])("of a person who asks for %j is %s", async (wanted, tag, send) => {
    const page = { lang: "", dir: "" } as HTMLElement;

    await speak(wanted, page);

    expect([language, page.lang, words.send]).toEqual([tag, tag, send]);
    expect(page.dir).toBe(tag.startsWith("ar") ? "rtl" : "ltr");
  });

  test("says how long to wait as it is said there", async () => {
    await speak(["de"]);

    expect(failureText({ code: "rate_limit_exceeded", message: "", retryAfterS: 40 })).toContain(
      "in 40 Sekunden",
    );
  });

  test.each(FILES)("%s has a word for everything", (_, spoken) => {
    const when = "WHEN";

    expect(Object.keys(leaves(spoken))).toEqual(Object.keys(leaves(english)));
    for (const [name, said] of Object.entries(leaves(spoken))) expect(said, name).not.toBe("");
    for (const reason of Object.keys(english.reasons) as Reason[]) {
      const isTold = english.reasons[reason](when).includes(when);
      expect(spoken.reasons[reason](when).includes(when), reason).toBe(isTold);
    }
    expect(spoken.unreachableLine("Desk")).toContain("Desk");
    expect(spoken.failed("why")).toContain("why");
  });
});

/** By path, each word of a language; what is made of something is made of "x". */
function leaves(value: unknown, path = ""): Record<string, string> {
  if (typeof value === "function") return { [path]: String(value("x")) };
  if (typeof value !== "object" || value === null) return { [path]: String(value) };
  return Object.assign(
    {},
    ...Object.entries(value).map(([name, each]) => leaves(each, `${path}/${name}`)),
  );
}
