import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Answer, Call, ConversationView, Kept } from "../state.ts";
import type {
  AnswerEvent,
  Branch,
  ConversationTold,
  Entry,
  FeedbackTold,
  Item,
  ItemTold,
  TurnTold,
} from "../wire.ts";
import { begin, hear } from "./answer.ts";
import { EMPTY, type Shelf } from "./held.ts";
import { makeIds, messageId } from "./ids.ts";
import { put } from "./outbox.ts";
import { settle, settleAll } from "./sending.ts";
import { type ConversationGiven, makeConversationView, makeSummaries } from "./view.ts";

const CONVERSATION = "conv_1";
const ids = makeIds((count) => new Uint8Array(count));
const nextId = () => ids.next(1);

const kept = (entry: Entry, more: Partial<Kept> = {}): Kept => ({
  entry,
  status: "saved",
  at_ms: 1_000,
  isUnclear: false,
  attempts: 0,
  ...more,
});
const given = (
  shelf: Shelf,
  entries: readonly Kept[] = [],
  more: Partial<ConversationGiven> = {},
): ConversationGiven => ({
  id: CONVERSATION,
  shelf,
  entries,
  feedback: new Map(),
  status: "ready",
  titleOf: ({ name }) => name,
  ...more,
});
const viewOf = (...all: Parameters<typeof given>) => makeConversationView()(given(...all));
const message = (role: "user" | "assistant", id: string, text: string): Item =>
  ({
    type: "message",
    id,
    role,
    status: "completed",
    content: [{ type: role === "user" ? "input_text" : "output_text", text }],
  }) as Item;
const toldItem = (
  item: Item,
  branch: number,
  position: number,
  more: Partial<ItemTold> = {},
): ItemTold => ({
  type: "item",
  conversation: CONVERSATION,
  id: item.id ?? "",
  branch,
  position,
  created_at: 1,
  item,
  ...more,
});
const tick = (id: string, state: TurnTold["state"], code?: string): TurnTold => ({
  type: "turn",
  conversation: CONVERSATION,
  id,
  state,
  ...(code && { code }),
});

// --- a server ------------------------------------------------------------------------------------------------

/** A conversation as the server keeps it (conversations/tree.py); answers do not come by themselves. */
class Server {
  branches: Branch[] = [{ number: 0, parent: null, fork: 0, length: 0 }];
  chosen = 0;
  title: string | undefined;
  isPinned = false;
  items = new Map<string, ItemTold>();
  deleted = new Set<string>();
  turns = new Map<string, TurnTold>();
  feedback = new Map<string, FeedbackTold>();

