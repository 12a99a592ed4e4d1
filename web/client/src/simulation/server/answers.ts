// What the model says: an answer as the events of its stream, as src/frontdesk/wire/openai_responses_render.py writes
// them and contract/transcripts shows them. Pure: what comes of a plan, and what of it has been said up to an event.

import type { AnswerEvent, Item } from "../../wire.ts";

/** What an answer will be. */
export interface Plan {
  readonly thoughts: readonly string[];
  readonly words: readonly string[];
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
  readonly ends: "completed" | "incomplete" | "failed";
}

/** How an answer ended. */
export interface Ended {
  readonly status: "completed" | "incomplete" | "failed" | "cancelled";
  readonly code?: string;
}

/** What of an answer is told around its items. */
export interface Facts {
  readonly id: string;
  readonly conversation: string;
  readonly created_at: number;
}

type Told = Readonly<Record<string, unknown>> & { readonly type: string };

/** An item of an answer, and the events that tell it. */
interface Draft {
  readonly item: Item;
  /** As far as it has been said. */
  readonly unfinished: (text: string) => Item;
  readonly opening: readonly Told[];
  readonly deltas: readonly Told[];
  readonly closing: readonly Told[];
}

/** All events of an answer but the last, which is `terminalOf`. */
export function eventsOf(plan: Plan, facts: Facts): AnswerEvent[] {
  return numbered([...beginning(facts), ...draftsOf(plan, facts.id).flatMap(told)]);
}

/** The items of an answer as far as these events tell it: an item that is not whole has the text it has. */
export function outputOf(plan: Plan, facts: Facts, events: readonly AnswerEvent[]): Item[] {
  const output: Item[] = [];
  const drafts = draftsOf(plan, facts.id);
  for (const event of events) {
    const index = event.output_index;
    if (typeof index !== "number") continue;
    const draft = drafts[index];
    if (draft === undefined) continue;
    const pieces = events.filter(
      (each) => each.output_index === index && each.type.endsWith(".delta"),
    );
    const text = pieces.map((each) => each.delta).join("");
    const isWhole = events.some(
      (each) => each.output_index === index && each.type === "response.output_item.done",
    );
    output[index] = isWhole ? draft.item : draft.unfinished(text);
  }
  return output;
}

/** The last event of an answer. */
export function terminalOf(
  facts: Facts,
  output: readonly Item[],
  ended: Ended,
  sequence_number: number,
): AnswerEvent {
  const last = ended.status === "cancelled" ? "incomplete" : ended.status;
  return {
    type: `response.${last}`,
    sequence_number,
    response: responseOf(facts, ended.status, output, ended.code),
  };
}

/** An answer told again of which the single events are gone: fewer, longer pieces. */
export function retold(facts: Facts, output: readonly Item[], ended: Ended): AnswerEvent[] {
  const drafts = output.map((item): Draft => {
    const text = textOfItem(item);
    const draft = item.type === "message" ? saying(item.id, [text], item.status) : undefined;
    return draft ?? { item, unfinished: () => item, opening: [], deltas: [], closing: [] };
  });
  const events = numbered([...beginning(facts), ...drafts.flatMap(told)]);
  return [...events, terminalOf(facts, output, ended, events.length)];
}

/** A Response, with those of its fields that a device looks at. */
export function responseOf(
  { id, conversation, created_at }: Facts,
  status: string,
  output: readonly Item[],
  code?: string,
): Record<string, unknown> {
  const isOpen = status === "in_progress" || status === "queued";
  return {
    id,
    object: "response",
    created_at,
    completed_at: isOpen ? null : created_at,
    status,
    error: code === undefined ? null : { code, message: "The answer broke off." },
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    model: "fast",
    output,
    usage: null,
    background: true,
    conversation: { id: conversation },
    metadata: {},
  };
}

/** The items that an answer puts into its conversation: what is not whole and says nothing stays out. */
export function kept(output: readonly Item[]): Item[] {
  return output.filter((item) => {
    if (item === undefined) return false;
    if (item.type === "message") return textOfItem(item) !== "" || item.status === "completed";
    return "status" in item && item.status === "completed";
  });
}

