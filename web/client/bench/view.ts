// What a word of an answer costs: from its event to the view of its conversation, in microseconds, beside a long conversation.
// And what everything else that changes costs: the view of a conversation of which an item, a turn or the outbox is another.
//
//     cd web && npm run bench:view

import { begin, hear } from "../src/core/answer.ts";
import { EMPTY, type Shelf } from "../src/core/things.ts";
import { makeConversationView } from "../src/core/view.ts";
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

console.log("messages   us a word   of that the view   us for any other change");
for (const messages of [51, 201, 501]) {
  const shelf = shelfOf(messages);
  const response = `resp_${messages - 1}`;
  const events = eventsOf(WORDS);
  const given = { id: CONVERSATION, entries: [], feedback: new Map(), status: "ready" } as const;
  const rounds = Array.from({ length: ROUNDS }, () => {
    const show = makeConversationView();
    const view = (of: Shelf) => show({ ...given, shelf: of, titleOf: ({ name }) => name });
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
    const answers = new Map([[response, answer]]);
    const other = cost_us(100, () => view({ ...shelf, answers, turns: new Map(shelf.turns) }));
    return { whole, viewed: whole - heard, other };
  });
  const [whole = "", viewed = "", other = ""] = (["whole", "viewed", "other"] as const).map(
    (name) => median(rounds.map((round) => round[name])),
  );
  console.log(
    String(messages).padStart(8),
    whole.padStart(11),
    viewed.padStart(18),
    other.padStart(25),
  );
}
