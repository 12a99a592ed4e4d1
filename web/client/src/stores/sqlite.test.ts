// @vitest-environment node

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { describeAtomicity, describeStore } from "./conformance.ts";
import { failing } from "./failing.ts";
import { type RealSqlite, realSqlite } from "./real-sqlite.ts";
import { sqliteStore } from "./sqlite.ts";

const sqlite: RealSqlite = await realSqlite();
const folder = mkdtempSync(join(tmpdir(), "frontdesk-sqlite-"));
let files = 0;
const newFile = () => join(folder, `${files++}.db`);

afterAll(() => {
  sqlite.end();
  rmSync(folder, { recursive: true });
});

describeStore({
  name: "a store in SQLite",
  outlives: true,
  runs: 15,
  place() {
    const file = newFile();
    const opened: { close(): void }[] = [];
    return {
      open() {
        const store = sqliteStore(() => sqlite.connect(file));
        opened.push(store);
        return store;
      },
      discard() {
        for (const store of opened) store.close();
      },
    };
  },
});

describeAtomicity("a store in SQLite", () => {
  const file = newFile();
  const plan = failing();
  const opened: { close(): void }[] = [];
  let isRestarted = false;
  return {
    open() {
      const store = sqliteStore(async () => {
        const { execute, close } = await sqlite.connect(file);
        if (isRestarted) return { execute, close };
        return { execute: (sql, values) => plan.call(async () => execute(sql, values)), close };
      });
      opened.push(store);
      return store;
    },
    failAt: plan.failAt,
    restart() {
      isRestarted = true;
      for (const store of opened.splice(0)) store.close();
      return plan.restart();
    },
    discard() {
      for (const store of opened) store.close();
    },
  };
});

describe("a store in SQLite", () => {
  test("a connection that failed is closed, and another one opened", async () => {
    const file = newFile();
    let open = 0;
    let isBroken = false;
    const store = sqliteStore(async () => {
      const connection = await sqlite.connect(file);
      open++;
      const broken = () => Promise.reject(new Error("disk I/O error"));
      return {
        execute: (sql, values) => (isBroken ? broken() : connection.execute(sql, values)),
        close() {
          open--;
          return connection.close();
        },
      };
    });
    await store.commit([["a", 1]]);
    isBroken = true;
    await expect(store.get(["a"])).rejects.toMatchObject({ trouble: "broken" });
    isBroken = false;

    expect([await store.get(["a"]), open]).toEqual([[1], 1]);
    store.close();
  });

  test("what cannot be opened is denied, what is full is full", async () => {
    const denied = sqliteStore(() => sqlite.connect(join(folder, "none", "there.db")));
    await expect(denied.get(["a"])).rejects.toMatchObject({ trouble: "denied" });

    const file = newFile();
    const full = sqliteStore(async () => {
      const connection = await sqlite.connect(file);
      await connection.execute("PRAGMA page_size = 512", []);
      await connection.execute("PRAGMA max_page_count = 40", []);
      return connection;
    });
    await full.commit([["a", 1]]);
    await expect(full.commit([["b", "x".repeat(100_000)]])).rejects.toMatchObject({
      trouble: "full",
    });
    expect(await full.list("")).toEqual([["a", 1]]);
    full.close();
  });
});
