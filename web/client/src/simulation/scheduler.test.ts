// @vitest-environment node
import { expect, it } from "vitest";
import { chanceOf } from "./chance.ts";
import { type Owner, Scheduler } from "./scheduler.ts";

function owner(): Owner {
  return { name: "one", isAlive: true, isFrozen: false };
}

it("does steps by their time, and those of one time by their age", async () => {
  const scheduler = new Scheduler();
  const one = owner();
  const chance = chanceOf(3);
  const times = Array.from({ length: 300 }, () => chance.between(0, 20));
  const done: [number, number][] = [];
  times.forEach((at_ms, age) => {
    scheduler.after(at_ms, one, () => done.push([scheduler.now_ms, age]));
  });

  await scheduler.runFor(100);

  const expected = times.map((at_ms, age): [number, number] => [at_ms, age]);
  expect(done).toEqual(expected.sort((a, b) => a[0] - b[0] || a[1] - b[1]));
  expect(scheduler.now_ms).toBe(100);
});

it("lets all that follows on a step happen before the next", async () => {
  const scheduler = new Scheduler();
  const one = owner();
  const done: string[] = [];
  void scheduler
    .later(1, one, () => "first")
    .then(async (first) => {
      for (let depth = 0; depth < 50; depth += 1) await null;
      done.push(first);
    });
  scheduler.after(1, one, () => done.push("second"));

  await scheduler.runSteps(2);

  expect(done).toEqual(["first", "second"]);
});

it("leaves out what was taken back, and what a dead process was about to do", async () => {
  const scheduler = new Scheduler();
  const [one, other] = [owner(), owner()];
  const done: string[] = [];
  const stop = scheduler.after(1, one, () => done.push("taken back"));
  scheduler.after(2, other, () => done.push("dead"));
  scheduler.after(3, one, () => done.push("alive"));
  stop();
  other.isAlive = false;

  await scheduler.runFor(10);

  expect(done).toEqual(["alive"]);
  expect(scheduler.steps).toBe(1);
});

it("holds what is frozen, and lets it go on in its order", async () => {
  const scheduler = new Scheduler();
  const one = owner();
  const done: string[] = [];
  for (const [at_ms, words] of [
    [1, "first"],
    [2, "second"],
    [2, "taken back"],
  ] as const) {
    const stop = scheduler.after(at_ms, one, () => done.push(`${words} at ${scheduler.now_ms}`));
    if (words === "taken back") scheduler.after(50, owner(), stop);
  }
  one.isFrozen = true;
  await scheduler.runFor(60);
  expect(done).toEqual([]);

  scheduler.thaw(one);
  await scheduler.runFor(1);

  expect(done).toEqual(["first at 60", "second at 60"]);
});
