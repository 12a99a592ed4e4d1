// @vitest-environment node

import "fake-indexeddb/auto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "./browser.ts";
import { createClient as createNative } from "./native.ts";

const clients: Client[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
  vi.unstubAllGlobals();
});

/** A network that is there, and on which nobody answers. */
function stubNetwork() {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string, { method }: RequestInit) => {
    asked.push(`${method} ${url}`);
    throw new TypeError("Failed to fetch");
  });
  return asked;
}

async function said(client: Client) {
  clients.push(client);
  const chat = client.conversation();
  await chat.send("Hello");
  const { storage, unsent } = client.view.get();
  return { storage, unsent };
}

describe("the client of a page", () => {
  test("without options keeps what is said in IndexedDB, and begins a session of somebody new at the page's origin", async () => {
    const asked = stubNetwork();

    expect(await said(createClient())).toEqual({ storage: "kept", unsent: 1 });

    await vi.waitFor(() => expect(asked).toContain("POST /api/sessions"));
    expect((await indexedDB.databases()).map(({ name }) => name)).toEqual(["frontdesk:@"]);
  });

  test("has a store for each person and server", async () => {
    stubNetwork();
    const url = "https://desk.example";

    const first = await said(createClient({ url, user: "ada", token: () => "one" }));
    const other = await said(createClient({ url, user: "bob", token: () => "two" }));

    expect([first.unsent, other.unsent]).toEqual([1, 1]);
    const names = (await indexedDB.databases()).map(({ name }) => name);
    expect(names).toContain(`frontdesk:ada@${url}`);
    expect(names).toContain(`frontdesk:bob@${url}`);
  });

  test("where nothing may be kept goes on in memory, and says so", async () => {
    stubNetwork();
    vi.stubGlobal("indexedDB", undefined);

    expect(await said(createClient({ user: "nobody" }))).toEqual({ storage: "denied", unsent: 1 });
  });
});

describe("the client of a React Native app", () => {
  const appState = { currentState: "active", addEventListener: () => ({ remove() {} }) };
  const url = "https://desk.example";

  test("keeps what is said in the storage that is handed in, over the end of the process", async () => {
    stubNetwork();
    const kept = new Map<string, string>();
    const storage = {
      getItem: async (key: string) => kept.get(key) ?? null,
      setItem: async (key: string, value: string) => void kept.set(key, value),
      removeItem: async (key: string) => void kept.delete(key),
      getAllKeys: async () => [...kept.keys()],
    };
    const launch = () => createNative({ url, appState, storage });
    const first = launch();
    const before = await said(first);
    first.stop();

    const next = launch();
    clients.push(next);
    await next.start();

    expect([before, next.view.get().unsent]).toEqual([{ storage: "kept", unsent: 1 }, 1]);
  });

  test("without a storage says that it is all in memory", async () => {
    stubNetwork();

    expect(await said(createNative({ url, appState }))).toEqual({ storage: "memory", unsent: 1 });
  });
});