  path(number: number, until = Number.POSITIVE_INFINITY): ItemTold[] {
    const branch = this.branches[number];
    if (!branch) return [];
    const before =
      branch.parent === null ? [] : this.path(branch.parent, Math.min(until, branch.fork));
    const own = [...this.items.values()].filter(
      (item) => item.branch === number && item.position < until,
    );
    return [...before, ...own.sort((one, other) => one.position - other.position)];
  }
  shown(number: number, until?: number): ItemTold[] {
    return this.path(number, until).filter(({ id }) => !this.deleted.has(id));
  }
  before(id: string): string | null {
    const item = this.items.get(id);
    return (item && this.shown(item.branch, item.position).at(-1)?.id) ?? null;
  }
  say(item: Item, after: string | null | undefined, response: string): void {
    let number = this.chosen;
    const place = after ? this.items.get(after) : undefined;
    const isTip = (branch: number) => (this.shown(branch).at(-1)?.id ?? null) === after;
    if (after !== undefined && !isTip(this.chosen)) {
      if (place && isTip(place.branch)) number = place.branch;
      else {
        number = this.branches.length;
        const isOnChosen = place && this.path(this.chosen).includes(place);
        const fork = place ? place.position + 1 : 0;
        const parent = place && !isOnChosen ? place.branch : this.chosen;
        this.branches.push({ number, parent, fork, length: fork });
      }
    }
    const branch = this.branches[number] as { -readonly [K in keyof Branch]: Branch[K] };
    this.items.set(item.id ?? "", toldItem(item, number, branch.length, { response }));
    branch.length += 1;
    this.chosen = number;
    if (!this.turns.has(response)) this.turns.set(response, tick(response, "accepted"));
  }
  do(entry: Entry): void {
    switch (entry.type) {
      case "message":
      case "edit": {
        const item = message("user", messageId(entry.id), String(entry.content));
        const after = entry.type === "edit" ? this.before(entry.item) : entry.after;
        this.say(item, after, `resp_${entry.id}`);
        return;
      }
      case "rename":
        this.title = entry.title ?? undefined;
        return;
      case "pin":
        this.isPinned = entry.pinned;
        return;
      case "choose":
        this.chosen = entry.branch;
        return;
      case "delete":
        this.deleted.add(entry.item ?? "");
        return;
      case "pin_item": {
        const { pinned: _, ...item } = this.items.get(entry.item) as ItemTold;
        this.items.set(entry.item, { ...item, ...(entry.pinned && { pinned: true }) });
        return;
      }
      case "feedback":
        if (entry.rating === null) this.feedback.delete(entry.response);
        else
          this.feedback.set(entry.response, {
            ...entry,
            type: "feedback",
            rating: entry.rating,
            created_at: 1,
            changed_at: 1,
          } as FeedbackTold);
    }
  }
  given(entries: readonly Kept[] = []): ConversationGiven {
    const conversation: ConversationTold = {
      type: "conversation",
      id: CONVERSATION,
      branch: this.chosen,
      ...(this.branches.length > 1 && { branches: [...this.branches] }),
      version: 1,
      created_at: 1,
      changed_at: 1,
      ...(this.title && { title: this.title }),
      ...(this.isPinned && { pinned_at: 1 }),
    };
    const items = new Map([...this.items].filter(([id]) => !this.deleted.has(id)));
    return given({ ...EMPTY, conversation, items, turns: new Map(this.turns) }, entries, {
      feedback: new Map(this.feedback),
    });
  }
}

const wishes = fc.array(
  fc.record({
    what: fc.constantFrom(
      "message",
      "message",
      "after",
      "first",
      "edit",
      "rename",
      "pin",
      "choose",
      "delete",
      "pin_item",
      "feedback",
      "answered",
    ),
    which: fc.nat(20),
    flag: fc.boolean(),
  }),
  { maxLength: 14 },
);
type Wish = { what: string; which: number; flag: boolean };

/** What a person may wish for, of what there is. */
function entryOf(server: Server, known: Server, { what, which, flag }: Wish): Entry | undefined {
  const conversation = CONVERSATION;
  const id = nextId();
  const all = [...server.items.values()].filter((item) => !server.deleted.has(item.id));
  const item = all[which % Math.max(all.length, 1)];
  const isUser = item?.item?.type === "message" && item.item.role === "user";
  switch (what) {
    case "message":
      return { type: "message", id, conversation, content: `says ${which}` };
    case "after":
      return (
        item && { type: "message", id, conversation, content: `behind ${which}`, after: item.id }
      );
    case "first":
      return { type: "message", id, conversation, content: `first ${which}`, after: null };
    case "edit":
      return isUser && item
        ? { type: "edit", id, conversation, item: item.id, content: `instead ${which}` }
        : undefined;
    case "rename":
      return { type: "rename", id, conversation, title: flag ? `title ${which}` : null };
    case "pin":
      return { type: "pin", id, conversation, pinned: flag };
    case "choose":
      return { type: "choose", id, conversation, branch: which % known.branches.length };
    case "delete":
      return item && { type: "delete", id, conversation, item: item.id };
    case "pin_item":
      return item && { type: "pin_item", id, conversation, item: item.id, pinned: flag };
    case "feedback":
      return item?.response && known.turns.has(item.response)
        ? { type: "feedback", id, response: item.response, rating: flag ? "up" : null }
        : undefined;
    default:
      return undefined;
  }
}

/** A server where some things were done, the same later, and what was done there in between. */
function played(
  before: readonly Wish[],
  between: readonly Wish[],
): { known: Server; server: Server; entries: Entry[] } {
  const known = new Server();
  const server = new Server();
  for (const wish of before) {
    const entry = entryOf(server, server, wish);
    const last = server.shown(server.chosen).at(-1);
    for (const each of [known, server]) {
      if (entry) each.do(entry);
      if (wish.what !== "answered" || !last?.response || each.items.has(`a_${last.id}`)) continue;
      each.say(
        message("assistant", `a_${last.id}`, `answers ${last.id}`),
        undefined,
        last.response,
      );
      each.turns.set(last.response, tick(last.response, "answered"));
    }
  }
  const entries: Entry[] = [];
  for (const wish of between) {
    const entry = entryOf(server, known, wish);
    if (!entry) continue;
    entries.push(entry);
    server.do(entry);
  }
  return { known, server, entries };
}

