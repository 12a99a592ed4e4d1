// What a word of an answer costs: from its event to the view of its conversation, in microseconds, beside a long conversation.
// And what everything else that changes costs: a turn, items, the outbox.
//
//     cd web && npm run bench:view

import { begin, hear } from "../src/core/answer.ts";
import { EMPTY, type Shelf } from "../src/core/held.ts";
import { makeConversationView } from "../src/core/view.ts";
import type { Kept } from "../src/state.ts";
import type { Item, ItemTold, TurnTold } from "../src/wire.ts";

const CONVERSATION = "conv_1";
const WORDS = Number(process.env.WORDS ?? 10_000);
const ROUNDS = 7;

function said(role: "user" | "assistant", id: string, text: string): Item {
  const type = role === "user" ? "input_text" : "output_text";
  return { type: "message", id, role, status: "completed", content: [{ type, text }] } as Item;
}

/** A conversation of so many messages, of which the last one is being answered. */
function shelfOf(messages: number): Shelf {
  const told = Array.from({ length: messages }, (_, at): ItemTold => {
    const turn = at - (at % 2);
    const item = at % 2 ? said("assistant", `a${at}`, "Because.") : said("user", `u${at}`, "Why?");
    return {
      type: "item",
      conversation: CONVERSATION,
      id: item.id ?? "",
      branch: 0,
      position: at,
      created_at: at,
      item,
      response: `resp_${turn}`,
    };
  });
  const turns = told.map(({ response = "" }, at): TurnTold => {
    const state = at < messages - 1 ? "read" : "answering";
    return { type: "turn", conversation: CONVERSATION, id: response, state };
  });
  return {
    ...EMPTY,
    conversation: {
      type: "conversation",
      id: CONVERSATION,
      branch: 0,
      version: 1,
      created_at: 1,
      changed_at: 1,
      response: `resp_${messages - 1}`,
    },
    items: new Map(told.map((item) => [item.id, item])),
    turns: new Map(turns.map((turn) => [turn.id, turn])),
  };
}

function eventsOf(words: number) {
  const part = { type: "output_text", text: "", annotations: [] };
  const deltas = Array.from({ length: words }, (_, at) => `word${at} `);
  return [
    { type: "response.output_item.added", item: said("assistant", "msg_new", "") },
    { type: "response.content_part.added", content_index: 0, part },
    ...deltas.map((delta) => ({ type: "response.output_text.delta", content_index: 0, delta })),
  ].map((event, sequence_number) => ({ ...event, output_index: 0, sequence_number }));
}

/** What each of some calls takes of a processor: what else runs on the machine makes little difference. */
function cost_us(calls: number, call: (number: number) => void): number {
  const before = process.cpuUsage();
  for (let number = 0; number < calls; number++) call(number);
  return process.cpuUsage(before).user / calls;
}

function median(values: readonly number[]): string {
  const inOrder = [...values].sort((one, other) => one - other);
  return (inOrder[inOrder.length >> 1] ?? 0).toFixed(1);
}

/** A function that gives the shelf, and the outbox, after each of many changes of a kind. */
type Changes = (shelf: Shelf) => (number: number) => readonly [Shelf, readonly Kept[]];

const STATES = ["accepted", "answering"] as const;

/** Items told anew: every one of `count` that stand apart from each other has another pin. */
function pinned({ items }: Shelf, count: number, isPinned: boolean): ReadonlyMap<string, ItemTold> {
  const next = new Map(items);
  const all = [...items.values()].filter((_, at) => at % Math.floor(items.size / count) === 0);
  for (const { pinned: _, ...item } of all.slice(0, count))
    next.set(item.id, { ...item, ...(isPinned && { pinned: true }) });
  return next;
}

const KINDS: Readonly<Record<string, Changes>> = {
  "a tick of a turn": (shelf) => (number) => {
    const id = shelf.conversation?.response ?? "";
    const state = STATES[number % 2] ?? "accepted";
    const turns = new Map(shelf.turns).set(id, {
      type: "turn",
      conversation: CONVERSATION,
      id,
      state,
    });
    return [{ ...shelf, turns }, []];
  },
  "one new message": (shelf) => {
    let { items } = shelf;
    return (number) => {
      const at = shelf.items.size + number;
      const item = said("user", `new${at}`, "And?");
      const told = { ...(shelf.items.get("u0") as ItemTold), id: `new${at}`, position: at, item };
      items = new Map(items).set(told.id, told);
      return [{ ...shelf, items }, []];
    };
  },
  "a page with 50 changed items": (shelf) => (number) => [
    { ...shelf, items: pinned(shelf, 50, number % 2 === 0) },
    [],
  ],
  "an entry from sending to gone": (shelf) => {
    const id = "0199a0b0-5d1c-7c3e-9d0a-6b1f0a2c4e11";
    const entry = { type: "message", id, conversation: CONVERSATION, content: "And?" } as const;
    const kept = { entry, status: "sending", at_ms: 1, isUnclear: true, attempts: 1 } as const;
    return (number) => [shelf, number % 2 ? [] : [{ ...kept }]];
  },
};
const CHANGES = 60;
const given = { id: CONVERSATION, feedback: new Map(), status: "ready" } as const;
const titleOf = ({ name }: { readonly name: string }) => name;

console.log("messages   us a word   of that the view");
for (const messages of [51, 201, 501]) {
  const shelf = shelfOf(messages);
  const response = `resp_${messages - 1}`;
  const events = eventsOf(WORDS);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const show = makeConversationView();
    const entries: readonly Kept[] = [];
    const view = (of: Shelf) => show({ ...given, entries, shelf: of, titleOf });
    let answer = begin(response, CONVERSATION, `u${messages - 1}`);
    const hearNext = (number: number) => {
      const event = events[number];
      answer = (event && hear(answer, event)) ?? answer;
    };
    view(shelf);
    const whole = cost_us(events.length, (number) => {
      hearNext(number);
      view({ ...shelf, answers: new Map([[response, answer]]) });
    });
    answer = begin(response, CONVERSATION);
    const heard = cost_us(events.length, hearNext);
    return { whole, viewed: whole - heard };
  });
  console.log(
    String(messages).padStart(8),
    median(rounds.map(({ whole }) => whole)).padStart(11),
    median(rounds.map(({ viewed }) => viewed)).padStart(18),
  );
}

console.log("\nus for another change, by messages           51      201      501");
for (const [name, changes] of Object.entries(KINDS)) {
  const costs = [51, 201, 501].map((messages) => {
    const shelf = shelfOf(messages);
    const rounds = Array.from({ length: ROUNDS * 3 }, () => {
      const show = makeConversationView();
      const change = changes(shelf);
      // What is given is no part of what it costs to show it.
      const all = Array.from({ length: CHANGES }, (_, number) => change(number));
      const view = (of: Shelf, entries: readonly Kept[]) =>
        show({ ...given, entries, shelf: of, titleOf });
      view(shelf, []);
      return cost_us(CHANGES, (number) => {
        const [of, entries] = all[number] ?? [shelf, []];
        view(of, entries);
      });
    });
    return median(rounds).padStart(8);
  });
  console.log(name.padEnd(38), costs.join(" "));
}
