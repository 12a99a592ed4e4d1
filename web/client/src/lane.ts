// When something may be tried again that failed: later each time, unless the server says when or something has changed.

import { backoff_ms } from "./core/activity.ts";
import type { Effects } from "./effects.ts";

export interface Lane {
  /** For how many milliseconds it has to wait still; 0 where it may be tried. */
  readonly wait_ms: number;
  /** It failed. `retryAfter_s` is the server's word, which counts whatever happens meanwhile. */
  failed(retryAfter_s?: number): void;
  /** It went well. */
  went(): void;
  /** Something has changed: try it at once, unless the server said when. */
  hurry(): void;
}

export function openLane({ clock, random, surroundings }: Effects): Lane {
  let failures = 0;
  let until_ms = 0;
  let isTold = false;
  return {
    get wait_ms() {
      return Math.max(until_ms - clock.elapsed_ms(), 0);
    },
    failed(retryAfter_s) {
      failures += 1;
      isTold = retryAfter_s !== undefined;
      const chance = (random(1)[0] ?? 0) / 255;
      const wait_ms = backoff_ms(failures, chance, surroundings.savesData);
      // Spread a little: the server told all the same.
      until_ms =
        clock.elapsed_ms() + (isTold ? (retryAfter_s ?? 0) * 1000 + chance * 250 : wait_ms);
    },
    went() {
      failures = 0;
      until_ms = 0;
    },
    hurry() {
      failures = 0;
      if (!isTold) until_ms = 0;
    },
  };
}
