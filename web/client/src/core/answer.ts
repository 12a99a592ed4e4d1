// An answer put together from the events of its stream, as OpenAI's Responses have them. What was had already is passed over,
// so a stream may begin again anywhere behind what is missing.

import type { components } from "../contract.ts";
import type { Answer } from "../state.ts";
import type { AnswerEvent, ErrorDetails, TurnTold } from "../wire.ts";
import { hasEnded, isOver, textOf, thoughtsOf } from "./said.ts";
import { defined } from "./values.ts";

/** A Response as `GET /v1/responses/{id}` and its events tell it; what is not read here is left out. */
export type ResponseTold = Pick<
  components["schemas"]["Response"],
  "status" | "output" | "error" | "incomplete_details"
>;

type Output = Answer["output"];
type Fields = { readonly [field: string]: unknown };

/** Begin with an answer of which nothing is known yet. `to` is the item that it answers. */
export function begin(response: string, conversation: string, to?: string): Answer {
  return defined<Answer>({ response, conversation, to, after: -1, phase: "waiting", output: [] });
}

/**
 * Put an event in. The same answer comes back where it says nothing new; undefined where events before it are missing,
 * so that it has to be listened to again from `after` on. A terminal event holds all, so it is taken whatever is missing.
 */
export function hear(answer: Answer, event: AnswerEvent): Answer | undefined {
  if (isOver(answer)) return answer;
  const { type, sequence_number: number } = event;
  if (/^response\.(completed|incomplete|failed)$/.test(type))
    return ended(answer, event.response as ResponseTold, Math.max(number, answer.after));
  if (type === "error") return { ...answer, phase: "failed", error: errorOf(event) };
  if (number <= answer.after) return answer;
  if (number > answer.after + 1) return undefined;
  const output = grown(answer.output, event);
  return { ...answer, after: number, output, phase: phaseAt(answer, event, output) };
}

/**
 * Put in what a look at the Response says. Whole, it ends the answer; as far as it came, it has no place in the stream, which
 * then has to be listened to from its beginning.
 */
export function look(answer: Answer, told: ResponseTold): Answer {
  if (isOver(answer)) return answer;
  if (told.status !== "in_progress" && told.status !== "queued")
    return ended(answer, told, answer.after);
  if (sizeOf(told.output as Output) <= sizeOf(answer.output)) return answer;
  const phase = told.output.some(({ type }) => type === "message") ? "writing" : "thinking";
  return { ...answer, after: -1, phase, output: told.output as Output };
}

/**
 * Say whether the changes tell all that an answer says, so that its record can go. `isEnd` says that all there is has been told
 * since the turn's end was: what is missing by then never comes.
 */
export function isTold(
  answer: Answer,
  tick: TurnTold | undefined,
  hasItem: (id: string) => boolean,
  isEnd: boolean,
): boolean {
  if (!tick || !hasEnded(tick)) return false;
  return isEnd || (isOver(answer) && answer.output.every(({ id }) => hasItem(id)));
}

// --- events -----------------------------------------------------------------------------------------------

// Which list of its item an event speaks of, and which field of a part there, or of the item itself.
const PLACES: { readonly [what: string]: readonly [list: string, field: string] } = {
  content_part: ["content", ""],
  output_text: ["content", "text"],
  reasoning_text: ["content", "text"],
  refusal: ["content", "refusal"],
  reasoning_summary_part: ["summary", ""],
  reasoning_summary_text: ["summary", "text"],
  function_call_arguments: ["", "arguments"],
  custom_tool_call_input: ["", "input"],
};

function ended(answer: Answer, told: ResponseTold, after: number): Answer {
  const { status, output, incomplete_details: cut } = told;
  const phase = status === "failed" || status === "cancelled" ? status : "done";
  const error =
    phase === "failed"
      ? errorOf(told.error)
      : phase === "done" && cut?.reason
        ? errorOf({ code: cut.reason })
        : undefined;
  return defined<Answer>({ ...answer, after, phase, output: output as Output, error });
}

function errorOf(error: Partial<ErrorDetails> | null): ErrorDetails {
  return {
    code: error?.code ?? null,
    message: error?.message ?? "",
    type: "server_error",
    param: error?.param ?? null,
  };
}

function phaseAt(answer: Answer, event: AnswerEvent, output: Output): Answer["phase"] {
  if (output === answer.output) return answer.phase;
  return output[event.output_index as number]?.type === "message" ? "writing" : "thinking";
}

/** What came with the event `response.<what>.<step>`: `added` and `done` say all of something, `delta` what comes behind it. */
function grown(output: Output, event: AnswerEvent): Output {
  const [, what = "", step] = event.type.split(".");
  const at = event.output_index as number;
  if (what === "output_item") return replaced(output, at, event.item);
  const item = output[at] as Fields | undefined;
  const place = PLACES[what];
  if (!item || !place) return output;
  const [list, field] = place;
  const change = (was: Fields = {}): Fields => {
    if (!field) return event.part as Fields;
    const value =
      step === "delta" ? `${was[field] ?? ""}${event.delta}` : (event[field] ?? was[field]);
    return { ...was, [field]: value };
  };
  if (!list) return replaced(output, at, change(item));
  const parts = (item[list] ?? []) as readonly Fields[];
  const index = event[`${list}_index`] as number;
  return replaced(output, at, { ...item, [list]: replaced(parts, index, change(parts[index])) });
}

function replaced<T>(list: readonly T[], at: number, value: unknown): T[] {
  const next = [...list];
  next[at] = value as T;
  return next;
}

/** Measure how much an answer says. */
export function sizeOf(output: Output): number {
  return output.reduce((size, item) => size + textOf(item).length + thoughtsOf(item).length, 0);
}