const asSeen = ({ title, isPinned, messages }: ConversationView) => ({
  title,
  isPinned,
  messages: messages.map(({ id, role, text, isPinned, rating }) => ({
    id,
    role,
    text,
    isPinned,
    rating,
  })),
});
const doneOf = (entry: Entry) =>
  kept(entry, { status: "done", isUnclear: true, response: `resp_${entry.id}` });

// --- optimism ---------------------------------------------------------------------------------------------------

describe("what was done here", () => {
  test("looks as it will once the server has done it", () => {
    fc.assert(
      fc.property(wishes, wishes, (before, between) => {
        const { known, server, entries } = played(before, between);
        const show = makeConversationView();

        const early = show(known.given(entries.map((entry) => kept(entry))));
        const late = show(server.given());

        expect(asSeen(early)).toEqual(asSeen(late));
      }),
      { numRuns: 1_000 },
    );
  });

  test("is shown though it was said behind the deletion of its conversation, which has been told", () => {
    const deletion = kept(
      { type: "delete", id: nextId(), conversation: CONVERSATION },
      { status: "done" },
    );
    const error = { code: "conversation_not_found", message: "", type: "", param: null };
    const said = kept(
      { type: "message", id: nextId(), conversation: CONVERSATION, content: "Are you there?" },
      { status: "refused", error },
    );

    const [before, after] = [viewOf(EMPTY, [deletion]), viewOf(EMPTY, [deletion, said])];

    expect([before.status, before.messages]).toEqual(["gone", []]);
    expect(after.messages.map(({ text, turn }) => [text, turn?.state])).toEqual([
      ["Are you there?", "failed"],
    ]);
    expect([before.turn, after.turn?.state]).toEqual([undefined, "failed"]);
  });

  test("makes no difference once it is told", () => {
    fc.assert(
      fc.property(wishes, wishes, (before, between) => {
        const { server, entries } = played(before, between);
        // The last words on each thing; what later entries undo is not satisfied, so it may not be there any more.
        const last = new Map(
          entries.map((entry) => [entry.type + ("item" in entry ? entry.item : ""), entry]),
        );
        const isLast = (entry: Entry) =>
          last.get(entry.type + ("item" in entry ? entry.item : "")) === entry;
        const done = entries.filter((entry) => {
          if (entry.type === "choose" || entry.type === "feedback") return false;
          if (entry.type !== "message" && entry.type !== "edit") return isLast(entry);
          return !server.deleted.has(messageId(entry.id));
        });

        expect(viewOf(...told(server, done.map(doneOf)))).toEqual(viewOf(...told(server, [])));
      }),
    );
  });

  test("leaves no trace where it was refused, but its own message, which has failed", () => {
    fc.assert(
      fc.property(wishes, wishes, fc.nat(), (before, between, which) => {
        const { known, entries } = played(before, between);
        const at = which % Math.max(entries.length, 1);
        const refused = entries[at];
        if (!refused) return;
        const others = entries
          .filter((entry) => entry !== refused && !dependsOn(entry, refused))
          .map((entry) => kept(entry));
        const error = { code: "content_filter", message: "No.", type: "x", param: null };
        const all = [
          ...others.slice(0, at),
          kept(refused, { status: "refused", error }),
          ...others.slice(at),
        ];

        const view = viewOf(...told(known, all));

        const id = messageId(refused.id);
        const without = view.messages.filter((message) => message.id !== id);
        const turns = view.messages.filter((message) => message.id === id).map(({ turn }) => turn);
        expect({
          ...asSeen(view),
          messages: asSeen({ ...view, messages: without }).messages,
        }).toEqual(asSeen(viewOf(...told(known, others))));
        expect(turns).toEqual(
          refused.type === "message" || refused.type === "edit"
            ? [{ state: "failed", code: "content_filter", message: "No.", remedy: "change" }]
            : [],
        );
      }),
    );
  });

  const told = (
    server: Server,
    entries: readonly Kept[],
  ): [Shelf, readonly Kept[], Partial<ConversationGiven>] => {
    const all = server.given(entries);
    return [all.shelf, entries, all];
  };
  const dependsOn = (entry: Entry, other: Entry) =>
    JSON.stringify(entry).includes(messageId(other.id)) ||
    JSON.stringify(entry).includes(`resp_${other.id}`);
});

