// One WebSocket for all feeds of a client, at /api/socket. What one connection is told belongs to the feeds on it, by their frames'
// ids; when it is lost each of them ends, and who begins them again gets another one.
//
//     connecting ──hello──► open ──bye──► leaving (answers are finished, nothing new is begun here) ──► gone
//          └──── nothing, or closed ────► doubted: a small request tells whether it is the server, the network or the way

import type { Ending, Transport, Wiring } from "../transport.ts";
import type { AnswerEvent, Change } from "../wire.ts";
import { begin, type Course, FIRST_MS, SILENCE_MS } from "./course.ts";
import { failed, farewell, isLast, lost, probe, refusal } from "./requests.ts";

/** As much of a WebSocket as is used. */
export interface SocketLike {
  addEventListener(type: string, act: (event: unknown) => void): void;
  send(text: string): void;
  close(): void;
}

/** What else than the platform's is used. */
export interface SocketOptions {
  /** The platform's own, where it is left out. */
  readonly WebSocket?: new (
    url: string,
    protocols: string[],
  ) => SocketLike;
}

/** What the server takes of answers at once is 16. */
const MOST_FEEDS = 12;

interface Line {
  readonly name: string;
  accepts(kind: "changes" | "answer"): boolean;
  carry(course: Course): void;
}

interface Frame {
  readonly type: string;
  readonly id?: string;
  readonly cursor?: string;
  readonly bootstrap?: string;
  readonly changes?: readonly Change[];
  readonly event?: AnswerEvent;
  readonly status?: number;
  readonly error?: { readonly headers?: Readonly<Record<string, string>> };
  readonly retry_after_s?: number;
}

/** Make the transport. It holds open connections, each by server and credential: no feed of one person is on another's. */
export function socketTransport(options: SocketOptions = {}): Transport {
  const Socket = options.WebSocket ?? globalThis.WebSocket;
  const lines = new Set<Line>();

  const lineFor = (wiring: Wiring, token: string | undefined, kind: "changes" | "answer"): Line => {
    const url = `${(wiring.url || globalThis.location.origin).replace(/^http/, "ws")}/api/socket`;
    const protocols = ["frontdesk"];
    if (token !== undefined) protocols.push(`frontdesk.token.${token}`);
    if (wiring.app !== undefined)
      protocols.push(`frontdesk.client.${wiring.app.replace("/", ".")}`);
    const name = [url, ...protocols].join();
    for (const line of lines) if (line.name === name && line.accepts(kind)) return line;
    const line = openLine(
      wiring,
      name,
      () => new Socket(url, protocols),
      () => lines.delete(line),
    );
    lines.add(line);
    return line;
  };

  return {
    name: "socket",
    isCapable: typeof Socket === "function",
    listen(wiring, feed, listener) {
      const course = begin(wiring, feed, listener);
      wiring.token().then(
        (token) => {
          if (course.signal.aborted) return;
          try {
            lineFor(wiring, token, feed.kind).carry(course);
          } catch {
            // No WebSocket may be opened from here, or not with such a token.
            course.end({ why: "unfit" });
          }
        },
        (error) => course.end(failed(error)),
      );
      return course.stop;
    },
  };
}

