// How much of conversations is kept on the device: those that nobody opened for the longest time lose their items, which
// are asked for again when somebody does.

import { ask } from "./asking.ts";
import type { Activity } from "./core/activity.ts";
import type { Cached, Held } from "./core/held.ts";
import { CACHED, type Commit, guard, ITEM, keyOf, prefixOf, write } from "./core/keys.ts";
import { isUnsent } from "./core/outbox.ts";
import { fill, type Placed } from "./core/things.ts";
import { type Lane, openLane } from "./lane.ts";
import type { Bounds, Lead } from "./lead.ts";
import type { Store, Write } from "./store.ts";
import type { Item } from "./wire.ts";

export interface Keeping {
  attend(activity: Activity): void;
  /** These keys were told by changes. */
  told(keys: readonly string[]): void;
  hurry(): void;
}

const PAGE = 100;
const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;

export function makeKeeping(lead: Lead): Keeping {
  const { effects, replica, session, scope, bounds } = lead;
  const { clock } = effects;
  const lane: Lane = openLane(effects);
  const filling = new Map<string, Set<string>>();
  const given = new Set<string>();
  let isTidying = false;
  let isDue = true;

  const attend = (activity: Activity): void => {
    if (scope.isOver) return;
    if (isDue) void shrink();
    note();
    if (activity !== "live" || filling.size > 0) return;
    const wanted = [...replica.held.cached].find(
      ([id, { isPartial }]) => isPartial && lead.isOpen(id) && !given.has(id),
    );
    const large = wanted === undefined ? largeItem() : undefined;
    if (wanted === undefined && large === undefined) return;
    if (lane.wait_ms > 0) {
      scope.later(lane.wait_ms, lead.look);
      return;
    }
    if (wanted !== undefined) void fillAll(wanted[0]);
    else if (large !== undefined) void fetchItem(...large);
  };

  /** Note which conversations are looked at, now and then. */
  const note = (): void => {
    const now_ms = clock.now_ms();
    const seen = [...replica.held.cached].filter(
      ([id, { at_ms }]) => lead.isOpen(id) && Math.abs(now_ms - at_ms) > HOUR_MS,
    );
    if (seen.length === 0) return;
    const commit: Commit = {
      writes: seen.map(([id, cached]) => write(keyOf(CACHED, id), { ...cached, at_ms: now_ms })),
      guards: seen.map(([id, cached]) => guard(keyOf(CACHED, id), cached)),
    };
    void replica.change(() => commit, { isLeading: true });
  };

  /** Ask for all items of a conversation. What changes tell meanwhile counts more. */
  const fillAll = async (conversation: string): Promise<void> => {
    const told = new Set<string>();
    filling.set(conversation, told);
    const isDone = await pages(conversation, told);
    filling.delete(conversation);
    if (scope.isOver) return;
    if (isDone) {
      lane.went();
      await replica.change(
        () => {
          const cached = replica.held.cached.get(conversation);
          return (
            cached && {
              writes: [write(keyOf(CACHED, conversation), { ...cached, isPartial: false })],
              guards: [],
            }
          );
        },
        { isLeading: true },
      );
    }
    lead.look();
  };

  const pages = async (conversation: string, told: ReadonlySet<string>): Promise<boolean> => {
    const path = `/api/conversations/${encodeURIComponent(conversation)}/items?branch=all&order=asc&limit=${PAGE}`;
    for (let after = ""; ; ) {
      const reply = await ask(
        clock,
        session,
        scope,
        path + (after && `&after=${encodeURIComponent(after)}`),
        { method: "GET" },
      );
      if (reply.was !== "answered") {
        if (reply.was === "refused" && reply.status < 429) given.add(conversation);
        lane.failed(reply.retryAfter_s);
        return false;
      }
      const page = reply.body as {
        readonly data: readonly Placed[];
        readonly last_id: string | null;
        readonly has_more: boolean;
      };
      try {
        const keys = page.data.map(({ id }) => keyOf(ITEM, conversation, id));
        const values = await replica.store.get(keys);
        const there = keys.filter((_, at) => values[at] !== undefined);
        const fate = await replica.change(
          () => {
            const { mark, conversations, cached } = replica.held;
            if (mark === undefined || !conversations.has(conversation)) return undefined;
            const writes = fill(
              mark.generation,
              conversation,
              page.data,
              new Set([...there, ...told]),
            );
            const its = cached.get(conversation);
            const bytes = (its?.bytes ?? 0) + JSON.stringify(writes).length;
            return {
              writes: [
                ...writes,
                write(keyOf(CACHED, conversation), { at_ms: 0, isPartial: true, ...its, bytes }),
              ],
              guards: [],
            };
          },
          { isLeading: true },
        );
        if (fate === "moot") return false;
      } catch {
        lane.failed();
        return false;
      }
      if (!page.has_more || page.last_id === null) return true;
      after = page.last_id;
    }
  };

  /** An item that is too large to be told with the others. */
  const largeItem = (): readonly [string, string] | undefined => {
    for (const [conversation, shelf] of replica.held.shelves) {
      if (!lead.isOpen(conversation)) continue;
      for (const item of shelf.items.values()) {
        if (item.item === undefined && !given.has(item.id)) return [conversation, item.id];
      }
    }
    return undefined;
  };

  const fetchItem = async (conversation: string, id: string): Promise<void> => {
    filling.set(conversation, new Set());
    const path = `/v1/conversations/${encodeURIComponent(conversation)}/items/${encodeURIComponent(id)}`;
    const reply = await ask(clock, session, scope, path, { method: "GET" });
    filling.delete(conversation);
    if (scope.isOver) return;
    if (reply.was === "answered") {
      lane.went();
      await replica.change(
        () => {
          const { mark, shelves } = replica.held;
          const told = shelves.get(conversation)?.items.get(id);
          if (told === undefined || told.item !== undefined || mark === undefined) return undefined;
          const whole = { ...told, item: reply.body as Item };
          return {
            writes: [
              write(keyOf(ITEM, conversation, id), { generation: mark.generation, told: whole }),
            ],
            guards: [],
          };
        },
        { isLeading: true },
      );
    } else {
      if (reply.was === "refused" && reply.status < 429) given.add(id);
      lane.failed(reply.retryAfter_s);
    }
    lead.look();
  };

  const shrink = async (): Promise<void> => {
    if (isTidying) return;
    isDue = false;
    const ids = tooMuch(replica.held, bounds, clock.now_ms(), lead.isOpen);
    if (ids.length === 0) return;
    isTidying = true;
    try {
      for (const id of ids) {
        const writes = await leaving(replica.store, replica.held, id);
        await replica.change(() => ({ writes, guards: [] }), { isLeading: true });
      }
    } catch {
      // It is tried with the next page.
    }
    isTidying = false;
  };

  return {
    attend,
    told(keys) {
      isDue = true;
      for (const told of filling.values()) for (const key of keys) told.add(key);
    },
    hurry: lane.hurry,
  };
}

