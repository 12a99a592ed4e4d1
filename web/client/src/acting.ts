// What acts: for all processes on a store, while this one leads. It is loaded when it is first needed; what is shown and what is
// said needs nothing of it.
//
// One process leads. A hidden one does only while something is unsent, and lets go when one that is looked at asks.

import type { Calling } from "./calling.ts";
import type { Situation } from "./core/activity.ts";
import type { Ids } from "./core/ids.ts";
import { type Commit, guard, keyOf, OUTBOX, write } from "./core/keys.ts";
import { isUnsent } from "./core/outbox.ts";
import type { Effects, Stop } from "./effects.ts";
import type { Course, Fresher } from "./following.ts";
import { makeRoom } from "./keeping.ts";
import type { Bounds, Lead } from "./lead.ts";
import { type Leading, makeLeading, makeWays } from "./leading.ts";
import type { Replica, Word } from "./replica.ts";
import { openScope, type Scope } from "./scope.ts";
import { createSession, type SessionOptions, type Supplier } from "./session.ts";
import type { Kept } from "./state.ts";
import type { Json, Store, Write } from "./store.ts";
import { memoryStore } from "./stores/memory.ts";
import type { Transport } from "./transport.ts";

/** What acting has to know of the process. */
export interface ActingOptions {
  readonly effects: Effects;
  readonly replica: Replica;
  readonly ids: Ids;
  readonly bounds: Bounds;
  readonly session: SessionOptions;
  readonly transports: readonly Transport[];
  readonly request: { readonly [key: string]: Json } | undefined;
  readonly calling: Calling | undefined;
  /** Whether other processes have another store than this one's. */
  readonly isAlone: boolean;
  readonly fresher: Fresher;
  /** Conversations that somebody looks at here. */
  readonly watched: Pick<ReadonlySet<string>, "has">;
  /** As long as this process works. */
  scope(): Scope | undefined;
  look(): void;
  /** What is shown may be another. */
  shown(): void;
  tellOpen(): void;
}

export interface Acting {
  /** Whether changes are being listened to, by whichever process, and all that there was is known. */
  readonly isLive: boolean;
  readonly transport: Transport["name"] | undefined;
  readonly isSignedOut: boolean;
  /** Why it is not live, in the words of what failed. */
  readonly reason: string | undefined;
  /** The server serves this app no more. */
  readonly isTooOld: boolean;
  /** What is noted of how an answer came. */
  course(response: string): Course | undefined;
  /** The process works, from now on. */
  begin(): void;
  /** See to all there is to do. */
  attend(): void;
  /** Something has changed that may help: do not wait any longer. */
  hurry(): void;
  heard(word: Word, from: string, isOurs: boolean, isOfNow: boolean): void;
  /** Another process leads. */
  demoted(): void;
  /** The process works no more. */
  end(): void;
  /** Resolves when all is sent, or nothing more can be now. */
  flush(): Promise<void>;
  resume(supplier?: Supplier): void;
  /** End the session. */
  goodbye(): Promise<void>;
  /** Choose what goes from a full store. */
  makeRoom(): Promise<readonly Write[]>;
  /** A store in memory, in place of one that nothing may be kept in. */
  fallback(): Store;
}

export type MakeActing = (around: ActingOptions) => Acting;

/** What who leads says of itself. */
interface Leads {
  readonly isLive: boolean;
  readonly transport: Transport["name"] | undefined;
  readonly isVisible: boolean;
  readonly isTooOld: boolean;
  readonly reason: string | undefined;
  /** Whether its store takes what it writes. */
  readonly isKept: boolean;
}

const SIGN_MS = 10_000;
const STEP_BACK_MS = 2_000;
const JUMP_MS = 30_000;
const FLUSH_MS = 30_000;

