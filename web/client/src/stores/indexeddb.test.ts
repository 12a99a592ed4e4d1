// @vitest-environment node

import { IDBDatabase, IDBFactory, IDBKeyRange, IDBObjectStore } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { describeAtomicity, describeStore } from "./conformance.ts";
import { failing } from "./failing.ts";
import { type IndexedDbOptions, indexedDbStore } from "./indexeddb.ts";

beforeEach(() => {
  vi.stubGlobal("IDBKeyRange", IDBKeyRange);
});

afterEach(() => {
  for (const undo of undoing.splice(0).reverse()) undo();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const named = (factory: IDBFactory, options?: IndexedDbOptions) =>
  indexedDbStore("frontdesk", { factory, ...options });

/** An error as browsers throw it. */
const domError = (name: string, message = "As browsers say.") => new DOMException(message, name);

describeStore({
  name: "a store in IndexedDB",
  outlives: true,
  place() {
    const factory = new IDBFactory();
    return { open: () => named(factory) };
  },
});

/** Have all calls of a method go through a function, until everything is restored. Gives what undoes it. */
function around(
  of: object,
  method: string,
  act: (real: () => unknown, given: readonly unknown[]) => unknown,
): () => void {
  const real = Reflect.get(of, method) as (...given: unknown[]) => unknown;
  const undo = () => Reflect.set(of, method, real);
  Reflect.set(of, method, function (this: unknown, ...given: unknown[]) {
    return act(() => real.apply(this, given), given);
  });
  undoing.push(undo);
  return undo;
}
const undoing: (() => void)[] = [];

const dead = () => {
  throw domError("UnknownError", "Connection to Indexed Database server lost.");
};

describeAtomicity("a store in IndexedDB", () => {
  const factory = new IDBFactory();
  const plan = failing();
  // Every call of a transaction may throw, as WebKit's do once its connection is dead.
  const undo = [
    around(IDBDatabase.prototype, "transaction", plan.callNow),
    ...["get", "put", "delete"].map((method) =>
      around(IDBObjectStore.prototype, method, plan.callNow),
    ),
  ];
  return {
    open: () => named(factory),
    failAt: plan.failAt,
    restart: plan.restart,
    discard() {
      for (const restore of undo) restore();
    },
  };
});

describe("a store in IndexedDB", () => {
  test("a dead handle is opened again, and the operation done once more", async () => {
    const factory = new IDBFactory();
    const store = named(factory);
    await store.commit([["a", 1]]);
    const opened = vi.spyOn(factory, "open");
    let isDead = true;
    around(IDBDatabase.prototype, "transaction", (real) => {
      if (!isDead) return real();
      isDead = false;
      throw domError("InvalidStateError");
    });

    expect([await store.get(["a"]), opened.mock.calls.length]).toEqual([[1], 1]);
  });

  test("a handle that stays dead is said to be broken, and tried again the next time", async () => {
    const store = named(new IDBFactory());
    await store.commit([["a", 1]]);
    let tries = 0;
    const revive = around(IDBDatabase.prototype, "transaction", () => {
      tries++;
      dead();
    });

    await expect(store.get(["a"])).rejects.toMatchObject({ trouble: "broken" });
    expect(tries).toBe(2);
    revive();
    expect(await store.get(["a"])).toEqual([1]);
  });

  test("a commit whose word was lost is not done twice, nor said to be refused", async () => {
    const store = named(new IDBFactory());
    let begun = 0;
    around(IDBDatabase.prototype, "transaction", (real, [, mode]) => {
      const made = real() as IDBTransaction;
      if (mode !== "readwrite" || begun++ > 0) return made;
      // It is done; then its connection dies, before it says so.
      return new Proxy(made, {
        get(of, name) {
          const value = Reflect.get(of, name) as unknown;
          return typeof value === "function" ? value.bind(of) : value;
        },
        set(of, name, value) {
          if (name === "onabort") of.oncomplete = value as () => void;
          return name === "onabort" || name === "oncomplete" || Reflect.set(of, name, value);
        },
      });
    });

    const isDone = await store.commit([["a", 1]], [{ key: "a", is: undefined }]);

    expect([isDone, begun, await store.get(["a"])]).toEqual([true, 2, [1]]);
  });

  test("another page may delete the database, and the store goes on with an empty one and says so", async () => {
    const factory = new IDBFactory();
    let emptied = 0;
    const store = named(factory, { onEmptied: () => emptied++ });
    await store.commit([["a", 1]]);

    await new Promise<void>((resolve, reject) => {
      const request = factory.deleteDatabase("frontdesk");
      request.onsuccess = () => resolve();
      request.onblocked = () => reject(new Error("blocked"));
    });

    expect([await store.list(""), emptied]).toEqual([[], 1]);
  });

  test("a database of a later version is used as it is, and an upgrade elsewhere is not blocked", async () => {
    const factory = new IDBFactory();
    const store = named(factory);
    await store.commit([["a", 1]]);

    await new Promise<void>((resolve, reject) => {
      const request = factory.open("frontdesk", 7);
      request.onblocked = () => reject(new Error("blocked"));
      request.onsuccess = () => {
        request.result.close();
        resolve();
      };
    });

    expect(await store.get(["a"])).toEqual([1]);
  });

  test("somebody else's database is left alone", async () => {
    const factory = new IDBFactory();
    await new Promise<void>((resolve) => {
      const request = factory.open("frontdesk", 1);
      request.onupgradeneeded = () => request.result.createObjectStore("theirs");
      request.onsuccess = () => {
        request.result.close();
        resolve();
      };
    });

    await expect(named(factory).get(["a"])).rejects.toMatchObject({ trouble: "denied" });
  });

  test("a full device is said to be full, and what was there stays", async () => {
    const store = named(new IDBFactory());
    await store.commit([["a", 1]]);
    let puts = 0;
    around(IDBObjectStore.prototype, "put", () => {
      puts++;
      throw domError("QuotaExceededError");
    });

    await expect(store.commit([["a", 2]])).rejects.toMatchObject({ trouble: "full" });
    expect([puts, await store.get(["a"])]).toEqual([1, [1]]);
  });

  test("a value that cannot be kept is refused without another try, and nothing is written", async () => {
    const store = named(new IDBFactory());
    const unfit = (() => {}) as unknown as string;
    let puts = 0;
    around(IDBObjectStore.prototype, "put", (real) => {
      puts++;
      return real();
    });

    const refused = store.commit([
      ["a", 1],
      ["b", unfit],
    ]);

    await expect(refused).rejects.toMatchObject({ trouble: "broken" });
    expect([puts, await store.list("")]).toEqual([2, []]);
  });

  test("where nothing may be kept it is denied, and asked once", async () => {
    const factory = new IDBFactory();
    const opened = vi.spyOn(factory, "open").mockImplementation(() => {
      throw domError("SecurityError");
    });

    await expect(named(factory).get(["a"])).rejects.toMatchObject({ trouble: "denied" });
    expect(opened.mock.calls.length).toBe(1);
  });

  test("without IndexedDB it is denied, and nothing throws before that", async () => {
    await expect(indexedDbStore("frontdesk").get(["a"])).rejects.toMatchObject({
      name: "StoreError",
      trouble: "denied",
    });
  });

  test("a private window of Firefox is denied", async () => {
    const factory = new IDBFactory();
    vi.spyOn(factory, "open").mockImplementation(() => {
      const request = { error: domError("InvalidStateError") } as unknown as ReturnType<
        IDBFactory["open"]
      >;
      queueMicrotask(() => (request.onerror as unknown as () => void)());
      return request;
    });

    await expect(named(factory).get(["a"])).rejects.toMatchObject({ trouble: "denied" });
  });

  test("a database that never opens is tried once more", async () => {
    const factory = new IDBFactory();
    let tries = 0;
    around(factory, "open", (real) => (tries++ === 0 ? {} : real()));
    const store = named(factory, { openWithin_ms: 10 });

    expect([await store.get(["a"]), tries]).toEqual([[undefined], 2]);
  });

  test("what the person said outlives the battery, what the server tells again only the process", async () => {
    const store = named(new IDBFactory());
    await store.get(["a"]);
    const begun: unknown[] = [];
    around(IDBDatabase.prototype, "transaction", (real, [, mode, options]) => {
      begun.push([mode, options]);
      return real();
    });

    await store.commit([["outbox/1", 1]]);
    await store.commit([["session", {}]]);
    await store.commit([["item/a/b", 1]]);
    await store.get(["outbox/1"]);

    expect(begun).toEqual([
      ["readwrite", { durability: "strict" }],
      ["readwrite", { durability: "strict" }],
      ["readwrite", undefined],
      ["readonly", undefined],
    ]);
  });
});
