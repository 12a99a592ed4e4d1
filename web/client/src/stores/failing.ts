// Calls of a driver that fail when a test says so. Not part of what is shipped.

/** Counts calls, and makes one of them fail. */
export interface Failing {
  /** Do a call, unless it is the one that fails. */
  call<T>(work: () => Promise<T> | T): Promise<T>;
  /** The same, for what may not wait. */
  callNow<T>(work: () => T): T;
  failAt(call: number, when: "before" | "after", isFinal: boolean): void;
  restart(): boolean;
}

export function failing(message = "The driver failed."): Failing {
  let calls = 0;
  let planned: { call: number; when: "before" | "after"; isFinal: boolean } | undefined;
  let isReached = false;
  let isDead = false;

  const isNow = (when: "before" | "after") => {
    if (planned?.when !== when || planned.call !== calls || isReached) return false;
    isReached = true;
    isDead = planned.isFinal;
    return true;
  };

  return {
    async call(work) {
      calls++;
      if (isDead || isNow("before")) throw new Error(message);
      const result = await work();
      if (isNow("after")) throw new Error(message);
      return result;
    },
    callNow(work) {
      calls++;
      if (isDead || isNow("before")) throw new Error(message);
      const result = work();
      if (isNow("after")) throw new Error(message);
      return result;
    },
    failAt(call, when, isFinal) {
      calls = 0;
      isReached = false;
      planned = { call, when, isFinal };
    },
    restart() {
      planned = undefined;
      isDead = false;
      return isReached;
    },
  };
}
