// Leadership that goes where somebody looks: who is hidden and leads gives way to who is visible and waits, and a page that
// sleeps (frozen, or in the back/forward cache) neither leads nor waits.

import type { Channel, Leadership, Stop } from "../effects.ts";

/** What of a page counts here. */
export interface Looks {
  readonly isVisible: boolean;
  readonly isAsleep: boolean;
  watch(changed: () => void): Stop;
}

/** Seek leadership by `inner` while the page is awake, and let those who are looked at have it. */
export function yielding(inner: Leadership, looks: Looks, channel: Channel): Leadership {
  return {
    seek(lead) {
      let isLeading = false;
      let stopSeeking: Stop | undefined;

      const seek = () => {
        stopSeeking?.();
        stopSeeking = undefined;
        if (looks.isAsleep) return;
        stopSeeking = inner.seek(() => {
          isLeading = true;
          const end = lead();
          speak();
          return () => {
            isLeading = false;
            end();
          };
        });
      };

      /** Who leads unseen asks whether somebody is seen; who is seen asks to lead. */
      const speak = () => {
        if (looks.isAsleep || isLeading === looks.isVisible) return;
        channel.tell(isLeading ? "unseen" : "seen");
      };

      const stopWatching = looks.watch(() => {
        if (looks.isAsleep !== !stopSeeking) seek();
        speak();
      });
      const stopHearing = channel.hear((message) => {
        if (message === "unseen" && looks.isVisible && !isLeading) speak();
        if (message === "seen" && !looks.isVisible && isLeading) seek();
      });
      seek();
      speak();

      return () => {
        stopWatching();
        stopHearing();
        stopSeeking?.();
        stopSeeking = undefined;
      };
    },
  };
}
