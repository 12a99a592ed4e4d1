// Requests of the engine's own: one answer each, or that there was none, within a time. Nothing here rejects.

import type { Clock } from "./effects.ts";
import { openScope, type Scope } from "./scope.ts";
import type { Asked, Session } from "./session.ts";
import type { ErrorDetails } from "./wire.ts";

export type Reply =
  | { readonly was: "answered"; readonly body: unknown }
  /** The server said no, in words of its own: nothing was done. */
  | {
      readonly was: "refused";
      readonly status: number;
      readonly error: ErrorDetails;
      readonly retryAfter_s: number | undefined;
    }
  /** It did not leave the device, for there was no credential. */
  | { readonly was: "unasked"; readonly retryAfter_s: number | undefined }
  /** Nobody knows what became of it. */
  | { readonly was: "lost"; readonly retryAfter_s: number | undefined };

const LOST: Reply = { was: "lost", retryAfter_s: undefined };
const MOST_RETRY_S = 3600;

/** Ask, and wait so long. What the stretch of work outlives is lost. */
export function ask(
  clock: Clock,
  session: Session,
  scope: Scope,
  path: string,
  asked: Asked,
  patience_ms = 30_000,
): Promise<Reply> {
  return new Promise((resolve) => {
    const controller = new AbortController();
    const its = openScope(clock, scope);
    its.own(() => {
      controller.abort();
      // Whoever has an answer by then was told it.
      resolve(LOST);
    });
    its.later(patience_ms, its.end);
    answer(clock, session, path, { ...asked, signal: controller.signal }).then((reply) => {
      resolve(reply);
      its.end();
    });
  });
}

async function answer(clock: Clock, session: Session, path: string, asked: Asked): Promise<Reply> {
  try {
    const response = await session.ask(path, asked);
    const { status, headers } = response;
    const retryAfter_s = seconds(headers.get("retry-after"), clock);
    if (!headers.get("content-type")?.startsWith("application/json"))
      return { was: "lost", retryAfter_s };
    const body: unknown = await response.json();
    if (response.ok) return { was: "answered", body };
    const error = (body as { readonly error?: ErrorDetails } | null)?.error;
    const isCertain = (status < 500 || status === 503) && typeof error?.code === "string";
    return isCertain
      ? { was: "refused", status, error, retryAfter_s }
      : { was: "lost", retryAfter_s };
  } catch (error) {
    const { name, retryAfter_s } = error as {
      readonly name?: string;
      readonly retryAfter_s?: number;
    };
    const isUnasked = name === "SignedOut" || name === "SessionUnavailable";
    return isUnasked ? { was: "unasked", retryAfter_s } : LOST;
  }
}

function seconds(header: string | null, clock: Clock): number | undefined {
  if (header === null) return undefined;
  const said_s = /^\d+(\.\d+)?$/.test(header)
    ? Number(header)
    : (Date.parse(header) - clock.now_ms()) / 1000;
  return said_s >= 0 ? Math.min(said_s, MOST_RETRY_S) : undefined;
}
