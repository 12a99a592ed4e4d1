// The client, as an app sees it: made once for a person, asked for conversations, looked at by observables.

import type { MakeActing } from "./acting.ts";
import { type Conversation, makeConversation } from "./conversation.ts";
import { conversationId, factId } from "./core/ids.ts";
import { put } from "./core/outbox.ts";
import type { Loose } from "./core/values.ts";
import type { Effects } from "./effects.ts";
import { type Bounds, makeEngine } from "./engine.ts";
import type { Observable } from "./observable.ts";
import type { Supplier } from "./session.ts";
import { type FactView, makeShown } from "./shown.ts";
import type { ClientView, ConversationSummary } from "./state.ts";
import { type Json, type Store, StoreError } from "./store.ts";
import type { DeviceTools } from "./tools.ts";
import type { Transport } from "./transport.ts";
import type { VitalsOf } from "./vitals.ts";
import type { Entry } from "./wire.ts";

export interface ClientOptions {
  /** The server's address; empty for a page's own origin. */
  readonly url: string;
  /** Whose things are kept here, in the app's words. Another person wants another client, and another store. */
  readonly user?: string;
  /** Where credentials come from: a function of the app's, or one of `@frontdesk/client/sessions`. */
  readonly token: Supplier;
  /** What outlives the process. */
  readonly store: Store;
  /** What the client does to the world. */
  readonly effects: Effects;
  /** Ways of being told, the best one first. */
  readonly transports: readonly Transport[];
  /** The app's name and version, `web/1.4.0`. */
  readonly app?: string;
  /** The feature that messages are for, where they do not say. */
  readonly feature?: string;
  /** Where the app is used, as `Frontdesk-Context` says it. */
  readonly context?: () => string | undefined;
  /** What the request of each message says, beside its own. */
  readonly request?: { readonly [key: string]: Json };
  /** What models may have done on the device: `deviceTools([…])` of `@frontdesk/client/tools`. */
  readonly tools?: DeviceTools;
  readonly bounds?: Partial<Bounds>;
  /** What turns felt like: `vitals(report)` of `@frontdesk/client/vitals`. */
  readonly vitals?: VitalsOf;
}

export interface Client {
  readonly view: Observable<ClientView>;
  /** All conversations: pinned ones first, then those that changed last. */
  readonly conversations: Observable<readonly ConversationSummary[]>;
  readonly facts: Observable<readonly FactView[]>;
  /**
   * Begin to work. Resolves when the store has told what is in it, whatever the network does. May be called again,
   * also after `stop`; whatever is done with the client starts it as well.
   */
  start(): Promise<void>;
  /** End all that is under way on this device. Nothing is lost by it, nor by the end of the process without it. */
  stop(): void;
  /** Send what is due now, once, whether or not somebody looks. True where nothing is left to be sent. */
  flush(): Promise<boolean>;
  /** End the session and remove all that is kept here, in every process. This client is of no use afterwards. */
  signOut(): Promise<void>;
  /** Go on after the session ended, with another source of credentials where one is given. */
  resume(token?: Supplier): void;
  /** A conversation, the same object for the same id; a new one where no id is given. */
  conversation(id?: string): Conversation;
  /** Have something remembered, in place of `fact` where that is given. Resolves with its id, when it is stored. */
  remember(words: string, fact?: string): Promise<string>;
  forget(fact: string): Promise<void>;
}

/**
 * Make the client of a person. It does nothing before it is started, or something is done with it. `acting` loads what acts, once it
 * has to lead.
 */
export function makeClient(options: ClientOptions, acting: () => Promise<MakeActing>): Client {
  const { effects, store } = options;
  const { clock } = effects;
  const conversations = new Map<string, Conversation>();
  const url = options.url.replace(/\/+$/, "");
  const shown = makeShown(() => engine);
  const engine = makeEngine({
    effects,
    store,
    isAlone: store.isForgetful === true,
    session: {
      effects,
      store,
      url,
      supplier: options.token,
      app: options.app,
      feature: options.feature,
      context: options.context,
    },
    transports: options.transports,
    acting,
    bounds: options.bounds ?? {},
    tools: options.tools,
    request: options.request,
    shown: (conversation) => {
      shown.touch(conversation);
      if (conversation === undefined) vitals?.look();
    },
    ended: () => shown.touch(),
  });
  const { replica, ids } = engine;
  const vitals = options.vitals?.({ effects, engine });

  const add = async (make: (id: string) => Loose<Entry>, expires_ms?: number): Promise<string> => {
    const tapped_ms = clock.now_ms();
    await engine.start();
    let id = "";
    const fate = await replica.change(() => {
      id = ids.next(clock.now_ms());
      // As it comes back from a store, and over the wire: what cannot be said so is the caller's mistake.
      const entry: Entry = JSON.parse(JSON.stringify(make(id)));
      return put(replica.held.outbox, entry, tapped_ms, expires_ms);
    });
    if (fate === "moot") throw new StoreError("broken", "It could not be stored.");
    vitals?.tapped(id, tapped_ms);
    return id;
  };

  return {
    view: shown.view,
    conversations: shown.conversations,
    facts: shown.facts,
    start: engine.start,
    stop: engine.stop,
    flush: engine.flush,
    async signOut() {
      await engine.start();
      await replica.wipe(engine.goodbye);
    },
    resume: engine.resume,
    conversation(id) {
      const name = id ?? conversationId(ids.next(clock.now_ms()));
      if (id === undefined) shown.made(name);
      const known = conversations.get(name);
      if (known !== undefined) return known;
      const made = makeConversation(name, {
        engine,
        feature: options.feature,
        request: options.request,
        view: shown.conversation(name),
        start: engine.start,
        put: add,
        now_ms: clock.now_ms,
      });
      conversations.set(name, made);
      return made;
    },
    async remember(words, fact) {
      const name = fact ?? factId(ids.next(clock.now_ms()));
      await add((id) => ({ type: "fact", id, fact: name, words }));
      return name;
    },
    async forget(fact) {
      await add((id) => ({ type: "fact", id, fact, words: null }));
    },
  };
}
