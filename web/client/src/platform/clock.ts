// The time of the platform, by what every JavaScript engine with timers has.

import type { Clock } from "../effects.ts";

/** Timers hold no more than this: a longer wait would be none. */
const longest_ms = 2 ** 31 - 1;

export const platformClock: Clock = {
  now_ms: () => Date.now(),
  elapsed_ms: () => globalThis.performance?.now() ?? Date.now(),
  later(delay_ms, act) {
    const timer = setTimeout(act, Math.min(Math.max(delay_ms, 0), longest_ms));
    return () => clearTimeout(timer);
  },
};
