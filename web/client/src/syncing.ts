// What was done here goes to the server, and what has changed there comes here: by one exchange at a time, and by one feed
// of changes, of which only one moves the cursor.
//
//     catching up:  POST /api/sync {cursor, push} ──► results, changes and cursor in one commit, page after page
//     live:         the feed ──► changes and cursor in one commit;  POST /api/sync {limit: 0, push} ──► results
//
// Crash points: an entry is marked as sending before its bytes leave, so what is found so at a start is sent again as it
// is; a reply that is not committed is as one that was lost; a page that is not committed is told again.

import { ask, type Reply } from "./asking.ts";
import type { Activity } from "./core/activity.ts";
import { begin as beginAnswer, isTold } from "./core/answer.ts";
import type { Cached, Held, Stored } from "./core/held.ts";
import {
  ANSWER,
  BOOTSTRAP,
  CACHED,
  type Commit,
  ITEM,
  keyOf,
  OUTBOX,
  prefixOf,
  TURN,
  write,
} from "./core/keys.ts";
import { isAsking, isUnsent, itemOf, thingOf } from "./core/outbox.ts";
import { isOver } from "./core/said.ts";
import {
  due,
  expire,
  lost,
  refuse,
  sending,
  settle,
  settleAll,
  spared,
  took,
} from "./core/sending.ts";
import { type Page, prefixesGone, sweep, THINGS, takePage, whole } from "./core/things.ts";
import type { Stop } from "./effects.ts";
import { openLane } from "./lane.ts";
import { both, type Lead } from "./lead.ts";
import type { SessionWiring } from "./session.ts";
import type { Answer, Kept } from "./state.ts";
import type { Json, Write } from "./store.ts";
import type { Ending, Told, Transport } from "./transport.ts";
import type { Bootstrap, Change, ItemTold, SyncAnswer, SyncResult, TurnTold } from "./wire.ts";

export interface Syncing {
  /** Whether changes are being listened to, all that there was is known, and by which way. */
  readonly isLive: boolean;
  readonly transport: Transport["name"] | undefined;
  /** Whether something is on its way to the server. */
  readonly isBusy: boolean;
  /** Whether there is nothing to be sent now, or what was sent failed and waits. */
  readonly isIdle: boolean;
  /** Do what is to be done now. */
  attend(activity: Activity): void;
  /** Something has changed that may help: do not wait any longer. */
  hurry(): void;
}

const PAGE = 200;
const PIECE = 500;
const WELL_MS = 5_000;
const LONGEST_SLEEP_MS = 60_000;
const MARK_AGE_MS = 3_600_000;
/** How often a store that takes nothing is asked before entries are sent that it does not know to be under way. */
const PATIENT_TRIES = 3;

