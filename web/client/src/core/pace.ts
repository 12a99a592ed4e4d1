// Shows a text that comes in bursts as if it were written steadily. Who shows it calls once a frame.

/** One text's. */
export interface Pace {
  /**
   * Say how much of a text to show now. The text is as it came by then: from one call to the next it grows, or is another one
   * from some place on; `isOver` says that no more will come. `elapsed_ms` is the frame's time, from any beginning.
   *
   * What is there at the first call is shown at once. Until the end the last character waits as long as what comes
   * behind it might join it, unless that is a plain letter.
   */
  show(text: string, isOver: boolean, elapsed_ms: number): string;
}

// What joins the character before it: marks, joiners, selectors, skin tones, tags.
const JOINS_BEFORE =
  /^(?:\p{M}|\p{Emoji_Modifier}|\u200c|\u200d|[\u{e0020}-\u{e007f}]|[\u0e33\u0eb3\uff9e\uff9f])/u;
const FLAG = /[\u{1f1e6}-\u{1f1ff}]/u;
// Leading consonants, vowels and final consonants of Hangul; syllables of two and of three letters begin as they end.
const L = /[\u1100-\u115f\ua960-\ua97c]/;
const V = /[\u1160-\u11a7\ud7b0-\ud7c6]/;
const T = /[\u11a8-\u11ff\ud7cb-\ud7fb]/;
const SYLLABLE = /[\uac00-\ud7a3]/;
// What stands before what it belongs to, in Indic and Arabic scripts; and viramas, which join what follows.
const JOINS_BEHIND =
  /[\u200d\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u{110bd}\u{110cd}\u{111c2}\u{111c3}\u{113d1}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}]$/u;
const VIRAMA = /[\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d]\p{M}*$/u;
const INDIC =
  /^[\u0915-\u0939\u0958-\u095f\u0995-\u09b9\u0a95-\u0ab9\u0b15-\u0b39\u0c15-\u0c39\u0d15-\u0d3a]/u;

/**
 * Begin with a text. What came is shown with a constant share of what is left each millisecond, so the delay is `lag_ms` in the
 * mean, whatever the rate and however it comes, plus half a frame.
 */
export function makePace(lag_ms = 60): Pace {
  let shown: string | undefined;
  let last_ms = 0;
  return {
    show(text, isOver, elapsed_ms) {
      const end = isOver ? text.length : settledEnd(text);
      if (shown === undefined) {
        shown = text.slice(0, end);
      } else {
        const from = text.startsWith(shown) ? shown.length : common(text, shown);
        const share = 1 - Math.exp(-Math.max(elapsed_ms - last_ms, 0) / lag_ms);
        const wanted = (end - from) * share;
        const at = boundaryBefore(text, from + Math.ceil(wanted));
        const to = at > from || wanted <= 0 ? Math.max(at, from) : boundaryBehind(text, from, end);
        shown = text.slice(0, Math.min(to, end));
      }
      last_ms = elapsed_ms;
      return shown;
    },
  };
}

/** Find the last place up to `at` between two characters as people see them: never within a pair, a flag, an emoji. */
export function boundaryBefore(text: string, at: number): number {
  let place = Math.min(at, text.length);
  while (place > 0 && place < text.length && !isBoundary(text, place)) place -= 1;
  return place;
}

function boundaryBehind(text: string, from: number, end: number): number {
  let place = from + 1;
  while (place < end && !isBoundary(text, place)) place += 1;
  return place;
}

/** Where the last character begins that what comes may still join. */
function settledEnd(text: string): number {
  return /[\x20-\x7e\n]$/.test(text) ? text.length : boundaryBefore(text, text.length - 1);
}

/**
 * The rules of UAX #29 that keep together what is one character, written so that a run-time without Intl.Segmenter
 * (Hermes) has them. Where it errs, it keeps together what could be parted.
 */
function isBoundary(text: string, at: number): boolean {
  const before = text.slice(Math.max(at - 16, 0), at);
  const behind = text.slice(at, at + 2);
  if (/[\ud800-\udbff]$/.test(before) && /^[\udc00-\udfff]/.test(behind)) return false;
  if (before.endsWith("\r") && behind[0] === "\n") return false;
  if (/[\x20-\x7e\n]$/.test(before) && /^[\x20-\x7e\n]/.test(behind)) return true;
  const [first = ""] = behind;
  if (JOINS_BEFORE.test(first) || JOINS_BEHIND.test(before)) return /[\n\r]$/.test(before);
  if (VIRAMA.test(before) && INDIC.test(first)) return false;
  if (FLAG.test(first)) return flagsBefore(text, at) % 2 === 0;
  const last = before.at(-1) ?? "";
  if (L.test(last)) return !(L.test(first) || V.test(first) || SYLLABLE.test(first));
  if (V.test(last) || SYLLABLE.test(last)) return !(V.test(first) || T.test(first));
  return !(T.test(last) && T.test(first));
}

function flagsBefore(text: string, at: number): number {
  let count = 0;
  while (
    FLAG.test(text.slice(Math.max(at - 2 * count - 2, 0), at - 2 * count).slice(-2)) &&
    at - 2 * count >= 2
  ) {
    count += 1;
  }
  return count;
}

/** How far two texts are the same, up to a boundary. */
function common(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return boundaryBefore(one, at);
}
