// One feed from its beginning to its end, whichever way it is told: it ends once, knows where it is, and watches over silence.

import type { Ending, Feed, Listener, Told, Wiring } from "../transport.ts";
import { isLast, lost, probe } from "./requests.ts";

/** In which the first event of changes must come. */
export const FIRST_MS = 8_000;
/** In which the server gives a sign of life twice. */
export const SILENCE_MS = 25_000;

/** A feed under way, as what runs for it sees it. Nothing is told, and nothing ends, behind its end. */
export interface Course {
  /** What is left of the feed: behind all that was told. */
  readonly place: Feed;
  /** Aborts at its end, by whoever: what runs for it stops then. */
  readonly signal: AbortSignal;
  told(told: Told): void;
  /** Something came: wait for the next, so long. */
  lives(limit_ms?: number): void;
  end(ending: Ending): void;
  /** End without a word to the listener. */
  stop(): void;
}

/** Begin a feed. `silence` is what no event at all of changes means; without it nothing is watched here. */
export function begin(
  wiring: Wiring,
  feed: Feed,
  listener: Listener,
  silence?: "silent" | "lost",
): Course {
  const gone = new AbortController();
  const { signal } = gone;
  let place = feed;
  let isHeard = feed.kind === "answer" || silence === "lost";
  let rest = () => {};

  const stop = () => {
    rest();
    gone.abort();
  };
  const end = (ending: Ending) => {
    if (signal.aborted) return;
    stop();
    listener.ended(ending);
  };
  const wait = (limit_ms: number, act: () => void) => {
    rest();
    rest = wiring.clock.later(limit_ms, act);
  };
  const lives = (limit_ms = SILENCE_MS) => {
    if (silence && isHeard && !signal.aborted) wait(limit_ms, () => end(lost()));
  };
  // A proxy that holds events back does not hold back whole answers; a network that is gone does both.
  const doubt = async () => {
    wait(FIRST_MS, () => end(lost()));
    const ending = await probe(wiring, { why: "silent" }, signal);
    if (!isHeard) end(ending);
  };
  if (isHeard) lives();
  else if (silence) wait(FIRST_MS, doubt);

  return {
    get place() {
      return place;
    },
    signal,
    lives,
    end,
    stop,
    told(told) {
      if (signal.aborted) return;
      isHeard = true;
      lives();
      place = behind(place, told);
      listener.told(told);
      if (told.type === "event" && isLast(told.event)) end({ why: "complete" });
    },
  };
}

function behind(feed: Feed, told: Told): Feed {
  if (feed.kind === "answer") {
    return told.type === "event" ? { ...feed, after: told.event.sequence_number } : feed;
  }
  const cursor = "cursor" in told ? told.cursor : undefined;
  return cursor === undefined ? feed : { ...feed, cursor };
}
