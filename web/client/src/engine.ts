// The loop at the edge: looks at what there is to do whenever something changed, and has it done. What is decided is decided in
// `core/`; what is kept is in the replica; the parts that act for all processes run while this one leads.
//
//     changed, online, visible, timer ──► look ──► leading?  ──► syncing, following, keeping, calling
//                                           └──► what is shown
//
// Every process shows; one acts. A hidden one leads only while something is unsent, and lets go when one that is looked at asks.

import type { Acting, MakeActing } from "./acting.ts";
import type { Calling } from "./calling.ts";
import { wordOf } from "./core/connection.ts";
import { EMPTY, type Shelf } from "./core/held.ts";
import { type Ids, makeIds } from "./core/ids.ts";
import { isUnsent } from "./core/outbox.ts";
import { isOver } from "./core/said.ts";
import type { Effects, Stop } from "./effects.ts";
import type { Course } from "./following.ts";
import type { Bounds } from "./lead.ts";
import { makeReplica, type Replica } from "./replica.ts";
import { openScope, type Scope } from "./scope.ts";
import type { SessionOptions, Supplier } from "./session.ts";
import type { Answer, ClientView } from "./state.ts";
import type { Json, Store } from "./store.ts";
import type { DeviceTools } from "./tools.ts";
import type { Transport } from "./transport.ts";

export type { Bounds } from "./lead.ts";

export interface EngineOptions {
  readonly effects: Effects;
  readonly store: Store;
  /** Whether other processes have another store than this one's. */
  readonly isAlone: boolean;
  readonly session: SessionOptions;
  readonly transports: readonly Transport[];
  /** Loads what acts. Where it rejects, it is asked again later. */
  acting(): Promise<MakeActing>;
  readonly bounds: Partial<Bounds>;
  readonly tools: DeviceTools | undefined;
  readonly request: { readonly [key: string]: Json } | undefined;
  /** Something that is shown may be another; `conversation` where it is only one. */
  shown(conversation?: string): void;
  /** The person signed out. */
  ended(): void;
}

export interface Engine {
  readonly replica: Replica;
  readonly ids: Ids;
  /** Undefined where the app brought no tools. */
  readonly calling: Calling | undefined;
  readonly view: ClientView;
  /** All that is known of a conversation, with the last word of its answers. */
  shelf(conversation: string): Shelf;
  /** Whether its items have been read from the store. */
  isLoaded(conversation: string): boolean;
  /** What is noted of how an answer came. */
  course(response: string): Course | undefined;
  start(): Promise<void>;
  stop(): void;
  flush(): Promise<boolean>;
  /** Go on with another source of credentials, where one is given. */
  resume(supplier?: Supplier): void;
  /** End the session, also at the server if that answers soon. */
  goodbye(): Promise<void>;
  /** Look at a conversation, until stopped. */
  watch(conversation: string): Stop;
  /** Have its items in memory, for a while. */
  open(conversation: string): Promise<void>;
}

const USUAL: Bounds = { openConversations: 8, storeBytes: 50_000_000, storeDays: 90, answers: 3 };
const LOAD_MS = 3_000;

