// What is read of an answer, a turn or an item by all that shows it: whether more comes, and what it says in words.

import type { Answer } from "../state.ts";
import type { Item, TurnTold } from "../wire.ts";
import { joined } from "./values.ts";

type Fields = { readonly [field: string]: unknown };

/** Say whether nothing more will come. */
export function isOver(answer: Answer): boolean {
  return ["done", "failed", "cancelled"].includes(answer.phase);
}

/** Say whether a turn has come to its end, well or not. */
export function hasEnded(tick: TurnTold): boolean {
  return tick.state !== "accepted" && tick.state !== "answering";
}

/** What an item says in words; a refusal is one. */
export function textOf(item: Item): string {
  if (item.type !== "message") return "";
  const texts = (item.content as readonly Fields[]).map(({ text, refusal }) => text ?? refusal);
  return joined(texts as readonly string[], item.role === "assistant" ? "" : "\n");
}

/** What a model thought: the summary, else the thoughts themselves, where it tells them. */
export function thoughtsOf(item: Item): string {
  if (item.type !== "reasoning") return "";
  const texts = item.summary.length ? item.summary : (item.content ?? []);
  return joined(
    texts.map(({ text }) => text),
    "\n\n",
  );
}
