import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Kept } from "../state.ts";
import type { Change, Entry, SyncResult } from "../wire.ts";
import { sizeOf_bytes } from "./bytes.ts";
import { makeIds, messageId } from "./ids.ts";
import { type Commit, keyOf, OUTBOX } from "./keys.ts";
import { again, isUnsent, put, reword, stop, withdraw } from "./outbox.ts";
import { due, expire, lost, refuse, sending, settle, settleAll, spared, took } from "./sending.ts";

const BOUNDS = { entries: 100, bytes: 1_000_000 };

/** A store of entries, with the commits of all processes. */
function makeDisk() {
  const kept = new Map<string, Kept>();
  return {
    commit({ writes, guards }: Commit): boolean {
      const holds = guards.every(
        ({ key, is }) => JSON.stringify(kept.get(key)) === JSON.stringify(is),
      );
      if (!holds) return false;
      for (const [key, value] of writes) {
        if (value === undefined) kept.delete(key);
        else kept.set(key, JSON.parse(JSON.stringify(value)) as Kept);
      }
      return true;
    },
    entries: () =>
      [...kept].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, value]) => value),
  };
}

const ids = makeIds((count) => new Uint8Array(count));
let made = 0;
const nextId = () => ids.next(++made);
const say = (conversation = "conv_a", content = "Hello"): Entry => ({
  type: "message",
  id: nextId(),
  conversation,
  content,
});
const rename = (title: string, conversation = "conv_a"): Entry => ({
  type: "rename",
  id: nextId(),
  conversation,
  title,
});

function outboxOf(...entries: Entry[]) {
  const disk = makeDisk();
  for (const entry of entries) disk.commit(put(disk.entries(), entry, 1_000));
  return disk;
}
const idsOf = (entries: readonly Kept[]) => entries.map(({ entry }) => entry.id);
const waiting = (entry: Entry, code?: string, retry_after_s?: number): SyncResult => ({
  id: entry.id,
  status: "waiting",
  ...(code && { error: { code, message: "Not now.", type: "x", param: null } }),
  ...(retry_after_s !== undefined && { retry_after_s }),
});
function pushed(disk: ReturnType<typeof makeDisk>, results: readonly SyncResult[], now_ms = 2_000) {
  const { batch } = due(disk.entries(), now_ms, BOUNDS);
  disk.commit(sending(batch));
  disk.commit(took(batch, results, disk.entries(), now_ms, nextId));
  return batch;
}

// --- whatever happens -----------------------------------------------------------------------------

type Fate = "done" | "waiting" | "refused" | "busy" | "broke";
type Step =
  | { do: "say"; thing: number; expires: boolean }
  | { do: "push"; fates: Fate[]; reply: "comes" | "is lost" | "never left" | "is cut" | "dies" }
  | { do: "withdraw" | "stop" | "again" | "reword"; which: number }
  | { do: "wait"; ms: number }
  | { do: "expire" };

const fates = fc.constantFrom<Fate>("done", "done", "waiting", "refused", "busy", "broke");
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("say" as const), thing: fc.nat(2), expires: fc.boolean() }),
    fc.record({
      do: fc.constant("push" as const),
      fates: fc.array(fates, { maxLength: 6 }),
      reply: fc.constantFrom("comes", "is lost", "never left", "is cut", "dies"),
    }),
    fc.record({ do: fc.constantFrom("withdraw", "stop", "again", "reword"), which: fc.nat(9) }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.nat(40_000) }),
    fc.record({ do: fc.constant("expire" as const) }),
  ) as fc.Arbitrary<Step>,
  { maxLength: 40 },
);

