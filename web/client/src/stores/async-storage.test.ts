import { describe, expect, test } from "vitest";
import { type AsyncStorageLike, asyncStorageStore } from "./async-storage.ts";
import { describeAtomicity, describeStore } from "./conformance.ts";
import { failing } from "./failing.ts";

/** What React Native has: each call by itself, done some time later. */
function fakeStorage(texts: Map<string, string>, { call } = failing()): AsyncStorageLike {
  const later = () => new Promise<void>((resolve) => queueMicrotask(resolve));
  return {
    getItem: (key) => call(() => later().then(() => texts.get(key) ?? null)),
    setItem: (key, value) => call(() => later().then(() => void texts.set(key, value))),
    removeItem: (key) => call(() => later().then(() => void texts.delete(key))),
    getAllKeys: () => call(() => later().then(() => [...texts.keys()])),
  };
}

describeStore({
  name: "a store in AsyncStorage",
  outlives: true,
  place() {
    const storage = fakeStorage(new Map([["somebody else's", "text"]]));
    return { open: () => asyncStorageStore(storage, "frontdesk") };
  },
});

describeAtomicity("a store in AsyncStorage", () => {
  const texts = new Map<string, string>();
  const plan = failing();
  let storage = fakeStorage(texts, plan);
  return {
    open: () => asyncStorageStore(storage, "frontdesk"),
    failAt: plan.failAt,
    restart() {
      // Another process knows nothing of what this one had in its memory.
      storage = fakeStorage(texts, plan);
      return plan.restart();
    },
  };
});

describe("a store in AsyncStorage", () => {
  test("a journal too long for one record is cut, and leaves nothing behind", async () => {
    const texts = new Map<string, string>();
    const longest: number[] = [];
    const storage = fakeStorage(texts);
    const watched: AsyncStorageLike = {
      ...storage,
      setItem(key, value) {
        longest.push(value.length);
        return storage.setItem(key, value);
      },
    };
    const store = asyncStorageStore(watched, "frontdesk");

    const values = Array.from(
      { length: 20 },
      (_, index) => [`k${index}`, "x".repeat(50_000)] as const,
    );
    await store.commit(values);

    expect(Math.max(...longest)).toBe(300_000);
    expect([...texts.keys()].sort()).toEqual(values.map(([key]) => `frontdesk:${key}`).sort());
  });

  test("a long journal is replayed by whoever comes after the end of the process", async () => {
    const texts = new Map<string, string>();
    const plan = failing();
    const first = asyncStorageStore(fakeStorage(texts, plan), "frontdesk");
    await first.list("");
    // Four pieces and the record are written, and one value.
    plan.failAt(6, "after", true);
    const values = Array.from(
      { length: 20 },
      (_, index) => [`k${index}`, "x".repeat(50_000)] as const,
    );

    const isDone = await first.commit(values);
    plan.restart();
    const second = asyncStorageStore(fakeStorage(texts), "frontdesk");

    expect([isDone, (await second.list("")).length]).toEqual([true, 20]);
    expect([...texts.keys()].every((key) => key.startsWith("frontdesk:"))).toBe(true);
  });

  test("a journal that is there although the storage said no is done at once", async () => {
    const plan = failing();
    const store = asyncStorageStore(fakeStorage(new Map(), plan), "frontdesk");
    await store.list("");
    plan.failAt(1, "after", false);

    const isDone = await store.commit([
      ["a", 1],
      ["b", 2],
    ]);

    expect([isDone, (await store.list("")).length]).toEqual([true, 2]);
  });

  test("a journal that nobody can tell of is done as soon as it is seen", async () => {
    const plan = failing();
    const store = asyncStorageStore(fakeStorage(new Map(), plan), "frontdesk");
    await store.commit([["a", 0]]);
    plan.failAt(1, "after", true);
    const commit = store.commit([
      ["a", 1],
      ["b", 2],
    ]);
    await expect(commit).rejects.toMatchObject({ trouble: "broken" });
    plan.restart();

    expect(await store.list("")).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  test("a full device is told from a broken one", async () => {
    const plan = failing("database or disk is full (code 13 SQLITE_FULL)");
    const store = asyncStorageStore(fakeStorage(new Map(), plan), "frontdesk");
    await store.list("");
    plan.failAt(1, "before", true);

    await expect(store.commit([["a", 1]])).rejects.toMatchObject({ trouble: "full" });
  });

  test("stores of two names in one storage have nothing in common", async () => {
    const storage = fakeStorage(new Map());
    const [one, other] = [asyncStorageStore(storage, "one"), asyncStorageStore(storage, "one:two")];
    await one.commit([["a", 1]]);
    await other.commit([["b", 2]]);

    await other.wipe();

    expect(await one.list("a")).toEqual([["a", 1]]);
  });
});