export function makeSyncing(lead: Lead, toldKeys: (keys: readonly string[]) => void): Syncing {
  const { effects, replica, session, scope, ways } = lead;
  const { clock } = effects;
  const pushes = openLane(effects);
  const feeds = openLane(effects);
  let isBusy = false;
  let isPulling = false;
  let taking: Promise<unknown> = Promise.resolve();
  let most = Number.POSITIVE_INFINITY;
  let untaken = 0;
  let closeFeed: Stop | undefined;
  let transport: Transport["name"] | undefined;
  let isLive = false;
  let isAsked = false;
  let opened_ms = 0;
  let sleep: Stop = () => {};
  let activity: Activity = "off";
  /** Entries that were done when the server last said that it had told all. */
  let before = new Set<string>();

  const now = () => clock.now_ms();
  const change = (decide: () => Commit | undefined, isStrict = false) => {
    lead.noticeClock();
    return replica.change(decide, { isLeading: true, isStrict });
  };
  const bounds = () => {
    const terms = replica.held.bootstrap?.sync;
    return {
      entries: Math.min(terms?.most_entries ?? 100, most),
      bytes: (terms?.most_bytes ?? 4_000_000) / 2,
    };
  };

  // --- when -----------------------------------------------------------------------------------

  const attend = (next: Activity): void => {
    activity = next;
    sleep();
    if (scope.isOver) return;
    if (activity !== "live") shutFeed();
    if (expire(replica.held.outbox, now()).writes.length > 0)
      void change(() => expire(replica.held.outbox, now()));
    if (activity === "off") return;
    const wakes: number[] = [];
    if (activity === "live" && closeFeed === undefined && !isPulling) {
      if (feeds.wait_ms === 0) openFeed();
      else wakes.push(feeds.wait_ms);
    }
    if (!isBusy) {
      const { batch, wake_ms } = due(replica.held.outbox, now(), bounds());
      const isPull = activity === "catching_up";
      if (batch.length > 0 || isPull) {
        if (pushes.wait_ms === 0) void exchange(isPull);
        else wakes.push(pushes.wait_ms);
      }
      if (wake_ms !== undefined) wakes.push(wake_ms - now());
    }
    // Not too long, for the device's clock may jump.
    if (wakes.length > 0)
      sleep = scope.later(Math.max(Math.min(...wakes, LONGEST_SLEEP_MS), 1), lead.look);
  };

  // --- exchanges ------------------------------------------------------------------------------

  const exchange = async (isPull: boolean): Promise<void> => {
    isBusy = true;
    isPulling = isPull;
    try {
      await exchangeOnce(isPull);
    } catch {
      // What came makes no sense; it may next time.
      pushes.failed();
    }
    isBusy = false;
    isPulling = false;
    lead.look();
  };

  const exchangeOnce = async (isPull: boolean): Promise<void> => {
    let batch: readonly Kept[] = [];
    // What was said before in another process goes before.
    if (!(await replica.readOutbox()) && untaken < PATIENT_TRIES) {
      untaken += 1;
      pushes.failed();
      return;
    }
    const fate = await change(() => {
      batch = due(replica.held.outbox, now(), bounds()).batch;
      return batch.length > 0 ? sending(batch) : undefined;
    }, untaken < PATIENT_TRIES);
    const isMarked = batch.length === 0 || fate !== "moot";
    untaken = isMarked ? 0 : untaken + 1;
    if (!scope.isOver && isMarked && (isPull || batch.length > 0)) await send(batch, isPull);
    else if (!isMarked) pushes.failed();
  };

  const send = async (batch: readonly Kept[], isPull: boolean): Promise<void> => {
    const cursor = replica.held.mark?.cursor || undefined;
    const body = JSON.stringify({
      ...(cursor !== undefined && { cursor }),
      // Nothing at all can be told of no place; what is told instead is passed over, for the first sync tells it again.
      limit: isPull ? PAGE : cursor === undefined ? 1 : 0,
      ...(batch.length > 0 && { push: batch.map(({ entry }) => entry) }),
    });
    const reply = await ask(clock, session, scope, "/api/sync", { method: "POST", body });
    if (scope.isOver) return;
    if (reply.was === "answered") {
      const told = reply.body as SyncAnswer;
      const page: Page | undefined = isPull
        ? {
            changes: told.changes,
            cursor: told.cursor,
            isReset: told.reset ?? false,
            isEnd: !told.has_more,
          }
        : undefined;
      pushes.went();
      most = Math.min(most * 2, 1e6);
      await take(page, batch, told.results ?? [], cursor);
      return;
    }
    await fail(reply, batch);
  };

  const fail = async (
    reply: Exclude<Reply, { was: "answered" }>,
    batch: readonly Kept[],
  ): Promise<void> => {
    if (reply.was === "lost") {
      await change(() => lost(replica.held.outbox));
      pushes.failed(reply.retryAfter_s);
      return;
    }
    const { status, error } = reply.was === "refused" ? reply : { status: 0, error: undefined };
    const isUnreadable = (status === 400 || status === 413) && error !== undefined;
    const [only] = batch;
    if (isUnreadable && batch.length === 1 && only !== undefined) {
      const key = only.entry.id;
      await change(() => {
        const kept = replica.held.outbox.find(({ entry }) => entry.id === key);
        return kept && refuse(kept, error);
      });
      return;
    }
    await change(() => spared(replica.held.outbox));
    if (isUnreadable && batch.length > 1) {
      most = Math.ceil(batch.length / 2);
      return;
    }
    if (status === 426) lead.tooOld();
    pushes.failed(reply.retryAfter_s);
  };

  // --- pages ----------------------------------------------------------------------------------

  /** One page at a time, in the order in which they came. */
  const take = (...given: Parameters<typeof takeOne>): Promise<void> => {
    const next = taking.then(() => takeOne(...given));
    taking = next.catch(() => {});
    return next;
  };

  /** `behind` is the cursor that a page is told for, where something else may have moved it meanwhile. */
  const takeOne = async (
    asked: Page | undefined,
    batch: readonly Kept[],
    results: readonly SyncResult[],
    behind = replica.held.mark?.cursor,
  ): Promise<void> => {
    const page =
      (replica.held.mark?.cursor || undefined) === (behind || undefined) ? asked : undefined;
    const cached = () => page?.changes.map(({ id = "" }) => replica.held.cached.get(id));
    const seen = cached();
    const prefixes = prefixesGone(page?.changes ?? []);
    const keysGone = await replica.keysUnder(prefixes);
    let isOutrun = false;
    let mustSweep = false;
    let written: readonly Write[] = [];
    const fate = await change(() => {
      const { held } = replica;
      // What was filled in since of a conversation that goes has keys that are not listed.
      isOutrun = prefixes.length > 0 && !!cached()?.some((each, at) => each !== seen?.[at]);
      if (isOutrun) return undefined;
      let commit: Commit = { writes: [], guards: [] };
      if (batch.length > 0)
        commit = took(batch, results, held.outbox, now(), () => lead.ids.next(now()));
      if (page !== undefined) {
        const outbox = overlaid(held.outbox, commit.writes);
        const taken = takePage(held.mark, page, keysGone, now());
        mustSweep = taken.mustSweep;
        commit = both(commit, settle(outbox, page.changes));
        commit = both(commit, {
          writes: [...taken.writes, ...measured(held, page.changes, taken.writes)],
          guards: [],
        });
      }
      written = begun(held, commit.writes, page?.changes ?? []);
      written = [...new Map([...written, ...commit.writes])];
      return { ...commit, writes: written };
    });
    if (page === undefined || scope.isOver) return;
    if (isOutrun) return takeOne(asked, batch, results, behind);
    // What comes behind it must not be taken in its place.
    if (fate === "moot") throw new Error("The page could not be taken.");
    toldKeys(written.map(([key]) => key));
    if (mustSweep) await sweepAll();
    // Where the store was lost since, not all that it had is told again.
    if (page.isEnd && replica.held.mark !== undefined) await replica.caughtUp();
    await tidy(page.isEnd);
  };

  const sweepAll = async (): Promise<void> => {
    const mark = replica.held.mark;
    if (mark === undefined) return;
    try {
      for (const prefix of THINGS) {
        for (let after: string | undefined = ""; after !== undefined; ) {
          const piece: [string, Json][] = await replica.store.list(prefix, {
            limit: PIECE,
            ...(after && { after }),
          });
          after = piece.length === PIECE ? piece.at(-1)?.[0] : undefined;
          const writes = sweep(piece, mark.generation);
          if (writes.length > 0) await change(() => ({ writes, guards: [] }));
          if (scope.isOver) return;
        }
      }
      await change(() => ({ writes: [whole(mark).write], guards: [] }));
    } catch {
      // The mark stays partial: it is swept at the next end.
    }
  };

  /** Answers that the changes tell by now go, and calls whose outputs have arrived. */
  const tidy = async (isEnd: boolean): Promise<void> => {
    for (const answer of replica.held.answers.values()) {
      const { conversation, response } = answer;
      const items = answer.output.map(({ id }) => id ?? "");
      const key = keyOf(ANSWER, conversation, response);
      let asked: ReturnType<Lead["callsOf"]> = [];
      try {
        const [turn, ...found] = await replica.store.get([
          keyOf(TURN, conversation, response),
          ...items.map((item) => keyOf(ITEM, conversation, item)),
        ]);
        const tick = (turn as unknown as Stored<TurnTold> | undefined)?.told;
        const hasItem = (id: string) => found[items.indexOf(id)] !== undefined;
        // A conversation that has just begun here may be yet to be told.
        const { conversations, outbox } = replica.held;
        const isAwaited = outbox.some(({ entry }) => thingOf(entry) === conversation);
        const isGone =
          isEnd && tick === undefined && !isAwaited && !conversations.has(conversation);
        if (!isGone && !isTold(answer, tick, hasItem, isEnd)) continue;
        // Its end was not heard: what it wants done here is in what was told.
        if (answer.isOurs && !isOver(answer) && tick?.state !== "failed")
          asked = lead.callsOf(await told(answer));
      } catch {
        return;
      }
      await change(() => {
        const { answers, calls } = replica.held;
        if (answers.get(response) !== answer) return undefined;
        const writes = asked
          .filter(([each]) => !calls.has(each))
          .map(([each, call]) => write(each, call));
        return { writes: [[key, undefined], ...writes], guards: [] };
      });
    }
    await change(() => {
      const { calls, outbox } = replica.held;
      const told = new Set(
        outbox.flatMap(({ entry }) =>
          entry.type === "outputs" ? entry.outputs.map(({ call_id }) => call_id) : [],
        ),
      );
      const open = new Set(
        [...calls.values()]
          .filter((call) => call.output === undefined)
          .map(({ response }) => response),
      );
      const over = [...calls].filter(
        ([, call]) => !open.has(call.response) && !told.has(call.call),
      );
      return { writes: over.map(([key]) => [key, undefined] as const), guards: [] };
    });
  };

  const told = async (answer: Answer): Promise<Answer> => {
    const listed = await replica.store.list(prefixOf(ITEM, answer.conversation));
    const items = listed.map(([, value]) => (value as unknown as Stored<ItemTold>).told);
    const output = items.flatMap(({ item, response }) =>
      item && response === answer.response ? [item] : [],
    );
    return { ...answer, phase: "done", output };
  };

  // --- the feed -------------------------------------------------------------------------------

  const shutFeed = (): void => {
    closeFeed?.();
    closeFeed = undefined;
    isLive = false;
    transport = undefined;
  };

  const openFeed = (): void => {
    const way = ways.choose();
    const cursor = replica.held.mark?.cursor;
    if (way === undefined || cursor === undefined) return;
    const wiring = session.wiring();
    const queue: Told[] = [];
    let isTaking = false;
    let isOff = false;
    transport = way.name;
    opened_ms = clock.elapsed_ms();
    const takeAll = async (): Promise<void> => {
      if (isTaking) return;
      isTaking = true;
      try {
        for (
          let next = queue.shift();
          next !== undefined && !scope.isOver && !isOff;
          next = queue.shift()
        ) {
          await heard(next, queue);
        }
      } catch {
        leave();
        ended({ why: "lost", retryAfter_s: undefined }, way.name, wiring);
        feeds.failed();
      }
      isTaking = false;
    };
    const stop = way.listen(
      wiring,
      { kind: "changes", cursor },
      {
        told: (told) => {
          queue.push(told);
          void takeAll();
        },
        ended: (ending) => {
          if (isOff) return;
          isOff = true;
          leave();
          ended(ending, way.name, wiring);
        },
      },
    );
    const leave = scope.own(() => {
      isOff = true;
      stop();
    });
    if (!isOff) closeFeed = leave;
  };

  const heard = async (told: Told, queue: Told[]): Promise<void> => {
    switch (told.type) {
      case "changes": {
        const changes = [...told.changes];
        let { cursor } = told;
        for (let next = queue[0]; next?.type === "changes"; next = queue[0]) {
          changes.push(...next.changes);
          cursor = next.cursor;
          queue.shift();
        }
        return take({ changes, cursor, isReset: false, isEnd: false }, [], []);
      }
      case "reset":
        return take({ changes: [], cursor: undefined, isReset: true, isEnd: false }, [], []);
      case "ready":
        isLive = true;
        pushes.hurry();
        await rest(told.cursor);
        greet(told.bootstrap);
        lead.look();
        return;
      case "heartbeat":
        await rest(told.cursor);
        greet(told.bootstrap);
        return;
    }
  };

  /** All that there was has been told. */
  const rest = async (cursor: string | undefined): Promise<void> => {
    const { mark, outbox } = replica.held;
    if (mark === undefined) return;
    const isLater = cursor !== undefined && cursor !== mark.cursor;
    if (isLater || !mark.isWhole || now() - mark.at_ms > MARK_AGE_MS) {
      await take(
        { changes: [], cursor: cursor ?? mark.cursor, isReset: false, isEnd: true },
        [],
        [],
      );
    } else {
      await replica.caughtUp();
      if (replica.held.answers.size + replica.held.calls.size > 0) await tidy(true);
    }
    const settled = before;
    before = new Set(outbox.filter(({ status }) => status === "done").map(({ entry }) => entry.id));
    if (settled.size > 0) await change(() => settleAll(replica.held.outbox, settled));
  };

  const ended = (ending: Ending, name: Transport["name"], wiring: SessionWiring): void => {
    // One that ends whenever it has begun has not gone well.
    const wentWell = isLive && clock.elapsed_ms() - opened_ms > WELL_MS;
    shutFeed();
    if (wentWell) feeds.went();
    if (ending.why === "silent" || ending.why === "unfit") {
      if (!ways.shun(name)) feeds.failed();
    } else if (ending.why === "refused" && ending.status === 401) {
      feeds.failed();
      wiring.refused(ending.code).then(
        () => {
          feeds.hurry();
          lead.look();
        },
        () => lead.look(),
      );
    } else {
      if (ending.why === "refused" && ending.status === 426) lead.tooOld();
      const retryAfter_s = ending.why === "complete" ? undefined : ending.retryAfter_s;
      if (!wentWell || ending.why !== "lost" || retryAfter_s !== undefined)
        feeds.failed(retryAfter_s);
    }
    lead.look();
  };

  /** Ask for what apps follow without an update, where that is another one now. */
  const greet = (revision: string | undefined): void => {
    const known = replica.held.bootstrap?.revision;
    if (isAsked || (known !== undefined && (revision === undefined || revision === known))) return;
    isAsked = true;
    void ask(clock, session, scope, "/api/bootstrap", { method: "GET" }).then(async (reply) => {
      isAsked = false;
      if (reply.was !== "answered") return;
      const bootstrap = reply.body as Bootstrap;
      await change(() => ({ writes: [write(BOOTSTRAP, bootstrap)], guards: [] }));
    });
  };

  return {
    get isLive() {
      return isLive;
    },
    get transport() {
      return transport;
    },
    get isBusy() {
      return isBusy;
    },
    get isIdle() {
      return (
        !isBusy &&
        (pushes.wait_ms > 0 || due(replica.held.outbox, now(), bounds()).batch.length === 0)
      );
    },
    attend,
    hurry() {
      pushes.hurry();
      feeds.hurry();
    },
  };
}

