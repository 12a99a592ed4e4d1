// A store in SQLite, by whichever driver the platform has. The connection is the store's alone: it begins and ends
// transactions by itself, one after the other.

import type { Guard, Json, Listing, Store, Write } from "../store.ts";
import { rangeOf } from "./range.ts";
import { isSame } from "./same.ts";
import { closed, storeErrorOf } from "./trouble.ts";

export type SqliteValue = string | number;
export type SqliteRow = Readonly<Record<string, unknown>>;

/**
 * A connection to a database file, as a driver gives it:
 *
 *     expo-sqlite     execute: (sql, values) => database.getAllAsync(sql, values)
 *     op-sqlite       execute: async (sql, values) => (await database.execute(sql, values)).rows
 *     better-sqlite3  execute: (sql, values) => { const it = database.prepare(sql); return it.reader ? it.all(values) : (it.run(values), []) }
 */
export interface SqliteConnection {
  /** Run one statement, with `?` for its values, and give its rows. */
  execute(sql: string, values: SqliteValue[]): readonly SqliteRow[] | Promise<readonly SqliteRow[]>;
  close(): unknown;
}

const setup = [
  "PRAGMA busy_timeout = 5000",
  "PRAGMA journal_mode = WAL",
  // What is saved outlives the battery as well.
  "PRAGMA synchronous = FULL",
  "CREATE TABLE IF NOT EXISTS entries (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
];

/** SQLite before 3.32 takes 999 values a statement. */
const most = 400;

/** Keep everything in the table `entries` of a database; `open` is called again whenever a connection failed. */
export function sqliteStore(open: () => SqliteConnection | Promise<SqliteConnection>): Store {
  let connection: SqliteConnection | undefined;
  let isClosed = false;
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other, and once more over another connection where one failed. */
  function run<T>(work: (connection: SqliteConnection, attempt: number) => Promise<T>): Promise<T> {
    const mine = last.then(async () => {
      for (let attempt = 1; ; attempt++) {
        if (isClosed) throw closed();
        try {
          connection ??= await connect(open);
          return await work(connection, attempt);
        } catch (error) {
          const trouble = storeErrorOf(error);
          if (trouble.trouble === "broken") await drop();
          if (trouble.trouble !== "broken" || attempt === 2) throw trouble;
        }
      }
    });
    last = mine.catch(() => {});
    return mine;
  }

  async function drop(): Promise<void> {
    const dropped = connection;
    connection = undefined;
    try {
      await dropped?.close();
    } catch {
      // It is of no use in any case.
    }
  }

  return {
    get: (keys: readonly string[]) =>
      run(async (on) => {
        const values = await read(on, keys);
        return keys.map((key) => values.get(key));
      }),

    list: (prefix: string, listing: Listing = {}) =>
      run(async (on) => {
        const range = rangeOf(prefix, listing);
        if (!range) return [];
        const rows = await on.execute(
          `SELECT key, value FROM entries WHERE key ${range.isFromOpen ? ">" : ">="} ? AND key < ?` +
            ` ORDER BY key ${listing.reverse ? "DESC" : "ASC"} LIMIT ?`,
          [range.from, range.to, listing.limit ?? -1],
        );
        return rows.map(entryOf);
      }),

    commit: (writes: readonly Write[], guards: readonly Guard[] = []) =>
      run((on, attempt) =>
        transact(on, async () => {
          const final = [...new Map(writes)];
          const guarded = await read(on, [
            ...guards.map(({ key }) => key),
            ...(attempt > 1 ? final.map(([key]) => key) : []),
          ]);
          // A connection may have been lost between the commit and the word of it.
          const isDone = attempt > 1 && final.every(([key, is]) => isSame(guarded.get(key), is));
          if (isDone && final.length > 0) return true;
          if (!guards.every(({ key, is }) => isSame(guarded.get(key), is))) return false;
          await write(on, final);
          return true;
        }),
      ),

    wipe: () =>
      run(async (on) => {
        await on.execute("DELETE FROM entries", []);
      }),

    close() {
      if (isClosed) return;
      isClosed = true;
      void last.then(drop);
    },
  };
}

async function connect(
  open: () => SqliteConnection | Promise<SqliteConnection>,
): Promise<SqliteConnection> {
  const connection = await open();
  try {
    for (const statement of setup) await connection.execute(statement, []);
  } catch (error) {
    await connection.close();
    throw error;
  }
  return connection;
}

async function transact<T>(on: SqliteConnection, work: () => Promise<T>): Promise<T> {
  // Immediate: what the guards read nobody else changes before the writes are done.
  await on.execute("BEGIN IMMEDIATE", []);
  try {
    const result = await work();
    await on.execute("COMMIT", []);
    return result;
  } catch (error) {
    // SQLite may have rolled it back already, or not be there any more: the first error says why.
    try {
      await on.execute("ROLLBACK", []);
    } catch {}
    throw error;
  }
}

async function read(on: SqliteConnection, keys: readonly string[]): Promise<Map<string, Json>> {
  const found = new Map<string, Json>();
  for (const some of chunks(keys)) {
    const rows = await on.execute(
      `SELECT key, value FROM entries WHERE key IN (${marks(some.length, "?")})`,
      some,
    );
    for (const row of rows) found.set(...entryOf(row));
  }
  return found;
}

async function write(on: SqliteConnection, writes: readonly Write[]): Promise<void> {
  const put = writes.flatMap(([key, value]) => {
    const text = JSON.stringify(value);
    return text === undefined ? [] : [key, text];
  });
  for (const some of chunks(put)) {
    await on.execute(
      `REPLACE INTO entries (key, value) VALUES ${marks(some.length / 2, "(?,?)")}`,
      some,
    );
  }
  const gone = writes.flatMap(([key, value]) => (value === undefined ? [key] : []));
  for (const some of chunks(gone)) {
    await on.execute(`DELETE FROM entries WHERE key IN (${marks(some.length, "?")})`, some);
  }
}

function entryOf({ key, value }: SqliteRow): [string, Json] {
  return [String(key), JSON.parse(String(value)) as Json];
}

function marks(count: number, mark: string): string {
  return Array.from({ length: count }, () => mark).join(",");
}

function chunks(values: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(values.length / most) }, (_, index) =>
    values.slice(index * most, (index + 1) * most),
  );
}
