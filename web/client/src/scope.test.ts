import { expect, it } from "vitest";
import type { Clock } from "./effects.ts";
import { openScope } from "./scope.ts";

/** A clock whose timers are called by hand. */
function handClock(): Clock & { readonly timers: Set<() => void> } {
  const timers = new Set<() => void>();
  return {
    timers,
    now_ms: () => 0,
    elapsed_ms: () => 0,
    later(_, act) {
      timers.add(act);
      return () => timers.delete(act);
    },
  };
}

it("ends all that is in it, stretches within included, once", () => {
  const clock = handClock();
  const scope = openScope(clock);
  const within = openScope(clock, scope);
  const log: string[] = [];
  scope.own(() => log.push("own"));
  within.own(() => log.push("within"));
  within.later(5, () => log.push("timer"));

  scope.end();
  scope.end();

  expect(log.sort()).toEqual(["own", "within"]);
  expect([within.isOver, clock.timers.size]).toEqual([true, 0]);
});

it("leaves nothing behind of what ended by itself", () => {
  const clock = handClock();
  const scope = openScope(clock);
  const log: string[] = [];
  scope.later(5, () => log.push("timer"));
  openScope(clock, scope).end();

  for (const act of [...clock.timers]) act();
  scope.end();

  expect(log).toEqual(["timer"]);
  expect(clock.timers.size).toBe(0);
});

it("takes nothing in once it is over", () => {
  const clock = handClock();
  const scope = openScope(clock);
  const log: string[] = [];
  scope.end();

  scope.own(() => log.push("stopped at once"));
  scope.later(1, () => log.push("timer"));

  expect(log).toEqual(["stopped at once"]);
  expect(clock.timers.size).toBe(0);
});
