import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Answer } from "../state.ts";
import type { AnswerEvent, Item, TurnTold } from "../wire.ts";
import { begin, hear, isTold, look } from "./answer.ts";
import { isOver, textOf, thoughtsOf } from "./said.ts";

const numbered = (events: readonly { type: string; [field: string]: unknown }[]): AnswerEvent[] =>
  events.map((event, sequence_number) => ({ sequence_number, ...event }));

const message = (text: string, status = "in_progress") => ({
  type: "message",
  id: "msg_2",
  role: "assistant",
  status,
  content: text ? [{ type: "output_text", text }] : [],
});

/** The events of an answer: a thought, these pieces of text, a call with these pieces of arguments. */
function stream(
  thoughts: readonly string[],
  texts: readonly string[],
  args: readonly string[],
): AnswerEvent[] {
  const text = texts.join("");
  const reasoning = {
    type: "reasoning",
    id: "rs_1",
    summary: [{ type: "summary_text", text: thoughts.join("") }],
  };
  const call = {
    type: "function_call",
    id: "fc_3",
    call_id: "call_1",
    name: "look",
    status: "in_progress",
  };
  const output = [
    reasoning,
    message(text, "completed"),
    { ...call, arguments: args.join(""), status: "completed" },
  ];
  return numbered([
    { type: "response.created", response: { status: "in_progress", output: [] } },
    { type: "response.output_item.added", output_index: 0, item: { ...reasoning, summary: [] } },
    {
      type: "response.reasoning_summary_part.added",
      output_index: 0,
      summary_index: 0,
      part: { type: "summary_text", text: "" },
    },
    ...thoughts.map((delta) => ({
      type: "response.reasoning_summary_text.delta",
      output_index: 0,
      summary_index: 0,
      delta,
    })),
    { type: "response.output_item.added", output_index: 1, item: message("") },
    {
      type: "response.content_part.added",
      output_index: 1,
      content_index: 0,
      part: { type: "output_text", text: "" },
    },
    ...texts.map((delta) => ({
      type: "response.output_text.delta",
      output_index: 1,
      content_index: 0,
      delta,
    })),
    { type: "response.what_comes_one_day", output_index: 1, delta: "nothing that we know" },
    { type: "response.output_item.done", output_index: 1, item: message(text, "completed") },
    { type: "response.output_item.added", output_index: 2, item: { ...call, arguments: "" } },
    ...args.map((delta) => ({
      type: "response.function_call_arguments.delta",
      output_index: 2,
      delta,
    })),
    { type: "response.completed", response: { status: "completed", output } },
  ]);
}

const hearAll = (
  events: readonly AnswerEvent[],
  from: Answer = begin("resp_1", "conv_1"),
): Answer => events.reduce((answer, event) => hear(answer, event) ?? answer, from);

const pieces = fc.array(fc.string({ maxLength: 5 }), { maxLength: 8 });
const streams = fc
  .tuple(pieces, pieces, pieces)
  .map(([one, two, three]) => stream(one, two, three));

test("lost connections, replays from anywhere and doubled events come to the same answer", () => {
  fc.assert(
    fc.property(
      streams,
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean())),
      (events, connections) => {
        let answer = begin("resp_1", "conv_1");
        for (const [back, count, isDoubled] of connections) {
          // A server may begin before what was asked for, never behind it.
          const from = Math.max(answer.after + 1 - (back % 5), 0);
          const heard = events.slice(from, from + (count % 12));
          answer = hearAll(isDoubled ? heard.flatMap((event) => [event, event]) : heard, answer);
        }
        answer = hearAll(events.slice(Math.max(answer.after + 1, 0)), answer);

        expect(answer).toEqual(hearAll(events));
      },
    ),
  );
});

test("what is had at any event is what the events up to there say, with its place", () => {
  fc.assert(
    fc.property(streams, fc.nat(), (events, at) => {
      const heard = events.slice(0, at % events.length);

      const answer = hearAll(heard);

      const delta = (type: string) => (text: string, event: AnswerEvent) =>
        event.type === type ? text + String(event.delta) : text;
      expect(answer.after).toBe(heard.length - 1);
      expect(answer.output.map(textOf).join("")).toBe(
        heard.reduce(delta("response.output_text.delta"), ""),
      );
      expect(answer.output.map(thoughtsOf).join("")).toBe(
        heard.reduce(delta("response.reasoning_summary_text.delta"), ""),
      );
    }),
  );
});

test("nothing is put in behind a gap, and nothing is lost by that", () => {
  fc.assert(
    fc.property(streams, fc.nat(), (events, at) => {
      const before = hearAll(events.slice(0, at % (events.length - 2)));
      const early = events.slice(before.after + 2, -1);

      for (const event of early) expect(hear(before, event)).toBe(undefined);
    }),
  );
});

test("a terminal event holds all, whatever was missed, and whatever its number is", () => {
  const events = stream(["Hm."], ["Blue", "."], ["{}"]);
  const last = { ...(events.at(-1) as AnswerEvent), sequence_number: 3 };
  const before = hearAll(events.slice(0, 7));

  const answer = hear(before, last);

  expect(answer).toEqual({ ...hearAll(events), after: before.after });
});

