// What the parts of the engine share that act for all processes on a store, for as long as this one leads.

import type { Ids } from "./core/ids.ts";
import type { Commit } from "./core/keys.ts";
import type { Effects } from "./effects.ts";
import type { Replica } from "./replica.ts";
import type { Scope } from "./scope.ts";
import type { Session } from "./session.ts";
import type { Answer, Call } from "./state.ts";
import type { Json } from "./store.ts";
import type { Transport } from "./transport.ts";

/** Which way the device is told things. */
export interface Ways {
  /** The best one that works here, as far as is known. */
  choose(): Transport | undefined;
  /** It does not work here, for some time. False where no other is left. */
  shun(name: Transport["name"]): boolean;
}

/** How much is kept, of what else could be had again. */
export interface Bounds {
  /** Conversations whose items are in memory, beside those that somebody looks at. */
  readonly openConversations: number;
  /** What of conversations is kept in the store. */
  readonly storeBytes: number;
  readonly storeDays: number;
  /** Answers that are listened to at the same time. */
  readonly answers: number;
}

export interface Lead {
  readonly effects: Effects;
  readonly replica: Replica;
  readonly session: Session;
  readonly ids: Ids;
  readonly ways: Ways;
  readonly bounds: Bounds;
  /** As long as this process leads. */
  readonly scope: Scope;
  /** What every message's request says beside its own. */
  readonly request: { readonly [key: string]: Json } | undefined;
  /** Conversations that are open, in any process. */
  isOpen(conversation: string): boolean;
  /** What an answer that is over wants done by tools of this device, by the keys of the store. */
  callsOf(answer: Answer): readonly (readonly [key: string, call: Call])[];
  /** Have all parts look at what there is to do. */
  look(): void;
  /** Before times are noted: what was noted by another setting of the clock is moved to this one. */
  noticeClock(): void;
  /** The server serves this app no more. */
  tooOld(): void;
}

/** Put two commits together, the second of which was decided upon what the first one writes. */
export function both(first: Commit, second: Commit): Commit {
  const written = new Set(first.writes.map(([key]) => key));
  return {
    writes: [...new Map([...first.writes, ...second.writes])],
    guards: [...first.guards, ...second.guards.filter(({ key }) => !written.has(key))],
  };
}