// --- one change after another -----------------------------------------------------------------------------------

const steps = fc.array(
  fc.record({
    step: fc.constantFrom(
      "say",
      "say",
      "send",
      "refuse",
      "tell",
      "word",
      "word",
      "tick",
      "call",
      "end",
    ),
    wish: wishes.map(([wish]) => wish ?? { what: "message", which: 0, flag: true }),
    which: fc.nat(20),
  }),
  { maxLength: 30 },
);

/** What is given to a view, change by change: things are said here, sent and told, and answered word by word. */
function givenIn(
  changes: readonly { step: string; wish: Wish; which: number }[],
): ConversationGiven[] {
  const server = new Server();
  let entries: Kept[] = [];
  let answers = new Map<string, Answer>();
  let calls = new Map<string, Call>();
  const change = (at: number, more: Partial<Kept>) => {
    entries = entries.map((each, place) => (place === at ? { ...each, ...more } : each));
  };
  return changes.map(({ step, wish, which }) => {
    const at = which % Math.max(entries.length, 1);
    const turns = [...server.turns.keys()];
    const response = turns[Math.max(turns.length - 1 - (which % 3), 0)];
    const entry = entryOf(server, server, wish);
    const first = entries.find(({ status }) => status !== "refused");
    if (step === "say" && entry) entries = [...entries, kept(entry)];
    if (step === "say" && !entry && response)
      entries = [
        ...entries,
        which % 2
          ? kept({ type: "answer", id: nextId(), conversation: CONVERSATION })
          : kept({ type: "cancel", id: nextId(), response }),
      ];
    if (step === "send" && entries[at]?.status === "saved") change(at, { status: "sending" });
    else if (step === "send" && entries[at]?.status === "sending")
      change(at, { status: "done", response: `resp_${entries[at].entry.id}` });
    if (step === "refuse") change(at, { status: "refused" });
    if (step === "tell" && first) {
      server.do(first.entry);
      entries = entries.filter((each) => each !== first);
    }
    if (step === "tick" && response) {
      const state = (["accepted", "answering", "answered", "read", "failed"] as const)[which % 5];
      server.turns.set(response, tick(response, state ?? "read"));
    }
    if (step === "call" && response) {
      const status = (["asked", "running", "ran"] as const)[which % 3] ?? "ran";
      const call = {
        call: response,
        response,
        conversation: CONVERSATION,
        name: "n",
        arguments: "",
      };
      calls = new Map(calls).set(response, { ...call, status });
    }
    const asked = server.shown(server.chosen).at(-1);
    const due = asked?.response ?? response;
    if (step === "word" && due) {
      const before =
        answers.get(due) ?? begin(due, CONVERSATION, which % 2 ? asked?.id : undefined);
      const thought = {
        type: "reasoning",
        id: `rs_${due}`,
        summary: [{ type: "summary_text", text: "Hm." }],
      };
      const text = `word ${before.after}`;
      const output = [thought as Item, message("assistant", `msg_${due}`, text)].slice(
        0,
        2 + before.after,
      );
      const phase = before.after < 0 ? "thinking" : "writing";
      answers = new Map(answers).set(due, { ...before, after: before.after + 1, phase, output });
    }
    const ended = due === undefined ? undefined : answers.get(due);
    if (step === "end" && ended) {
      for (const item of ended.output)
        if (!server.items.has(item.id ?? "")) server.say(item, undefined, ended.response);
      server.turns.set(ended.response, tick(ended.response, "answered"));
      answers = new Map(answers);
      answers.delete(ended.response);
    }
    const all = server.given(entries);
    const conversation = {
      ...all.shelf.conversation,
      ...(which % 2 && due && { response: due }),
    } as ConversationTold;
    return { ...all, shelf: { ...all.shelf, conversation, answers, calls } };
  });
}