/** Open a connection. `left` is called when it takes no more feeds. Throws as the constructor of a WebSocket does. */
function openLine(wiring: Wiring, name: string, connect: () => SocketLike, left: () => void): Line {
  const gone = new AbortController();
  /** By their frames' ids; undefined where nobody listens any more to what is still told. */
  const courses = new Map<string, Course | undefined>();
  let frames = 0;
  let changesId: string | undefined;
  let hasPlace = false; // whether the subscription has told where it is: before that a heartbeat may be of the one before
  let isGreeted = false;
  let isLeaving = false;
  let bootstrap: string | undefined;
  let retryAfter_s: number | undefined;
  let waiting: (() => void)[] = [];
  let rest = () => {};

  const wait = (limit_ms: number, act: () => void) => {
    rest();
    rest = wiring.clock.later(limit_ms, act);
  };
  const leave = () => {
    isLeaving = true;
    left();
  };
  const close = () => {
    leave();
    rest();
    gone.abort();
    socket.close();
  };
  const finish = (ending: Ending) => {
    close();
    for (const course of [...courses.values()]) course?.end(ending);
  };
  const doubt = async (verdict: Ending) => {
    leave();
    wait(FIRST_MS, () => finish(lost()));
    const ending = await probe(wiring, verdict, gone.signal);
    if (!isGreeted) finish(ending);
  };
  const forget = (id: string) => {
    courses.delete(id);
    if (id === changesId) changesId = undefined;
    if (!gone.signal.aborted && ![...courses.values()].some(Boolean)) close();
  };

  const socket = connect();
  wait(FIRST_MS, () => doubt({ why: "silent" }));
  socket.addEventListener("message", (event) => {
    if (gone.signal.aborted) return;
    wait(SILENCE_MS, () => finish(lost()));
    let frame: Frame;
    try {
      frame = JSON.parse((event as { readonly data: string }).data) as Frame;
    } catch {
      return finish(lost());
    }
    hear(frame);
  });
  socket.addEventListener("error", () => {}); // a close follows
  socket.addEventListener("close", (event) => {
    if (gone.signal.aborted) return;
    if (!isGreeted) return void doubt({ why: "unfit" });
    const { code = 0, reason } = event as { readonly code?: number; readonly reason?: string };
    // 4000 and the status of an error; its code is the reason.
    finish(
      code > 4399 && code < 4600
        ? refusal(code - 4000, { code: reason }, retryAfter_s)
        : lost(retryAfter_s),
    );
  });

  const hear = (frame: Frame) => {
    const { type, id = "", cursor } = frame;
    const course = courses.get(id);
    if (type === "hello") {
      isGreeted = true;
      bootstrap = frame.bootstrap;
      for (const act of waiting) act();
      waiting = [];
    } else if (type === "heartbeat") {
      bootstrap = frame.bootstrap;
      const place = hasPlace ? cursor : undefined;
      courses.get(changesId ?? "")?.told({ type, cursor: place, bootstrap });
    } else if (type === "bye") {
      leave();
      retryAfter_s = frame.retry_after_s;
      courses.get(changesId ?? "")?.end(farewell(frame));
    } else if (type === "error") {
      const { status = 0, error } = frame;
      const after = error?.headers?.["retry-after"];
      const ending = refusal(status, error, after === undefined ? undefined : Number(after));
      if (frame.id === undefined) finish(ending);
      else settle(id, ending);
    } else if (type === "event" && frame.event !== undefined) {
      const { event } = frame;
      // Before it is told, for its course ends with that: nothing is to be unfollowed.
      if (isLast(event)) forget(id);
      if (typeof event.sequence_number === "number") course?.told({ type, event });
      if (isLast(event)) course?.end({ why: "complete" });
    } else if (type === "end") settle(id, { why: "complete" });
    else if (id === changesId) {
      hasPlace = true;
      if (type === "reset") course?.told({ type });
      else if (cursor === undefined) return;
      else if (type === "changes") course?.told({ type, changes: frame.changes ?? [], cursor });
      else if (type === "ready") course?.told({ type, cursor, bootstrap });
    }
  };
  const settle = (id: string, ending: Ending) => {
    const course = courses.get(id);
    forget(id);
    course?.end(ending);
  };

  return {
    name,
    accepts: (kind) =>
      !isLeaving && (kind === "answer" ? courses.size < MOST_FEEDS : changesId === undefined),
    carry(course) {
      const { place, signal } = course;
      frames += 1;
      const id = `${frames}`;
      courses.set(id, course);
      const isAnswer = place.kind === "answer";
      if (!isAnswer) {
        changesId = id;
        hasPlace = false;
      }
      const ask = () => {
        if (signal.aborted) return;
        const starting_after = isAnswer && place.after >= 0 ? place.after : undefined;
        const frame = isAnswer
          ? { type: "follow", id, response: place.response, starting_after }
          : { type: "subscribe", id, cursor: place.cursor };
        socket.send(JSON.stringify(frame));
      };
      signal.addEventListener("abort", () => {
        if (!courses.has(id)) return;
        // It counts at the server until that has ended it.
        courses.set(id, undefined);
        if (!isAnswer || !isGreeted || ![...courses.values()].some(Boolean)) forget(id);
        else if (!gone.signal.aborted) socket.send(JSON.stringify({ type: "unfollow", id }));
      });
      if (isGreeted) ask();
      else waiting.push(ask);
    },
  };
}
