// A store that lives as long as the process: for tests, for servers, and for where nothing may be kept.

import {
  type Guard,
  type Json,
  type Listing,
  type Store,
  StoreError,
  type Write,
} from "../store.ts";
import { rangeOf } from "./range.ts";
import { isSame } from "./same.ts";

/** Make a store that forgets everything with the process: for one client. */
export function memoryStore(): Store {
  // Texts, so that what was given and what is got are nobody else's.
  const texts = new Map<string, string>();
  let keys: string[] = [];
  let isClosed = false;

  const read = (key: string): Json | undefined => {
    const text = texts.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as Json);
  };

  const check = () => {
    if (isClosed) throw new StoreError("broken", "The store was closed.");
  };

  return {
    isForgetful: true,

    async get(wanted) {
      check();
      return wanted.map(read);
    },

    async list(prefix: string, listing: Listing = {}) {
      check();
      const range = rangeOf(prefix, listing);
      if (!range) return [];
      const start = placeOf(keys, range.from);
      const found = keys.slice(
        start + (range.isFromOpen && keys[start] === range.from ? 1 : 0),
        placeOf(keys, range.to),
      );
      if (listing.reverse) found.reverse();
      return found.slice(0, listing.limit).map((key) => [key, read(key) as Json]);
    },

    async commit(writes: readonly Write[], guards: readonly Guard[] = []) {
      check();
      if (!guards.every(({ key, is }) => isSame(read(key), is))) return false;
      // All of them become texts before the first one is written: a value that cannot is an error, not half a commit.
      const made = writes.map(([key, value]) => [key, JSON.stringify(value)] as const);
      for (const [key, text] of made) {
        const place = placeOf(keys, key);
        const isThere = keys[place] === key;
        if (text === undefined) {
          texts.delete(key);
          if (isThere) keys.splice(place, 1);
        } else {
          texts.set(key, text);
          if (!isThere) keys.splice(place, 0, key);
        }
      }
      return true;
    },

    async wipe() {
      check();
      texts.clear();
      keys = [];
    },

    close() {
      isClosed = true;
    },
  };
}

/** Where a key is among sorted ones, or would be. */
function placeOf(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
