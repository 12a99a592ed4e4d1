// The status region of the page. Lines are added, never changed, so that a screen reader that is
// still speaking does not lose the one before.

import { signal } from "@preact/signals";
import { isActive, type Turn } from "../conversation/turn.ts";
import { failureText, words } from "../words.ts";
import { sentenceEnd, spoken } from "./sentences.ts";

/** A pause between two announcements of text: a stream must not talk over itself. */
const pause_ms = 1200;
const remembered = 12;

export class Announcer {
  readonly lines = signal<readonly { readonly id: number; readonly text: string }[]>([]);
  #id = 0;
  #spokenUpTo = 0;
  #spokenAt = 0;

  constructor(private readonly now: () => number = Date.now) {}

  say(text: string): void {
    if (!text) return;
    this.#id += 1;
    this.lines.value = [...this.lines.value.slice(1 - remembered), { id: this.#id, text }];
  }

  /** Tell of a turn that changed: its new state, and the sentences that it grew by. */
  readonly follow = (before: Turn, after: Turn): void => {
    if (after.state !== before.state) this.#state(after);
    else if (this.now() - this.#spokenAt >= pause_ms) {
      this.#text(after, sentenceEnd(after.answer, this.#spokenUpTo));
    }
  };

  #state(turn: Turn): void {
    if (turn.state === "sending") this.#spokenUpTo = 0;
    if (!isActive(turn)) this.#text(turn, turn.answer.length);
    if (turn.failure) this.say(failureText(turn.failure));
    else this.say(turn.state === "interrupted" ? words.interrupted : words.states[turn.state]);
  }

  #text(turn: Turn, upTo: number): void {
    if (upTo <= this.#spokenUpTo || turn.isStale) return;
    this.say(spoken(turn.answer.slice(this.#spokenUpTo, upTo), words.codeBlock));
    this.#spokenUpTo = upTo;
    this.#spokenAt = this.now();
  }
}
