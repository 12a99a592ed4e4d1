// What the client knows, as values. What is kept goes into the store under the key that `keys.ts` makes of it; what is
// shown is computed from what is kept.

import type { Entry, ErrorDetails, Item } from "./wire.ts";

// --- kept -----------------------------------------------------------------------------------------

/** Where the device is in the sequence of changes. */
export interface Mark {
  readonly cursor: string;
  /** False in the middle of a first sync: what is of an earlier generation is kept, and may be gone. */
  readonly isWhole: boolean;
  /** Raised by each reset. Every thing is kept with the generation in which it was told. */
  readonly generation: number;
  /** When the cursor was had, by the device's clock. */
  readonly at_ms: number;
}

/**
 * An entry of the outbox.
 *
 *     saved ──► sending ──► done (shown until the changes tell it too, then removed)
 *       ▲          │
 *       └── waiting┘──► refused, expired (kept and shown until the person does something about it)
 *
 * `sending` is stored before the bytes leave: such an entry may have arrived, whatever happened since, so it is sent again as it is.
 */
export interface Kept {
  readonly entry: Entry;
  readonly status: "saved" | "sending" | "waiting" | "done" | "refused" | "expired";
  readonly at_ms: number;
  /** Whether its bytes may ever have left the device. */
  readonly isUnclear: boolean;
  readonly attempts: number;
  /** Not to be sent before, by the device's clock. */
  readonly notBefore_ms?: number;
  /** Not to be sent at all from then on, unless it may have left. */
  readonly expires_ms?: number;
  /** What came of it. */
  readonly item?: string;
  readonly response?: string;
  readonly error?: ErrorDetails;
  /** Cancel its answer as soon as it is known which one that is. */
  readonly isUnwanted?: boolean;
  /** It is done, and the answer that it asked for failed without a word: shown until something else is asked for. */
  readonly hasFailed?: boolean;
}

/** An answer as far as it came, with the place in its stream: they are kept together, so no word is had twice or missed. */
export interface Answer {
  readonly response: string;
  readonly conversation: string;
  /** The item that it answers, where the device knows. */
  readonly to?: string;
  /** The `sequence_number` of the last event in it; -1 of none. */
  readonly after: number;
  readonly phase: "waiting" | "thinking" | "writing" | "done" | "failed" | "cancelled";
  readonly output: readonly Item[];
  readonly error?: ErrorDetails;
  /** Whether this device asked for it: only then its tools do what the answer calls for. */
  readonly isOurs?: boolean;
}

/**
 * A call of a tool of the device's.
 *
 *     asked ──► running ──► ran ┐
 *       └────► declined ────────┴──► all of a response's: an `outputs` entry, in the same commit
 *
 * One that was `running` when the process ended is `interrupted`: whether it did anything nobody knows, so the person is asked again.
 */
export interface Call {
  readonly call: string;
  readonly response: string;
  readonly conversation: string;
  readonly name: string;
  readonly arguments: string;
  readonly status: "asked" | "running" | "interrupted" | "ran" | "declined";
  readonly output?: string;
}

// --- shown ----------------------------------------------------------------------------------------

/** What a person can do about what failed. */
export type Remedy =
  /** Send or ask again. */
  | "again"
  /** Again, but later; `TurnView.until_ms` says when, where that is known. */
  | "later"
  | "sign_in"
  /** Say it otherwise: as it is, it will never be taken. */
  | "change"
  | "update"
  | "free_space"
  | "none";

/** How far a message is. These are the words that an app has to have for it. */
export type TurnState =
  | "saved"
  | "sending"
  | "accepted"
  | "waiting"
  | "thinking"
  | "writing"
  /** A tool of the device's wants to be allowed. */
  | "asking"
  | "done"
  | "failed"
  | "cancelled";

export interface TurnView {
  readonly state: TurnState;
  readonly response?: string;
  /** Of what failed, or waits: a stable code, and a sentence of the server's. */
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: Remedy;
  readonly until_ms?: number;
  /** Whether the person has read up to its end, on any device. */
  readonly isRead?: boolean;
}

export interface MessageView {
  /** The item's id, the same before and after it is sent. */
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly text: string;
  /** All that it says, text included, as on the wire. */
  readonly content: readonly unknown[];
  /** What the model thought, as far as it tells. */
  readonly thoughts: string;
  readonly at_ms: number | undefined;
  /** Of a person's message: how far it and its answer are. Of an answer: how far that is. */
  readonly turn: TurnView | undefined;
  readonly response: string | undefined;
  readonly isPinned: boolean;
  /** Whether the server does not know it yet. */
  readonly isLocal: boolean;
  /** The messages that stand at the same place in other branches, in order, this one included; and their branches. */
  readonly siblings: readonly { readonly item: string; readonly branch: number }[];
  readonly rating: "up" | "down" | undefined;
}

export interface CallView extends Call {
  /** What the model wants to do, in the tool's own words. */
  readonly title: string;
}

export interface ConversationSummary {
  readonly id: string;
  readonly title: string | undefined;
  readonly changedAt_ms: number;
  readonly isPinned: boolean;
  /** Whether something is being answered, or waits to be sent. */
  readonly isBusy: boolean;
  readonly isUnread: boolean;
  readonly isLocal: boolean;
}

export interface ConversationView extends ConversationSummary {
  /**
   * `loading` until the store has told, or the server where the store does not know it; `partial` while older messages are fetched
   * from the server; `missing` where the server does not know it either; `gone` once deleted.
   */
  readonly status: "loading" | "partial" | "ready" | "missing" | "gone";
  readonly messages: readonly MessageView[];
  readonly calls: readonly CallView[];
  /** How far the latest turn is. */
  readonly turn: TurnView | undefined;
  readonly followUps: readonly string[];
}

export interface ClientView {
  /** `hidden`: nothing is asked while nobody looks. */
  readonly connection:
    | "stopped"
    | "offline"
    | "connecting"
    | "live"
    | "hidden"
    | "signed_out"
    | "too_old";
  readonly transport: "stream" | "socket" | "xhr" | "poll" | undefined;
  /**
   * Why it is not live: the server's code, or what `fetch` or the app's own source of credentials failed with. For who looks for
   * the cause, not for people.
   */
  readonly reason?: string | undefined;
  /** How many entries have not arrived. */
  readonly unsent: number;
  /** Why what is written is not safe on this device, where it is not. */
  readonly storage: "kept" | "full" | "denied" | "broken" | "memory";
  /** What apps follow without an update. */
  readonly switches: Readonly<Record<string, unknown>>;
}
