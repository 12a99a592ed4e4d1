// What a screen reader is told of an answer that is being written: whole sentences, and never Markdown.

const ends = /[.!?…。！？:](?=["'”’)\]*_]*(?:\s|$))|\n\n/g;

/** Where the last whole sentence ends after `from`; `from` itself where none does. */
export function sentenceEnd(text: string, from: number): number {
  let end = from;
  const rest = text.slice(from);
  for (const found of rest.matchAll(ends)) {
    const at = from + found.index + found[0].length;
    // The very end of the text may be half of "3.14" or of "e.g.".
    if (at < text.length && !isInFence(text.slice(0, at))) end = at;
  }
  return end;
}

/** Markdown as it would be read aloud; a block of code is named, not read. */
export function spoken(markdown: string, codeBlock: string): string {
  return markdown
    .replace(/(?:^|\n) *(`{3,}|~{3,})[\s\S]*?(?:\n *\1|$)/g, ` ${codeBlock} `)
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/^[ \t]*[|:\- ]+$/gm, "")
    .replace(/^[ \t]*(?:#+|>|[-*+])[ \t]+/gm, "")
    .replace(/[*_`~|]+/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}

function isInFence(text: string): boolean {
  return (text.match(/^ *(`{3,}|~{3,})/gm)?.length ?? 0) % 2 === 1;
}
