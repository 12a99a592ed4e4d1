import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Transport } from "../transport.ts";
import { activityOf, backoff_ms, chooseTransport, type Situation, shun } from "./activity.ts";

const DAY_ms = 24 * 3600 * 1000;
const good: Situation = {
  isOnline: true,
  isVisible: true,
  isSignedIn: true,
  isTooOld: false,
  mark: { cursor: "c", isWhole: true, generation: 1, at_ms: DAY_ms },
  now_ms: DAY_ms,
  hasUnsent: false,
};

describe("what is done", () => {
  const cases: [string, Partial<Situation>, ReturnType<typeof activityOf>][] = [
    ["with all that is needed", {}, "live"],
    ["on a first start", { mark: undefined }, "catching_up"],
    [
      "in the middle of a first sync",
      { mark: { cursor: "c", isWhole: false, generation: 1, at_ms: DAY_ms } },
      "catching_up",
    ],
    ["after a day", { now_ms: 2 * DAY_ms }, "catching_up"],
    ["with a clock that was set back", { now_ms: 0 }, "live"],
    ["hidden", { isVisible: false }, "off"],
    ["hidden, with something to send", { isVisible: false, hasUnsent: true }, "pushing"],
    ["offline", { isOnline: false, hasUnsent: true }, "off"],
    ["signed out", { isSignedIn: false, hasUnsent: true }, "off"],
    ["too old", { isTooOld: true, hasUnsent: true }, "off"],
  ];

  test.each(cases)("%s", (_, other, activity) => {
    expect(activityOf({ ...good, ...other }, "off")).toBe(activity);
  });

  test("stays live through a reset of the feed", () => {
    expect(activityOf({ ...good, mark: undefined }, "live")).toBe("live");
  });
});

test("the wait grows to a minute, is anything up to its bound, and never nothing", () => {
  expect([1, 2, 3, 6, 7, 99].map((failures) => backoff_ms(failures, 1, false))).toEqual([
    1_000, 2_000, 4_000, 32_000, 60_000, 60_000,
  ]);
  expect([backoff_ms(1, 0, false), backoff_ms(3, 0.5, false), backoff_ms(3, 0.5, true)]).toEqual([
    100, 2_000, 4_000,
  ]);
  fc.assert(
    fc.property(
      fc.nat(2_000),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.boolean(),
      (failures, random, savesData) => {
        const wait_ms = backoff_ms(failures, random, savesData);

        expect(wait_ms >= 100 && wait_ms <= 120_000).toBe(true);
      },
    ),
  );
});

describe("the transport", () => {
  const transport = (name: Transport["name"], isCapable = true): Transport => ({
    name,
    isCapable,
    listen: () => () => {},
  });
  const all = [transport("poll"), transport("xhr"), transport("socket"), transport("stream")];
  const chosen = (shunned: Parameters<typeof chooseTransport>[1], elapsed_ms: number, of = all) =>
    chooseTransport(of, shunned, elapsed_ms)?.name;

  test("is the best that the platform can do, whatever order they are given in", () => {
    expect([
      chosen({}, 0),
      chosen({}, 0, [transport("poll"), transport("stream", false)]),
      chosen({}, 0, []),
    ]).toEqual(["stream", "poll", undefined]);
  });

  test("is another one for 10 minutes where it did not work, and then the better one again", () => {
    const shunned = shun(shun({}, "stream", 1_000), "socket", 2_000);

    expect([3_000, 600_999, 601_000].map((elapsed_ms) => chosen(shunned, elapsed_ms))).toEqual([
      "xhr",
      "xhr",
      "stream",
    ]);
  });

  test("is the one that has rested longest where none worked", () => {
    const names = ["socket", "stream", "poll", "xhr"] as const;
    const shunned = names.reduce((all, name, at) => shun(all, name, at), {});

    expect(chosen(shunned, 10)).toBe("socket");
  });
});
