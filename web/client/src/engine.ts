// The loop at the edge: looks at what there is to do whenever something changed, and has it done. What is decided is decided in
// `core/`; what is kept is in the replica; the parts that act for all processes run while this one leads.
//
//     changed, online, visible, timer ──► look ──► leading?  ──► syncing, following, keeping, calling
//                                           └──► what is shown
//
// Every process shows; one acts. A hidden one leads only while something is unsent, and lets go when one that is looked at asks.

import type { Calling } from "./calling.ts";
import { isOver } from "./core/answer.ts";
import {
  type Activity,
  activityOf,
  chooseTransport,
  type Shunned,
  type Situation,
  shun,
  wordOf,
} from "./core/connection.ts";
import { type Ids, makeIds } from "./core/ids.ts";
import { CACHED, type Commit, guard, keyOf, OUTBOX, write } from "./core/keys.ts";
import { isUnsent } from "./core/outbox.ts";
import { EMPTY, type Shelf } from "./core/things.ts";
import type { Effects, Stop } from "./effects.ts";
import { type Course, type Following, makeFollowing } from "./following.ts";
import { type Keeping, makeKeeping, makeRoom } from "./keeping.ts";
import type { Bounds, Lead, Ways } from "./lead.ts";
import { makeReplica, type Replica, type Word } from "./replica.ts";
import { openScope, type Scope } from "./scope.ts";
import type { Session } from "./session.ts";
import type { Answer, ClientView, Kept } from "./state.ts";
import type { Json, Store } from "./store.ts";
import { makeSyncing, type Syncing } from "./syncing.ts";
import type { DeviceTools } from "./tools.ts";
import type { Transport } from "./transport.ts";

export type { Bounds } from "./lead.ts";

export interface EngineOptions {
  readonly effects: Effects;
  readonly store: Store;
  /** Whether other processes have another store than this one's. */
  readonly isAlone: boolean;
  readonly session: Session;
  readonly transports: readonly Transport[];
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
  resumed(): void;
  /** Look at a conversation, until stopped. */
  watch(conversation: string): Stop;
  /** Have its items in memory, for a while. */
  open(conversation: string): Promise<void>;
}

/** What who leads says of itself. */
interface Leads {
  readonly isLive: boolean;
  readonly transport: Transport["name"] | undefined;
  readonly isVisible: boolean;
  readonly isTooOld: boolean;
  /** Whether its store takes what it writes. */
  readonly isKept: boolean;
}

interface Leading extends Pick<Lead, "scope"> {
  readonly syncing: Syncing;
  readonly following: Following;
  readonly keeping: Keeping;
  readonly since_ms: number;
  activity: Activity;
}

const USUAL: Bounds = { openConversations: 8, storeBytes: 50_000_000, storeDays: 90, answers: 3 };
const SIGN_MS = 10_000;
const STEP_BACK_MS = 2_000;
const JUMP_MS = 30_000;
const FLUSH_MS = 30_000;

