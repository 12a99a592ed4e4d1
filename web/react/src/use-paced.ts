// A text that comes in bursts, shown as if it were written steadily.

import { makePace } from "@frontdesk/client/pace";
import { useEffect, useState } from "react";

/**
 * As much of a text as is to be shown now, a frame at a time; `isOver` says that no more of it will come. What is there at
 * the first render is shown at once, and nothing is computed while nothing comes.
 */
export function usePaced(text: string, isOver: boolean): string {
  const [pace] = useState(() => makePace());
  const [shown, setShown] = useState(() => pace.show(text, isOver, performance.now()));
  useEffect(() => {
    let latest: string | undefined;
    let frame = requestAnimationFrame(function step() {
      const before = latest;
      latest = pace.show(text, isOver, performance.now());
      setShown(latest);
      // A last character that may still be joined is held back: then there is nothing to be done until more comes.
      if (latest !== text && latest !== before) frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [pace, text, isOver]);
  return shown;
}
