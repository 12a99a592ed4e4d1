// What kind of trouble a platform's error is, for stores whose platforms only say it in words.

import { StoreError, type StoreTrouble } from "../store.ts";

/** Give what went wrong as a StoreError, by the words of SQLite, which also stands behind AsyncStorage. */
export function storeErrorOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StoreError(troubleOf(message), message, { cause: error });
}

function troubleOf(message: string): StoreTrouble {
  if (/is full|SQLITE_FULL|quota/i.test(message)) return "full";
  return /readonly|read-only|unable to open|not authorized|permission/i.test(message)
    ? "denied"
    : "broken";
}

/** Refuse what comes after `close`. */
export function closed(): StoreError {
  return new StoreError("broken", "The store was closed.");
}
