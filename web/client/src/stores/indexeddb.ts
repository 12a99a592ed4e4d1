// A store in a browser's IndexedDB: one database, one object store, values as structured clones of JSON.
//
// Connections die while a page is in the background (WebKit), when site data is cleared, and when another page wants the
// database deleted. Each operation is one transaction; one that could not begin, or was aborted by anybody but us, is done once more
// over another connection. An aborted transaction wrote nothing, except that a connection may be lost between the commit and
// the word of it: so a second try first looks whether all is written.

import {
  type Guard,
  type Json,
  type Listing,
  type Store,
  StoreError,
  type StoreTrouble,
  type Write,
} from "../store.ts";
import { rangeOf } from "./range.ts";
import { isSame } from "./same.ts";
import { closed } from "./trouble.ts";

export interface IndexedDbOptions {
  /** Where databases are; the page's own unless given. */
  readonly factory?: IDBFactory;
  /** Called when what was kept is gone while it was in use: the browser, or the person, removed it. */
  readonly onEmptied?: () => void;
  /** How long opening may take: WebKit sometimes forgets to answer. */
  readonly openWithin_ms?: number;
}

const table = "entries";

/** What may not be lost even when the power fails. The server tells all else again. */
const precious = /^(outbox|call)\/|^session$/;

type Work<T> = (
  entries: IDBObjectStore,
  done: (result: T) => void,
  fail: (error: unknown) => void,
) => void;

/** Keep everything in the IndexedDB database of this name, which is made where there is none. */
export function indexedDbStore(name: string, options: IndexedDbOptions = {}): Store {
  let opening: Promise<IDBDatabase> | undefined;
  let isClosed = false;
  let wasOpen = false;

  const open = (): Promise<IDBDatabase> => {
    if (opening) return opening;
    const mine = connect(name, options, {
      created: () => {
        if (wasOpen) options.onEmptied?.();
      },
      gone: () => forget(mine),
    });
    opening = mine;
    mine.then(
      (database) => {
        wasOpen = true;
        // It was closed, or given up, before it was open.
        if (opening !== mine) database.close();
      },
      () => forget(mine),
    );
    return mine;
  };

  const forget = (which: Promise<IDBDatabase> | undefined) => {
    if (opening === which) opening = undefined;
    which?.then(
      (database) => database.close(),
      () => {},
    );
  };

  async function run<T>(mode: "readonly" | "strict" | "readwrite", work: Work<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      if (isClosed) throw closed();
      const connection = open();
      try {
        return await transact(await connection, mode, work);
      } catch (error) {
        const trouble = storeErrorOf(error);
        if (trouble.trouble === "broken") forget(connection);
        if (trouble.trouble !== "broken" || attempt === 2 || isOurs(error)) throw trouble;
      }
    }
  }

  return {
    get: (keys: readonly string[]) =>
      keys.length === 0 && !isClosed
        ? Promise.resolve([])
        : run("readonly", (entries, done) => read(entries, keys, done)),

    async list(prefix: string, listing: Listing = {}) {
      const range = rangeOf(prefix, listing);
      if (isClosed) throw closed();
      if (!range) return [];
      const keys = IDBKeyRange.bound(range.from, range.to, range.isFromOpen, true);
      return run<[string, Json][]>("readonly", (entries, done) =>
        listing.reverse
          ? readBack(entries, keys, listing, done)
          : readOn(entries, keys, listing, done),
      );
    },

    async commit(writes: readonly Write[], guards: readonly Guard[] = []) {
      const isPrecious = writes.some(([key]) => precious.test(key));
      let attempt = 0;
      return run<boolean>(isPrecious ? "strict" : "readwrite", (entries, done, fail) => {
        const write = () => {
          for (const [key, value] of writes) {
            if (value === undefined) entries.delete(key);
            else entries.put(value, key);
          }
          done(true);
        };
        const guard = () =>
          read(
            entries,
            guards.map(({ key }) => key),
            (values) => {
              if (!guards.every(({ is }, index) => isSame(values[index], is))) return done(false);
              try {
                write();
              } catch (error) {
                fail(error);
              }
            },
          );
        attempt++;
        if (guards.length === 0) write();
        else if (attempt === 1) guard();
        else isWritten(entries, writes, (isDone) => (isDone ? done(true) : guard()));
      });
    },

    wipe: () =>
      run("readwrite", (entries, done) => {
        entries.clear();
        done(undefined);
      }),

    close() {
      isClosed = true;
      forget(opening);
    },
  };
}

// --- connections ------------------------------------------------------------------------------------

