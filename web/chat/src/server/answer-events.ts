// The few things that this page needs to know from OpenAI's Responses events. Everything else, and every
// event that is yet to be invented, is passed over.

import type { Failure } from "./failure.ts";
import type { SseEvent } from "./sse.ts";

export type AnswerEvent =
  | { readonly kind: "TurnReceived"; readonly responseId: string }
  | { readonly kind: "ThoughtStarted" }
  | { readonly kind: "TextDelta"; readonly text: string }
  | { readonly kind: "AnswerCompleted" }
  | { readonly kind: "AnswerShortened"; readonly reason: string }
  | { readonly kind: "AnswerCancelled" }
  | { readonly kind: "AnswerFailed"; readonly failure: Failure };

interface Payload {
  readonly type?: string;
  readonly delta?: string;
  readonly code?: string | null;
  readonly message?: string;
  readonly item?: { readonly type?: string };
  readonly response?: {
    readonly id?: string;
    readonly status?: string;
    readonly error?: { readonly code?: string | null; readonly message?: string } | null;
    readonly incomplete_details?: { readonly reason?: string } | null;
  };
}

/** What this server-sent event means for the answer; null for what this page does not use. */
export function answerEvent({ data }: SseEvent): AnswerEvent | null {
  const payload = parsed(data);
  switch (payload.type) {
    case "response.created":
      return { kind: "TurnReceived", responseId: payload.response?.id ?? "" };
    case "response.output_item.added":
      return payload.item?.type === "reasoning" ? { kind: "ThoughtStarted" } : null;
    case "response.reasoning_text.delta":
    case "response.reasoning_summary_text.delta":
      return { kind: "ThoughtStarted" };
    case "response.output_text.delta":
    case "response.refusal.delta":
      return { kind: "TextDelta", text: payload.delta ?? "" };
    case "response.completed":
      return { kind: "AnswerCompleted" };
    case "response.incomplete":
      if (payload.response?.status === "cancelled") return { kind: "AnswerCancelled" };
      return {
        kind: "AnswerShortened",
        reason: payload.response?.incomplete_details?.reason ?? "",
      };
    case "response.failed":
      return failed(payload.response?.error);
    case "error":
      return failed(payload);
    default:
      return null;
  }
}

export function isTerminal({ kind }: AnswerEvent): boolean {
  return kind.startsWith("Answer");
}

function failed(error?: { readonly code?: string | null; readonly message?: string } | null) {
  const failure = { code: error?.code ?? "", message: error?.message ?? "", retryAfterS: null };
  return { kind: "AnswerFailed", failure } as const;
}

function parsed(data: string): Payload {
  try {
    return (JSON.parse(data) as Payload | null) ?? {};
  } catch {
    return {};
  }
}
