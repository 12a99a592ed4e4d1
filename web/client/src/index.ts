// What `@frontdesk/client` exports: the client, without anything of a platform. `…/browser` and `…/native` have it with that; stores, transports,
// sessions and all that not every app needs have entries of their own.

import { type Client, type ClientOptions, makeClient } from "./client.ts";

export type { Client, ClientOptions } from "./client.ts";
export type { Asking, Conversation, Part, Rating, Sending } from "./conversation.ts";
export type { Channel, Clock, Effects, Fetch, Leadership, Stop, Surroundings } from "./effects.ts";
export type { Bounds } from "./engine.ts";
export type { Observable } from "./observable.ts";
export type { Credential, Need, Supplied, Supplier } from "./session.ts";
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

/**
 * Make the client of a person. It does nothing before it is started, or something is done with it.
 *
 * What sends and listens is a part of its own, which is fetched while the store is read: a page has its first picture without it.
 */
export function createClient(options: ClientOptions): Client {
  return makeClient(options, async () => (await import("./acting.ts")).makeActing);
}