test("whatever gets lost, each entry is done at most once, in order, as it was said, or still there", () => {
  fc.assert(
    fc.property(steps, (script) => {
      const disk = makeDisk();
      const said = new Map<string, string>(); // id to thing
      const gone = new Set<string>(); // taken back, for certain
      const changedOrder = new Set<string>(); // refused or expired, and sent again behind others
      const bytes = new Map<string, string>(); // of what has arrived
      const done: string[] = []; // at the server, in order
      const told = new Set<string>(); // done, and the device knows
      let now_ms = 1_000_000;

      const push = (
        fate: (at: number) => Fate,
        reply: "comes" | "is lost" | "never left" | "is cut" | "dies",
      ) => {
        const { batch } = due(disk.entries(), now_ms, { entries: 3, bytes: 1_000 });
        if (!disk.commit(sending(batch))) throw new Error("Nobody else was there.");
        const held = new Set<string>();
        const results = batch.map(({ entry }, at): SyncResult => {
          const text = JSON.stringify(entry);
          expect(gone.has(entry.id)).toBe(false);
          expect(told.has(entry.id)).toBe(false);
          if (reply === "never left") return waiting(entry);
          // What may have arrived is the same whenever it comes again.
          expect(bytes.get(entry.id) ?? text).toBe(text);
          const thing = said.get(entry.id) ?? "";
          if (held.has(thing)) return waiting(entry);
          const its = done.includes(entry.id) ? "done" : fate(at);
          if (its === "busy") held.add(thing);
          if (its === "busy") return waiting(entry, "conversation_locked", 1);
          bytes.set(entry.id, text);
          if (its === "waiting" || its === "broke") held.add(thing);
          if (its === "broke") {
            // It was done all the same, and the server does not know.
            done.push(entry.id);
            return waiting(entry, "internal_error");
          }
          if (its === "waiting") return waiting(entry, "store_unavailable", 2);
          if (its === "refused") {
            // Whose refusal is lost may be done later, behind what was done since (docs/sync.md).
            changedOrder.add(entry.id);
            const error = { code: "content_filter", message: "No.", type: "x", param: null };
            return { id: entry.id, status: "refused", error };
          }
          if (!done.includes(entry.id)) done.push(entry.id);
          return {
            id: entry.id,
            status: "done",
            item: messageId(entry.id),
            response: `resp_${entry.id}`,
          };
        });
        const before = disk.entries();
        if (reply === "comes" || reply === "is cut") {
          const heard = reply === "comes" ? results : results.slice(0, -1);
          for (const { id, status } of heard) {
            if (status === "done") told.add(id ?? "");
            if (status === "refused" && !done.includes(id ?? "")) {
              bytes.delete(id ?? "");
            }
          }
          disk.commit(took(batch, heard, before, now_ms, nextId));
        } else if (reply === "never left") disk.commit(spared(before));
        else if (reply === "is lost") disk.commit(lost(before));
        // Else the process died: `sending` is what the next one finds.
      };

      const isLate = ({ expires_ms }: Kept) => expires_ms !== undefined && expires_ms <= now_ms;
      for (const step of script) {
        now_ms += 10;
        const entries = disk.entries();
        const which =
          "which" in step ? entries[step.which % Math.max(entries.length, 1)] : undefined;
        if (step.do === "say") {
          const entry = say(`conv_${step.thing}`, `${now_ms}`);
          said.set(entry.id, `conv_${step.thing}`);
          disk.commit(put(entries, entry, now_ms, step.expires ? now_ms + 5_000 : undefined));
        } else if (step.do === "push") push((at) => step.fates[at] ?? "done", step.reply);
        else if (step.do === "wait") now_ms += step.ms;
        else if (step.do === "expire") disk.commit(expire(entries, now_ms));
        else if (which && step.do === "withdraw") {
          const commit = withdraw(which);
          if (commit && disk.commit(commit)) gone.add(which.entry.id);
        } else if (which && step.do === "stop" && isUnsent(which)) {
          disk.commit(stop(which));
          if (!disk.entries().some(({ entry }) => entry.id === which.entry.id))
            gone.add(which.entry.id);
        } else if (
          which &&
          step.do === "again" &&
          which.status !== "done" &&
          which.status !== "sending"
        ) {
          if (isLate(which)) changedOrder.add(which.entry.id);
          disk.commit(again(which));
        } else if (which && step.do === "reword") {
          const commit = reword(which, "In other words");
          if (isLate(which) && commit) changedOrder.add(which.entry.id);
          if (commit) disk.commit(commit);
        }
        const here = new Set(idsOf(disk.entries()));
        const unwanted = entries.filter(
          ({ isUnwanted, entry }) => isUnwanted && !here.has(entry.id),
        );
        for (const { entry } of unwanted) if (!done.includes(entry.id)) gone.add(entry.id);
      }
      // From now on all goes well.
      for (let round = 0; round < 30; round++) {
        now_ms += 100_000;
        disk.commit(lost(disk.entries()));
        disk.commit(expire(disk.entries(), now_ms));
        push(() => "done", "comes");
      }

      const left = new Map(disk.entries().map((kept) => [kept.entry.id, kept]));
      expect(new Set(done).size).toBe(done.length);
      for (const id of said.keys()) {
        const kept = left.get(id);
        const isOver = kept
          ? ["refused", "expired", "done"].includes(kept.status)
          : gone.has(id) || kept === undefined;
        expect([isOver, gone.has(id) || kept !== undefined]).toEqual([true, true]);
        expect(kept?.status === "done").toBe(done.includes(id));
      }
      for (const thing of new Set(said.values())) {
        const order = done.filter((id) => said.get(id) === thing && !changedOrder.has(id));
        expect(order).toEqual([...order].sort());
      }
    }),
    { numRuns: 500 },
  );
});

