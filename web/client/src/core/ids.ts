// Ids that the device makes. They are in the order in which they were made, whatever the clock does meanwhile, for the
// order of the outbox's keys is the order of what was said.

export interface Ids {
  /** Make a UUID of version 7 (RFC 9562), above all that were made or seen. */
  next(now_ms: number): string;
  /** Have all further ids above this one, which another process made. */
  seen(id: string): void;
}

const MOST_COUNT = 0xfff;

/**
 * Make ids of so many random bytes each.
 *
 * Where the clock stands or goes back, the time of the last id is kept and its 12 bits behind that are counted up (RFC
 * 9562 §6.2, method 1); they begin in the lower half, so there is room for it.
 */
export function makeIds(random: (count: number) => Uint8Array): Ids {
  let last_ms = -1;
  let count = 0;
  return {
    next(now_ms) {
      const digits = Array.from(random(10), (byte) => hex(byte, 2)).join("");
      count += 1;
      if (now_ms > last_ms) {
        last_ms = Math.floor(now_ms);
        count = numberAt(digits, 16) & (MOST_COUNT >> 1);
      } else if (count > MOST_COUNT) {
        last_ms += 1;
        count = 0;
      }
      const variant = hex((numberAt(digits, 0) & 0x3fff) | 0x8000, 4);
      const all = `${hex(last_ms, 12)}7${hex(count, 3)}${variant}${digits.slice(4, 16)}`;
      return all.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
    seen(id) {
      const its_ms = Number.parseInt(named("", id).slice(0, 12), 16);
      const its = numberAt(id, 14) & MOST_COUNT;
      if (its_ms > last_ms || (its_ms === last_ms && its > count)) {
        last_ms = its_ms;
        count = its;
      }
    },
  };
}

function numberAt(digits: string, at: number): number {
  return Number.parseInt(digits.slice(at, at + 4), 16);
}

/** Name the item that the message of an entry becomes; it is an edit's as well. */
export function messageId(entry: string): string {
  return named("msg_", entry);
}

/** Name a new conversation. */
export function conversationId(uuid: string): string {
  return named("conv_", uuid);
}

/** Name something to be remembered. */
export function factId(uuid: string): string {
  return named("fact_", uuid);
}

function named(kind: string, uuid: string): string {
  return kind + uuid.replaceAll("-", "");
}

function hex(value: number, length: number): string {
  return value.toString(16).padStart(length, "0");
}