/** The text of a message. */
export function textOfItem(item: Item): string {
  if (item.type !== "message") return "";
  return item.content.map((part) => ("text" in part ? part.text : "")).join("");
}

function beginning(facts: Facts): Told[] {
  const response = responseOf(facts, "in_progress", []);
  return [
    { type: "response.created", response },
    { type: "response.in_progress", response },
  ];
}

function told(draft: Draft, output_index: number): Told[] {
  const begun = { ...draft.unfinished(""), status: "in_progress" };
  const within = [...draft.opening, ...draft.deltas, ...draft.closing].map((event) => ({
    ...event,
    item_id: draft.item.id,
    output_index,
  }));
  return [
    { type: "response.output_item.added", output_index, item: begun },
    ...within,
    { type: "response.output_item.done", output_index, item: draft.item },
  ];
}

function numbered(events: readonly Told[]): AnswerEvent[] {
  return events.map((event, sequence_number) => ({ ...event, sequence_number }));
}

function draftsOf({ thoughts, words, calls, ends }: Plan, response: string): Draft[] {
  const rest = response.replace("resp_", "");
  const drafts: Draft[] = [];
  if (thoughts.length > 0) drafts.push(thinking(`rs_${rest}`, thoughts));
  if (words.length > 0 || calls.length === 0)
    drafts.push(saying(`msg_${rest}`, words, ends === "completed" ? "completed" : "incomplete"));
  calls.forEach((call, number) => {
    const id = `${rest}_${number}`;
    drafts.push(calling(`fc_${id}`, `call_${id}`, call.name, call.arguments));
  });
  return drafts;
}

function thinking(id: string, words: readonly string[]): Draft {
  const text = words.join("");
  const of = (text: string, status: "completed" | "incomplete"): Item => ({
    id,
    type: "reasoning",
    status,
    summary: text === "" ? [] : [{ type: "summary_text", text }],
  });
  const at = { summary_index: 0 };
  const type = "response.reasoning_summary";
  return {
    item: of(text, "completed"),
    unfinished: (text) => of(text, "incomplete"),
    opening: [{ type: `${type}_part.added`, ...at, part: { type: "summary_text", text: "" } }],
    deltas: words.map((delta) => ({ type: `${type}_text.delta`, ...at, delta })),
    closing: [
      { type: `${type}_text.done`, ...at, text },
      { type: `${type}_part.done`, ...at, part: { type: "summary_text", text } },
    ],
  };
}

function saying(id: string, words: readonly string[], status: Status): Draft {
  const text = words.join("");
  const of = (text: string, status: Status): Item => ({
    id,
    type: "message",
    status,
    role: "assistant",
    content: text === "" ? [] : [textPart(text)],
  });
  const at = { content_index: 0 };
  return {
    item: of(text, status),
    unfinished: (text) => of(text, "incomplete"),
    opening: [{ type: "response.content_part.added", ...at, part: textPart("") }],
    deltas: words.map((delta) => ({
      type: "response.output_text.delta",
      ...at,
      delta,
      logprobs: [],
    })),
    closing: [
      { type: "response.output_text.done", ...at, text, logprobs: [] },
      { type: "response.content_part.done", ...at, part: textPart(text) },
    ],
  };
}

function calling(id: string, call_id: string, name: string, given: string): Draft {
  const of = (text: string, status: "completed" | "incomplete"): Item => ({
    id,
    type: "function_call",
    status,
    call_id,
    name,
    arguments: text,
  });
  const half = given.length >> 1;
  return {
    item: of(given, "completed"),
    unfinished: (text) => of(text, "incomplete"),
    opening: [],
    deltas: [given.slice(0, half), given.slice(half)].map((delta) => ({
      type: "response.function_call_arguments.delta",
      delta,
    })),
    closing: [{ type: "response.function_call_arguments.done", arguments: given, name }],
  };
}

type Status = Extract<Item, { type: "message" }>["status"];

function textPart(text: string) {
  return { type: "output_text", text, annotations: [], logprobs: [] } as const;
}
