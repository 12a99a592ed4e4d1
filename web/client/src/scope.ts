// A stretch of work with an end. What is begun in it ends with it: timers, listeners, requests, stretches within.

import type { Clock, Stop } from "./effects.ts";

export interface Scope {
  readonly isOver: boolean;
  /** Call `act` once, after so long, unless it is over by then. */
  later(delay_ms: number, act: () => void): Stop;
  /** Call `stop` at its end; at once, where it is over. The returned function calls it earlier. */
  own(stop: Stop): Stop;
  end(): void;
}

export function openScope(clock: Clock, within?: Scope): Scope {
  const owned = new Set<Stop>();
  let isOver = false;
  let leave: Stop = () => {};
  const scope: Scope = {
    get isOver() {
      return isOver;
    },
    later: (delay_ms, act) => {
      if (isOver) return () => {};
      const once = scope.own(
        clock.later(delay_ms, () => {
          once();
          if (!isOver) act();
        }),
      );
      return once;
    },
    own: (stop) => {
      if (isOver) {
        stop();
        return () => {};
      }
      const once = () => {
        if (owned.delete(once)) stop();
      };
      owned.add(once);
      return once;
    },
    end: () => {
      if (isOver) return;
      isOver = true;
      leave();
      for (const stop of [...owned]) stop();
    },
  };
  if (within !== undefined) leave = within.own(scope.end);
  return scope;
}
