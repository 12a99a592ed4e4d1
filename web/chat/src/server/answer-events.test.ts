import { expect, test } from "vitest";
import { answerEvent } from "./answer-events.ts";

function read(payload: unknown) {
  return answerEvent({ name: "ignored", data: JSON.stringify(payload) });
}

test.each([
  [
    { type: "response.created", response: { id: "resp_1" } },
    { kind: "TurnReceived", responseId: "resp_1" },
  ],
  [{ type: "response.output_item.added", item: { type: "reasoning" } }, { kind: "ThoughtStarted" }],
  [{ type: "response.reasoning_text.delta", delta: "hm" }, { kind: "ThoughtStarted" }],
  [
    { type: "response.output_text.delta", delta: "Hi" },
    { kind: "TextDelta", text: "Hi" },
  ],
  [
    { type: "response.refusal.delta", delta: "No" },
    { kind: "TextDelta", text: "No" },
  ],
  [{ type: "response.completed", response: {} }, { kind: "AnswerCompleted" }],
  [
    {
      type: "response.incomplete",
      response: { incomplete_details: { reason: "max_output_tokens" } },
    },
    { kind: "AnswerShortened", reason: "max_output_tokens" },
  ],
  [{ type: "response.incomplete", response: { status: "cancelled" } }, { kind: "AnswerCancelled" }],
  [
    { type: "response.failed", response: { error: { code: "server_error", message: "Sorry." } } },
    {
      kind: "AnswerFailed",
      failure: { code: "server_error", message: "Sorry.", retryAfterS: null },
    },
  ],
  [
    { type: "error", code: "rate_limit_exceeded", message: "Slow." },
    {
      kind: "AnswerFailed",
      failure: { code: "rate_limit_exceeded", message: "Slow.", retryAfterS: null },
    },
  ],
])("%j is understood", (payload, event) => {
  expect(read(payload)).toEqual(event);
});

test.each([
  { type: "response.output_item.added", item: { type: "message" } },
  { type: "response.output_text.done", text: "Hi" },
  { type: "response.invented_tomorrow" },
  {},
  null,
])("%j is passed over", (payload) => {
  expect(read(payload)).toBeNull();
});

test("data that is not JSON is passed over", () => {
  expect(answerEvent({ name: "message", data: "[DONE]" })).toBeNull();
});
