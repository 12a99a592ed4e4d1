// Under which keys things are in the store, and what a commit is. Nothing here reads or writes.

import type { Guard, Json, Write } from "../store.ts";
import type { Change, Gone } from "../wire.ts";

export const MARK = "mark";
export const SESSION = "session";
export const BOOTSTRAP = "bootstrap";
export const LEASE = "lease";

// What the keys of a kind begin with; of what changes tell of, that is its type.
export const OUTBOX = "outbox/";
export const CONVERSATION = "conversation/";
export const ITEM = "item/";
export const TURN = "turn/";
export const FEEDBACK = "feedback/";
export const FACT = "fact/";
export const ANSWER = "answer/";
export const CALL = "call/";
export const CACHED = "cached/";

/** What is written together, where what was seen of it still is so. */
export interface Commit {
  readonly writes: readonly Write[];
  readonly guards: readonly Guard[];
}

/** Make the key of a thing of a kind; its parts are ids of the server's, from the whole to the part. */
export function keyOf(kind: string, ...ids: readonly string[]): string {
  return kind + ids.join("/");
}

/** Make what all keys of a kind within a conversation, or one of its responses, begin with. */
export function prefixOf(kind: string, ...ids: readonly string[]): string {
  return `${keyOf(kind, ...ids)}/`;
}

/** Make the key of what a change tells of. */
export function keyOfChange(change: Change): string {
  const { type, conversation, response = "", id = "" } = change as Partial<Gone>;
  const name = type === "feedback" ? response : id;
  return keyOf(`${type}/`, ...(conversation ? [conversation, name] : [name]));
}

/** Make a write, or with undefined a removal, of a value that is JSON by its type's own word. */
export function write(key: string, value: object | undefined): Write {
  return [key, value as Json | undefined];
}

/** Make the guard that holds as long as a value is what was seen. */
export function guard(key: string, seen: object | undefined): Guard {
  return { key, is: seen as Json | undefined };
}
