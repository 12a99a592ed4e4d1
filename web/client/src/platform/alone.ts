// Leadership where there is one process only.

import type { Leadership } from "../effects.ts";

/** Leads as soon as it is sought, a moment later as with all others. */
export const alone: Leadership = {
  seek(lead) {
    let isSought = true;
    let end = () => {};
    queueMicrotask(() => {
      if (isSought) end = lead();
    });
    return () => {
      if (!isSought) return;
      isSought = false;
      end();
    };
  },
};