test("a view after any changes is the one that is made of all anew, by the objects of the one before", () => {
  fc.assert(
    fc.property(steps, (changes) => {
      const show = makeConversationView();
      let before: ConversationView | undefined;
      for (const each of givenIn(changes)) {
        const after = show(each);
        expect(after).toEqual(makeConversationView()(each));
        const same = new Map(before?.messages.map((one) => [one.id, one]));
        for (const one of after.messages) {
          const other = same.get(one.id);
          expect(JSON.stringify(one) === JSON.stringify(other)).toBe(one === other);
        }
        expect(JSON.stringify(after) === JSON.stringify(before)).toBe(after === before);
        before = after;
      }
    }),
    { numRuns: 300 },
  );
});

// --- one message on its way -----------------------------------------------------------------------------------

const entry: Entry = {
  type: "message",
  id: "0199a0b0-5d1c-7c3e-9d0a-6b1f0a2c4e11",
  conversation: CONVERSATION,
  content: "Why?",
};
const asked = messageId(entry.id);
const conversation: ConversationTold = {
  type: "conversation",
  id: CONVERSATION,
  branch: 0,
  version: 1,
  created_at: 1,
  changed_at: 1,
};
const shelfOf = (
  items: readonly ItemTold[],
  turns: readonly TurnTold[] = [],
  answers: readonly Answer[] = [],
  calls: readonly Call[] = [],
): Shelf => ({
  conversation,
  items: new Map(items.map((item) => [item.id, item])),
  turns: new Map(turns.map((turn) => [turn.id, turn])),
  answers: new Map(answers.map((answer) => [answer.response, answer])),
  calls: new Map(calls.map((call) => [call.call, call])),
});
const question = toldItem(message("user", asked, "Why?"), 0, 0, { response: "resp_1" });
const reply = message("assistant", "msg_a", "Because.");

test("a message goes from saved to read under one id, and its answer stays where it began", () => {
  const writing: Answer = {
    ...begin("resp_1", CONVERSATION, asked),
    after: 5,
    phase: "writing",
    output: [reply],
  };
  const done = kept(entry, { status: "done", isUnclear: true, response: "resp_1" });
  const stages = [
    given(EMPTY, [kept(entry)]),
    given(EMPTY, [kept(entry, { status: "sending", isUnclear: true })]),
    given(EMPTY, [done]),
    given(shelfOf([], [tick("resp_1", "answering")]), [done]),
    given(shelfOf([], [tick("resp_1", "answering")], [writing]), [done]),
    given(shelfOf([question], [tick("resp_1", "answering")], [writing]), []),
    given(
      shelfOf(
        [question, toldItem(reply, 0, 1, { response: "resp_1" })],
        [tick("resp_1", "answered")],
        [{ ...writing, phase: "done" }],
      ),
    ),
    given(
      shelfOf([question, toldItem(reply, 0, 1, { response: "resp_1" })], [tick("resp_1", "read")]),
    ),
  ];
  const show = makeConversationView();

  const seen = stages.map((stage) => {
    const { messages, turn } = show(stage);
    return [messages.map(({ id }) => id), turn?.state];
  });

  expect(seen).toEqual([
    [[asked], "saved"],
    [[asked], "sending"],
    [[asked], "accepted"],
    [[asked], "waiting"],
    [[asked, "msg_a"], "writing"],
    [[asked, "msg_a"], "writing"],
    [[asked, "msg_a"], "done"],
    [[asked, "msg_a"], "done"],
  ]);
});

test("the whole of a message is shown", () => {
  const done = given(
    shelfOf(
      [
        { ...question, pinned: true },
        toldItem(
          {
            type: "reasoning",
            id: "rs_1",
            summary: [{ type: "summary_text", text: "Hm." }],
          } as Item,
          0,
          1,
          { response: "resp_1" },
        ),
        toldItem(reply, 0, 2, { response: "resp_1" }),
      ],
      [tick("resp_1", "read")],
    ),
    [],
    { feedback: new Map([["resp_1", { rating: "up" } as FeedbackTold]]) },
  );
  const turn = { state: "done", response: "resp_1", isRead: true };
  const both = { at_ms: 1_000, turn, response: "resp_1", isLocal: false };

  expect(makeConversationView()(done)).toEqual({
    id: CONVERSATION,
    title: undefined,
    changedAt_ms: 1_000,
    isPinned: false,
    isBusy: false,
    isUnread: false,
    isLocal: false,
    status: "ready",
    calls: [],
    followUps: [],
    turn,
    messages: [
      {
        ...both,
        id: asked,
        role: "user",
        text: "Why?",
        content: [{ type: "input_text", text: "Why?" }],
        thoughts: "",
        isPinned: true,
        siblings: [{ item: asked, branch: 0 }],
        rating: undefined,
      },
      {
        ...both,
        id: "msg_a",
        role: "assistant",
        text: "Because.",
        content: [{ type: "output_text", text: "Because." }],
        thoughts: "Hm.",
        isPinned: false,
        siblings: [{ item: "msg_a", branch: 0 }],
        rating: "up",
      },
    ],
  });
});

