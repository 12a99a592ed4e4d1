import { expect, test } from "vitest";
import { type SseEvent, SseParser } from "./sse.ts";

const wire =
  ": keep-alive\n\n" +
  'event: response.created\ndata: {"id":"resp_1"}\n\n' +
  "event: response.output_text.delta\ndata: Grüezi, 你好, 👩‍🚀\nid: 7\n\n" +
  "data: two\ndata:lines\nretry: 10\n\n" +
  "event: nothing\n\n" +
  "data\n\n";

const events: SseEvent[] = [
  { name: "response.created", data: '{"id":"resp_1"}' },
  { name: "response.output_text.delta", data: "Grüezi, 你好, 👩‍🚀" },
  { name: "message", data: "two\nlines" },
  { name: "message", data: "" },
];

test.each([
  ["LF", wire],
  ["CRLF", wire.replaceAll("\n", "\r\n")],
  ["CR", wire.replaceAll("\n", "\r")],
])("events are the same wherever the bytes are cut, with %s", (ending, text) => {
  // With CR alone the last line end is known only when something follows.
  const bytes = new TextEncoder().encode(ending === "CR" ? `${text}:` : text);

  for (let cut = 0; cut <= bytes.length; cut++) {
    const parser = new SseParser();
    const found = [...parser.feed(bytes.slice(0, cut)), ...parser.feed(bytes.slice(cut))];
    expect(found).toEqual(events);
  }
});

test("events are the same when every byte comes alone", () => {
  const parser = new SseParser();

  const found = [...new TextEncoder().encode(wire)].flatMap((byte) =>
    parser.feed(Uint8Array.of(byte)),
  );

  expect(found).toEqual(events);
});

test("an event that the end of the stream cut off is no event", () => {
  expect(new SseParser().feed(new TextEncoder().encode("data: half\n"))).toEqual([]);
});