/** Choose what goes from a full store: half of what may go, what was opened longest ago first. */
export async function makeRoom(
  store: Store,
  held: Held,
  isOpen: (conversation: string) => boolean,
): Promise<Write[]> {
  const found = candidates(held, isOpen);
  let left = found.reduce((sum, [, { bytes }]) => sum + bytes, 0) / 2;
  const writes: Write[] = [];
  for (const [id, { bytes }] of found) {
    if (left <= 0) break;
    left -= bytes;
    writes.push(...(await leaving(store, held, id)));
  }
  return writes;
}

function tooMuch(
  held: Held,
  bounds: Bounds,
  now_ms: number,
  isOpen: (conversation: string) => boolean,
): string[] {
  let bytes = [...held.cached.values()].reduce((sum, each) => sum + each.bytes, 0);
  const ids: string[] = [];
  for (const [id, cached] of candidates(held, isOpen)) {
    const isOld = now_ms - cached.at_ms > bounds.storeDays * DAY_MS;
    if (bytes <= bounds.storeBytes && !isOld) break;
    bytes -= cached.bytes;
    ids.push(id);
  }
  return ids;
}

/** Those that may lose their items, the one that was opened longest ago first. */
function candidates(held: Held, isOpen: (conversation: string) => boolean): [string, Cached][] {
  const busy = new Set<string>();
  for (const kept of held.outbox)
    if (isUnsent(kept) && "conversation" in kept.entry) busy.add(kept.entry.conversation);
  for (const { conversation } of held.answers.values()) busy.add(conversation);
  return [...held.cached]
    .filter(
      ([id, { bytes }]) => bytes > 0 && !busy.has(id) && !isOpen(id) && held.conversations.has(id),
    )
    .map(([id, cached]): [string, Cached] => {
      const changed_ms = (held.conversations.get(id)?.changed_at ?? 0) * 1000;
      return [id, { ...cached, at_ms: Math.max(cached.at_ms, changed_ms) }];
    })
    .sort(([, one], [, other]) => one.at_ms - other.at_ms);
}

async function leaving(store: Store, held: Held, id: string): Promise<Write[]> {
  const items = await store.list(prefixOf(ITEM, id));
  const cached: Cached = { at_ms: held.cached.get(id)?.at_ms ?? 0, bytes: 0, isPartial: true };
  return [...items.map(([key]) => [key, undefined] as const), write(keyOf(CACHED, id), cached)];
}
