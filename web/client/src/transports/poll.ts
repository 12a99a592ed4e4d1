// Long polls, and answers read whole again and again: what works wherever a request does.

import type { Transport, Wiring } from "../transport.ts";
import type { Change, Snapshot } from "../wire.ts";
import { begin, type Course } from "./course.ts";
import { ask, failed, isOf, JSON_BODY, unlikeResponse, wholeAnswer } from "./requests.ts";

const WAIT_S = 25;
/** How long an answer may be late. */
const PATIENCE_MS = 15_000;
/** When an answer is read again that grows, and at the latest. Who waits was answered too soon before the first. */
const SOONEST_MS = 1_000;
const LATEST_MS = 5_000;

interface Polled {
  readonly cursor: string;
  readonly changes: readonly Change[];
  readonly has_more: boolean;
  readonly reset?: boolean;
  readonly poll_after_s: number;
  readonly bootstrap: string;
}

/** Make the transport. It holds nothing, so any number of clients may have the same one. */
export function pollTransport(): Transport {
  return {
    name: "poll",
    isCapable: true,
    listen(wiring, feed, listener) {
      const course = begin(wiring, feed, listener, "lost");
      const run = feed.kind === "changes" ? pollChanges : pollAnswer;
      run(wiring, course).catch((error) => course.end(failed(error)));
      return course.stop;
    },
  };
}

async function pollChanges(wiring: Wiring, course: Course): Promise<void> {
  const { signal, place } = course;
  let at = (place as { readonly cursor: string }).cursor;
  for (let isReady = false; !signal.aborted; ) {
    // The first ones do not wait, so that it is known soon that there is nothing.
    const wait_s = isReady ? WAIT_S : 0;
    const asked_ms = wiring.clock.elapsed_ms();
    const path = `/api/events?cursor=${encodeURIComponent(at)}&wait=${wait_s}`;
    const body = await read(wiring, course, path, wait_s * 1000);
    if (body === undefined) return;
    const { cursor, changes, has_more, reset, poll_after_s, bootstrap } = JSON.parse(
      body,
    ) as Polled;
    if (typeof cursor !== "string") return course.end(failed(undefined));
    at = cursor;
    if (reset) {
      isReady = false;
      course.told({ type: "reset" });
    }
    const isNothing = changes.length === 0;
    if (!isNothing) course.told({ type: "changes", changes, cursor });
    if (!(isReady || has_more)) {
      isReady = true;
      course.told({ type: "ready", cursor, bootstrap });
    } else if (isNothing && isReady) course.told({ type: "heartbeat", cursor, bootstrap });
    if (wait_s === 0 || has_more) continue;
    // Whoever answers at once that there is nothing must not be asked again and again.
    const isHasty = isNothing && wiring.clock.elapsed_ms() - asked_ms < SOONEST_MS;
    await pause(wiring, course, Math.max(poll_after_s * 1000, isHasty ? SOONEST_MS : 0));
  }
}

async function pollAnswer(wiring: Wiring, course: Course): Promise<void> {
  const { response, after } = course.place as { readonly response: string; readonly after: number };
  const path = `/v1/responses/${encodeURIComponent(response)}`;
  let known = "";
  for (let pause_ms = SOONEST_MS; !course.signal.aborted; ) {
    const body = await read(wiring, course, path, 0);
    if (body === undefined) return;
    pause_ms = body === known ? Math.min(pause_ms * 1.5, LATEST_MS) : SOONEST_MS;
    if (body !== known) {
      course.told({
        type: "event",
        event: wholeAnswer(JSON.parse(body) as Snapshot["response"], after),
      });
    }
    known = body;
    await pause(wiring, course, pause_ms);
  }
}

/** The body of an answer that may take so long; undefined where it is none, and the feed has ended. */
async function read(
  wiring: Wiring,
  course: Course,
  path: string,
  wait_ms: number,
): Promise<string | undefined> {
  course.lives(wait_ms + PATIENCE_MS);
  const response = await ask(wiring, path, JSON_BODY, course.signal);
  if (!isOf(JSON_BODY, response.status, response.headers.get("content-type"))) {
    course.end(await unlikeResponse(wiring, response));
    return undefined;
  }
  const body = await response.text();
  return course.signal.aborted ? undefined : body;
}

function pause(wiring: Wiring, course: Course, delay_ms: number): Promise<void> {
  if (delay_ms === 0 || course.signal.aborted) return Promise.resolve();
  course.lives(delay_ms + PATIENCE_MS);
  return new Promise((resolve) => {
    const done = () => {
      stop();
      course.signal.removeEventListener("abort", done);
      resolve();
    };
    const stop = wiring.clock.later(delay_ms, done);
    course.signal.addEventListener("abort", done);
  });
}
