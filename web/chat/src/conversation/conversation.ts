import { advance, type Turn } from "./turn.ts";

/** Turns in the order in which they were asked; the newest conversation is the current one. */
export interface Conversation {
  readonly id: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly turns: readonly Turn[];
}

export function newConversation(now: number): Conversation {
  return { id: newId(), startedAt: now, turns: [] };
}

/** As it is found when the page opens: nobody is writing to it any more. */
export function reopened(conversation: Conversation): Conversation {
  const turns = conversation.turns.map((turn) => advance(turn, { kind: "PageClosed" }));
  return { ...conversation, turns };
}

/** Random, and available over plain http too, where `crypto.randomUUID` is not. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
