import remend from "remend";

/** A table of which only the first line is there, or the first and a part of the ruled one. */
const beginningTable = /(?:^|\n\n)[ \t]*\|[^\n]*(?:\n[|:\- \t]*)?$/;
/** A line that so far is nothing but the sign that begins or ends something. */
const lonelySign = /(^|\n)[ \t]*(?:[-*+>#=_]+|`{1,2}|~{1,2}|\d+[.)]?)[ \t]*$/;
/** Code ends where the text ends; a sign inside it opens nothing. */
const fence = /^ {0,3}(?:```|~~~)/;

/** The last block of a text that still grows, closed so that it reads well and does not jump when it settles. */
export function closed(source: string): string {
  if (beginningTable.test(source)) return source.replace(beginningTable, "");
  const settled = source.replace(lonelySign, "$1");
  return fence.test(settled) ? settled : remend(settled);
}
