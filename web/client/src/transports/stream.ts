// Event streams by fetch: the best way where the platform can read an answer while it comes.

import type { Transport, Wiring } from "../transport.ts";
import { begin, type Course } from "./course.ts";
import { eventReader, ranOut } from "./events.ts";
import { ask, EVENT_STREAM, failed, isOf, streamPath, unlikeResponse } from "./requests.ts";

/** Make the transport. It holds nothing, so any number of clients may have the same one. */
export function streamTransport(): Transport {
  return {
    name: "stream",
    isCapable: typeof ReadableStream === "function" && typeof TextDecoder === "function",
    listen(wiring, feed, listener) {
      const course = begin(wiring, feed, listener, "silent");
      run(wiring, course).catch((error) => course.end(failed(error)));
      return course.stop;
    },
  };
}

async function run(wiring: Wiring, course: Course): Promise<void> {
  const { place, signal } = course;
  const response = await ask(wiring, streamPath(place), EVENT_STREAM, signal);
  const { body, status, headers } = response;
  if (!isOf(EVENT_STREAM, status, headers.get("content-type"))) {
    course.end(await unlikeResponse(wiring, response));
    return;
  }
  // React Native's own fetch has none.
  if (!body?.getReader) {
    course.end({ why: "unfit" });
    return;
  }
  const take = eventReader(course);
  const reader = body.getReader();
  // Beside the signal, which some fetches pass over.
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  for (
    let piece = await reader.read();
    !piece.done && !signal.aborted;
    piece = await reader.read()
  ) {
    take(piece.value);
  }
  await ranOut(wiring, course, course.place === place);
}