// --- put ---------------------------------------------------------------------------------------------

describe("put", () => {
  test("keeps the last name alone, where the ones before never left", () => {
    const read = (): Entry => ({
      type: "read",
      id: nextId(),
      conversation: "conv_a",
      item: "msg_1",
    });
    const disk = outboxOf(
      rename("one"),
      rename("elsewhere", "conv_b"),
      read(),
      rename("two"),
      rename("three"),
    );

    expect(
      disk.entries().map(({ entry }) => ("title" in entry ? entry.title : entry.type)),
    ).toEqual(["elsewhere", "read", "three"]);
  });

  test("folds nothing across what may have left, nor across what was said", () => {
    const disk = outboxOf(rename("one"));
    disk.commit(sending(disk.entries()));
    for (const entry of [rename("two"), say(), rename("three")])
      disk.commit(put(disk.entries(), entry, 1));

    expect(disk.entries().map(({ entry }) => entry.type)).toEqual([
      "rename",
      "rename",
      "message",
      "rename",
    ]);
  });

  test("of a deletion takes along what was to be said and never left", () => {
    const disk = outboxOf(say(), say("conv_b"), rename("one"));
    const [first] = disk.entries();
    disk.commit(sending(first ? [first] : []));
    const deletion: Entry = { type: "delete", id: nextId(), conversation: "conv_a" };

    disk.commit(put(disk.entries(), deletion, 5));

    expect(
      disk
        .entries()
        .map(({ entry }) => [entry.type, "conversation" in entry && entry.conversation]),
    ).toEqual([
      ["message", "conv_a"],
      ["message", "conv_b"],
      ["delete", "conv_a"],
    ]);
  });

  test("does not fold what another process has sent meanwhile", () => {
    const disk = outboxOf(rename("one"));
    const seen = disk.entries();
    disk.commit(sending(seen));

    expect(disk.commit(put(seen, rename("two"), 1))).toBe(false);
  });
});

// --- due -------------------------------------------------------------------------------------------------

