// Leadership by Web Locks: who holds the lock leads, and the browser gives it on when that page is gone.

import type { Clock, Leadership, Stop } from "../effects.ts";

/** What is used of `navigator.locks`. */
export type Locks = Pick<LockManager, "request">;

const again_ms = 1_000;

/** Lead while this page holds the lock of this name. */
export function byLocks(locks: Locks, name: string, clock: Clock): Leadership {
  return {
    seek(lead) {
      let isSought = true;
      let stopTimer: Stop = () => {};
      let release = () => {};
      const giveUp = new AbortController();

      const request = async () => {
        let end: Stop = () => {};
        try {
          await locks.request(name, { signal: giveUp.signal }, async () => {
            if (!isSought) return;
            const over = new Promise<void>((resolve) => {
              release = resolve;
            });
            end = lead();
            // It may have resigned while it began.
            if (isSought) await over;
          });
        } catch {
          // Stolen, or refused: it is asked for again below.
        }
        end();
        if (isSought) stopTimer = clock.later(again_ms, request);
      };
      void request();

      return () => {
        if (!isSought) return;
        isSought = false;
        stopTimer();
        giveUp.abort();
        release();
      };
    },
  };
}
