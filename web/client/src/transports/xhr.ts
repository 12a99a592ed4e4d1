// Event streams by XMLHttpRequest, which tells all of its text as it grows: for React Native, and web views whose fetch
// tells an answer once it is whole.

import type { Transport } from "../transport.ts";
import { begin } from "./course.ts";
import { eventReader, ranOut } from "./events.ts";
import { addressed, EVENT_STREAM, failed, isOf, lost, streamPath, unlike } from "./requests.ts";

/** As much of an XMLHttpRequest as is used. */
export interface XhrLike {
  readonly readyState: number;
  readonly status: number;
  readonly responseText: string;
  withCredentials: boolean;
  open(method: string, url: string): void;
  setRequestHeader(name: string, value: string): void;
  getResponseHeader(name: string): string | null;
  addEventListener(type: string, act: () => void): void;
  send(): void;
  abort(): void;
}

/** What else than the platform's is used. */
export interface XhrOptions {
  /** The platform's own, where it is left out. */
  readonly XMLHttpRequest?: new () => XhrLike;
  /** At which length of a text, which nothing ever shortens, the stream goes on in another request. */
  readonly renew_chars?: number;
}

const HEADERS_RECEIVED = 2;

/** Make the transport. It holds nothing, so any number of clients may have the same one. */
export function xhrTransport(options: XhrOptions = {}): Transport {
  const { renew_chars = 2 * 1024 * 1024 } = options;
  const Request = options.XMLHttpRequest ?? globalThis.XMLHttpRequest;
  return {
    name: "xhr",
    isCapable: typeof Request === "function",
    listen(wiring, feed, listener) {
      const course = begin(wiring, feed, listener, "silent");
      const { signal } = course;
      const fail = (error: unknown) => course.end(failed(error));

      const open = async () => {
        const { place } = course;
        const { headers, usesCookies } = await addressed(wiring, EVENT_STREAM);
        if (signal.aborted) return;
        const request = new Request();
        const take = eventReader(course);
        let seen = 0;
        let isLeft = false;
        const leave = () => {
          isLeft = true;
          signal.removeEventListener("abort", leave);
          request.abort();
        };
        const isStream = () =>
          isOf(EVENT_STREAM, request.status, request.getResponseHeader("content-type"));

        const progressed = () => {
          if (isLeft || request.readyState < HEADERS_RECEIVED) return;
          if (isStream()) {
            const text = request.responseText;
            // The first bytes of a character that is cut are shown so, and as the character once it is whole.
            const end = text.length - (text.endsWith("\uFFFD") ? 1 : 0);
            const piece = text.slice(seen, end);
            seen = end;
            if (piece !== "") take(piece);
            if (!isLeft && seen > renew_chars && course.place !== place) {
              leave();
              open().catch(fail);
            }
          } else if (request.status === 200) refused();
        };
        const refused = () => {
          const contentType = request.getResponseHeader("content-type");
          const retryAfter = request.getResponseHeader("retry-after");
          course.end(unlike(wiring, request.status, contentType, retryAfter, request.responseText));
        };
        const ended = () => {
          progressed();
          if (isLeft) return;
          if (request.status === 0) course.end(lost());
          else if (!isStream()) refused();
          else ranOut(wiring, course, course.place === place).catch(fail);
        };
        // A stream that tells what it should not ends the feed, not the page.
        const guarded = (act: () => void) => () => {
          try {
            act();
          } catch (error) {
            fail(error);
          }
        };
        signal.addEventListener("abort", leave);
        request.addEventListener("readystatechange", guarded(progressed));
        request.addEventListener("progress", guarded(progressed));
        request.addEventListener("error", () => !isLeft && course.end(lost()));
        request.addEventListener("load", guarded(ended));
        request.open("GET", wiring.url + streamPath(place));
        for (const name of Object.keys(headers))
          request.setRequestHeader(name, headers[name] ?? "");
        request.withCredentials = usesCookies;
        request.send();
      };
      open().catch(fail);
      return course.stop;
    },
  };
}