function connect(
  name: string,
  { factory, openWithin_ms = 8_000 }: IndexedDbOptions,
  tell: { created(): void; gone(): void },
): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    // Reading `indexedDB` throws in a sandboxed frame.
    const databases = factory ?? globalThis.indexedDB;
    if (!databases) throw new StoreError("denied", "There is no IndexedDB here.");
    // Whatever version it has: the object store is the same in all, so no page waits for another one's upgrade.
    const request = databases.open(name);
    const late = setTimeout(
      () => reject(new StoreError("broken", `IndexedDB did not open in ${openWithin_ms} ms.`)),
      openWithin_ms,
    );
    request.onupgradeneeded = () => {
      request.result.createObjectStore(table);
      tell.created();
    };
    request.onsuccess = () => {
      clearTimeout(late);
      const database = request.result;
      database.onversionchange = tell.gone;
      database.onclose = tell.gone;
      if (database.objectStoreNames.contains(table)) resolve(database);
      else {
        database.close();
        reject(new StoreError("denied", `The database ${name} is somebody else's.`));
      }
    };
    request.onerror = () => {
      clearTimeout(late);
      // Firefox says InvalidStateError where a private window may keep nothing.
      const isDenied = request.error?.name === "InvalidStateError";
      reject(isDenied ? new StoreError("denied", "IndexedDB is off here.") : request.error);
    };
  });
}

function transact<T>(
  database: IDBDatabase,
  mode: "readonly" | "strict" | "readwrite",
  work: Work<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const transaction =
      mode === "strict"
        ? database.transaction(table, "readwrite", { durability: "strict" })
        : database.transaction(table, mode);
    let result: { readonly of: T } | undefined;
    let thrown: unknown;
    transaction.oncomplete = () => {
      if (result) resolve(result.of);
      else reject(new StoreError("broken", "A transaction ended early."));
    };
    transaction.onabort = () => reject(thrown ?? transaction.error ?? new Error("It was aborted."));
    const fail = (error: unknown) => {
      thrown = error;
      transaction.abort();
    };
    try {
      work(
        transaction.objectStore(table),
        (of) => {
          result = { of };
        },
        fail,
      );
    } catch (error) {
      fail(error);
    }
  });
}

/** What does not become better by doing it again: a value or key that cannot be kept. */
function isOurs(error: unknown): boolean {
  return ["DataError", "DataCloneError"].includes(nameOf(error));
}

function storeErrorOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const troubles: Readonly<Record<string, StoreTrouble>> = {
    QuotaExceededError: "full",
    SecurityError: "denied",
    NotAllowedError: "denied",
  };
  return new StoreError(troubles[nameOf(error)] ?? "broken", message, { cause: error });
}

function nameOf(error: unknown): string {
  // A DOMException is no Error everywhere.
  return String((error as { readonly name?: unknown } | null)?.name);
}

// --- reading ----------------------------------------------------------------------------------------

function read(
  entries: IDBObjectStore,
  keys: readonly string[],
  then: (values: (Json | undefined)[]) => void,
): void {
  const values: (Json | undefined)[] = [];
  let missing = keys.length;
  keys.forEach((key, index) => {
    const request = entries.get(key);
    request.onsuccess = () => {
      values[index] = request.result as Json | undefined;
      if (--missing === 0) then(values);
    };
  });
}

function isWritten(
  entries: IDBObjectStore,
  writes: readonly Write[],
  then: (isDone: boolean) => void,
): void {
  const last = [...new Map(writes)];
  if (last.length === 0) {
    then(false);
    return;
  }
  read(
    entries,
    last.map(([key]) => key),
    (values) => then(last.every(([, value], index) => isSame(values[index], value))),
  );
}

function readOn(
  entries: IDBObjectStore,
  range: IDBKeyRange,
  { limit }: Listing,
  done: (found: [string, Json][]) => void,
): void {
  const keys = entries.getAllKeys(range, limit);
  const values = entries.getAll(range, limit);
  values.onsuccess = () =>
    done(keys.result.map((key, index) => [key as string, values.result[index] as Json]));
}

function readBack(
  entries: IDBObjectStore,
  range: IDBKeyRange,
  { limit = Infinity }: Listing,
  done: (found: [string, Json][]) => void,
): void {
  const found: [string, Json][] = [];
  const request = entries.openCursor(range, "prev");
  request.onsuccess = () => {
    const cursor = request.result;
    if (cursor) found.push([cursor.key as string, cursor.value as Json]);
    if (cursor && found.length < limit) cursor.continue();
    else done(found);
  };
}
