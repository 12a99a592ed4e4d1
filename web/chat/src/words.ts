// Every word that a person reads or hears, in one place, so that a language can be added as one more file.
// Protocol terms and data (model names, languages of code) are not words of ours and stay where they are.

import type { TurnState } from "./conversation/turn.ts";
import type { Failure } from "./server/failure.ts";

export const words = {
  you: "You",
  conversation: "Conversation",
  newConversation: "New conversation",
  startedNew: "A new conversation.",
  goBack: "Back to the one before",
  latest: "To the latest",
  message: "Message",
  writeMessage: "Write a message",
  send: "Send",
  stop: "Stop",
  model: "Model",
  tryAgain: "Try again",
  copy: "Copy",
  copied: "Copied",
  copyAnswer: "Copy answer",
  notCopied: "Not copied: this browser does not allow it.",
  code: "Code",
  table: "Table",
  codeBlock: "A block of code.",

  ready: "Ready",
  answering: "Answering",
  offline: "Offline",
  unreachable: "Not reached",
  connecting: "Connecting",

  offlineLine: "Offline. You can read and write; messages will be sent later.",
  unreachableLine: (name: string) =>
    `${name} cannot be reached. You can read and write; messages will be sent later.`,
  notKeptLine: "This browser keeps nothing here: the conversation ends with this page.",
  developmentLine: "Development: open to anyone on this machine.",

  tokenTitle: "This desk needs a token",
  tokenText: "The people who run this server can give you one. It stays in this tab only.",
  tokenRefused: "That token is not valid, or no longer. Please paste another one.",
  tokenLabel: "Token",
  useToken: "Use this token",

  atYourService: "What can I do for you?",
  askAnything: "Ask anything, or begin with one of these.",
  starters: [
    "Explain in five sentences how a rainbow forms",
    "Compare train, car and plane for a trip of 600 km in a table",
    "Write a short, kind note to a neighbour about a parcel",
  ],

  shortened: {
    max_output_tokens: "The answer reached its length limit and ends here.",
    content_filter: "The rest of the answer was withheld by this server’s rules.",
  } as Readonly<Record<string, string>>,
  shortenedOtherwise: "The answer ended before it was complete.",
} as const;

/** The greeting of the hour (0-23) on the person's own clock. */
export function greeting(hour: number): string {
  if (hour < 5 || hour >= 18) return "Good evening.";
  return hour < 12 ? "Good morning." : "Good afternoon.";
}

export const stateWords: Readonly<Record<TurnState, string>> = {
  saved: "Saved on this device",
  sending: "Sending",
  received: "Received",
  thinking: "Thinking",
  writing: "Writing",
  done: "Done",
  stopped: "Stopped",
  failed: "Could not be answered",
  interrupted: "Interrupted",
};

export const interruptedText =
  "Interrupted: the page was closed while this was being answered. What was written is kept.";

/** What happened, what is safe, and what now, as one line. */
export function failureText(failure: Failure): string {
  return `Could not be answered: ${reason(failure)}`;
}

function reason({ code, message, retryAfterS }: Failure): string {
  switch (code) {
    case "connection_lost":
      return "the connection was lost. What was written is kept.";
    case "unreachable":
      return "the server could not be reached. Your message is kept.";
    case "rate_limit_exceeded":
      return `too many messages in a short time. Yours is kept; try again ${later(retryAfterS)}.`;
    case "server_overloaded":
    case "server_shutting_down":
    case "provider_busy":
      return `there is too much to do just now. Your message is kept; try again ${later(retryAfterS)}.`;
    case "insufficient_quota":
      return "the allowance is used up for now. Your message is kept.";
    case "model_not_found":
      return "this model is not available here. Your message is kept; choose another model.";
    case "context_length_exceeded":
    case "request_too_large":
      return "this conversation has become too long. Please begin a new one.";
    case "invalid_api_key":
    case "invalid_token":
    case "token_expired":
    case "token_revoked":
      return "the sign-in is no longer valid. Your message is kept.";
    case "provider_timeout":
    case "request_timeout":
      return "it took too long. Your message is kept.";
    case "provider_error":
    case "server_error":
    case "internal_error":
      return retryAfterS === null
        ? "the model did not answer as it should. Your message is kept."
        : `the model is busy. Your message is kept; try again ${later(retryAfterS)}.`;
    default:
      return message || "something went wrong. Your message is kept.";
  }
}

function later(seconds: number | null): string {
  if (seconds === null) return "in a moment";
  if (seconds < 90) return `in ${seconds} ${seconds === 1 ? "second" : "seconds"}`;
  if (seconds < 5400) return `in ${Math.round(seconds / 60)} minutes`;
  return `in ${Math.round(seconds / 3600)} hours`;
}
