import { expect, it, vi } from "vitest";
import { source } from "./observable.ts";

const settled = () => new Promise<void>((resolve) => setTimeout(resolve));

it("computes nothing until somebody asks, and once between two touches", () => {
  const compute = vi.fn(() => ({}));
  const observed = source(compute);

  observed.touch();
  const [first, second] = [observed.get(), observed.get()];
  observed.touch();
  const third = observed.get();

  expect(second).toBe(first);
  expect(third).not.toBe(first);
  expect(compute).toHaveBeenCalledTimes(2);
});

it("tells once of all that changed at the same moment", async () => {
  let value = 1;
  const observed = source(() => value);
  const changed = vi.fn();
  observed.subscribe(changed);

  for (value of [2, 3, 4]) observed.touch();
  await settled();

  expect(changed).toHaveBeenCalledTimes(1);
  expect(observed.get()).toBe(4);
});

it("tells nothing where the value is the same one", async () => {
  const observed = source<object>((before) => before ?? {});
  const changed = vi.fn();
  observed.subscribe(changed);

  observed.touch();
  await settled();

  expect(changed).not.toHaveBeenCalled();
});

it("tells of a change that somebody read before they were told", async () => {
  let value = 1;
  const observed = source(() => value);
  const changed = vi.fn();
  observed.subscribe(changed);

  value = 2;
  observed.touch();
  observed.get();
  await settled();

  expect(changed).toHaveBeenCalledTimes(1);
});

it("watches from the first listener to the last, and again", () => {
  const log: string[] = [];
  const observed = source(
    () => 1,
    () => {
      log.push("on");
      return () => log.push("off");
    },
  );

  const [one, other] = [observed.subscribe(() => {}), observed.subscribe(() => {})];
  one();
  one();
  other();
  observed.subscribe(() => {})();

  expect(log).toEqual(["on", "off", "on", "off"]);
});
