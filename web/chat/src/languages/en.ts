import type { Language } from "./language.ts";

export const words: Language = {
  direction: "ltr",

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
  unreachableLine: (name) =>
    `${name} cannot be reached. You can read and write; messages will be sent later.`,
  notKeptLine: "This browser keeps nothing here: the conversation ends with this page.",
  developmentLine: "Development: open to anyone on this machine.",

  tokenTitle: "This desk needs a token",
  tokenText: "The people who run this server can give you one. It stays in this tab only.",
  tokenRefused: "That token is not valid, or no longer. Please paste another one.",
  tokenLabel: "Token",
  useToken: "Use this token",

  greetings: ["Good morning.", "Good afternoon.", "Good evening."],
  atYourService: "What can I do for you?",
  askAnything: "Ask anything, or begin with one of these.",
  starters: [
    "Explain in five sentences how a rainbow forms",
    "Compare train, car and plane for a trip of 600 km in a table",
    "Write a short, kind note to a neighbour about a parcel",
  ],

  states: {
    saved: "Saved on this device",
    sending: "Sending",
    received: "Received",
    thinking: "Thinking",
    writing: "Writing",
    done: "Done",
    stopped: "Stopped",
    failed: "Could not be answered",
    interrupted: "Interrupted",
  },
  interrupted:
    "Interrupted: the page was closed while this was being answered. What was written is kept.",
  shortened: {
    max_output_tokens: "The answer reached its length limit and ends here.",
    content_filter: "The rest of the answer was withheld by this server’s rules.",
    other: "The answer ended before it was complete.",
  },

  failed: (reason) => `Could not be answered: ${reason}`,
  reasons: {
    lost: () => "the connection was lost. What was written is kept.",
    unreached: () => "the server could not be reached. Your message is kept.",
    tooMany: (when) => `too many messages in a short time. Yours is kept; try again ${when}.`,
    overloaded: (when) =>
      `there is too much to do just now. Your message is kept; try again ${when}.`,
    usedUp: () => "the allowance is used up for now. Your message is kept.",
    noModel: () => "this model is not available here. Your message is kept; choose another model.",
    tooLong: () => "this conversation has become too long. Please begin a new one.",
    signIn: () => "the sign-in is no longer valid. Your message is kept.",
    tooSlow: () => "it took too long. Your message is kept.",
    badAnswer: () => "the model did not answer as it should. Your message is kept.",
    busyModel: (when) => `the model is busy. Your message is kept; try again ${when}.`,
    unknown: () => "something went wrong. Your message is kept.",
  },
  soon: "in a moment",
};