describe("due", () => {
  test("is of each thing what comes before the first that has to wait", () => {
    const entries = [say("a"), say("b"), say("a"), say("c")];
    const disk = outboxOf(...entries);
    pushed(disk, [
      waiting(entries[0] as Entry, "rate_limit_exceeded", 60),
      waiting(entries[1] as Entry, "rate_limit_exceeded", 5),
      waiting(entries[2] as Entry),
      waiting(entries[3] as Entry, "provider_busy", 90),
    ]);

    const { batch, wake_ms } = due(disk.entries(), 8_000, BOUNDS);

    expect(idsOf(batch)).toEqual([entries[1]?.id]);
    expect(wake_ms).toBe(62_000);
    expect(due(disk.entries(), 7_500, BOUNDS)).toMatchObject({ wake_ms: 62_000 });
    expect(due(disk.entries(), 6_000, BOUNDS)).toEqual({ batch: [], wake_ms: 7_000 });
  });

  test("is no more than a push may hold, and one at least", () => {
    const disk = outboxOf(say("a", "ü".repeat(400)), say("b"), say("c"));
    const sizes = disk
      .entries()
      .map(({ entry }) => new TextEncoder().encode(JSON.stringify(entry)).length);
    const [first = 0, second = 0] = sizes;
    const count = (bounds: { entries: number; bytes: number }) =>
      due(disk.entries(), 0, bounds).batch.length;

    expect([
      count({ entries: 2, bytes: 1e6 }),
      count({ entries: 9, bytes: first + second }),
      count({ entries: 9, bytes: first + second - 1 }),
      count({ entries: 9, bytes: 1 }),
    ]).toEqual([2, 2, 1, 1]);
  });

  test("is never what has expired, unless it may have left", () => {
    const disk = outboxOf();
    disk.commit(put([], say("a"), 0, 50));
    disk.commit(put(disk.entries(), say("b"), 0, 50));
    const [first] = disk.entries();
    disk.commit(sending(first ? [first] : []));

    expect(idsOf(due(disk.entries(), 50, BOUNDS).batch)).toEqual([first?.entry.id]);
    disk.commit(expire(disk.entries(), 50));
    expect(disk.entries().map(({ status }) => status)).toEqual(["sending", "expired"]);
  });

  test("looks again when something expires", () => {
    const disk = outboxOf();
    disk.commit(put([], say("a"), 0, 50));

    expect(due(disk.entries(), 10, BOUNDS).wake_ms).toBe(50);
  });

  test("does not wait for a time that only a clock that was wrong can have meant", () => {
    const entry = say();
    const disk = outboxOf(entry);
    pushed(disk, [waiting(entry, "rate_limit_exceeded", 60)], 4e12);

    expect(due(disk.entries(), 1.8e12, BOUNDS).batch.length).toBe(1);
  });
});

// --- results ---------------------------------------------------------------------------------------------

test("what had to wait for certain may be taken back; what may have been done may not", () => {
  const codes = [
    "conversation_locked",
    "rate_limit_exceeded",
    "internal_error",
    "store_unavailable",
    undefined,
  ];

  const taken = codes.map((code) => {
    const entry = say();
    const disk = outboxOf(entry);
    pushed(disk, [waiting(entry, code)]);
    return disk.entries().map((kept) => withdraw(kept) !== undefined);
  });

  expect(taken).toEqual([[true], [true], [false], [false], [true]]);
});

test("what may have been done once stays unclear, whatever is said the second time", () => {
  const entry = say();
  const disk = outboxOf(entry);
  disk.commit(sending(disk.entries()));
  disk.commit(lost(disk.entries()));
  pushed(disk, [waiting(entry, "conversation_locked")]);

  expect(disk.entries().map(({ status, isUnclear }) => [status, isUnclear])).toEqual([
    ["waiting", true],
  ]);
});

test("an answer that nobody wants any more is cancelled as soon as it is known", () => {
  const entry = say();
  const disk = outboxOf(entry);
  const { batch } = due(disk.entries(), 1, BOUNDS);
  disk.commit(sending(batch));
  const [kept] = disk.entries();
  if (kept) disk.commit(stop(kept));

  const results: SyncResult[] = [
    { id: entry.id, status: "done", item: "msg_1", response: "resp_1" },
  ];
  disk.commit(
    took(batch, results, disk.entries(), 5, () => "ffffffff-ffff-7fff-bfff-ffffffffffff"),
  );

  expect(
    disk
      .entries()
      .map(({ entry, status }) => [entry.type, "response" in entry && entry.response, status]),
  ).toEqual([
    ["message", false, "done"],
    ["cancel", "resp_1", "saved"],
  ]);
});

