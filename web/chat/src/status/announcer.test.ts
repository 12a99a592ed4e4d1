import { expect, test } from "vitest";
import { advance, newTurn, type Turn, type TurnEvent } from "../conversation/turn.ts";
import { Announcer } from "./announcer.ts";

function heard(...events: readonly (TurnEvent & { after_ms?: number })[]): string[] {
  let now_ms = 0;
  const announcer = new Announcer(() => now_ms);
  let turn: Turn = newTurn("t", "Hi", "fast");
  for (const event of events) {
    now_ms += event.after_ms ?? 2000;
    const next = advance(turn, event);
    announcer.follow(turn, next);
    turn = next;
  }
  return announcer.lines.value.map(({ text }) => text);
}

const sent = { kind: "TurnSent", model: "fast" } as const;

test("states and whole sentences are told, each once", () => {
  expect(
    heard(
      sent,
      { kind: "TurnReceived", responseId: "r" },
      { kind: "TextDelta", text: "One. Tw" },
      { kind: "TextDelta", text: "o. Three" },
      { kind: "TextDelta", text: " is last." },
      { kind: "AnswerCompleted" },
    ),
  ).toEqual(["Sending", "Received", "Writing", "One. Two.", "Three is last.", "Done"]);
});

test("sentences that come quickly are told together", () => {
  expect(
    heard(
      sent,
      { kind: "TextDelta", text: "One." },
      { kind: "TextDelta", text: " Two. " },
      { kind: "TextDelta", text: "Three. ", after_ms: 100 },
      { kind: "TextDelta", text: "Four. ", after_ms: 100 },
      { kind: "AnswerCompleted", after_ms: 100 },
    ),
  ).toEqual(["Sending", "Writing", "One. Two.", "Three. Four.", "Done"]);
});

test("a failure is told with what happened and what is safe", () => {
  const failure = { code: "connection_lost", message: "", retryAfterS: null };

  expect(heard(sent, { kind: "AnswerFailed", failure }).at(-1)).toBe(
    "Could not be answered: the connection was lost. What was written is kept.",
  );
});

test("text of an earlier try is not told again", () => {
  const failure = { code: "x", message: "No.", retryAfterS: null };

  expect(
    heard(sent, { kind: "TextDelta", text: "Once." }, { kind: "AnswerFailed", failure }, sent, {
      kind: "AnswerFailed",
      failure,
    }).filter((line) => line === "Once."),
  ).toHaveLength(1);
});