test("an edit stands beside what it changes, on both", () => {
  const edit: Entry = {
    type: "edit",
    id: nextId(),
    conversation: CONVERSATION,
    item: asked,
    content: "How?",
  };
  const view = viewOf(shelfOf([question, toldItem(reply, 0, 1, { response: "resp_1" })]), [
    kept(edit),
  ]);

  expect(view.messages.map(({ text, siblings }) => [text, siblings])).toEqual([
    [
      "How?",
      [
        { item: asked, branch: 0 },
        { item: messageId(edit.id), branch: -1 },
      ],
    ],
  ]);
});

test("another answer takes the place of the first one as soon as it is asked for, and comes there", () => {
  const again: Entry = { type: "answer", id: nextId(), conversation: CONVERSATION, after: asked };
  const items = [question, toldItem(reply, 0, 1, { response: "resp_1" })];
  const other: Answer = {
    ...begin("resp_2", CONVERSATION, asked),
    phase: "writing",
    output: [message("assistant", "msg_b", "So.")],
  };
  const done = kept(again, { status: "done", response: "resp_2" });

  const early = viewOf(shelfOf(items), [kept(again)]);
  const late = viewOf(
    shelfOf(items, [tick("resp_1", "read"), tick("resp_2", "answering")], [other]),
    [done],
  );

  expect([early.messages.map(({ text }) => text), early.turn?.state]).toEqual([["Why?"], "saved"]);
  expect([late.messages.map(({ text, turn }) => [text, turn?.state])]).toEqual([
    [
      ["Why?", "writing"],
      ["So.", "writing"],
    ],
  ]);
});

test("another answer that fails without a word has failed, until something else is asked for", () => {
  const again: Entry = { type: "answer", id: nextId(), conversation: CONVERSATION, after: asked };
  const failed = tick("resp_2", "failed", "provider_error");
  const done = kept(again, { status: "done", response: "resp_2" });
  const shelf = shelfOf([question], [tick("resp_1", "read"), failed]);
  const { writes } = settle([done], [failed]);
  const left = writes.flatMap(([, value]) => (value ? [value as unknown as Kept] : []));

  expect([left, viewOf(shelf, left).turn]).toEqual([
    [{ ...done, hasFailed: true }],
    { state: "failed", response: "resp_2", code: "provider_error", remedy: "again" },
  ]);
  expect(settleAll(left, new Set([again.id])).writes).toEqual([]);
  expect(put(left, { ...again, id: nextId() }, 1).writes[0]).toEqual([
    `outbox/${again.id}`,
    undefined,
  ]);
  const other = toldItem(reply, 1, 1, { response: "resp_3" });
  expect(settle(left, [toldItem(reply, 1, 1, { response: "resp_2" })]).writes[0]?.[1]).toBe(
    undefined,
  );
  expect(
    viewOf({ ...shelfOf([question, { ...other, branch: 0 }], [failed, tick("resp_3", "read")]) }, [
      { ...(left[0] as Kept), entry: { ...again, after: "msg_a" } as Entry },
    ]).turn?.state,
  ).toBe("done");
});

test("what waits behind an answer stays behind it", () => {
  const next: Entry = { ...entry, id: nextId(), content: "And then?" } as Entry;
  const writing: Answer = {
    ...begin("resp_1", CONVERSATION, asked),
    phase: "writing",
    output: [reply],
  };
  const view = viewOf(shelfOf([question], [tick("resp_1", "answering")], [writing]), [kept(next)]);

  expect(view.messages.map(({ text, turn }) => [text, turn?.state])).toEqual([
    ["Why?", "writing"],
    ["Because.", "writing"],
    ["And then?", "saved"],
  ]);
});

