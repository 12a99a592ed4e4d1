// An answer as a list of top-level Markdown blocks, so that what is finished is parsed and drawn once,
// however long the answer grows.

import { Lexer } from "marked";

export interface Block {
  /** Where it begins in the text: its identity while the text grows at the end. */
  readonly start: number;
  readonly source: string;
  /** Link definitions that follow it. */
  readonly definitions: string;
}

export interface Blocks {
  readonly text: string;
  readonly list: readonly Block[];
  /** Link definitions, wherever they stand: every block may refer to them. */
  readonly definitions: string;
}

export const noBlocks: Blocks = { text: "", list: [], definitions: "" };

/**
 * The blocks of `text`, reusing those of `before` that more text can no longer change.
 * The last two are read again: a list may go on after a blank line, a paragraph may become a heading.
 */
export function grow(before: Blocks, text: string): Blocks {
  if (text === before.text) return before;
  const kept = text.startsWith(before.text) ? before.list.slice(0, -2) : [];
  const last = kept.at(-1);
  const start = last ? last.start + last.source.length : 0;
  const list = [...kept, ...lexed(text.slice(start), start)];
  return { text, list, definitions: list.map((block) => block.definitions).join("") };
}

function lexed(text: string, offset: number): Block[] {
  const list: Block[] = [];
  let start = offset;
  for (const { type, raw } of new Lexer().blockTokens(text, [])) {
    const definitions = type === "def" ? `${raw.trim()}\n` : "";
    const last = list.at(-1);
    // Blank lines and definitions show nothing; they belong to the block before them.
    if ((type === "space" || type === "def") && last) {
      list[list.length - 1] = {
        ...last,
        source: last.source + raw,
        definitions: last.definitions + definitions,
      };
    } else {
      list.push({ start, source: raw, definitions });
    }
    start += raw.length;
  }
  return list;
}