test("of refusals only those stay that somebody has to see", () => {
  const error = { code: "item_not_found", message: "No.", type: "x", param: null };
  const entries: Entry[] = [
    say(),
    { type: "read", id: nextId(), conversation: "conv_b", item: "msg_1" },
    { type: "cancel", id: nextId(), response: "resp_1" },
  ];
  const disk = outboxOf(...entries);
  pushed(
    disk,
    entries.map(({ id }) => ({ id, status: "refused", error })),
  );

  expect(
    disk.entries().map(({ entry, status, error }) => [entry.type, status, error?.code]),
  ).toEqual([["message", "refused", "item_not_found"]]);
});

test("the device itself may refuse an entry, and a person send it again", () => {
  const disk = outboxOf(say());
  const error = { code: "request_too_large", message: "Too long.", type: "x", param: null };
  const [kept] = disk.entries();
  if (kept) disk.commit(refuse(kept, error));
  expect(disk.entries().map(({ status, error }) => [status, error])).toEqual([["refused", error]]);

  const [refused] = disk.entries();
  if (refused) disk.commit(again(refused));

  expect(disk.entries()).toEqual([kept]);
});

test("other words are sent under the same id, as long as none have left", () => {
  const disk = outboxOf(say());
  const [kept] = disk.entries();
  if (kept) disk.commit(reword(kept, "Goodbye") as Commit);
  const [changed] = disk.entries();
  disk.commit(sending(disk.entries()));
  const [sent] = disk.entries();

  expect([changed?.entry, sent && reword(sent, "Too late")]).toEqual([
    { ...kept?.entry, content: "Goodbye" },
    undefined,
  ]);
});

// --- settling ----------------------------------------------------------------------------------------------