export function makeEngine(options: EngineOptions): Engine {
  const { effects, store } = options;
  const { clock, surroundings } = effects;
  const id = [...effects.random(8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const bounds: Bounds = { ...USUAL, ...options.bounds };
  const ids = makeIds(effects.random);
  let scope: Scope | undefined;
  let starting: Promise<void> | undefined;
  let isReady = false;
  let acting: Acting | undefined;
  /** In elapsed time, when what acts is to be asked for again. */
  let loadAgain_ms = 0;
  let loading: Promise<void> | undefined;
  let supplier: Supplier | undefined;
  let isLooking = false;
  let lastEntry = "";
  let wasOnline = true;
  let wasVisible = true;
  const watched = new Map<string, number>();
  /** In the order in which they were used last. */
  const used = new Set<string>();
  const loaded = new Set<string>();
  const fresh = new Map<string, Answer>();

  const replica = makeReplica({
    effects,
    store,
    id,
    changed: () => {
      for (const each of fresh.keys()) if (!replica.held.answers.has(each)) fresh.delete(each);
      noticeEntry();
      look();
      options.shown();
    },
    heard: (...told) => acting?.heard(...told),
    demoted: () => acting?.demoted(),
    ended: () => {
      stop();
      options.ended();
    },
    makeRoom: async () => (await acting?.makeRoom()) ?? [],
    fallback: async () => {
      if (acting === undefined) await load();
      return acting?.fallback();
    },
  });

  const calling = options.tools?.attach({
    clock,
    replica,
    ids,
    request: options.request,
    scope: () => scope,
    look: () => look(),
  });

  // --- what there is to do --------------------------------------------------------------------

  const unsent = () => replica.held.outbox.filter(isUnsent).length;

  /** Look at all there is to do, once whatever goes on now is through. */
  const look = (): void => {
    if (isLooking || scope === undefined) return;
    isLooking = true;
    void Promise.resolve().then(() => {
      isLooking = false;
      lookNow();
    });
  };

  const lookNow = (): void => {
    if (scope === undefined || !isReady) return;
    if (acting !== undefined) acting.attend();
    else if (
      surroundings.isOnline &&
      clock.elapsed_ms() >= loadAgain_ms &&
      (surroundings.isVisible || unsent() > 0)
    )
      void load();
    options.shown();
  };

  const hurry = (): void => {
    acting?.hurry();
    look();
  };

  /** What a person has just said does not wait for what failed before. */
  const noticeEntry = (): void => {
    const newest = replica.held.outbox.at(-1)?.entry.id ?? "";
    if (newest <= lastEntry) return;
    lastEntry = newest;
    ids.seen(newest);
    hurry();
  };

  /** What was shown of an answer is not taken back, though the process that keeps it may be behind. */
  const newest = (kept: Answer): Answer => {
    const shown = fresh.get(kept.response);
    if (shown !== undefined && shown.after > kept.after && !isOver(kept)) return shown;
    fresh.set(kept.response, kept);
    return kept;
  };

  const noticeSurroundings = (): void => {
    const { isOnline, isVisible } = surroundings;
    if (isVisible && !wasVisible) {
      void replica.refresh();
      replica.tell({ asks: true });
    }
    if ((isOnline && !wasOnline) || (isVisible && !wasVisible)) hurry();
    wasOnline = isOnline;
    wasVisible = isVisible;
    look();
  };

  // --- what acts ------------------------------------------------------------------------------

  const tellOpen = (): void => replica.tell({ opens: [...watched.keys()] });

  /** Resolves when what acts is there, or is not for now: it comes later, or is asked for again. */
  const load = (): Promise<void> => {
    loading ??= new Promise((resolve) => {
      const done = () => {
        stopWaiting();
        loading = undefined;
        loadAgain_ms = clock.elapsed_ms() + LOAD_MS;
        if (acting === undefined) scope?.later(LOAD_MS, look);
        resolve();
      };
      const stopWaiting = clock.later(LOAD_MS, done);
      // It may be of a version of the app that is gone by now.
      options.acting().then(begin).then(done, done);
    });
    return loading;
  };

  const begin = (make: MakeActing): void => {
    if (acting !== undefined) return;
    acting = make({
      ...options,
      replica,
      ids,
      bounds,
      calling,
      watched,
      fresher: {
        get: (response) => fresh.get(response),
        set: (response, answer) => {
          if (answer === undefined) fresh.delete(response);
          else fresh.set(response, answer);
          options.shown(answer?.conversation);
        },
      },
      scope: () => scope,
      look,
      tellOpen,
    });
    if (supplier) acting.resume(supplier);
    if (isReady) acting.begin();
    look();
  };

  // --- conversations in memory ----------------------------------------------------------------

  const open = async (conversation: string): Promise<void> => {
    used.delete(conversation);
    used.add(conversation);
    for (const each of used) {
      if (used.size <= bounds.openConversations) break;
      if (each === conversation || watched.has(each)) continue;
      used.delete(each);
      loaded.delete(each);
      replica.shut(each);
    }
    if (loaded.has(conversation)) return;
    await start();
    await replica.open(conversation);
    if (!used.has(conversation)) return;
    loaded.add(conversation);
    options.shown(conversation);
    look();
  };

  const watch = (conversation: string): Stop => {
    watched.set(conversation, (watched.get(conversation) ?? 0) + 1);
    if (isReady) {
      void open(conversation);
      tellOpen();
    }
    return () => {
      const left = (watched.get(conversation) ?? 1) - 1;
      if (left > 0) watched.set(conversation, left);
      else watched.delete(conversation);
      if (isReady) tellOpen();
      look();
    };
  };

  const shelf = (id: string): Shelf => {
    const { shelves, conversations, answers, calls } = replica.held;
    const own = [...answers].filter(([, answer]) => answer.conversation === id);
    const newer = own.map(([response, answer]) => [response, newest(answer)] as const);
    const { items, turns } = shelves.get(id) ?? EMPTY;
    return { conversation: conversations.get(id), items, turns, answers: new Map(newer), calls };
  };

  // --- beginning and end ----------------------------------------------------------------------

  const start = (): Promise<void> => {
    if (replica.isEnded)
      return Promise.reject(new Error("This client was signed out: make another one."));
    starting ??= run();
    return starting;
  };

  const run = async (): Promise<void> => {
    const its = openScope(clock);
    scope = its;
    its.own(surroundings.watch(noticeSurroundings));
    wasOnline = surroundings.isOnline;
    wasVisible = surroundings.isVisible;
    options.shown();
    if (wasVisible && wasOnline) void load();
    await replica.start();
    if (its.isOver) return;
    isReady = true;
    noticeEntry();
    acting?.begin();
    tellOpen();
    for (const each of watched.keys()) void open(each);
    lookNow();
  };

  const stop = (): void => {
    if (scope === undefined) return;
    const its = scope;
    scope = undefined;
    starting = undefined;
    isReady = false;
    acting?.end();
    its.end();
    replica.stop();
    options.shown();
  };

  const flush = async (): Promise<boolean> => {
    await start();
    if (acting === undefined) await load();
    hurry();
    await acting?.flush();
    return unsent() === 0;
  };

  return {
    replica,
    ids,
    calling,
    get view(): ClientView {
      const { isOnline, isVisible } = surroundings;
      const { isLive, transport, reason, isSignedOut, isTooOld } = acting ?? NOBODY;
      const isStarted = scope !== undefined;
      const situation = { isStarted, isOnline, isVisible, isSignedOut, isTooOld, isLive };
      return {
        connection: replica.isEnded ? "signed_out" : wordOf(situation),
        transport,
        reason: isLive ? undefined : reason,
        unsent: unsent(),
        storage: replica.trouble ?? (options.isAlone ? "memory" : "kept"),
        switches: replica.held.bootstrap?.switches ?? NO_SWITCHES,
      };
    },
    shelf,
    isLoaded: (conversation) => loaded.has(conversation),
    course: (response) => acting?.course(response),
    start,
    stop,
    flush,
    resume(next) {
      if (acting !== undefined) acting.resume(next);
      else supplier = next;
      replica.tell({ resumed: true });
      hurry();
    },
    async goodbye() {
      if (acting === undefined) await load();
      await acting?.goodbye();
    },
    watch,
    open,
  };
}

/** What is known of the connection before anybody acts. */
const NOBODY = {
  isLive: false,
  transport: undefined,
  reason: undefined,
  isSignedOut: false,
  isTooOld: false,
};
const NO_SWITCHES: ClientView["switches"] = {};
