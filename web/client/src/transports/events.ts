// What server-sent events tell of a feed; for streams, whatever reads their bytes.

import type { Wiring } from "../transport.ts";
import type { AnswerEvent, Change, Snapshot } from "../wire.ts";
import type { Course } from "./course.ts";
import { ask, farewell, JSON_BODY, lost, wholeAnswer } from "./requests.ts";
import { sseReader } from "./sse.ts";

interface Said {
  readonly type?: string;
  readonly cursor: string;
  readonly bootstrap?: string;
  readonly sequence_number?: number;
  readonly [field: string]: unknown;
}

/** Make a reader of one stream for a feed. Changes that come in one piece are told as one. Throws on what is no stream of ours. */
export function eventReader(course: Course): (piece: string | Uint8Array) => void {
  const isAnswer = course.place.kind === "answer";
  let changes: Change[] = [];
  let cursor = "";
  const flush = () => {
    if (changes.length > 0) course.told({ type: "changes", changes, cursor });
    changes = [];
  };
  const read = sseReader(({ type, data, id }) => {
    const said = JSON.parse(data) as Said;
    if (isAnswer) {
      // What has no number is a notice, or what a proxy had to say.
      if (typeof said.sequence_number === "number")
        course.told({ type: "event", event: said as AnswerEvent });
    } else if (said.type === type) {
      changes.push(said as unknown as Change);
      cursor = id;
    } else {
      flush();
      if (type === "ready" || type === "heartbeat") {
        course.told({ type, cursor: said.cursor, bootstrap: said.bootstrap });
      } else if (type === "reset") course.told({ type });
      else if (type === "bye") course.end(farewell(said));
    }
  });
  return (piece) => {
    course.lives();
    read(piece);
    flush();
  };
}

/**
 * End a feed whose stream has ended by itself. That is no end of an answer; but where there was nothing behind what is had
 * already, only the whole answer knows.
 */
export async function ranOut(wiring: Wiring, course: Course, isEmpty: boolean): Promise<void> {
  const { place, signal } = course;
  if (place.kind === "answer" && isEmpty && !signal.aborted) {
    const response = await ask(
      wiring,
      `/v1/responses/${encodeURIComponent(place.response)}`,
      JSON_BODY,
      signal,
    );
    const event = wholeAnswer((await response.json()) as Snapshot["response"], place.after);
    if (event.type !== "frontdesk.snapshot") course.told({ type: "event", event });
  }
  course.end(lost());
}
