import { describe, expect, test } from "vitest";
import { connectionLost } from "../server/failure.ts";
import { advance, inputFor, newTurn, type Turn, type TurnEvent, type TurnState } from "./turn.ts";

const events = {
  TurnSent: { kind: "TurnSent", model: "fast" },
  TurnReceived: { kind: "TurnReceived", responseId: "resp_1" },
  ThoughtStarted: { kind: "ThoughtStarted" },
  TextDelta: { kind: "TextDelta", text: "Hi" },
  AnswerCompleted: { kind: "AnswerCompleted" },
  AnswerShortened: { kind: "AnswerShortened", reason: "max_output_tokens" },
  AnswerCancelled: { kind: "AnswerCancelled" },
  AnswerFailed: { kind: "AnswerFailed", failure: connectionLost },
  StopAsked: { kind: "StopAsked" },
  PageClosed: { kind: "PageClosed" },
} as const satisfies Record<TurnEvent["kind"], TurnEvent>;

const moving: [TurnEvent["kind"], TurnState][] = [
  ["TurnReceived", "received"],
  ["ThoughtStarted", "thinking"],
  ["TextDelta", "writing"],
  ["AnswerCompleted", "done"],
  ["AnswerShortened", "done"],
  ["AnswerCancelled", "stopped"],
  ["AnswerFailed", "failed"],
  ["StopAsked", "stopped"],
  ["PageClosed", "interrupted"],
];

function turnIn(state: TurnState, more: Partial<Turn> = {}): Turn {
  return { ...newTurn("t1", "Question", "fast"), state, ...more };
}

describe.each(["sending", "received", "thinking", "writing"] as const)("while %s", (state) => {
  test.each(moving)("%s leads to %s", (kind, next) => {
    expect(advance(turnIn(state), events[kind]).state).toBe(next);
  });

  test("it cannot be sent again", () => {
    const turn = turnIn(state);
    expect(advance(turn, events.TurnSent)).toBe(turn);
  });
});

describe.each(["saved", "done", "stopped", "failed", "interrupted"] as const)(
  "once %s",
  (state) => {
    test.each(moving)("%s changes nothing", (kind) => {
      const turn = turnIn(state);
      expect(advance(turn, events[kind])).toBe(turn);
    });
  },
);

test.each(["saved", "stopped", "failed", "interrupted"] as const)("%s can be sent", (state) => {
  expect(advance(turnIn(state), events.TurnSent).state).toBe("sending");
});

test("done is not asked again", () => {
  const turn = turnIn("done");
  expect(advance(turn, events.TurnSent)).toBe(turn);
});

test("text adds up, also around a second thought", () => {
  let turn = turnIn("sending");
  for (const kind of ["TextDelta", "ThoughtStarted", "TextDelta"] as const) {
    turn = advance(turn, events[kind]);
  }

  expect(turn.answer).toBe("HiHi");
});

test("the text of a failed try stays until the next one writes", () => {
  const failed = turnIn("failed", { answer: "Once upon", failure: connectionLost });

  const sent = advance(failed, events.TurnSent);
  const failedAgain = advance(sent, events.AnswerFailed);
  const writing = advance(advance(failedAgain, events.TurnSent), events.TextDelta);

  expect(sent).toMatchObject({ answer: "Once upon", failure: null });
  expect(failedAgain.answer).toBe("Once upon");
  expect(writing.answer).toBe("Hi");
});

test("a next try that completes without a word leaves no text of the one before", () => {
  const sent = advance(turnIn("failed", { answer: "Once upon" }), events.TurnSent);

  expect(advance(sent, events.AnswerCompleted).answer).toBe("");
});

test("the model is told what was asked and answered before, and nothing after", () => {
  const turns = [
    turnIn("done", { question: "1", answer: "one" }),
    turnIn("failed", { question: "2", answer: "" }),
    turnIn("sending", { question: "3", answer: "old try" }),
    turnIn("saved", { question: "4" }),
  ];

  expect(inputFor(turns, 2)).toEqual([
    { role: "user", content: "1" },
    { role: "assistant", content: "one" },
    { role: "user", content: "2" },
    { role: "user", content: "3" },
  ]);
});