export function makeEngine(options: EngineOptions): Engine {
  const { effects, store, session, transports } = options;
  const { clock, surroundings, leadership } = effects;
  const id = [...effects.random(8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const bounds: Bounds = { ...USUAL, ...options.bounds };
  const ids = makeIds(effects.random);
  let isAlone = options.isAlone;
  let scope: Scope | undefined;
  let starting: Promise<void> | undefined;
  let isReady = false;
  let leading: Leading | undefined;
  let leave: Stop | undefined;
  let isTooOld = false;
  let shunned: Shunned = {};
  let isLooking = false;
  let lastAnswers: ReadonlyMap<string, Answer> = new Map();
  /** How far the device's clock was ahead of elapsed time when it was looked at last. */
  let clockAhead_ms: number | undefined;
  let lastEntry = "";
  let wasOnline = true;
  let wasVisible = true;
  /** What a leader elsewhere last said of itself. */
  let theirs:
    | {
        readonly isLive: boolean;
        readonly transport: Transport["name"] | undefined;
        readonly at_ms: number;
      }
    | undefined;
  let said = "";
  let flushes: (() => void)[] = [];
  const watched = new Map<string, number>();
  /** In the order in which they were used last. */
  const used = new Set<string>();
  const loaded = new Set<string>();
  const elsewhere = new Map<string, ReadonlySet<string>>();
  const fresh = new Map<string, Answer>();
  const courses = new Map<string, Course>();

  const isWatched = (conversation: string): boolean =>
    watched.has(conversation) || [...elsewhere.values()].some((open) => open.has(conversation));

  const replica = makeReplica({
    effects,
    store,
    id,
    changed: () => {
      noticeAnswers();
      noticeEntry();
      look();
      options.shown();
    },
    heard: (word, from, isOurs) => heard(word, from, isOurs),
    demoted: () => stepBack(),
    ended: () => {
      stop();
      options.ended();
    },
    makeRoom: () => makeRoom(replica.store, replica.held, isWatched),
  });

  const calling = options.tools?.attach({
    clock,
    replica,
    ids,
    request: options.request,
    scope: () => scope,
    look: () => look(),
  });

  const ways: Ways = {
    choose: () => chooseTransport(transports, shunned, clock.elapsed_ms()),
    shun: (name) => {
      const elapsed_ms = clock.elapsed_ms();
      shunned = shun(shunned, name, elapsed_ms);
      return (
        (shunned[chooseTransport(transports, shunned, elapsed_ms)?.name ?? name] ?? 0) <= elapsed_ms
      );
    },
  };

  // --- what there is to do --------------------------------------------------------------------

  const situation = (): Situation => ({
    isStarted: scope !== undefined,
    isOnline: surroundings.isOnline,
    isVisible: surroundings.isVisible,
    isSignedIn: !session.isSignedOut,
    isTooOld,
    isLeader: leading !== undefined,
    mark: replica.held.mark,
    now_ms: clock.now_ms(),
    hasUnsent: replica.held.outbox.some(isUnsent),
  });

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
    const now = situation();
    const mayLead = now.isVisible || now.hasUnsent;
    if (mayLead && leave === undefined) seek();
    else if (!mayLead && leave !== undefined) release();
    if (leading !== undefined) {
      noticeClock();
      leading.activity = activityOf(situation(), leading.activity);
      leading.syncing.attend(leading.activity);
      leading.following.attend(leading.activity);
      leading.keeping.attend(leading.activity);
      calling?.attend(leading.scope, leading.since_ms);
      sign();
    }
    for (const settle of [...flushes]) settle();
    options.shown();
  };

  /** The device's clock was set: what has to wait, or has an end, has it by the clock as it is now. */
  const noticeClock = (): void => {
    const ahead_ms = clock.now_ms() - clock.elapsed_ms();
    const by_ms =
      ahead_ms -
      (clockAhead_ms ?? ahead_ms + Math.max((replica.held.mark?.at_ms ?? 0) - clock.now_ms(), 0));
    clockAhead_ms = ahead_ms;
    if (Math.abs(by_ms) > JUMP_MS)
      void replica.change(() => shift(replica.held.outbox, by_ms), { isLeading: true });
  };

  const hurry = (): void => {
    leading?.syncing.hurry();
    leading?.following.hurry();
    leading?.keeping.hurry();
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

  /** What was shown of an answer is not taken back, though another process may be behind. */
  const noticeAnswers = (): void => {
    const { answers } = replica.held;
    for (const [response, before] of lastAnswers) {
      const now = answers.get(response);
      const shown = fresh.get(response);
      if (
        now !== undefined &&
        now.after < before.after &&
        (shown === undefined || shown.after < before.after)
      ) {
        fresh.set(response, before);
      }
    }
    lastAnswers = answers;
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

  // --- leading --------------------------------------------------------------------------------

  const seek = (): void => {
    const within = scope;
    if (within === undefined) return;
    if (isAlone || replica.trouble === "denied") {
      const its = openScope(clock, within);
      leave = its.end;
      void take(its);
      return;
    }
    let isOver = false;
    const stopSeeking = leadership.seek(() => {
      const its = openScope(clock, within);
      if (isOver) its.end();
      else void take(its);
      return () => {
        its.end();
        if (isOver) return;
        release();
        look();
      };
    });
    leave = within.own(() => {
      isOver = true;
      stopSeeking();
    });
  };

  const release = (): void => {
    const stopLeading = leave;
    leave = undefined;
    leading?.scope.end();
    leading = undefined;
    replica.resign();
    stopLeading?.();
    if (scope !== undefined) options.shown();
  };

  /** Do not lead, nor seek to, for a moment: so that who else does comes before. */
  const stepBack = (): void => {
    release();
    leave = () => {};
    scope?.later(STEP_BACK_MS, () => {
      leave = undefined;
      look();
    });
  };

  const take = async (its: Scope): Promise<void> => {
    const isTaken = await replica.lead();
    if (its.isOver) return;
    if (!isTaken) {
      its.later(STEP_BACK_MS, () => void take(its));
      return;
    }
    const lead: Lead = {
      effects,
      replica,
      session,
      ids,
      ways,
      bounds,
      scope: its,
      request: options.request,
      isOpen: isWatched,
      hasOthers: () => elsewhere.size > 0,
      callsOf: (answer) => calling?.callsOf(answer) ?? [],
      look,
      tooOld: () => {
        isTooOld = true;
      },
    };
    const keeping = makeKeeping(lead);
    leading = {
      scope: its,
      syncing: makeSyncing(lead, keeping.told),
      following: makeFollowing(
        lead,
        {
          get: (response) => fresh.get(response),
          set: (response, answer) => {
            if (answer === undefined) fresh.delete(response);
            else fresh.set(response, answer);
            options.shown(answer?.conversation);
          },
        },
        (response, course) => courses.set(response, course),
      ),
      keeping,
      since_ms: clock.elapsed_ms(),
      activity: "off",
    };
    said = "";
    replica.tell({ asks: true });
    look();
  };

  // --- other processes ------------------------------------------------------------------------

  /** Say that this process leads, and what of it others show. */
  const sign = (): void => {
    if (leading === undefined) return;
    const { isLive, transport } = leading.syncing;
    const leads: Leads = {
      isLive,
      transport,
      isVisible: surroundings.isVisible,
      isTooOld,
      isKept: replica.trouble === undefined,
    };
    const text = JSON.stringify(leads);
    if (text === said) return;
    said = text;
    replica.tell({ leads });
  };

  const tick = (): void => {
    said = "";
    if (elsewhere.size > 0) sign();
    if (elsewhere.size > 0 && leading !== undefined) void replica.readOutbox();
    const isLed =
      leading !== undefined ||
      (theirs !== undefined && clock.elapsed_ms() - theirs.at_ms < 1.5 * SIGN_MS);
    if (!isLed && surroundings.isVisible) replica.tell({ asks: true, wants: true });
    scope?.later(SIGN_MS, tick);
  };

  const tellOpen = (): void => replica.tell({ opens: [...watched.keys()] });

  const heard = (word: Word, from: string, isOurs: boolean): void => {
    const { leads, opens, runs, asks, wants, resumed } = word;
    if (!isOurs) {
      // Who leads leads others: nobody acts for this store but this process.
      if (leads !== undefined && leading === undefined && !isAlone && !replica.trouble) {
        isAlone = true;
        release();
        look();
      }
      return;
    }
    if (!elsewhere.has(from)) elsewhere.set(from, new Set());
    if (Array.isArray(opens)) {
      elsewhere.set(from, new Set(opens));
      look();
    }
    if (Array.isArray(runs)) calling?.claimed(runs);
    if (resumed) session.resume();
    if (leads !== undefined) {
      if (isAlone && !options.isAlone) {
        isAlone = false;
        stepBack();
      }
      const { isLive, transport, isVisible, isKept } = leads as Leads;
      ({ isTooOld } = leads as Leads);
      theirs = {
        isLive,
        transport,
        at_ms: isVisible ? clock.elapsed_ms() : Number.NEGATIVE_INFINITY,
      };
      if (isLive && isKept) void replica.caughtUp();
      if (!isVisible && surroundings.isVisible && leading === undefined)
        replica.tell({ wants: true });
      options.shown();
    }
    if (asks) {
      said = "";
      sign();
      tellOpen();
      if (calling?.running.length) replica.tell({ runs: calling.running });
    }
    if (wants && !surroundings.isVisible && leave !== undefined) {
      stepBack();
    }
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
    await begun();
    await replica.open(conversation);
    if (!used.has(conversation)) return;
    loaded.add(conversation);
    options.shown(conversation);
    void replica.change(() => {
      const cached = replica.held.cached.get(conversation);
      const key = keyOf(CACHED, conversation);
      return (
        cached && {
          writes: [write(key, { ...cached, at_ms: clock.now_ms() })],
          guards: [guard(key, cached)],
        }
      );
    });
    look();
  };

  const watch = (conversation: string): Stop => {
    watched.set(conversation, (watched.get(conversation) ?? 0) + 1);
    void open(conversation);
    if (scope !== undefined) tellOpen();
    return () => {
      const left = (watched.get(conversation) ?? 1) - 1;
      if (left > 0) watched.set(conversation, left);
      else watched.delete(conversation);
      if (scope !== undefined) tellOpen();
      look();
    };
  };

  /** Whether an answer is further here than where it is kept. Where it is not kept any more, the changes tell it. */
  const isAhead = (answer: Answer): boolean => {
    const kept = replica.held.answers.get(answer.response);
    if (kept !== undefined && !isOver(kept) && kept.after <= answer.after) return true;
    fresh.delete(answer.response);
    return false;
  };

  let shelved:
    | { readonly of: Shelf; readonly fresh: readonly Answer[]; readonly shelf: Shelf }
    | undefined;
  const shelf = (conversation: string): Shelf => {
    const { shelves, conversations } = replica.held;
    const of = shelves.get(conversation) ?? {
      ...EMPTY,
      conversation: conversations.get(conversation),
    };
    const newer = [...fresh.values()].filter(
      (answer) => answer.conversation === conversation && isAhead(answer),
    );
    if (newer.length === 0) return of;
    const isSame =
      shelved?.of === of &&
      shelved.fresh.length === newer.length &&
      shelved.fresh.every((each, at) => each === newer[at]);
    if (!isSame || shelved === undefined) {
      const answers = new Map([
        ...of.answers,
        ...newer.map((answer) => [answer.response, answer] as const),
      ]);
      shelved = { of, fresh: newer, shelf: { ...of, answers } };
    }
    return shelved.shelf;
  };

  // --- beginning and end ----------------------------------------------------------------------

  const start = (): Promise<void> => {
    if (replica.isEnded) return Promise.reject(new Error("This client was signed out."));
    starting ??= run();
    return starting;
  };

  const begun = (): Promise<void> => starting ?? new Promise((resolve) => beginnings.push(resolve));
  const beginnings: (() => void)[] = [];

  const run = async (): Promise<void> => {
    const its = openScope(clock);
    scope = its;
    its.own(surroundings.watch(noticeSurroundings));
    wasOnline = surroundings.isOnline;
    wasVisible = surroundings.isVisible;
    options.shown();
    await replica.start();
    if (its.isOver) return;
    isReady = true;
    noticeEntry();
    replica.tell({ asks: true });
    tellOpen();
    its.later(SIGN_MS, tick);
    for (const begin of beginnings.splice(0)) begin();
    lookNow();
  };

  const stop = (): void => {
    if (scope === undefined) return;
    release();
    const its = scope;
    scope = undefined;
    starting = undefined;
    isReady = false;
    theirs = undefined;
    its.end();
    replica.stop();
    for (const settle of [...flushes]) settle();
    options.shown();
  };

  const flush = async (): Promise<boolean> => {
    await start();
    hurry();
    await new Promise<void>((resolve) => {
      const done = () => {
        stopWaiting();
        flushes = flushes.filter((each) => each !== settle);
        resolve();
      };
      const settle = () => {
        const { hasUnsent } = situation();
        const isStuck =
          leading !== undefined &&
          !leading.syncing.isBusy &&
          (leading.activity === "off" || leading.syncing.isIdle);
        if (scope === undefined || !hasUnsent || isStuck) done();
      };
      const stopWaiting = clock.later(FLUSH_MS, done);
      flushes.push(settle);
      look();
    });
    return !situation().hasUnsent;
  };

  return {
    replica,
    ids,
    calling,
    get view(): ClientView {
      const now = situation();
      const isLive = leading?.syncing.isLive ?? theirs?.isLive ?? false;
      return {
        connection: replica.isEnded ? "signed_out" : wordOf(now, isLive),
        transport: leading === undefined ? theirs?.transport : leading.syncing.transport,
        unsent: replica.held.outbox.filter(isUnsent).length,
        storage: replica.trouble ?? (options.isAlone ? "memory" : "kept"),
        switches: replica.held.bootstrap?.switches ?? NO_SWITCHES,
      };
    },
    shelf,
    isLoaded: (conversation) => loaded.has(conversation),
    course: (response) => courses.get(response),
    start,
    stop,
    flush,
    resumed() {
      replica.tell({ resumed: true });
      hurry();
    },
    watch,
    open,
  };
}

function shift(outbox: readonly Kept[], by_ms: number): Commit {
  const timed = outbox.filter(
    (kept) => isUnsent(kept) && (kept.notBefore_ms ?? kept.expires_ms) !== undefined,
  );
  return {
    writes: timed.map(({ notBefore_ms, expires_ms, ...kept }) =>
      write(keyOf(OUTBOX, kept.entry.id), {
        ...kept,
        ...(notBefore_ms !== undefined && { notBefore_ms: notBefore_ms + by_ms }),
        ...(expires_ms !== undefined && { expires_ms: expires_ms + by_ms }),
      }),
    ),
    guards: timed.map((kept) => guard(keyOf(OUTBOX, kept.entry.id), kept)),
  };
}

const NO_SWITCHES: ClientView["switches"] = {};
