// A store in React Native's AsyncStorage, or whatever has its four methods: a map of texts in which each write is by itself.
//
// Several writes become one by a journal: they are written down in one record, done one by one, then the record is removed. Once
// the record is there the commit is done, whatever happens; who comes next does what is left of it first. Android reads no record
// of more than 2 MB: a journal that is longer is in pieces, written before the record, which then says how many they are. A
// single value is not cut: there it has that bound.

import type { Guard, Json, Listing, Store, Write } from "../store.ts";
import { rangeOf } from "./range.ts";
import { isSame } from "./same.ts";
import { closed, storeErrorOf } from "./trouble.ts";

/** What is used of AsyncStorage. Its storage belongs to one process. */
export interface AsyncStorageLike {
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<unknown>;
  removeItem(key: string): Promise<unknown>;
  getAllKeys(): Promise<readonly string[]>;
}

/** What all stores of one name in one storage share. */
interface Shared {
  /** One after the other: between the guards and the writes nobody else may come. */
  last: Promise<unknown>;
  /** The keys that there are; unknown at first, and after a failure. */
  keys: Set<string> | undefined;
}

// By the storage itself: two handles in one process have nothing else in common.
const sharing = new WeakMap<AsyncStorageLike, Map<string, Shared>>();

/** In UTF-16 units, each of which is up to three bytes. */
const piece_units = 300_000;

/**
 * Keep everything in a storage under keys that begin with `name` and a colon; its journal is under `name`, with pieces that
 * begin with `name` and an exclamation mark.
 */
export function asyncStorageStore(storage: AsyncStorageLike, name: string): Store {
  const stores = sharing.get(storage) ?? new Map<string, Shared>();
  sharing.set(storage, stores);
  const shared = stores.get(name) ?? { last: Promise.resolve(), keys: undefined };
  stores.set(name, shared);
  const prefixed = (key: string) => `${name}:${key}`;
  const pieceOf = (index: number) => `${name}!${index}`;
  let isClosed = false;

  function run<T>(work: (keys: Set<string>) => Promise<T>): Promise<T> {
    if (isClosed) return Promise.reject(closed());
    const mine = shared.last.then(async () => {
      try {
        shared.keys ??= await recover();
        return await work(shared.keys);
      } catch (error) {
        // What of it was done is looked up again by whoever comes next.
        shared.keys = undefined;
        throw storeErrorOf(error);
      }
    });
    shared.last = mine.catch(() => {});
    return mine;
  }

  /** Do what the journal says, and find out which keys there are. */
  async function recover(): Promise<Set<string>> {
    const journal = await readJournal();
    if (journal) await replay(journal);
    const keys = new Set<string>();
    for (const key of await storage.getAllKeys()) {
      if (key.startsWith(prefixed(""))) keys.add(key.slice(prefixed("").length));
    }
    return keys;
  }

  async function readJournal(): Promise<Journal | undefined> {
    const kept = await storage.getItem(name);
    if (!kept) return undefined;
    const record = JSON.parse(kept) as Journal | number;
    if (typeof record !== "number") return record;
    const pieces = Array.from({ length: record }, (_, index) => storage.getItem(pieceOf(index)));
    return JSON.parse((await Promise.all(pieces)).join("")) as Journal;
  }

  async function writeJournal(journal: Journal): Promise<void> {
    let record = JSON.stringify(journal);
    if (record.length > piece_units) {
      let count = 0;
      for (let start = 0; start < record.length; start += piece_units) {
        await storage.setItem(pieceOf(count++), record.slice(start, start + piece_units));
      }
      record = String(count);
    }
    try {
      await storage.setItem(name, record);
    } catch (error) {
      // It may be there all the same; where nobody can say so, it is done later or never, as a whole.
      if ((await storage.getItem(name)) !== record) throw error;
    }
  }

  async function replay(journal: Journal): Promise<void> {
    for (const [key, text] of journal) {
      if (text === null) await storage.removeItem(prefixed(key));
      else await storage.setItem(prefixed(key), text);
    }
    await storage.removeItem(name);
    const pieces = Math.ceil(JSON.stringify(journal).length / piece_units);
    for (let index = 0; pieces > 1 && index < pieces; index++) {
      await storage.removeItem(pieceOf(index));
    }
  }

  async function read(key: string): Promise<Json | undefined> {
    const text = await storage.getItem(prefixed(key));
    return text === null ? undefined : (JSON.parse(text) as Json);
  }

  async function write(keys: Set<string>, journal: Journal): Promise<void> {
    if (journal.length > 1) await writeJournal(journal);
    for (const [key, text] of journal) {
      if (text === null) keys.delete(key);
      else keys.add(key);
    }
    const [only] = journal;
    if (journal.length > 1) {
      await replay(journal).catch(() => {
        shared.keys = undefined;
      });
    } else if (only?.[1] === null) await storage.removeItem(prefixed(only[0]));
    else if (only) await storage.setItem(prefixed(only[0]), only[1]);
  }

  return {
    get: (keys: readonly string[]) => run(() => Promise.all(keys.map(read))),

    list: (prefix: string, listing: Listing = {}) =>
      run(async (keys) => {
        const range = rangeOf(prefix, listing);
        if (!range) return [];
        const found = [...keys]
          .filter((key) => key >= range.from && key < range.to)
          .filter((key) => !range.isFromOpen || key !== range.from)
          .sort();
        if (listing.reverse) found.reverse();
        const some = found.slice(0, listing.limit);
        const values = await Promise.all(some.map(read));
        // Somebody may have cleared the whole storage.
        return some.flatMap((key, index): [string, Json][] => {
          const value = values[index];
          return value === undefined ? [] : [[key, value]];
        });
      }),

    commit: (writes: readonly Write[], guards: readonly Guard[] = []) =>
      run(async (keys) => {
        const values = await Promise.all(guards.map(({ key }) => read(key)));
        if (!guards.every(({ is }, index) => isSame(values[index], is))) return false;
        const journal = [...new Map(writes)].map(
          ([key, value]) => [key, value === undefined ? null : JSON.stringify(value)] as const,
        );
        await write(keys, journal);
        return true;
      }),

    wipe: () =>
      run(async (keys) => {
        await write(
          keys,
          [...keys].map((key) => [key, null] as const),
        );
      }),

    close() {
      isClosed = true;
    },
  };
}

/** Keys and their texts; null removes. */
type Journal = readonly (readonly [key: string, text: string | null])[];
