// Ids that the device makes. They are in the order in which they were made, whatever the clock does meanwhile, for the
// order of the outbox's keys is the order of what was said.

export interface Ids {
  /** Make a UUID of version 7 (RFC 9562), above all that were made or seen. */
  next(now_ms: number): string;
  /** Have all further ids above this one, which another process made. */
  seen(id: string): void;
}

/**
 * Make ids of so many random bytes each.
 *
 * The 12 bits behind the time are a count that begins in its lower half (RFC 9562 §6.2, method 1): where the clock stands or goes
 * back, the last id's time and count go on as one number.
 */
export function makeIds(random: (count: number) => Uint8Array): Ids {
  let last = 0n;
  return {
    next(now_ms) {
      const digits = Array.from(random(10), (byte) => byte.toString(16).padStart(2, "0")).join("");
      const first = (BigInt(Math.floor(now_ms)) << 12n) | (BigInt(`0x${digits.slice(0, 3)}`) >> 1n);
      last = first > last ? first : last + 1n;
      const all = last.toString(16).padStart(15, "0");
      const variant = "89ab".charAt(Number.parseInt(digits.charAt(3), 16) & 3);
      return `${all.slice(0, 8)}-${all.slice(8, 12)}-7${all.slice(12)}-${variant}${digits.slice(4, 7)}-${digits.slice(7, 19)}`;
    },
    seen(id) {
      const its = BigInt(`0x${id.slice(0, 8)}${id.slice(9, 13)}${id.slice(15, 18)}`);
      if (its > last) last = its;
    },
  };
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