test("a tool that wants to be allowed is asked for, and its message says so", () => {
  const call: Call = {
    call: "call_1",
    response: "resp_1",
    conversation: CONVERSATION,
    name: "look",
    arguments: "{}",
    status: "asked",
  };
  const shelf = shelfOf([question], [tick("resp_1", "answered")], [], [call]);
  const view = viewOf(shelf, [], { titleOf: () => "Look around" });

  expect([view.turn?.state, view.calls]).toEqual(["asking", [{ ...call, title: "Look around" }]]);
});

test("thoughts are seen before the first word, and then with it", () => {
  const thought = {
    type: "reasoning",
    id: "rs_1",
    summary: [{ type: "summary_text", text: "Hm." }],
  } as Item;
  const thinking: Answer = {
    ...begin("resp_1", CONVERSATION, asked),
    phase: "thinking",
    output: [thought],
  };
  const writing: Answer = { ...thinking, phase: "writing", output: [thought, reply] };

  const seen = [thinking, writing].map((answer) => {
    const [, last] = viewOf(shelfOf([question], [], [answer])).messages;
    return [last?.role, last?.thoughts, last?.text];
  });

  expect(seen).toEqual([
    ["assistant", "Hm.", ""],
    ["assistant", "Hm.", "Because."],
  ]);
});

test("a stopped answer is cancelled at once", () => {
  const writing: Answer = {
    ...begin("resp_1", CONVERSATION, asked),
    phase: "writing",
    output: [reply],
  };
  const cancel: Entry = { type: "cancel", id: nextId(), response: "resp_1" };
  const view = viewOf(shelfOf([question], [tick("resp_1", "answering")], [writing]), [
    kept(cancel),
  ]);

  expect([view.turn?.state, view.messages.length]).toEqual(["cancelled", 2]);
});

// --- what it costs ----------------------------------------------------------------------------------------------

describe("a conversation of 500 messages", () => {
  const items = Array.from({ length: 250 }, (_, turn) => [
    toldItem(message("user", `msg_u${turn}`, "Why?"), 0, 2 * turn, { response: `resp_${turn}` }),
    toldItem(message("assistant", `msg_a${turn}`, "Because."), 0, 2 * turn + 1, {
      response: `resp_${turn}`,
    }),
  ]).flat();
  const last = toldItem(message("user", "msg_last", "And?"), 0, 500, { response: "resp_last" });
  const turns = Array.from({ length: 250 }, (_, turn) => tick(`resp_${turn}`, "read"));
  const shelf = shelfOf([...items, last], [...turns, tick("resp_last", "answering")]);
  const withAnswer = (answer: Answer): Shelf => ({
    ...shelf,
    answers: new Map([["resp_last", answer]]),
  });
  const starts = [
    {
      type: "response.output_item.added",
      output_index: 0,
      item: message("assistant", "msg_new", ""),
    },
    {
      type: "response.content_part.added",
      output_index: 0,
      content_index: 0,
      part: { type: "output_text", text: "" },
    },
  ];
  const deltas = Array.from({ length: 300 }, () => ({
    type: "response.output_text.delta",
    output_index: 0,
    content_index: 0,
    delta: "word ",
  }));
  const events = [...starts, ...deltas].map((event, sequence_number) => ({
    ...event,
    sequence_number,
  }));

  test("makes one message anew for each word of an answer, none for what says nothing, and all others stay the same", () => {
    const show = makeConversationView();
    let answer = begin("resp_last", CONVERSATION, "msg_last");
    let before = show(given(withAnswer(answer))).messages;
    const entries: Kept[] = [];
    const counts = new Set<number>();
    let texts = 0;

    for (const event of events) {
      answer = hear(answer, event) ?? answer;
      const { messages } = show({ ...given(withAnswer(answer)), entries });
      if (messages.length === before.length)
        counts.add(messages.filter((message, at) => message !== before[at]).length);
      before = messages;
      texts = messages.at(-1)?.text.length ?? 0;
    }

    expect([before.length, texts, [...counts].sort()]).toEqual([502, 300 * 5, [0, 1]]);
  });

  test("makes exactly one message for a word, and reads nothing of what stands", () => {
    let reads = 0;
    const watched = <T extends object>(value: T): T =>
      new Proxy(value, {
        get(target, field) {
          reads += 1;
          const found: unknown = Reflect.get(target, field, target);
          return typeof found === "object" && found !== null ? watched(found) : found;
        },
      });
    const told = [...shelf.items].map(([id, item]) => [id, watched(item)] as const);
    const all = { ...shelf, items: new Map(told) };
    const show = makeConversationView();
    const { entries, feedback, ...rest } = given(all);
    const heard = events
      .slice(0, 4)
      .reduce((so, event) => hear(so, event) ?? so, begin("resp_last", CONVERSATION));
    const showAt = (answer: Answer) =>
      show({
        ...rest,
        entries,
        feedback,
        shelf: { ...all, answers: new Map([["resp_last", answer]]) },
      });
    const before = showAt(heard);
    const readsFirst = reads;
    reads = 0;

    const after = showAt(hear(heard, events[4] as AnswerEvent) as Answer);

    const made = after.messages.filter((message, at) => message !== before.messages[at]);
    expect([made.map(({ text }) => text), reads, readsFirst > 500]).toEqual([
      ["word word word "],
      0,
      true,
    ]);
  });

  test("is the same object where nothing changed, whatever was made anew around it", () => {
    const show = makeConversationView();
    const one = show(given(shelf, [kept(entry)]));

    expect(show(given({ ...shelf, answers: new Map() }, [...[kept(entry)]]))).toEqual(one);
    const same = show(given(shelf, []));
    expect(show(given({ ...shelf, answers: new Map() }, []))).toBe(same);
  });

  test("keeps all messages that a change of one leaves as they are", () => {
    const show = makeConversationView();
    const before = show(given(shelf)).messages;
    const changed = new Map(shelf.items).set("msg_u3", { ...(items[6] as ItemTold), pinned: true });

    const after = show(given({ ...shelf, items: changed })).messages;

    expect(after.flatMap((message, at) => (message === before[at] ? [] : [message.id]))).toEqual([
      "msg_u3",
    ]);
  });
});

