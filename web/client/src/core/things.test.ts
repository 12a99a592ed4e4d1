import fc from "fast-check";
import { expect, test } from "vitest";
import type { Mark } from "../state.ts";
import type { Json } from "../store.ts";
import type { Change, ItemTold } from "../wire.ts";
import { applied, EMPTY, type Held, NOTHING, type Stored } from "./held.ts";
import { ITEM, keyOf, MARK } from "./keys.ts";
import { fill, type Page, prefixesGone, sweep, THINGS, takePage, whole } from "./things.ts";

type Disk = Map<string, Json>;

const list = (disk: Disk, prefixes: readonly string[]) =>
  [...disk].filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix)));

function apply(disk: Disk, writes: Iterable<readonly [string, Json | undefined]>) {
  for (const [key, value] of writes) {
    if (value === undefined) disk.delete(key);
    else disk.set(key, value);
  }
}

/** What an engine does with a page. */
function take(disk: Disk, page: Page) {
  const mark = disk.get(MARK) as unknown as Mark | undefined;
  const keysGone = list(disk, prefixesGone(page.changes)).map(([key]) => key);
  const taken = takePage(mark, page, keysGone, 5);
  apply(disk, taken.writes);
  if (!taken.mustSweep) return;
  apply(disk, sweep(list(disk, THINGS), taken.mark.generation));
  apply(disk, [whole(taken.mark).write]);
}

const things = (disk: Disk) =>
  new Map(list(disk, THINGS).map(([key, thing]) => [key, (thing as unknown as Stored).told]));

// --- a server ----------------------------------------------------------------------------------------

const conversations = ["conv_1", "conv_2"];
const change = fc.oneof(
  fc.record({ conversation: fc.constantFrom(...conversations), id: fc.nat(3), said: fc.nat() }).map(
    ({ conversation, id, said }): Change => ({
      type: "item",
      conversation,
      id: `msg_${id}`,
      branch: 0,
      position: id,
      created_at: said,
    }),
  ),
  fc.record({ conversation: fc.constantFrom(...conversations), id: fc.nat(3) }).map(
    ({ conversation, id }): Change => ({
      type: "item",
      conversation,
      id: `msg_${id}`,
      deleted: true,
    }),
  ),
  fc.record({ id: fc.constantFrom(...conversations), title: fc.string() }).map(
    ({ id, title }): Change => ({
      type: "conversation",
      id,
      title,
      branch: 0,
      version: 0,
      created_at: 0,
      changed_at: 0,
    }),
  ),
  fc
    .constantFrom(...conversations)
    .map((id): Change => ({ type: "conversation", id, deleted: true })),
  fc.record({ id: fc.nat(2), words: fc.string() }).map(
    ({ id, words }): Change => ({
      type: "fact",
      id: `fact_${id}`,
      words,
      created_at: 0,
      changed_at: 0,
    }),
  ),
);
const log = fc.array(change, { maxLength: 30 });
const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 30 });

/** What there is after these changes, by the words of docs/sync.md alone. */
function state(changes: readonly Change[]): Map<string, Change> {
  const all = new Map<string, Change>();
  for (const each of changes) {
    const name = (told: Change) => ("conversation" in told ? told.conversation : undefined);
    const key =
      each.type === "item"
        ? `item/${name(each)}/${each.id}`
        : `${each.type}/${"id" in each ? each.id : ""}`;
    if (!("deleted" in each)) all.set(key, each);
    else {
      all.delete(key);
      if (each.type !== "conversation") continue;
      for (const [inner, told] of all) if (name(told) === each.id) all.delete(inner);
    }
  }
  return all;
}

/** The pages that some changes come in. */
function paged(changes: readonly Change[], sizes: readonly number[], isReset = false): Page[] {
  const pages: Page[] = [];
  let at = 0;
  for (let page = 0; page === 0 || at < changes.length; page++) {
    const next = at + (sizes[page] ?? 5);
    pages.push({
      changes: changes.slice(at, next),
      cursor: `c.${next}`,
      isReset: isReset && page === 0,
      isEnd: next >= changes.length,
    });
    at = next;
  }
  return pages;
}

// --- the facts ----------------------------------------------------------------------------------------

test("however changes are cut into pages, the same is there in the end", () => {
  fc.assert(
    fc.property(log, cuts, (changes, sizes) => {
      const disk: Disk = new Map();

      for (const page of paged(changes, sizes)) take(disk, page);

      expect(things(disk)).toEqual(state(changes));
      expect((disk.get(MARK) as unknown as Mark).isWhole).toBe(true);
    }),
  );
});

