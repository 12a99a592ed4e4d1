// How the device is told things while it waits. Each way is one Transport; all of them tell the same.

import type { Clock, Fetch } from "./effects.ts";
import type { AnswerEvent, Change, Snapshot } from "./wire.ts";

/** What is listened to: all that changes of the person's, or one answer while it is made. */
export type Feed =
  | { readonly kind: "changes"; readonly cursor: string }
  /** `after` is the `sequence_number` of the last event that is had; -1 of none. */
  | { readonly kind: "answer"; readonly response: string; readonly after: number };

/** What a feed tells, in order. */
export type Told =
  /** Things changed; who keeps them keeps the cursor with them. */
  | { readonly type: "changes"; readonly changes: readonly Change[]; readonly cursor: string }
  /** The cursor was too old: all there is follows, up to `ready`. What is not told again by then is gone. */
  | { readonly type: "reset" }
  /** All that there was has been told. */
  | { readonly type: "ready"; readonly cursor: string; readonly bootstrap: string | undefined }
  | {
      readonly type: "heartbeat";
      readonly cursor: string | undefined;
      readonly bootstrap: string | undefined;
    }
  /** A piece of an answer, or all of it as far as it came, where the transport cannot tell pieces. */
  | { readonly type: "event"; readonly event: AnswerEvent | Snapshot };

/** Why a feed has ended. Each feed ends exactly once, and tells nothing afterwards. */
export type Ending =
  /** All was told: the answer's terminal event, or that there is nothing behind the last one had. */
  | { readonly why: "complete" }
  /** The connection is gone: come again, after so long where the server said so. */
  | { readonly why: "lost"; readonly retryAfter_s: number | undefined }
  /** Nothing came in the time in which something must: whatever is between holds it back. */
  | { readonly why: "silent" }
  /** This transport does not work here. */
  | { readonly why: "unfit" }
  /** The server said no, with its error's status and code. Who is told so by anybody else has `lost` the connection. */
  | {
      readonly why: "refused";
      readonly status: number;
      readonly code: string;
      readonly retryAfter_s: number | undefined;
    };

export interface Listener {
  told(told: Told): void;
  ended(ending: Ending): void;
}

/** What a transport needs of the client. */
export interface Wiring {
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** The server's address, without a slash at its end. */
  readonly url: string;
  /** What `Frontdesk-Client` says, `web/1.4.0`, for where no headers can be set. `headers()` has it as well. */
  readonly app: string | undefined;
  /** Headers of a request, the credential included. Rejects where there is none to be had. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** The token by itself, for where no headers can be set; undefined where cookies are the credential. */
  token(): Promise<string | undefined>;
}

export interface Transport {
  readonly name: "stream" | "socket" | "xhr" | "poll";
  /** Whether the platform has what this needs. */
  readonly isCapable: boolean;
  /** Begin to listen. The returned function ends it without a word to the listener. */
  listen(wiring: Wiring, feed: Feed, listener: Listener): () => void;
}
