// A turn: one question and what became of it. Theory of operation: the events of the left column move a
// turn along; whatever is not in the table changes nothing, so late events after a stop are harmless.
//
//   saved --TurnSent--> sending --TurnReceived--> received --ThoughtStarted--> thinking
//                          |                         |                           |
//                          +--------- TextDelta -----+------------- TextDelta ---+--> writing
//
//   any of these five  --AnswerCompleted, AnswerShortened--> done
//                      --AnswerCancelled, StopAsked-------> stopped
//                      --AnswerFailed---------------------> failed
//                      --PageClosed-----------------------> interrupted    (not from saved)
//   stopped, failed, interrupted --TurnSent--> sending     (try again)
//
// Text of an earlier try stays until the first word of the next one arrives: what was written is never
// lost to a second failure.

import type { AnswerEvent } from "../server/answer-events.ts";
import type { InputMessage } from "../server/client.ts";
import type { Failure } from "../server/failure.ts";

export type TurnState =
  | "saved"
  | "sending"
  | "received"
  | "thinking"
  | "writing"
  | "done"
  | "stopped"
  | "failed"
  | "interrupted";

export interface Turn {
  readonly id: string;
  readonly question: string;
  readonly model: string;
  readonly state: TurnState;
  readonly answer: string;
  /** The answer is of an earlier try. */
  readonly isStale: boolean;
  readonly responseId: string;
  readonly failure: Failure | null;
  /** Why a done answer ended early; null where it did not. */
  readonly shortened: string | null;
}

export type TurnEvent =
  | AnswerEvent
  | { readonly kind: "TurnSent"; readonly model: string }
  | { readonly kind: "StopAsked" }
  | { readonly kind: "PageClosed" };

const active: ReadonlySet<TurnState> = new Set(["sending", "received", "thinking", "writing"]);
const repeatable: ReadonlySet<TurnState> = new Set(["stopped", "failed", "interrupted"]);

export function isActive({ state }: Turn): boolean {
  return active.has(state);
}

export function isRepeatable({ state }: Turn): boolean {
  return repeatable.has(state);
}

export function newTurn(id: string, question: string, model: string): Turn {
  return {
    id,
    question,
    model,
    state: "saved",
    answer: "",
    isStale: false,
    responseId: "",
    failure: null,
    shortened: null,
  };
}

/** The turn after this event; the same object where the event changes nothing. */
export function advance(turn: Turn, event: TurnEvent): Turn {
  if (event.kind === "TurnSent") return sent(turn, event.model);
  if (!isActive(turn)) return turn;
  switch (event.kind) {
    case "TurnReceived":
      return { ...turn, state: "received", responseId: event.responseId };
    case "ThoughtStarted":
      return turn.state === "thinking" ? turn : { ...turn, state: "thinking" };
    case "TextDelta":
      return {
        ...turn,
        state: "writing",
        answer: turn.isStale ? event.text : turn.answer + event.text,
        isStale: false,
      };
    case "AnswerCompleted":
      return { ...fresh(turn), state: "done" };
    case "AnswerShortened":
      return { ...fresh(turn), state: "done", shortened: event.reason };
    case "AnswerCancelled":
    case "StopAsked":
      return { ...turn, state: "stopped" };
    case "AnswerFailed":
      return { ...turn, state: "failed", failure: event.failure };
    case "PageClosed":
      return { ...turn, state: "interrupted" };
  }
}

/** What the model is told: everything before `turns[upTo]`, and that turn's question. */
export function inputFor(turns: readonly Turn[], upTo: number): InputMessage[] {
  return turns.slice(0, upTo + 1).flatMap((turn, index): InputMessage[] => {
    const question: InputMessage = { role: "user", content: turn.question };
    if (index === upTo || !turn.answer) return [question];
    return [question, { role: "assistant", content: turn.answer }];
  });
}

function sent(turn: Turn, model: string): Turn {
  if (turn.state !== "saved" && !isRepeatable(turn)) return turn;
  return { ...turn, model, state: "sending", isStale: true, responseId: "", failure: null };
}

/** An answer that ended well without a word has no text; that of an earlier try is not its own. */
function fresh(turn: Turn): Turn {
  return turn.isStale ? { ...turn, answer: "", isStale: false } : turn;
}