export function makeActing(around: ActingOptions): Acting {
  const { effects, replica, calling, watched, look } = around;
  const { clock, surroundings, leadership } = effects;
  const session = createSession(around.session);
  const ways = makeWays(around.transports, clock);
  const elsewhere = new Map<string, ReadonlySet<string>>();
  const courses = new Map<string, Course>();
  let { isAlone } = around;
  let isTooOld = false;
  let leading:
    | { readonly scope: Scope; readonly since_ms: number; readonly acts: Leading }
    | undefined;
  let leave: Stop | undefined;
  /** What a leader elsewhere last said of itself. */
  let theirs:
    | {
        readonly isLive: boolean;
        readonly transport: Transport["name"] | undefined;
        readonly reason: string | undefined;
        readonly from: string;
        readonly at_ms: number;
      }
    | undefined;
  let said = "";
  /** How far the device's clock was ahead of elapsed time when it was looked at last. */
  let clockAhead_ms: number | undefined;
  let flushes: (() => void)[] = [];

  const isWatched = (conversation: string): boolean =>
    watched.has(conversation) || [...elsewhere.values()].some((open) => open.has(conversation));

  const hasUnsent = (): boolean => replica.held.outbox.some(isUnsent);

  const situation = (): Situation => ({
    isOnline: surroundings.isOnline,
    isVisible: surroundings.isVisible,
    isSignedIn: !session.isSignedOut,
    isTooOld,
    mark: replica.held.mark,
    now_ms: clock.now_ms(),
    hasUnsent: hasUnsent(),
  });

  const attend = (): void => {
    const mayLead = surroundings.isVisible || hasUnsent();
    if (mayLead && leave === undefined) seek();
    else if (!mayLead && leave !== undefined) release();
    if (leading !== undefined) {
      noticeClock();
      leading.acts.attend(situation());
      calling?.attend(leading.scope, leading.since_ms);
      sign();
    }
    for (const settle of [...flushes]) settle();
  };

  const hurry = (): void => leading?.acts.hurry();

  const flush = (): Promise<void> =>
    new Promise((resolve) => {
      const settle = () => {
        if (around.scope() === undefined || !hasUnsent() || leading?.acts.isStuck) done();
      };
      const done = () => {
        stopWaiting();
        flushes = flushes.filter((each) => each !== settle);
        resolve();
      };
      const stopWaiting = clock.later(FLUSH_MS, done);
      flushes.push(settle);
      look();
    });

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

  // --- leading --------------------------------------------------------------------------------

  const seek = (): void => {
    const within = around.scope();
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
    around.shown();
  };

  /** Do not lead, nor seek to, for a moment: so that who else does comes before. */
  const stepBack = (): void => {
    release();
    const back = () => {};
    leave = back;
    around.scope()?.later(STEP_BACK_MS, () => {
      // Who seeks again by now is not to be forgotten: nobody else could ever lead.
      if (leave !== back) return;
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
      ids: around.ids,
      ways,
      bounds: around.bounds,
      scope: its,
      request: around.request,
      isOpen: isWatched,
      callsOf: (answer) => calling?.callsOf(answer) ?? [],
      look,
      noticeClock,
      tooOld: () => {
        isTooOld = true;
      },
    };
    leading = {
      scope: its,
      since_ms: clock.elapsed_ms(),
      acts: makeLeading(lead, around.fresher, (response, course) => courses.set(response, course)),
    };
    said = "";
    replica.tell({ asks: true });
    look();
  };

  // --- other processes ------------------------------------------------------------------------

  /** Say that this process leads, and what of it others show. */
  const sign = (): void => {
    if (leading === undefined) return;
    const { isLive, transport } = leading.acts;
    const leads: Leads = {
      isLive,
      transport,
      isVisible: surroundings.isVisible,
      isTooOld,
      reason: session.reason,
      isKept: replica.trouble === undefined,
    };
    const text = JSON.stringify(leads);
    if (text === said) return;
    said = text;
    replica.tell({ leads });
  };

  const tick = (): void => {
    said = "";
    if (elsewhere.size > 0) {
      sign();
      // Who leads may have come, or missed it.
      around.tellOpen();
    }
    // Of others nothing may ever have been heard.
    if (leading !== undefined) void replica.readOutbox();
    const isLed =
      leading !== undefined ||
      (theirs !== undefined && clock.elapsed_ms() - theirs.at_ms < 1.5 * SIGN_MS);
    if (!isLed && surroundings.isVisible) replica.tell({ asks: true, wants: true });
    around.scope()?.later(SIGN_MS, tick);
  };

  const heard = (word: Word, from: string, isOurs: boolean, isOfNow: boolean): void => {
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
      if (isAlone && !around.isAlone) {
        isAlone = false;
        stepBack();
      }
      const { isLive, transport, isVisible, isKept, reason } = leads as Leads;
      ({ isTooOld } = leads as Leads);
      // Who led before may have died between what it stored and the telling of it.
      if (theirs?.from !== from) void replica.refresh();
      theirs = {
        isLive,
        transport,
        reason,
        from,
        at_ms: isVisible ? clock.elapsed_ms() : Number.NEGATIVE_INFINITY,
      };
      if (isLive && isKept && isOfNow) void replica.caughtUp();
      if (!isVisible && surroundings.isVisible && leading === undefined)
        replica.tell({ wants: true });
      around.shown();
    }
    if (asks) {
      said = "";
      sign();
      around.tellOpen();
      if (calling?.running.length) replica.tell({ runs: calling.running });
    }
    if (wants && !surroundings.isVisible && leave !== undefined) {
      stepBack();
    }
  };

  return {
    get isLive() {
      return leading?.acts.isLive ?? theirs?.isLive ?? false;
    },
    get transport() {
      return (leading?.acts ?? theirs)?.transport;
    },
    get isSignedOut() {
      return session.isSignedOut;
    },
    get reason() {
      return leading === undefined ? (session.reason ?? theirs?.reason) : session.reason;
    },
    get isTooOld() {
      return isTooOld;
    },
    course: (response) => courses.get(response),
    begin() {
      replica.tell({ asks: true });
      around.scope()?.later(SIGN_MS, tick);
    },
    attend,
    hurry,
    heard,
    demoted: stepBack,
    end() {
      release();
      theirs = undefined;
      for (const settle of [...flushes]) settle();
    },
    flush,
    resume: session.resume,
    goodbye: session.end,
    makeRoom: () => makeRoom(replica.store, replica.held, isWatched),
    fallback: memoryStore,
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