// --- the list of them ---------------------------------------------------------------------------------------------

describe("the list", () => {
  const of = (id: string, more: Partial<ConversationTold> = {}): ConversationTold => ({
    ...conversation,
    id,
    ...more,
  });
  const all = (...told: ConversationTold[]) => ({
    conversations: new Map(told.map((each) => [each.id, each])),
    entries: [] as Kept[],
    unread: new Set<string>(),
    busy: new Set<string>(),
  });
  const about = (id: string, more: object) =>
    kept({ id: nextId(), conversation: id, ...more } as Entry);

  test("has pinned ones first, then those that changed last, and knows of what was done here", () => {
    const told = all(
      of("a", { changed_at: 1 }),
      of("b", { changed_at: 2 }),
      of("c", { changed_at: 3 }),
      of("d"),
    );
    const entries = [
      about("a", { type: "pin", pinned: true }),
      about("b", { type: "rename", title: "Mine" }),
      about("d", { type: "delete" }),
      kept({ type: "message", id: nextId(), conversation: "e", content: "Hi" }, { at_ms: 9_000 }),
      about("gone", { type: "rename", title: "Nobody's" }),
    ];
    const list = makeSummaries()({
      ...told,
      entries,
      unread: new Set(["b"]),
      busy: new Set(["c"]),
    });

    expect(
      list.map(({ id, title, isPinned, isBusy, isUnread, isLocal }) => [
        id,
        title,
        isPinned,
        isBusy,
        isUnread,
        isLocal,
      ]),
    ).toEqual([
      ["a", undefined, true, false, false, false],
      ["e", undefined, false, true, false, true],
      ["c", undefined, false, true, false, false],
      ["b", "Mine", false, false, true, false],
    ]);
  });

  test("keeps what has not changed, itself included", () => {
    const summaries = makeSummaries();
    const told = all(of("a", { changed_at: 1 }), of("b", { changed_at: 2 }));
    const before = summaries(told);

    expect(summaries({ ...told, conversations: new Map(told.conversations) })).toBe(before);
    const after = summaries({ ...told, busy: new Set(["a"]) });
    expect([after[0] === before[0], after[1] === before[1]]).toEqual([true, false]);
  });

  test("does not show what was read here as unread", () => {
    const told = { ...all(of("a")), unread: new Set(["a"]) };

    expect(
      makeSummaries()({ ...told, entries: [about("a", { type: "read", item: "i" })] })[0]?.isUnread,
    ).toBe(false);
  });
});
