// Server-sent events from bytes, as the WHATWG standard reads them (HTML §9.2.6), without EventSource,
// which can neither POST nor send a header. Bytes may be cut anywhere, inside a character too.

export interface SseEvent {
  readonly name: string;
  readonly data: string;
}

export class SseParser {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #name = "";
  #data: string[] = [];

  /** The events that these bytes complete. What the end of the stream leaves unfinished is dropped. */
  feed(bytes: Uint8Array): SseEvent[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const events: SseEvent[] = [];
    let start = 0;
    for (const end of this.#rest.matchAll(/\r\n|\n|\r/g)) {
      // A CR at the very end may be half of a CRLF: it waits for the next bytes.
      if (end[0] === "\r" && end.index + 1 === this.#rest.length) break;
      const event = this.#line(this.#rest.slice(start, end.index));
      if (event) events.push(event);
      start = end.index + end[0].length;
    }
    this.#rest = this.#rest.slice(start);
    return events;
  }

  #line(line: string): SseEvent | null {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    if (field === "data") this.#data.push(value);
    return null;
  }

  #dispatch(): SseEvent | null {
    const event = { name: this.#name || "message", data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#name = "";
    this.#data = [];
    return isEmpty ? null : event;
  }
}
