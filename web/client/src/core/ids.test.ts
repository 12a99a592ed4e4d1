import fc from "fast-check";
import { expect, test } from "vitest";
import { conversationId, factId, makeIds, messageId } from "./ids.ts";

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const times = fc.array(fc.integer({ min: 0, max: 2 ** 48 - 2 ** 20 }), {
  minLength: 1,
  maxLength: 50,
});

test("an id is a UUID of version 7 of its time and random bytes", () => {
  const ids = makeIds((count) => new Uint8Array(count).fill(0xff));

  expect(ids.next(0x0199a0b05d1c)).toBe("0199a0b0-5d1c-77ff-bfff-ffffffffffff");
});

test("ids go up, whatever the clock does", () => {
  fc.assert(
    fc.property(times, fc.uint8Array({ minLength: 10, maxLength: 10 }), (clock, bytes) => {
      const ids = makeIds(() => bytes);

      const made = clock.map((now_ms) => ids.next(now_ms));

      expect(made.every((id) => UUID7.test(id))).toBe(true);
      expect([...made].sort()).toEqual(made);
      expect(new Set(made).size).toBe(made.length);
    }),
  );
});

test("more ids than a millisecond has room for still go up", () => {
  const ids = makeIds((count) => new Uint8Array(count));

  const made = Array.from({ length: 10_000 }, () => ids.next(5));

  expect([...made].sort()).toEqual(made);
  expect(new Set(made).size).toBe(made.length);
});

test("an id is above all that were seen", () => {
  fc.assert(
    fc.property(times, times, (theirs, ours) => {
      const other = makeIds((count) => new Uint8Array(count).fill(0xee));
      const ids = makeIds((count) => new Uint8Array(count));
      for (const now_ms of theirs) {
        const id = other.next(now_ms);
        ids.seen(id);

        expect(ids.next(ours[0] ?? 0) > id).toBe(true);
      }
    }),
  );
});

test("things are named by the digits of an id", () => {
  const id = "0199a0b0-5d1c-7c3e-9d0a-6b1f0a2c4e11";

  expect([messageId(id), conversationId(id), factId(id)]).toEqual([
    "msg_0199a0b05d1c7c3e9d0a6b1f0a2c4e11",
    "conv_0199a0b05d1c7c3e9d0a6b1f0a2c4e11",
    "fact_0199a0b05d1c7c3e9d0a6b1f0a2c4e11",
  ]);
});
