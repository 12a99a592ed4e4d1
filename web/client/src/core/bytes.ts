// How large a text is on the wire.

/** Count the bytes of a text in UTF-8. Halves of a pair count two each, which is what both have together. */
export function sizeOf_bytes(text: string): number {
  return text.replace(/[\u0800-\ud7ff\ue000-\uffff]/g, "xxx").replace(/[^\0-\x7f]/g, "xx").length;
}
