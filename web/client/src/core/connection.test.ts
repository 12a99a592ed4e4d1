import { expect, test } from "vitest";
import { type Known, wordOf } from "./connection.ts";

const good: Known = {
  isStarted: true,
  isOnline: true,
  isVisible: true,
  isSignedOut: false,
  isTooOld: false,
  isLive: true,
};

test("the connection in a word, the worst first", () => {
  const worse: Partial<Known>[] = [
    {},
    { isVisible: false },
    { isOnline: false },
    { isSignedOut: true },
    { isTooOld: true },
    { isStarted: false },
  ];
  const words = worse.map((_, at) => wordOf(Object.assign({}, good, ...worse.slice(0, at + 1))));

  expect(words).toEqual(["live", "hidden", "offline", "signed_out", "too_old", "stopped"]);
  expect(wordOf({ ...good, isLive: false })).toBe("connecting");
});