function overlaid(outbox: readonly Kept[], writes: readonly Write[]): Kept[] {
  const written = new Map(writes);
  return outbox.flatMap((kept) => {
    const key = keyOf(OUTBOX, kept.entry.id);
    if (!written.has(key)) return [kept];
    const next = written.get(key) as unknown as Kept | undefined;
    return next === undefined ? [] : [next];
  });
}

/** Answers that were asked for here and are being made from now on: what the results say, or changes where those were lost. */
function begun(held: Held, writes: readonly Write[], changes: readonly Change[]): Write[] {
  const found: Write[] = [];
  for (const [key, value] of writes) {
    if (!key.startsWith(OUTBOX)) continue;
    const before = held.outbox.find((kept) => keyOf(OUTBOX, kept.entry.id) === key);
    const kept = (value as unknown as Kept | undefined) ?? before;
    if (before === undefined || kept === undefined || !isAsking(kept.entry) || !isUnsent(before))
      continue;
    const item = kept.item ?? itemOf(kept.entry);
    const response = kept.response ?? (value === undefined ? responseOf(item, changes) : undefined);
    if (response === undefined || held.answers.has(response)) continue;
    const { conversation } = kept.entry;
    const to = item ?? ("after" in kept.entry ? (kept.entry.after ?? undefined) : undefined);
    const answer: Answer = { ...beginAnswer(response, conversation, to), isOurs: true };
    found.push(write(keyOf(ANSWER, conversation, response), answer));
  }
  return found;
}

function responseOf(item: string | undefined, changes: readonly Change[]): string | undefined {
  const told = changes.find(
    (change) => change.type === "item" && change.id === item && !("deleted" in change),
  );
  return told?.type === "item" && !("deleted" in told) ? told.response : undefined;
}

/** How much more is kept of each conversation. */
function measured(held: Held, changes: readonly Change[], writes: readonly Write[]): Write[] {
  const more = new Map<string, number>();
  for (const change of changes) {
    if (change.type !== "item" || change.conversation === undefined || "deleted" in change)
      continue;
    more.set(
      change.conversation,
      (more.get(change.conversation) ?? 0) + JSON.stringify(change).length,
    );
  }
  const gone = new Set(writes.filter(([, value]) => value === undefined).map(([key]) => key));
  return [...more].flatMap(([conversation, bytes]) => {
    const key = keyOf(CACHED, conversation);
    if (gone.has(key)) return [];
    const cached: Cached = held.cached.get(conversation) ?? {
      at_ms: 0,
      bytes: 0,
      isPartial: false,
    };
    return [write(key, { ...cached, bytes: cached.bytes + bytes })];
  });
}
