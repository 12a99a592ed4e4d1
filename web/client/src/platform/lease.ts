// Leadership by a record in the store, for where there are no Web Locks. Who holds it writes down until when, and
// again long before that; who finds it over takes it. Guards see to it that one does.
//
//     seeking ──(none, over, or of a clock that was set back; guarded)──► leading ──(renewed each third of its time)──┐
//        ▲                                                        ▲         │        └──────────────┘
//        └──(another's: looked at again)      └──(over, or another's)───────┘

import type { Clock, Leadership, Stop } from "../effects.ts";
import { type Json, type Store, StoreError } from "../store.ts";

const key = "lease";

export interface LeaseOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Who this is; nobody else is called the same. */
  readonly holder: string;
  /** How long one holds. The clocks of those who share a store are one device's, so they agree. */
  readonly lasts_ms?: number;
}

/** Lead while the store says so. */
export function byLease({ store, clock, holder, lasts_ms = 15_000 }: LeaseOptions): Leadership {
  return {
    seek(lead) {
      let isSought = true;
      let stopTimer: Stop = () => {};
      let stopOver: Stop = () => {};
      /** What is in the store of it while this one leads. */
      let mine: Json | undefined;
      let end: Stop | undefined;

      const stopLeading = () => {
        const ends = end;
        end = undefined;
        stopOver();
        ends?.();
      };

      const turn = async () => {
        const now_ms = clock.now_ms();
        const next = { holder, until_ms: now_ms + lasts_ms };
        const isTaken = await take(next, now_ms).catch((error) => {
          // Where nothing may be kept there is nobody to share it with.
          return error instanceof StoreError && error.trouble === "denied";
        });
        if (!isSought) {
          if (isTaken) await giveBack(next);
          return;
        }
        if (isTaken) {
          mine = next;
          stopOver();
          // A page that slept may wake up when it is over.
          stopOver = clock.later(next.until_ms - clock.now_ms(), stopLeading);
          if (!end) {
            const ends = lead();
            end = ends;
            if (!isSought) stopLeading();
          }
        } else if (mine === undefined) stopLeading();
        if (isSought) stopTimer = clock.later(lasts_ms / 3, turn);
      };

      const take = async (next: Json, now_ms: number): Promise<boolean> => {
        const [kept] = await store.get([key]);
        const isFree = kept === undefined || isOver(kept, now_ms) || isHeldBy(kept, holder);
        if (!isFree) mine = undefined;
        const isTaken = isFree && (await store.commit([[key, next]], [{ key, is: kept }]));
        if (!isTaken) mine = undefined;
        return isTaken;
      };

      const giveBack = async (is: Json) => {
        await store.commit([[key, undefined]], [{ key, is }]).catch(() => {});
      };

      /** Whether it ends nowhere near: in the past, or so late that it was written by a clock that was set back since. */
      const isOver = (kept: Json, now_ms: number) => {
        const { until_ms } = kept as { readonly until_ms: number };
        return until_ms <= now_ms || until_ms > now_ms + lasts_ms;
      };

      void turn();

      return () => {
        if (!isSought) return;
        isSought = false;
        stopTimer();
        const was = mine;
        stopLeading();
        if (was !== undefined) void giveBack(was);
      };
    },
  };
}

function isHeldBy(kept: Json, holder: string): boolean {
  return (kept as { readonly holder: string }).holder === holder;
}
