// What transports ask by HTTP, and how they read an answer that is not what they asked for.

import type { Ending, Feed, Wiring } from "../transport.ts";
import type { AnswerEvent, Snapshot } from "../wire.ts";

/** What is asked for, and looked for in an answer. */
export const EVENT_STREAM = "text/event-stream";
/** The same, of what comes whole. */
export const JSON_BODY = "application/json";

/** End a feed as lost, to be begun again after so long where that was said. */
export function lost(retryAfter_s?: number): Ending {
  return { why: "lost", retryAfter_s };
}

/** How a feed ends whose request never got an answer: by what `fetch` or the session rejected with. */
export function failed(error: unknown): Ending {
  return lost((error as { readonly retryAfter_s?: number } | undefined)?.retryAfter_s);
}

/** Say where the events of a feed are. */
export function streamPath(feed: Feed): string {
  if (feed.kind === "changes") return `/api/events?cursor=${encodeURIComponent(feed.cursor)}`;
  const after = feed.after < 0 ? "" : `&starting_after=${feed.after}`;
  return `/v1/responses/${encodeURIComponent(feed.response)}?stream=true${after}`;
}

/** What a request is made with; cookies go along where they are the credential. */
export async function addressed(
  wiring: Wiring,
  accept: string,
): Promise<{ readonly headers: Record<string, string>; readonly usesCookies: boolean }> {
  const headers = { ...(await wiring.headers()), accept };
  return {
    headers,
    usesCookies: !Object.keys(headers).some((name) => name.toLowerCase() === "authorization"),
  };
}

/** Ask the server. Rejects as `Wiring.headers` and `fetch` do. */
export async function ask(
  wiring: Wiring,
  path: string,
  accept: string,
  signal: AbortSignal,
): Promise<Response> {
  const { headers, usesCookies } = await addressed(wiring, accept);
  // No `cache`: React Native's fetch writes it into the address, where the server refuses it. What is asked here may not be stored anyway.
  const credentials = usesCookies ? "include" : "same-origin";
  return wiring.fetch(wiring.url + path, { headers, signal, credentials });
}

/** Whether an answer is of the type that was asked for. */
export function isOf(type: string, status: number, contentType: string | null): boolean {
  return status === 200 && contentType?.startsWith(type) === true;
}

/** How a feed ends that was answered by something else: `body` is as much of it as could be had. */
export function unlike(
  wiring: Wiring,
  status: number,
  contentType: string | null,
  retryAfter: string | null,
  body: string,
): Ending {
  // Somebody between took away what was asked for; or what answers is no server of ours at all, as a hotel's.
  if (status === 200) return isOf(JSON_BODY, status, contentType) ? { why: "unfit" } : lost();
  let error: unknown;
  try {
    error = JSON.parse(body).error;
  } catch {
    error = undefined;
  }
  return refusal(status, error, seconds(retryAfter, wiring));
}

/** `unlike` of an answer to `ask`. */
export async function unlikeResponse(wiring: Wiring, response: Response): Promise<Ending> {
  const { status, headers } = response;
  const body = status === 200 ? "" : await response.text();
  return unlike(wiring, status, headers.get("content-type"), headers.get("retry-after"), body);
}

/** How a feed ends that met an error: refused, where it is one of the server's own and coming again at once is of no use. */
export function refusal(status: number, error: unknown, retryAfter_s: number | undefined): Ending {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  const isRefusal = typeof code === "string" && ((status >= 400 && status < 500) || status === 503);
  return isRefusal ? { why: "refused", status, code, retryAfter_s } : lost(retryAfter_s);
}

/** How a feed ends by the server's `bye`: without a time to come again, its credential has ended. */
export function farewell(bye: unknown): Ending {
  const { error, retry_after_s } = bye as {
    readonly error?: { readonly type?: string };
    readonly retry_after_s?: number;
  };
  if (retry_after_s !== undefined) return lost(retry_after_s);
  return refusal(error?.type === "permission_error" ? 403 : 401, error, undefined);
}

/**
 * Find out why a connection says nothing, by a small request of another kind. Resolves with `verdict` where that is answered as
 * it should be; with the refusal, or that the server cannot be reached, else. Never rejects.
 */
export async function probe(wiring: Wiring, verdict: Ending, signal: AbortSignal): Promise<Ending> {
  try {
    const response = await ask(wiring, "/api/events?wait=0", JSON_BODY, signal);
    const isAnswered = isOf(JSON_BODY, response.status, response.headers.get("content-type"));
    return isAnswered ? verdict : await unlikeResponse(wiring, response);
  } catch (error) {
    return failed(error);
  }
}

/** Tell a whole response as an event: its last one, numbered as the next that is waited for, or a snapshot while it is made. */
export function wholeAnswer(response: Snapshot["response"], after: number): AnswerEvent | Snapshot {
  // The server's own streams end in the same way, for OpenAI has no event that is named for cancellation.
  const last = response.status === "cancelled" ? "incomplete" : response.status;
  if (last === "completed" || last === "incomplete" || last === "failed") {
    return { type: `response.${last}`, sequence_number: after + 1, response };
  }
  return { type: "frontdesk.snapshot", sequence_number: -1, response };
}

/** Whether an event is an answer's last one. */
export function isLast(event: { readonly type: string }): boolean {
  return /^response\.(completed|incomplete|failed)$/.test(event.type);
}

const MOST_RETRY_S = 3600;

/** Read `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, of which a wrong clock must not make a year. */
function seconds(header: string | null, wiring: Wiring): number | undefined {
  if (header === null) return undefined;
  const said_s = /^\d+$/.test(header)
    ? Number(header)
    : (Date.parse(header) - wiring.clock.now_ms()) / 1000;
  return said_s >= 0 ? Math.min(said_s, MOST_RETRY_S) : undefined;
}