describe("settle", () => {
  const conversation = (more: object): Change => ({
    type: "conversation",
    id: "conv_a",
    branch: 0,
    version: 1,
    created_at: 1,
    changed_at: 1,
    ...more,
  });
  const item = (more: object): Change => ({
    type: "item",
    conversation: "conv_a",
    id: "msg_1",
    branch: 0,
    position: 0,
    created_at: 1,
    ...more,
  });
  const of = (type: string, more: object): Entry =>
    ({ type, id: "0", conversation: "conv_a", ...more }) as never;
  const feedback = (rating: string | null) =>
    ({ type: "feedback", id: "0", response: "resp_1", rating }) as Entry;
  const toldFeedback: Change = {
    type: "feedback",
    id: "f",
    response: "resp_1",
    rating: "up",
    created_at: 1,
    changed_at: 1,
  };
  const turn = (state: "answering" | "answered"): Change => ({
    type: "turn",
    conversation: "conv_a",
    id: "resp_1",
    state,
  });
  const id = "0199a0b0-5d1c-7c3e-9d0a-6b1f0a2c4e11";
  const cases: [string, Entry, Change, Change | undefined][] = [
    [
      "a message",
      { ...of("message", { content: "x" }), id },
      item({ id: messageId(id) }),
      item({}),
    ],
    [
      "an edit",
      { ...of("edit", { content: "x", item: "i" }), id },
      item({ id: messageId(id) }),
      item({ id: "i" }),
    ],
    [
      "another answer",
      of("answer", {}),
      turn("answering"),
      { ...turn("answering"), id: "resp_2" } as Change,
    ],
    [
      "outputs",
      of("outputs", { outputs: [] }),
      item({ response: "resp_1" }),
      item({ response: "resp_2" }),
    ],
    [
      "a name",
      of("rename", { title: "a" }),
      conversation({ title: "a" }),
      conversation({ title: "b" }),
    ],
    ["no name", of("rename", { title: null }), conversation({}), conversation({ title: "b" })],
    ["a pin", of("pin", { pinned: true }), conversation({ pinned_at: 5 }), conversation({})],
    ["a choice", of("choose", { branch: 2 }), conversation({ branch: 2 }), conversation({})],
    [
      "a read mark",
      of("read", { item: "i" }),
      conversation({ read_item: "i" }),
      conversation({ read_item: "j" }),
    ],
    [
      "metadata",
      of("metadata", { metadata: { a: "1", b: "2" } }),
      conversation({ metadata: { a: "1", b: "2" } }),
      conversation({ metadata: { a: "1" } }),
    ],
    [
      "a conversation",
      of("conversation", {}),
      conversation({}),
      { ...conversation({}), id: "conv_b" } as Change,
    ],
    [
      "a deletion",
      of("delete", {}),
      { type: "conversation", id: "conv_a", deleted: true },
      conversation({}),
    ],
    [
      "an item's deletion",
      of("delete", { item: "msg_1" }),
      { type: "item", conversation: "conv_a", id: "msg_1", deleted: true },
      item({}),
    ],
    [
      "an item's pin",
      of("pin_item", { item: "msg_1", pinned: true }),
      item({ pinned: true }),
      item({}),
    ],
    [
      "anything in what is gone",
      of("rename", { title: "a" }),
      { type: "conversation", id: "conv_a", deleted: true },
      undefined,
    ],
    ["a rating", feedback("up"), toldFeedback, { ...toldFeedback, rating: "down" } as Change],
    [
      "no rating",
      feedback(null),
      { type: "feedback", response: "resp_1", deleted: true },
      toldFeedback,
    ],
    [
      "a cancellation",
      { type: "cancel", id: "0", response: "resp_1" },
      turn("answered"),
      turn("answering"),
    ],
    [
      "a fact",
      { type: "fact", id: "0", fact: "fact_1", words: "x" },
      { type: "fact", id: "fact_1", words: "x", created_at: 1, changed_at: 1 },
      { type: "fact", id: "fact_1", words: "y", created_at: 1, changed_at: 1 },
    ],
  ];
  const kept = (entry: Entry, more: Partial<Kept> = {}): Kept => ({
    entry,
    status: "done",
    at_ms: 0,
    isUnclear: true,
    attempts: 1,
    response: "resp_1",
    ...more,
  });

  test.each(cases)("%s goes when it is told, not before", (_, entry, telling, other) => {
    const { writes } = settle([kept(entry)], [telling]);

    expect(writes).toEqual([[keyOf(OUTBOX, entry.id), undefined]]);
    expect(settle([kept(entry)], other ? [other] : []).writes).toEqual([]);
    expect(settle([kept(entry, { status: "saved", isUnclear: false })], [telling]).writes).toEqual(
      [],
    );
  });

  test("a message that is told has arrived, though its reply was lost", () => {
    const entry: Entry = { type: "message", id, conversation: "conv_a", content: "x" };
    const telling = [item({ id: messageId(id) })];

    expect(settle([kept(entry, { status: "saved" })], telling).writes.length).toBe(1);
    // Its answer has to be cancelled, and only the reply says which that is.
    expect(
      settle([kept(entry, { status: "saved", isUnwanted: true })], telling).writes.length,
    ).toBe(0);
  });

  test("what failed without a word stays until something else is asked for", () => {
    const entry: Entry = { type: "answer", id, conversation: "conv_a", after: "msg_1" };
    const failure: Change = {
      type: "turn",
      conversation: "conv_a",
      id: "resp_1",
      state: "failed",
      code: "cancelled",
    };
    const key = keyOf(OUTBOX, id);
    const later = kept({ ...say("conv_a"), id: id.replace(/.$/, "f") }, { status: "saved" });

    expect(settle([kept(entry)], [failure]).writes).toEqual([
      [key, { ...kept(entry), hasFailed: true }],
    ]);
    expect(settle([kept(entry), later], [failure]).writes).toEqual([[key, undefined]]);
    const said = { type: "message", id: "msg_1", role: "user", content: [] };
    const elsewhere = item({ item: said } as never);
    for (const [entries, changes] of [
      [[kept(entry)], [failure, elsewhere]],
      [[kept(entry, { hasFailed: true })], [elsewhere]],
    ] as const)
      expect(settle(entries, changes).writes).toEqual([[key, undefined]]);
  });

  test("what is told of in other words goes when all has been told", () => {
    const done = [kept(rename("  a ")), kept(say(), { status: "saved" })];

    expect(settleAll(done, new Set(idsOf(done))).writes).toEqual([
      [keyOf(OUTBOX, done[0]?.entry.id ?? ""), undefined],
    ]);
  });
});

test("bytes are those of UTF-8", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(sizeOf_bytes(text)).toBe(new TextEncoder().encode(text).length);
    }),
  );
});
