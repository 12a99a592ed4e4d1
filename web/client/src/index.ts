// What `@frontdesk/client` exports: the client, without anything of a platform. `…/browser` and `…/native` have it with that; stores, transports,
// sessions and all that not every app needs have entries of their own.

export { type Client, type ClientOptions, createClient } from "./client.ts";
export type { Asking, Conversation, Part, Rating, Sending } from "./conversation.ts";
export type { Channel, Clock, Effects, Fetch, Leadership, Stop, Surroundings } from "./effects.ts";
export type { Bounds } from "./engine.ts";
export type { Observable } from "./observable.ts";
export {
  type Credential,
  type Need,
  SessionUnavailable,
  SignedOut,
  type Supplied,
  type Supplier,
} from "./session.ts";
export type { FactView } from "./shown.ts";
export type {
  Answer,
  Call,
  CallView,
  ClientView,
  ConversationSummary,
  ConversationView,
  Kept,
  MessageView,
  Remedy,
  TurnState,
  TurnView,
} from "./state.ts";
export {
  type Guard,
  type Json,
  type Listing,
  type Store,
  StoreError,
  type StoreTrouble,
  type Write,
} from "./store.ts";
export type { DeviceTools, Running, Tool } from "./tools.ts";
export type { Ending, Feed, Listener, Told, Transport, Wiring } from "./transport.ts";
export type { Vitals, VitalsOf } from "./vitals.ts";
