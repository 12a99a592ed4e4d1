// Unsent text, kept over a reload. It goes the moment it is sent, or when the person empties the field.

const slot = "frontdesk.draft";

export class Draft {
  #text: string;

  constructor(private readonly storage: Storage | null) {
    this.#text = storage?.getItem(slot) ?? "";
  }

  get text(): string {
    return this.#text;
  }

  write(text: string): void {
    this.#text = text;
    try {
      if (text) this.storage?.setItem(slot, text);
      else this.storage?.removeItem(slot);
    } catch {
      // A full store must not stop anyone from typing; the text is still in the field.
    }
  }
}