test("phases go from waiting over thinking to writing, and back for a call", () => {
  const events = stream(["Hm."], ["Blue."], ["{}"]);
  const phases = events.map((_, at) => hearAll(events.slice(0, at + 1)).phase);

  expect(phases.filter((phase, at) => phase !== phases[at - 1])).toEqual([
    "waiting",
    "thinking",
    "writing",
    "thinking",
    "done",
  ]);
});

test("an event that says nothing new leaves the very same answer", () => {
  const events = stream([], ["Blue."], []);
  const answer = hearAll(events);

  expect(events.every((event) => hear(answer, event) === answer)).toBe(true);
  const some = hearAll(events.slice(0, 5));
  expect(events.slice(0, 5).every((event) => hear(some, event) === some)).toBe(true);
});

test("items that an event does not speak of stay the same objects", () => {
  const events = stream(["Hm."], ["Blue", "."], []);
  const before = hearAll(events.slice(0, 7));

  const after = hearAll(events.slice(7, 8), before);

  expect(after).not.toBe(before);
  expect(after.output[0]).toBe(before.output[0]);
});

describe("ends", () => {
  const ended = (response: object) =>
    hear(begin("resp_1", "conv_1"), { type: "response.incomplete", sequence_number: 5, response });

  test("one that was cancelled keeps what was said", () => {
    const output = [message("Blu", "incomplete")];

    expect(ended({ status: "cancelled", output })).toEqual({
      ...begin("resp_1", "conv_1"),
      after: 5,
      phase: "cancelled",
      output,
    });
  });

  test("one that was cut short is done, and says why", () => {
    const answer = ended({
      status: "incomplete",
      output: [],
      incomplete_details: { reason: "max_output_tokens" },
    });

    expect([answer?.phase, answer?.error?.code]).toEqual(["done", "max_output_tokens"]);
  });

  test("one that failed has its error", () => {
    const error = { code: "server_error", message: "It broke." };

    const answer = hear(begin("resp_1", "conv_1"), {
      type: "response.failed",
      sequence_number: 2,
      response: { status: "failed", output: [], error },
    });

    expect([answer?.phase, answer?.error]).toEqual([
      "failed",
      { ...error, type: "server_error", param: null },
    ]);
  });

  test("an error in the stream ends it as well", () => {
    const answer = hear(begin("resp_1", "conv_1"), {
      type: "error",
      sequence_number: 0,
      code: "turn_timeout",
      message: "Too slow.",
    });

    expect([answer?.phase, answer?.error?.code]).toEqual(["failed", "turn_timeout"]);
  });
});

describe("a look at the Response", () => {
  const told = { output: [message("Blue.", "completed")], error: null, incomplete_details: null };

  test("ends an answer that has ended", () => {
    const answer = look(begin("resp_1", "conv_1"), { ...told, status: "completed" } as never);

    expect([isOver(answer), answer.output.map(textOf)]).toEqual([true, ["Blue."]]);
  });

  test("shows how far it came, and the stream begins anew and comes to the same", () => {
    const events = stream([], ["Bl", "ue."], []);
    const seen = look(hearAll(events.slice(0, 5)), { ...told, status: "in_progress" } as never);

    expect([seen.after, seen.output.map(textOf).join("")]).toEqual([-1, "Blue."]);
    expect(hearAll(events, seen)).toEqual(hearAll(events));
  });

  test("that says less than is had says nothing", () => {
    const had = hearAll(stream([], ["Blue."], []).slice(0, 6));

    expect(look(had, { ...told, output: [], status: "in_progress" } as never)).toBe(had);
  });
});

describe("is told by the changes", () => {
  const tick = (state: TurnTold["state"]): TurnTold => ({
    type: "turn",
    conversation: "conv_1",
    id: "resp_1",
    state,
  });
  const whole = hearAll(stream([], ["Blue."], []));

  test("when the turn has ended and all items are there", () => {
    expect([
      isTold(whole, undefined, () => true, true),
      isTold(whole, tick("answering"), () => true, true),
      isTold(whole, tick("answered"), (id) => id !== "msg_2", false),
      isTold(whole, tick("answered"), () => true, false),
      isTold(whole, tick("read"), () => true, false),
    ]).toEqual([false, false, false, true, true]);
  });

  test("when the turn has ended and all that there is was told since", () => {
    expect(isTold(begin("resp_1", "conv_1"), tick("failed"), () => false, true)).toBe(true);
  });
});

test("an item's text is what it says, refusals included; a person's parts stand on lines of their own", () => {
  const items = [
    {
      type: "message",
      role: "assistant",
      content: [
        { type: "output_text", text: "a" },
        { type: "refusal", refusal: "b" },
      ],
    },
    {
      type: "message",
      role: "user",
      content: [
        { type: "input_text", text: "a" },
        { type: "input_image" },
        { type: "input_text", text: "b" },
      ],
    },
    { type: "function_call", name: "look" },
  ] as unknown as Item[];

  expect(items.map(textOf)).toEqual(["ab", "a\nb", ""]);
});
