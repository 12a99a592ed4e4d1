// What the store says, in memory: all that is shown or decided upon is read from here. Whatever changes goes through the store first.
//
// Theory of operation. Several processes share a store. Who changes something decides by what is in memory, and commits
// it guarded by what was seen; where that is not so any more, it reads anew and decides again. Then it tells the others which keys are
// others: they read those from the store, so that what they hold is right whatever order tellings come in. Messages are numbered by
// who tells; where one is missing, all is read anew.
//
//     decide ──► commit (guards: what was seen, `epoch`, of a leader `leader`) ──► memory ──► tell the keys
//       ▲          │ not so any more          │ StoreError
//       └─ read ◄──┘                          └──► held: in memory and for the next commit that succeeds
//
// `epoch` is a word that the store got when it began: how often somebody has signed out, a name, a number. A process writes only while
// it is there. With another count, nothing is ever written again for the person who was. With the same count, or none at all, the
// browser threw the store away: then what is in memory is written again.
// `leader` names the process that leads. Who led before finds another name there, and can write nothing more.

import { applied, EMPTY, type Held, NOTHING } from "./core/held.ts";
import {
  ANSWER,
  BOOTSTRAP,
  CACHED,
  CALL,
  CONVERSATION,
  type Commit,
  FACT,
  FEEDBACK,
  ITEM,
  keyOf,
  MARK,
  OUTBOX,
  prefixOf,
  TURN,
  write,
} from "./core/keys.ts";
import { isUnsent } from "./core/outbox.ts";
import type { Effects } from "./effects.ts";
import { openScope, type Scope } from "./scope.ts";
import type { Answer, Kept } from "./state.ts";
import type { Guard, Json, Store, StoreTrouble, Write } from "./store.ts";

export const EPOCH = "epoch";
export const LEADER = "leader";

/**
 * What became of a change: it is in the store; it is in memory only, for the store takes nothing; there was nothing to
 * change, or no right to.
 */
export type Fate = "kept" | "held" | "moot";

export interface Terms {
  /** Only while this process leads. */
  readonly isLeading?: boolean;
  /** Not at all, rather than only in memory. */
  readonly isStrict?: boolean;
}

/** What one process tells the others, beside the keys that it wrote. */
export interface Word {
  readonly [field: string]: unknown;
}

export interface ReplicaOptions {
  readonly effects: Effects;
  readonly store: Store;
  /** Names this process. */
  readonly id: string;
  /** Something in memory is another. */
  changed(): void;
  /** Another process said something. `isOurs` is false where it is on another store; `isOfNow` where one of us has missed a loss of it. */
  heard(word: Word, from: string, isOurs: boolean, isOfNow: boolean): void;
  /** Another process leads. */
  demoted(): void;
  /** The person signed out, here or elsewhere. */
  ended(): void;
  /** Choose what may leave a store that is full; nothing where there is nothing. */
  makeRoom(): Promise<readonly Write[]>;
  /** A store in memory, where it can be had now. */
  fallback(): Promise<Store | undefined>;
}

export interface Replica {
  readonly held: Held;
  /** Why the store takes nothing, while it does not. */
  readonly trouble: StoreTrouble | undefined;
  readonly isEnded: boolean;
  /** Where it is kept: in memory alone, while the device's own cannot be read, or nothing may be kept there. */
  readonly store: Store;
  /** Read all that is to be in memory. Never rejects: a store that cannot be read is in trouble. */
  start(): Promise<void>;
  stop(): void;
  /** Read all of it anew. */
  refresh(): Promise<void>;
  /** Read what others have put into the outbox, whether or not they could tell. False where it cannot be read. */
  readOutbox(): Promise<boolean>;
  /** All that there is has been told: what is in memory and not in the store is gone. */
  caughtUp(): Promise<void>;
  /** Change what is stored as `decide` says, by what is in memory then. It may be asked again, where that was outrun. Never rejects. */
  change(decide: () => Commit | undefined, terms?: Terms): Promise<Fate>;
  /** Become the leader, for the store. False where that cannot be now. */
  lead(): Promise<boolean>;
  resign(): void;
  /** All keys that begin with one of these: in the store, or yet to get there. Rejects with StoreError. */
  keysUnder(prefixes: readonly string[]): Promise<string[]>;
  /** Have a conversation's items in memory. */
  open(conversation: string): Promise<void>;
  shut(conversation: string): void;
  tell(word: Word): void;
  /**
   * Remove all, so that no process of now can ever write again. `goodbye` is what else there is to be done before. Rejects with
   * StoreError where the store does not let go of it.
   */
  wipe(goodbye: () => Promise<void>): Promise<void>;
}

