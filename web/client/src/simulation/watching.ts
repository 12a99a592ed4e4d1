// A person who looks at a conversation all the while, and sees when a message goes or a text gets shorter.

import type { ConversationView } from "../state.ts";
import type { Sayings } from "./sayings.ts";
import type { Server } from "./server/server.ts";
import type { Tab } from "./world.ts";

export class Watching {
  private readonly seen = new Map<string, ConversationView>();

  constructor(
    private readonly tab: Tab,
    private readonly server: Server,
    private readonly sayings: Sayings,
    private readonly wrong: (words: string) => void,
    /** Whether who leads may not know what is looked at elsewhere, and has little room. */
    private readonly isForgotten: boolean,
  ) {}

  look(conversation: string, view: ConversationView): void {
    const before = this.seen.get(conversation);
    this.seen.set(conversation, view);
    const name = `${this.tab.name}, ${conversation}`;
    const texts = new Map(view.messages.map(({ id, text }) => [id, text]));
    if (texts.size < view.messages.length) this.wrong(`${name}: a message is shown twice`);
    for (const { id, role, text, response } of view.messages) {
      if (role !== "assistant") continue;
      const whole = this.wholeText(response);
      if (whole !== undefined && !whole.startsWith(text))
        this.wrong(`${name}: ${id} says “${text}”, and its answer is “${whole}”`);
    }
    // Nothing is promised before the store has told.
    if (before === undefined || before.status === "loading") return;
    for (const { id, role, text } of before.messages) {
      const now = texts.get(id);
      if (now === undefined) {
        if (text !== "" && !this.mayDisappear(conversation, id, role))
          this.wrong(`${name}: ${id} “${text}” has gone`);
      } else if (role === "assistant" && !now.startsWith(text) && !this.sayings.isDeleted(id))
        this.wrong(`${name}: ${id} said “${text}”, and now “${now}”`);
    }
  }

  /** Nobody looks at it any more. What was seen of it may have to leave the device, and be asked for again. */
  forget(conversation: string): void {
    this.seen.delete(conversation);
  }

  private mayDisappear(conversation: string, id: string, role: string): boolean {
    if (this.sayings.hasBranches(conversation)) return true;
    // What leaves the device though somebody looks at it is asked for again.
    if (this.isForgotten) return true;
    // A tab may have read a store that is behind what another one holds, and is put in order by it.
    const { device } = this.tab;
    if (this.sayings.isTroubled(device) && device.living.length > 1) return true;
    // What was being told when the store was lost has its place only among what is told again; and an answer that was only
    // streamed so far waits for the page that tells it, where what was said behind it is on an earlier one.
    if (role === "assistant")
      return this.sayings.isRefilling(device) || this.sayings.isToldLate(id);
    return this.sayings.mayDisappear(id, this.tab);
  }

  /** All that an answer will ever say. */
  private wholeText(response: string | undefined): string | undefined {
    const answer = this.server.answers.get(response ?? "");
    return answer?.plan.words.join("");
  }
}
