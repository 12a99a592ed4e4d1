// @vitest-environment node
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ServerSentEvent, sseReader } from "./sse.ts";

function read(...pieces: readonly (string | Uint8Array)[]): ServerSentEvent[] {
  const told: ServerSentEvent[] = [];
  const take = sseReader((event) => told.push(event));
  for (const piece of pieces) take(piece);
  return told;
}

const event = (data: string, id = "", type = "message"): ServerSentEvent => ({ type, data, id });

// The examples of WHATWG HTML §9.2.6.
test("several lines of data are one", () => {
  expect(read("data: YHOO\ndata: +2\ndata: 10\n\n")).toEqual([event("YHOO\n+2\n10")]);
});

test("comments say nothing, ids hold on until another one, and an empty one takes it back", () => {
  const stream =
    ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";

  expect(read(stream)).toEqual([
    event("first event", "1"),
    event("second event"),
    event(" third event"),
  ]);
});

test("data without a value is an event, and what has no empty line behind it is none", () => {
  expect(read("data\n\ndata\ndata\n\ndata:")).toEqual([event(""), event("\n")]);
});

test("one space behind the colon is no part of the value", () => {
  expect(read("data:test\n\ndata: test\n\n")).toEqual([event("test"), event("test")]);
});

test("a type counts for its own event alone, and for none without data", () => {
  expect(read("event: a\n\ndata: 1\n\nevent: b\ndata: 2\n\ndata: 3\n\n")).toEqual([
    event("1"),
    event("2", "", "b"),
    event("3"),
  ]);
});

test("an id with a null is passed over, unknown fields are, and a retry that is no number is", () => {
  const retries: number[] = [];
  const told: ServerSentEvent[] = [];
  const take = sseReader((each) => told.push(each), {
    retry: (retry_ms) => retries.push(retry_ms),
  });

  take("id: 1\nid: 2\0\nnothing: x\nretry: 2000\nretry: soon\nretry: -1\nretry:\ndata: x\n\n");

  expect([told, retries]).toEqual([[event("x", "1")], [2000]]);
});

test("only one byte order mark is one", () => {
  expect(read("\uFEFFdata: 1\n\n\uFEFFdata: 2\n\n")).toEqual([event("1")]);
  expect(
    read(new Uint8Array([0xef, 0xbb]), new Uint8Array([0xbf, 0x64, 0x61, 0x74, 0x61, 10, 10])),
  ).toEqual([event("")]);
});

test("an event is told with the return that ends it, and the line feed behind that is no empty line", () => {
  expect(read("data: 1\r\r")).toEqual([event("1")]);
  expect(read("data: 1\r", "\ndata: 2\r", "\n\r", "\n", "data: 3\r", "\r")).toEqual([
    event("1\n2"),
    event("3"),
  ]);
});

test("a line and an event are only so long", () => {
  const reader = () => sseReader(() => {}, { most_chars: 10 });

  expect(() => reader()("data: 45678901")).toThrow(RangeError);
  expect(() => reader()("data: 1234\ndata: 1234\ndata: 1234\n")).toThrow(RangeError);
  const take = reader();
  for (const piece of "data: 1234\n\n".repeat(10)) take(piece);
});

test("a long line in many pieces takes time as it has length", () => {
  let length = 0;
  const take = sseReader((each) => {
    length = each.data.length;
  });
  take("data: ");
  const piece = "x".repeat(100);

  for (let count = 0; count < 100_000; count += 1) take(piece);
  take("\n\n");

  expect(length).toBe(10_000_000);
}, 2_000);

const line = fc.string({ unit: "grapheme" }).map((text) => text.replace(/[\r\n\0]/g, ""));
const told = fc.record({ type: line, data: fc.array(line, { minLength: 1 }), id: line });
const end = fc.constantFrom("\n", "\r", "\r\n");

test("what was written is read, whatever ends its lines and wherever it is cut", () => {
  fc.assert(
    fc.property(
      fc.array(told),
      fc.infiniteStream(end),
      fc.infiniteStream(fc.nat(12)),
      (events, ends, cuts) => {
        const lines = events.flatMap(({ type, data, id }) => [
          `event: ${type}`,
          ": keep-alive",
          ...data.map((each) => `data: ${each}`),
          `id: ${id}`,
          "",
        ]);
        let text = "";
        for (const each of lines) {
          const chosen = ends.next().value;
          // A return and a line feed that an empty line stands between are one end.
          text += each + (each === "" && text.endsWith("\r") && chosen === "\n" ? "\r" : chosen);
        }
        const bytes = new TextEncoder().encode(text);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; ) {
          const length = cuts.next().value;
          pieces.push(bytes.subarray(at, at + length));
          at += length;
        }

        expect(read(...pieces)).toEqual(
          events.map(({ type, data, id }) => event(data.join("\n"), id, type || "message")),
        );
      },
    ),
  );
});