interface Message extends Word {
  readonly from: string;
  readonly number: number;
  readonly epoch: string;
  readonly keys?: readonly string[];
  /** In place of `keys`, where the store did not take them. */
  readonly writes?: readonly Write[];
  /** Whether `writes` is all that its process has and the store has not. */
  readonly isAll?: boolean;
}

const ENDED = "ended";
/** The entries that processes have written again since the store was lost. */
const BACK = "back";
/** Where a store cannot be read for so many tries, one goes on without it until it can be. */
const PATIENT_TRIES = 5;
/** What goes when the server tells it as a thing: read before the things, it is nowhere in neither. */
const FIRST: readonly string[] = [OUTBOX, ANSWER, CALL];
const THEN: readonly string[] = [CONVERSATION, CACHED, FEEDBACK, FACT];
const PIECE = 500;
const MOST_TRIES = 10;
const RETRY_MS = 5_000;
const ASK_MS = 500;
const LONGEST_RETRY_MS = 60_000;

export function makeReplica(options: ReplicaOptions): Replica {
  const { effects, id } = options;
  /** The device's own, or one in memory while that cannot be had. */
  let store = options.store;
  const { clock, channel } = effects;
  let held = NOTHING;
  let epoch = "";
  let trouble: StoreTrouble | undefined;
  let isEnded = false;
  let isLeader = false;
  let scope: Scope | undefined;
  let told = 0;
  let retries = 0;
  /** By key, what is in memory and not in the store. */
  const unsaved = new Map<string, Json | undefined>();
  /** Keys of what another process has in memory, and not in the store. */
  const elsewhere = new Set<string>();
  /** By key, what is in memory as it is in the store: to know it again. */
  const known = new Map<string, Json>();
  /** Of each reading that is under way, the keys that were written since it began. */
  const readings = new Set<Set<string>>();
  const stale = new Set<string>();
  /** Whether something was missed, so that all has to be read. */
  let isBehind = false;
  let catching: Promise<void> | undefined;
  /** Whether more is in memory than in the store, which was lost, and is filled again. */
  let isAhead = false;
  /** Whether the store has been read. */
  let isEntered = false;
  let unread = 0;
  /** In elapsed time, when others were asked for what was missed. */
  let asked_ms = Number.NEGATIVE_INFINITY;
  const numbers = new Map<string, number>();
  let waiting = () => {};
  let last: Promise<unknown> = Promise.resolve();

  // --- memory ---------------------------------------------------------------------------------

  const isOpen = (key: string): boolean => held.shelves.has(key.split("/")[1] ?? "");
  const isHeld = (key: string): boolean => !key.startsWith(ITEM) || isOpen(key);

  const apply = (writes: Iterable<Write>): void => {
    const ours: Write[] = [];
    for (const each of writes) {
      const [key, value] = each;
      for (const reading of readings) reading.add(key);
      if (!isHeld(key)) continue;
      if (value === undefined) known.delete(key);
      else if (!key.startsWith(TURN) || isOpen(key)) known.set(key, value);
      ours.push(each);
    }
    if (ours.length === 0) return;
    held = applied(held, ours);
    options.changed();
  };

  /** Read keys, or prefixes, and have in memory what is found: unless it was written meanwhile. */
  const take = async (read: () => Promise<Iterable<Write>>, prefixes: readonly string[] = []) => {
    const reading = new Set<string>();
    const ours = epoch;
    readings.add(reading);
    let found: Map<string, Json | undefined>;
    try {
      found = new Map(await read());
      // What is not there may be so because nothing is there any more.
      const [word] = await store.get([EPOCH]);
      if (word !== ours && !unsaved.has(EPOCH)) {
        if (word === epoch) void refresh();
        else void inTurn(() => see([]));
        return;
      }
    } finally {
      readings.delete(reading);
    }
    for (const key of known.keys()) {
      if (found.has(key) || isAhead) continue;
      if (prefixes.some((each) => key.startsWith(each))) found.set(key, undefined);
    }
    const others = [...found].filter(
      ([key, value]) =>
        !unsaved.has(key) && JSON.stringify(known.get(key)) !== JSON.stringify(value),
    );
    apply(others.filter(([key]) => !reading.has(key)));
    // Which of both was later nobody knows.
    for (const [key] of others) if (reading.has(key)) stale.add(key);
    if (stale.size > 0) void catchUp();
  };

  /**
   * Read keys. What is gone of what comes first has become things, whose keys nobody may have told yet: so its conversation is
   * read behind it.
   */
  const takeKeys = (keys: readonly string[]) => {
    const prefixes: string[] = [];
    return take(async () => {
      const values = await store.get(keys);
      const gone = keys.filter(
        (key, at) => values[at] === undefined && known.has(key) && isFirst(key),
      );
      const conversations = new Set(gone.map((key) => conversationOf(known.get(key))));
      for (const each of conversations)
        if (held.shelves.has(each)) prefixes.push(...shelfPrefixes(each));
      const names = [...conversations].map((each) => keyOf(CONVERSATION, each));
      const [told, ...lists] = await Promise.all([
        store.get(gone.length > 0 ? names : []),
        ...prefixes.map((prefix) => store.list(prefix)),
      ]);
      return [
        ...keys
          .map((key, at) => [key, values[at]] as const)
          .filter(([key, value]) => value !== undefined || !elsewhere.has(key)),
        ...told.map((value, at) => [names[at] ?? "", value] as const),
        ...lists.flat(),
      ];
    }, prefixes);
  };

  const takeAll = async (prefix: string): Promise<void> => {
    await take(() => store.list(prefix), [prefix]);
  };

  /** Who has read what: no first look needs it. */
  const takeTurns = async (of: Scope): Promise<void> => {
    for (let after: string | undefined = ""; after !== undefined && !of.isOver; ) {
      let listed: [string, Json][] = [];
      const listing = { limit: PIECE, ...(after && { after }) };
      await take(async () => {
        listed = await store.list(TURN, listing);
        return listed;
      });
      after = listed.length === PIECE ? listed.at(-1)?.[0] : undefined;
    }
  };

  const takeWhole = async (): Promise<void> => {
    const prefixes = [...THEN, ...[...held.shelves.keys()].flatMap(shelfPrefixes)];
    await take(async () => {
      const first = await Promise.all(FIRST.map((prefix) => store.list(prefix)));
      const keys = [MARK, BOOTSTRAP];
      const [values, ...then] = await Promise.all([
        store.get(keys),
        ...prefixes.map((prefix) => store.list(prefix)),
      ]);
      return [
        ...keys.map((key, at) => [key, values[at]] as const),
        ...first.flat(),
        ...then.flat(),
      ];
    }, [...FIRST, ...prefixes]);
  };

  // --- the store's life -----------------------------------------------------------------------

  const enter = async (): Promise<void> => {
    for (;;) {
      const [found] = await store.get([EPOCH]);
      const [count = "0", name] = typeof found === "string" ? found.split(".") : [];
      if (name !== undefined && name !== ENDED) {
        epoch = String(found);
        break;
      }
      // Whoever signed out may not have come to the end of it.
      if (name === ENDED) await store.wipe();
      const word = `${count}.${id}.0`;
      try {
        if (!(await store.commit([[EPOCH, word]], [{ key: EPOCH, is: undefined }]))) continue;
      } catch (error) {
        if (troubleOf(error) !== "full") throw error;
        unsaved.set(EPOCH, word);
        mend("full");
      }
      epoch = word;
      break;
    }
    await takeWhole();
    isEntered = true;
    unread = 0;
  };

  /** Enter a store that could not be read until now: of what was held without it only what is unsent gets there. */
  const enterLate = async (): Promise<void> => {
    await store.get([EPOCH]);
    for (const key of unsaved.keys()) if (!key.startsWith(OUTBOX)) unsaved.delete(key);
    isAhead = true;
    await enter();
    demote();
  };

  const finish = (): void => {
    if (isEnded) return;
    isEnded = true;
    held = NOTHING;
    known.clear();
    unsaved.clear();
    resign();
    options.ended();
    options.changed();
  };

  /** Another word is there than ours: the person signed out, or the store was lost and began anew. */
  const meet = async (found: Json | undefined): Promise<void> => {
    const [count, name, number] = epoch.split(".");
    if (found === undefined) {
      const word = `${count}.${name}.${Number(number) + 1}`;
      // The mark that they go with is of the store that was lost.
      for (const key of unsaved.keys()) if (!key.startsWith(OUTBOX)) unsaved.delete(key);
      const ours = [
        ...own(),
        write(
          BACK,
          held.outbox.map(({ entry }) => entry.id),
        ),
      ];
      if (
        await store.commit([[EPOCH, word], ...ours, ...unsaved], [{ key: EPOCH, is: undefined }])
      ) {
        saved(unsaved);
        epoch = word;
        isAhead = true;
        apply([[MARK, undefined]]);
      }
    } else if (
      typeof found === "string" &&
      found.split(".")[0] === count &&
      found.split(".")[1] !== ENDED
    ) {
      epoch = found;
      isAhead = true;
      for (const kept of held.outbox.filter(isUnsent)) await bringBack(kept);
      await takeWhole();
    } else {
      finish();
      return;
    }
    demote();
  };

  /** Write again what was lost with the store. What came back there before, and is gone, was taken back. */
  const bringBack = async (kept: Kept): Promise<void> => {
    const { id: name } = kept.entry;
    const key = keyOf(OUTBOX, name);
    for (let isBack = false; !isBack; ) {
      const [word, there, back] = await store.get([EPOCH, key, BACK]);
      const names = (back ?? []) as readonly string[];
      isBack =
        word !== epoch ||
        (there === undefined ? names.includes(name) : !isFurther(kept, there as unknown as Kept)) ||
        (await store.commit(
          [write(key, kept), write(BACK, [...names, name])],
          [...fences(false), { key, is: there }, { key: BACK, is: back }],
        ));
    }
  };

  const own = (): Write[] => [
    ...held.outbox.map((kept) => write(keyOf(OUTBOX, kept.entry.id), kept)),
    ...making(),
  ];

  /** What no change tells of. */
  const making = (): Write[] => [
    ...[...held.answers.values()].map((answer) =>
      write(keyOf(ANSWER, answer.conversation, answer.response), answer),
    ),
    ...[...held.calls].map(([key, call]) => write(key, call)),
  ];

  const resign = (): void => {
    isLeader = false;
    const lost = [...unsaved.keys()].filter((key) => !key.startsWith(OUTBOX) && key !== EPOCH);
    for (const key of lost) unsaved.delete(key);
    // Who leads next is told it again.
    if (lost.length === 0 || isEnded || !isEntered) return;
    isAhead = true;
    apply([[MARK, undefined]]);
    void refresh();
  };

  const demote = (): void => {
    if (!isLeader) return;
    resign();
    options.demoted();
  };

  // --- changes --------------------------------------------------------------------------------

  /** One change at a time, so that each decides by what the one before left. */
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const next = last.then(act);
    last = next.catch(() => {});
    return next;
  };

  /** What was in memory only is in the store: a reading that began before may have missed it. */
  const saved = (writes: Iterable<Write>): void => {
    for (const [key] of writes) {
      unsaved.delete(key);
      for (const reading of readings) reading.add(key);
    }
  };

  /** Commit with what is unsaved, while this is the process's own store, and, of a leader, while it leads. */
  const commit = async (
    writes: readonly Write[],
    seen: readonly Guard[],
    isLeading = false,
  ): Promise<boolean | StoreTrouble> => {
    if (!isEntered) {
      try {
        await enterLate();
      } catch (error) {
        return troubleOf(error);
      }
    }
    const guards = [...fences(isLeading && isLeader), ...seen];
    // What is full still lets go of things.
    const isLess =
      trouble === "full" && writes.length > 0 && writes.every(([, value]) => value === undefined);
    try {
      const all = isLess || unsaved.size === 0 ? writes : [...new Map([...unsaved, ...writes])];
      const isDone = await store.commit(
        all,
        guards.filter(({ key }) => !unsaved.has(key)),
      );
      if (isDone) {
        saved(all);
        if (!isLess && store === options.store) mend(undefined);
        tell({ keys: all.map(([key]) => key).filter((key) => key !== EPOCH && key !== LEADER) });
      }
      return isDone;
    } catch (error) {
      const found = troubleOf(error);
      if (found === "denied") await goWithout(found);
      return store === options.store && found === "denied" ? "broken" : found;
    }
  };

  /** Go on in memory alone: for good where nothing may be kept; else until the store can be read. */
  const goWithout = async (found: StoreTrouble): Promise<void> => {
    epoch ||= `0.${id}.0`;
    const memory = await options.fallback();
    if (memory === undefined) {
      mend("broken");
      return;
    }
    store = memory;
    await store.commit([[EPOCH, epoch], ...own(), ...unsaved]);
    saved(unsaved);
    isEntered = true;
    isAhead = true;
    apply([[MARK, undefined]]);
    mend(found);
    demote();
  };

  const comeBack = async (): Promise<void> => {
    await options.store.get([EPOCH]);
    store = options.store;
    isEntered = false;
    for (const kept of held.outbox)
      unsaved.set(keyOf(OUTBOX, kept.entry.id), kept as unknown as Json);
    await enterLate();
  };

  const fences = (isLeading: boolean | undefined): Guard[] => [
    { key: EPOCH, is: epoch },
    ...(isLeading ? [{ key: LEADER, is: id }] : []),
  ];

  const attempt = async (
    decide: () => Commit | undefined,
    { isLeading, isStrict }: Terms,
  ): Promise<Fate> => {
    let hasMadeRoom = false;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (isEnded || (isLeading && !isLeader)) return "moot";
      const decided = decide();
      if (decided === undefined || decided.writes.length === 0) return "moot";
      // What others were told of, and the store does not have, may be under way there.
      const isElsewhere = !isLeader && numbers.size > 0;
      if (isStrict && isElsewhere && decided.writes.some(([key]) => unsaved.has(key)))
        return "moot";
      const outcome = await commit(decided.writes, decided.guards, isLeading);
      if (outcome === true) {
        apply(decided.writes);
        return "kept";
      }
      if (outcome === false) {
        await see(decided.guards.map(({ key }) => key));
        continue;
      }
      if (outcome === "full" && !hasMadeRoom) {
        hasMadeRoom = true;
        if (await clear()) continue;
      }
      if (outcome === "denied") continue;
      mend(outcome);
      // What went with it was dropped.
      if (isLeading && !isLeader) return "moot";
      if (isStrict && decided.writes.some(([key]) => !unsaved.has(key))) return "moot";
      for (const [key, value] of decided.writes) unsaved.set(key, value);
      apply(decided.writes);
      tell({ writes: decided.writes });
      return "held";
    }
    return "moot";
  };

  /** A guard did not hold: see what is there by now. */
  const see = async (keys: readonly string[]): Promise<void> => {
    try {
      const [found, leader] = await store.get([EPOCH, LEADER]);
      if (found !== epoch) await meet(found);
      else if (leader !== id) demote();
      await takeKeys(keys.filter((key) => key !== EPOCH && key !== LEADER));
    } catch (error) {
      missed(error);
    }
  };

  const clear = async (): Promise<boolean> => {
    try {
      const writes = await options.makeRoom();
      if (writes.length === 0 || !(await store.commit(writes, fences(false)))) return false;
      apply(writes);
      return true;
    } catch {
      return false;
    }
  };

  const mend = (found: StoreTrouble | undefined): void => {
    if (found === undefined) {
      retries = 0;
      if (isBehind) void catchUp();
    } else if (found !== "denied" && scope !== undefined) {
      const delay_ms = Math.min(RETRY_MS * 2 ** retries, LONGEST_RETRY_MS);
      retries += 1;
      waiting();
      waiting = scope.later(delay_ms, () => void inTurn(retry));
    }
    if (trouble === found) return;
    trouble = found;
    options.changed();
  };

  /** Something could not be read: all is read once the store works again. */
  const missed = (error: unknown): void => {
    isBehind = true;
    mend(troubleOf(error));
  };

  const retry = async (): Promise<void> => {
    if (isEnded || trouble === undefined) return;
    if (store !== options.store) await comeBack().catch((error: unknown) => mend(troubleOf(error)));
    const outcome = await commit([], [], isLeader);
    if (outcome === true) return;
    if (outcome === false) await see([]);
    mend(outcome || "broken");
  };

  // --- other processes ------------------------------------------------------------------------

  const tell = (word: Word): void => {
    if (scope === undefined || isEnded || (Array.isArray(word.keys) && word.keys.length === 0))
      return;
    told += 1;
    channel.tell({ ...word, from: id, number: told, epoch } satisfies Message);
  };

  const hear = (message: unknown): void => {
    if (typeof message !== "object" || message === null || !("from" in message)) return;
    const { from, number, epoch: theirs, keys, writes, isAll, ended, ...word } = message as Message;
    // Whose they are is not known before it is known whose this is: then all is read anyway.
    if (from === id || isEnded || epoch === "") return;
    const isOurs = isSameStore(theirs, epoch);
    if (isOurs && ended) {
      finish();
      return;
    }
    if (isOurs) {
      const isNext = numbers.get(from) === number - 1 || number === 1;
      if (!isNext) void refresh();
      // What was missed before may be nowhere else than there: it comes first.
      if (isNext || isAll || (writes === undefined && trouble === undefined))
        numbers.set(from, number);
      else {
        // Where many are lost, answers make for more questions.
        if (clock.elapsed_ms() - asked_ms > ASK_MS) {
          asked_ms = clock.elapsed_ms();
          tell({ asks: true, misses: true });
        }
        if (writes !== undefined) return;
      }
      for (const [key, value] of writes ?? []) {
        elsewhere.add(key);
        if ((isLeader && key.startsWith(OUTBOX)) || unsaved.has(key)) unsaved.set(key, value);
      }
      if (writes !== undefined) {
        isAhead = true;
        // What is not open is not held here: who leads next is told it again, from where the store is. Who leads knows best
        // what the server told, and hears late what one told that led before.
        apply(writes.filter(([key]) => (isLeader ? isOfAll(key) : key !== MARK)));
      }
      for (const key of keys ?? []) {
        elsewhere.delete(key);
        // One that led before, and slept, may have stored what it was told then.
        if (isLeader && unsaved.has(key) && !isOfAll(key)) continue;
        unsaved.delete(key);
        if (isHeld(key)) stale.add(key);
      }
      if (stale.size > 0) void catchUp();
      // Who has just come has read only what the store took.
      if (word.misses || (word.asks && unsaved.size > 0))
        tell({ writes: [...unsaved], isAll: true });
    }
    if (Object.keys(word).length > 0) options.heard(word, from, isOurs, theirs === epoch);
  };

  const catchUp = (): Promise<void> => {
    catching ??= catchUpNow().finally(() => {
      catching = undefined;
    });
    return catching;
  };

  /** One reading at a time, so that what is shown never goes back. */
  const catchUpNow = async (): Promise<void> => {
    try {
      while ((isBehind || stale.size > 0) && !isEnded && isEntered) {
        if (isBehind) {
          isBehind = false;
          await takeWhole();
          if (scope !== undefined) takeTurns(scope).catch(missed);
          continue;
        }
        const keys = [...stale];
        stale.clear();
        await takeKeys(keys);
      }
    } catch (error) {
      missed(error);
    }
  };

  const refresh = (): Promise<void> => {
    isBehind = true;
    return catchUp();
  };

  // --- outside --------------------------------------------------------------------------------

  const start = async (): Promise<void> => {
    const its = openScope(clock);
    scope = its;
    its.own(channel.hear(hear));
    for (let tries = 0; tries < 3 && !its.isOver; tries++) {
      try {
        await enter();
        if (trouble === "broken") mend(undefined);
        takeTurns(its).catch(missed);
        return;
      } catch (error) {
        const found = troubleOf(error);
        if (found === "denied") {
          await goWithout(found);
          return;
        }
        mend(found);
        await new Promise<void>((resolve) => {
          its.own(resolve);
          its.later(100 * 4 ** tries, resolve);
        });
      }
    }
    epoch ||= `0.${id}.0`;
  };

  return {
    get held() {
      return held;
    },
    get trouble() {
      return trouble;
    },
    get isEnded() {
      return isEnded;
    },
    get store() {
      return store;
    },
    start,
    stop() {
      resign();
      scope?.end();
      scope = undefined;
    },
    refresh,
    async readOutbox() {
      if (!isEntered) return false;
      try {
        // What is gone has become things, which others tell of.
        await take(() => store.list(OUTBOX));
        return true;
      } catch (error) {
        mend(troubleOf(error));
        return false;
      }
    },
    async caughtUp() {
      if (!isAhead) return;
      isAhead = false;
      elsewhere.clear();
      if (isLeader)
        await inTurn(() => attempt(() => ({ writes: making(), guards: [] }), { isLeading: true }));
      await refresh();
    },
    change: (decide, terms = {}) => inTurn(() => attempt(decide, terms)),
    lead: () =>
      inTurn(async () => {
        if (isEnded) return false;
        const outcome = await commit([[LEADER, id]], []);
        if (outcome === "denied") return false;
        if (!isEntered) {
          unread += 1;
          if (unread >= PATIENT_TRIES) await goWithout("broken");
          else mend("broken");
          return false;
        }
        if (outcome === false) await see([]);
        if (outcome === false || isEnded) return false;
        if (outcome !== true) {
          mend(outcome);
          unsaved.set(LEADER, id);
        }
        // What others told of, and the store does not have, is its to store now.
        for (const kept of held.outbox) {
          const key = keyOf(OUTBOX, kept.entry.id);
          if (elsewhere.has(key) || (isAhead && outcome !== true))
            unsaved.set(key, kept as unknown as Json);
        }
        elsewhere.clear();
        isLeader = true;
        await refresh();
        return isLeader;
      }),
    resign,
    async keysUnder(prefixes) {
      const lists = isEntered
        ? await Promise.all(prefixes.map((prefix) => store.list(prefix)))
        : [];
      const ours = [...known.keys(), ...unsaved.keys()].filter((key) =>
        prefixes.some((prefix) => key.startsWith(prefix)),
      );
      return [...new Set([...lists.flat().map(([key]) => key), ...ours])];
    },
    async open(conversation) {
      if (held.shelves.has(conversation)) return;
      const prefixes = shelfPrefixes(conversation);
      const isIts = (key: string) => prefixes.some((prefix) => key.startsWith(prefix));
      const shelves = new Map([...held.shelves, [conversation, EMPTY]]);
      held = applied(
        { ...held, shelves },
        [...unsaved].filter(([key]) => isIts(key)),
      );
      for (const key of known.keys()) if (isIts(key)) known.delete(key);
      if (!isEntered) return;
      await Promise.all(prefixes.map(takeAll)).catch(missed);
    },
    shut(conversation) {
      const shelves = new Map(held.shelves);
      if (!shelves.delete(conversation)) return;
      held = { ...held, shelves };
      const prefix = prefixOf(ITEM, conversation);
      for (const key of known.keys()) if (key.startsWith(prefix)) known.delete(key);
    },
    tell,
    async wipe(goodbye) {
      if (!isEnded)
        channel.tell({ ended: true, from: id, number: told + 1, epoch } satisfies Message);
      finish();
      await inTurn(async () => {
        // Who begins anew in between finds that it has ended, and removes the rest.
        const word = `${Number(epoch.split(".")[0]) + 1}.${ENDED}`;
        await store.commit([[EPOCH, word]]).catch(() => {});
        await goodbye();
        await options.store.wipe();
        await options.store.commit([[EPOCH, word]]);
        // Who took the empty store for a lost one may have filled it before that word was there again, and can no more.
        const left = await options.store.list("");
        await options.store.commit(
          left.filter(([key]) => key !== EPOCH).map(([key]) => [key, undefined] as const),
        );
      });
    },
  };
}

/** Whether an entry may have left the device, and who wrote it again did not know. */
function isFurther(ours: Kept, theirs: Kept): boolean {
  return ours.isUnclear && !theirs.isUnclear;
}

/** Whether two words are of one store, which may have been lost between them. */
function isSameStore(one: string, other: string): boolean {
  return one.slice(0, one.lastIndexOf(".")) === other.slice(0, other.lastIndexOf("."));
}

/** Whether others write it than who leads. */
function isOfAll(key: string): boolean {
  return key.startsWith(OUTBOX) || key.startsWith(CALL);
}

function isFirst(key: string): boolean {
  return FIRST.some((prefix) => key.startsWith(prefix));
}

function conversationOf(value: Json | undefined): string {
  const { conversation, entry } = value as unknown as Partial<Answer & Kept>;
  return conversation ?? (entry !== undefined && "conversation" in entry ? entry.conversation : "");
}

function shelfPrefixes(conversation: string): string[] {
  return [prefixOf(ITEM, conversation), prefixOf(TURN, conversation)];
}

function troubleOf(error: unknown): StoreTrouble {
  return (error as { readonly trouble?: StoreTrouble } | undefined)?.trouble ?? "broken";
}
