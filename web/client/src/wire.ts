// The types of the wire that the client speaks of, by short names. They are made from contract/openapi.json.

import type { components } from "./contract.ts";

type Schemas = components["schemas"];

export type Bootstrap = Schemas["Bootstrap"];
export type SessionBegun = Schemas["Session"];
export type SyncAnswer = Schemas["SyncAnswered"];
export type SyncResult = Schemas["SyncResult"];
export type ErrorDetails = Schemas["ErrorDetails"];

export type ConversationTold = Schemas["SyncedConversation"];
export type ItemTold = Schemas["SyncedItem"];
export type TurnTold = Schemas["SyncedTurn"];
export type FeedbackTold = Schemas["SyncedFeedback"];
export type FactTold = Schemas["SyncedFact"];
export type Gone = Schemas["SyncedGone"];
/** A thing as it is, or that it is gone. */
export type Change = ConversationTold | ItemTold | TurnTold | FeedbackTold | FactTold | Gone;
export type Item = NonNullable<ItemTold["item"]>;
export type Branch = Schemas["SyncedBranch"];

/** What was done on the device, as `POST /api/sync` takes it. */
export type Entry =
  | Schemas["ConversationEntry"]
  | Schemas["MessageEntry"]
  | Schemas["AnswerEntry"]
  | Schemas["OutputsEntry"]
  | Schemas["EditEntry"]
  | Schemas["CancelEntry"]
  | Schemas["RenameEntry"]
  | Schemas["PinEntry"]
  | Schemas["ChooseEntry"]
  | Schemas["MetadataEntry"]
  | Schemas["DeleteEntry"]
  | Schemas["PinItemEntry"]
  | Schemas["ReadEntry"]
  | Schemas["FeedbackEntry"]
  | Schemas["FactEntry"];

/** One event of a response's stream. What the client does not know it passes over. */
export interface AnswerEvent {
  readonly type: string;
  readonly sequence_number: number;
  readonly [field: string]: unknown;
}

/**
 * An answer as far as it came, from a transport that reads it whole. It is in place of all that was had of it, and has no
 * place in the sequence of events: who goes on with events begins with the first one (`after` is -1 again).
 */
export interface Snapshot {
  readonly type: "frontdesk.snapshot";
  readonly sequence_number: -1;
  readonly response: Schemas["Response"];
}
