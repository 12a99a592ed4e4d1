// Providers send text in bursts. What arrives is shown over the next 80 ms, by whole words, so that it
// flows at a steady pace and is never later than that.

const smooth_ms = 80;
/** Scripts without spaces have no word ends to wait for. */
const longestWord = 24;

export class Pace {
  #target = 0;
  #shown: number;
  #deadline = 0;
  #at = 0;

  /** Text up to `shown` is there already. */
  constructor(shown: number) {
    this.#shown = shown;
    this.#target = shown;
  }

  get isBehind(): boolean {
    return this.#shown < this.#target;
  }

  arrive(length: number, now: number): void {
    if (!this.isBehind) this.#at = now;
    this.#target = length;
    this.#shown = Math.min(this.#shown, length);
    this.#deadline = now + smooth_ms;
  }

  /** How much of the text is due now, in UTF-16 units. */
  due(now: number): number {
    const left_ms = this.#deadline - this.#at;
    const share = left_ms <= 0 ? 1 : Math.min(1, (now - this.#at) / left_ms);
    this.#shown += (this.#target - this.#shown) * share;
    if (this.#target - this.#shown < 0.5) this.#shown = this.#target;
    this.#at = now;
    return Math.floor(this.#shown);
  }
}

/** The end of the last whole word within `due`; never inside a character. */
export function wordEnd(text: string, due: number): number {
  if (due >= text.length) return text.length;
  for (let end = due; end > Math.max(0, due - longestWord); end--) {
    if (/\s/.test(text.charAt(end))) return end;
  }
  const isSplit =
    /[\uDC00-\uDFFF]/.test(text.charAt(due)) && /[\uD800-\uDBFF]/.test(text.charAt(due - 1));
  return isSplit ? due - 1 : due;
}