test("a page that comes twice, as after a commit nobody heard of, changes nothing", () => {
  fc.assert(
    fc.property(log, cuts, (changes, sizes) => {
      const disk: Disk = new Map();
      for (const page of paged(changes, sizes)) {
        take(disk, page);
        const before = things(disk);
        take(disk, page);

        expect(things(disk)).toEqual(before);
      }
    }),
  );
});

test("a reset drops what is not told again, and nothing before its end", () => {
  fc.assert(
    fc.property(log, log, cuts, (before, after, sizes) => {
      const disk: Disk = new Map();
      for (const page of paged(before, sizes)) take(disk, page);
      const kept = things(disk);
      // A first sync tells each thing once, as it is, the newest first.
      const told = [...state(after).values()].reverse();

      for (const page of paged(told, sizes, true)) {
        take(disk, page);
        if (page.isEnd) break;
        for (const key of kept.keys()) expect(things(disk).has(key)).toBe(true);
        expect((disk.get(MARK) as unknown as Mark).isWhole).toBe(false);
      }

      expect(things(disk)).toEqual(state(after));
    }),
  );
});

test("a reset that was cut off and begins again comes to the same", () => {
  fc.assert(
    fc.property(log, log, cuts, fc.nat(), (before, after, sizes, at) => {
      const disk: Disk = new Map();
      for (const page of paged(before, sizes)) take(disk, page);
      const told = [...state(after).values()];
      const pages = paged(told, sizes, true);
      for (const page of pages.slice(0, at % pages.length)) take(disk, page);

      for (const page of pages) take(disk, page);

      expect(things(disk)).toEqual(state(after));
    }),
  );
});

const opened: Held = { ...NOTHING, shelves: new Map(conversations.map((id) => [id, EMPTY])) };

test("memory that takes the writes shows what the store has", () => {
  fc.assert(
    fc.property(log, cuts, (changes, sizes) => {
      const disk: Disk = new Map();
      let held = opened;
      for (const page of paged(changes, sizes)) {
        const mark = disk.get(MARK) as unknown as Mark | undefined;
        const keysGone = list(disk, prefixesGone(page.changes)).map(([key]) => key);
        const { writes } = takePage(mark, page, keysGone, 5);
        apply(disk, writes);
        held = applied(held, writes);
      }

      expect(held).toEqual(applied(opened, disk));
      const told = things(disk);
      for (const [id, { items }] of held.shelves) {
        expect(held.conversations.get(id)).toEqual(told.get(`conversation/${id}`));
        expect(items.size).toBe(list(disk, [`item/${id}/`]).length);
      }
    }),
  );
});

test("what nothing was written of is the same as before", () => {
  const turn = { type: "turn", conversation: "conv_1", id: "resp_1", state: "answered" };
  const before = applied(opened, [["turn/conv_1/resp_1", { generation: 1, told: turn }]]);
  const [shelf, other] = ["conv_1", "conv_2"].map((id) => before.shelves.get(id));

  const after = applied(before, [["item/conv_2/msg_1", { generation: 1, told: turn }]]);
  const same = Object.keys(after).filter(
    (part) => after[part as keyof Held] === before[part as keyof Held],
  );

  expect(same).toEqual(Object.keys(NOTHING).filter((part) => part !== "shelves"));
  expect(after.shelves.get("conv_1")).toBe(shelf);
  expect(after.shelves.get("conv_2")?.turns).toBe(other?.turns);
  expect(after.shelves.get("conv_2")?.items).not.toBe(other?.items);
  expect(before.unread).toEqual(new Map([["conv_1", new Set(["resp_1"])]]));
});

test("a feed's reset says no cursor, and the one before stays until the next does", () => {
  const disk: Disk = new Map();
  for (const page of paged([], [])) take(disk, page);
  take(disk, { changes: [], cursor: undefined, isReset: true, isEnd: false });

  expect(disk.get(MARK)).toEqual({ cursor: "c.5", isWhole: false, generation: 2, at_ms: 5 });
});

test("of older items that were asked for, those that changes told meanwhile stay as they are", () => {
  const placed = (id: string, position: number) =>
    ({
      id,
      object: "conversation.item",
      branch: 1,
      position,
      created_at: 7,
      response_id: "resp_1",
      pinned: true,
      item: {},
    }) as never;
  const known = new Set([keyOf(ITEM, "conv_1", "msg_2")]);

  const writes = fill(3, "conv_1", [placed("msg_1", 0), placed("msg_2", 1)], known);

  const told: ItemTold = {
    type: "item",
    conversation: "conv_1",
    id: "msg_1",
    branch: 1,
    position: 0,
    created_at: 7,
    item: {} as never,
    response: "resp_1",
    pinned: true,
  };
  expect(writes).toEqual([["item/conv_1/msg_1", { generation: 3, told }]]);
});
