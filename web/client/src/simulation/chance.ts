// Chance that can be had again: all that a simulation draws comes from one seed.

/** Draws. The same seed and the same labels draw the same. */
export interface Chance {
  /** From 0 up to 1, which is not one of them. */
  fraction(): number;
  /** A whole number from `least` to `most`, both of them included. */
  between(least: number, most: number): number;
  /** True so often of 1. */
  happens(probability: number): boolean;
  /** So many bytes. */
  bytes(count: number): Uint8Array;
  /** Chance of its own for one matter, so that how much that draws changes nothing for others. */
  of(label: string): Chance;
}

/** Make chance from a seed. */
export function chanceOf(seed: number | string): Chance {
  let state = hashOf(String(seed));
  // mulberry32: small, fast, and good enough to choose delays.
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number): number =>
    least + Math.floor(fraction() * (most - least + 1));
  return {
    fraction,
    between,
    happens: (probability) => fraction() < probability,
    bytes: (count) => Uint8Array.from({ length: count }, () => between(0, 255)),
    of: (label) => chanceOf(`${seed}/${label}`),
  };
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1)
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
