// Server-sent events, read from pieces that are cut anywhere (WHATWG HTML §9.2). It knows nothing of what they say.

/** One event; `data` is its lines, put together. */
export interface ServerSentEvent {
  readonly type: string;
  readonly data: string;
  /** The last `id` that was said, by this event or one before it. */
  readonly id: string;
}

/** Bounds of a stream, and what is told of it beside its events. */
export interface SseOptions {
  /** How long a line, and an event, may be. */
  readonly most_chars?: number;
  /** Called with what `retry` says: when to come again once the connection is lost. */
  readonly retry?: (retry_ms: number) => void;
}

/**
 * Make a reader of one stream. It is called with each piece, as text or as bytes of UTF-8, and calls `told` with each event
 * that became whole by it; what is not whole at the stream's end is no event. Throws RangeError where a line or an
 * event gets too long, and is of no use from then on.
 */
export function sseReader(
  told: (event: ServerSentEvent) => void,
  { most_chars = 16 * 1024 * 1024, retry }: SseOptions = {},
): (piece: string | Uint8Array) => void {
  const lineEnd = /\r\n?|\n/g;
  let decoder: TextDecoder | undefined;
  let isBegun = false;
  let endedInReturn = false; // so that a line feed which comes first belongs to it
  let held = ""; // of a line; joined, and looked at, once it is whole
  let type = "";
  let data = "";
  let id = "";

  const take = (line: string) => {
    if (line === "") {
      if (data !== "") told({ type: type || "message", data: data.slice(0, -1), id });
      type = data = "";
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "data") data += `${value}\n`;
    else if (field === "event") type = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d+$/.test(value)) retry?.(Number(value));
    if (data.length > most_chars) throw new RangeError("event too long");
  };

  return (piece) => {
    let text = piece as string;
    if (typeof piece !== "string") {
      decoder ??= new TextDecoder("utf-8", { ignoreBOM: true });
      text = decoder.decode(piece, { stream: true });
    }
    if (text === "") return;
    let at = 0;
    if (!isBegun && text.startsWith("\uFEFF")) at = 1;
    isBegun = true;
    if (endedInReturn && text[0] === "\n") at = 1;
    endedInReturn = false;
    // Only what is new is searched: a long line that comes in small pieces costs no more than its length.
    lineEnd.lastIndex = at;
    for (let end = lineEnd.exec(text); end !== null; end = lineEnd.exec(text)) {
      const line = held + text.slice(at, end.index);
      held = "";
      at = lineEnd.lastIndex;
      endedInReturn = end[0] === "\r" && at === text.length;
      take(line);
    }
    held += text.slice(at);
    if (held.length > most_chars) throw new RangeError("line too long");
  };
}
