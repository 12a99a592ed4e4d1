// @vitest-environment node

import { describe, expect, test } from "vitest";
import { type Store, StoreError } from "../store.ts";
import { type AsyncStorageLike, asyncStorageStore } from "./async-storage.ts";
import { describeAtomicity, describeStore } from "./conformance.ts";
import { aesGcm, encryptedStore } from "./encrypted.ts";
import { failing } from "./failing.ts";
import { memoryStore } from "./memory.ts";

const newKey = () =>
  crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
const key = await newKey();

describeStore({
  name: "an encrypted store",
  outlives: false,
  place() {
    const inner = memoryStore();
    return { open: () => encryptedStore(inner, aesGcm(key)) };
  },
});

describeAtomicity("an encrypted store", () => {
  const inner = memoryStore();
  const plan = failing();
  const failed = <T>(work: () => Promise<T>) =>
    plan.call(work).catch((error): never => {
      throw new StoreError("broken", "The inner store failed.", { cause: error });
    });
  const fragile: Store = {
    ...inner,
    get: (keys) => failed(() => inner.get(keys)),
    list: (prefix, listing) => failed(() => inner.list(prefix, listing)),
    commit: (writes, guards) => failed(() => inner.commit(writes, guards)),
  };
  return {
    open: () => encryptedStore(fragile, aesGcm(key)),
    failAt: plan.failAt,
    restart: plan.restart,
  };
});

describe("an encrypted store", () => {
  test("is as forgetful as the one that it keeps things in", () => {
    const inner = memoryStore();
    const lasting: Store = { ...inner, isForgetful: false };

    const stores = [inner, lasting].map((each) => encryptedStore(each, aesGcm(key)));

    expect(stores.map(({ isForgetful }) => isForgetful)).toEqual([true, false]);
  });

  test("nothing of a value is in what is kept", async () => {
    const inner = memoryStore();
    const store = encryptedStore(inner, aesGcm(key));

    await store.commit([["a", { word: "confidential" }]]);

    const kept = await inner.list("");
    expect(kept.map(([name]) => name)).toEqual(["a", "~proof"]);
    expect(JSON.stringify(kept)).not.toContain("confidential");
    expect(JSON.stringify(kept)).not.toContain(btoa("confidential").slice(0, 12));
  });

  test("the same value is never sealed the same", async () => {
    const inner = memoryStore();
    const store = encryptedStore(inner, aesGcm(key));
    await store.commit([["a", 1]]);
    const before = await inner.get(["a"]);

    await store.commit([["a", 1]]);

    expect(await inner.get(["a"])).not.toEqual(before);
  });

  test("another key is told so, and may only wipe", async () => {
    const inner = memoryStore();
    await encryptedStore(inner, aesGcm(key)).commit([["a", 1]]);
    const other = encryptedStore(inner, aesGcm(await newKey()));

    for (const asked of [
      () => other.get(["a"]),
      () => other.list(""),
      () => other.commit([["b", 1]]),
    ]) {
      await expect(asked()).rejects.toMatchObject({
        trouble: "denied",
        message: "This is not the key that the store was sealed with.",
      });
    }
    await other.wipe();
    expect(await other.commit([["a", 2]])).toBe(true);
    expect(await other.list("")).toEqual([["a", 2]]);
  });

  test("a record in another one's place, and one that was changed, are not believed", async () => {
    const inner = memoryStore();
    const store = encryptedStore(inner, aesGcm(key));
    await store.commit([
      ["a", "one's"],
      ["b", "other's"],
    ]);
    const [sealed = ""] = (await inner.get(["a"])) as [string];
    const middle = sealed.length >> 1;
    const changed = `${sealed.slice(0, middle)}${sealed[middle] === "A" ? "B" : "A"}${sealed.slice(middle + 1)}`;

    for (const kept of [sealed, changed, "", 1]) {
      await inner.commit([["b", kept]]);
      await expect(store.get(["b"])).rejects.toMatchObject({ trouble: "broken" });
    }
    expect(await store.get(["a"])).toEqual(["one's"]);
  });

  test("a guard holds where the same was sealed anew meanwhile", async () => {
    const inner = memoryStore();
    let meanwhile = async () => {};
    const watched: Store = {
      ...inner,
      async commit(writes, guards) {
        const act = meanwhile;
        meanwhile = async () => {};
        await act();
        return inner.commit(writes, guards);
      },
    };
    const [store, other] = [
      encryptedStore(watched, aesGcm(key)),
      encryptedStore(inner, aesGcm(key)),
    ];
    await store.commit([["a", 1]]);

    meanwhile = async () => void (await other.commit([["a", 1]]));
    expect(await store.commit([["b", 1]], [{ key: "a", is: 1 }])).toBe(true);
    meanwhile = async () => void (await other.commit([["a", 2]]));
    expect(await store.commit([["b", 2]], [{ key: "a", is: 1 }])).toBe(false);
    expect(await store.list("")).toEqual([
      ["a", 2],
      ["b", 1],
    ]);
  });

  test("an app's own cipher seals as well", async () => {
    const texts = new Map<string, string>();
    const storage: AsyncStorageLike = {
      getItem: async (name) => texts.get(name) ?? null,
      setItem: async (name, text) => texts.set(name, text),
      removeItem: async (name) => texts.delete(name),
      getAllKeys: async () => [...texts.keys()],
    };
    const turned = (text: string) => [...text].reverse().join("");
    const store = encryptedStore(asyncStorageStore(storage, "frontdesk"), {
      seal: async (text, name) => turned(`${name}=${text}`),
      async open(sealed, name) {
        const text = turned(sealed);
        if (!text.startsWith(`${name}=`)) throw new Error("another one's");
        return text.slice(name.length + 1);
      },
    });

    await store.commit([["a", { b: 1 }]]);

    expect([await store.get(["a"]), texts.get("frontdesk:a")]).toEqual([
      [{ b: 1 }],
      '"}1:\\"b\\"{=a"',
    ]);
  });
});
