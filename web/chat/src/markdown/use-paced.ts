import { useEffect, useRef, useState } from "preact/hooks";
import { Pace, wordEnd } from "./pace.ts";

/** The part of a growing text that is due on the screen; all of it once nobody writes any more. */
export function usePaced(text: string, isGrowing: boolean): string {
  const [end, setEnd] = useState(text.length);
  const pace = useRef<Pace | null>(null);
  pace.current ??= new Pace(text.length);
  const frame = useRef(0);
  const latest = useRef(text);
  latest.current = text;

  useEffect(() => {
    if (!isGrowing) return;
    pace.current?.arrive(text.length, performance.now());
    frame.current ||= requestAnimationFrame(step);

    function step(now: number): void {
      const due = pace.current?.due(now) ?? 0;
      setEnd((before) => Math.max(Math.min(before, due), wordEnd(latest.current, due)));
      frame.current = pace.current?.isBehind ? requestAnimationFrame(step) : 0;
    }
  }, [text, isGrowing]);

  useEffect(() => () => cancelAnimationFrame(frame.current), []);

  return isGrowing ? text.slice(0, end) : text;
}
