import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Answer, Call } from "../state.ts";
import { begin } from "./answer.ts";
import { callsOf, decline, finish, isOpen, keyOfCall, outputsOf, restart, start } from "./calls.ts";

const item = (call_id: string, name: string, status = "completed") => ({
  type: "function_call",
  id: `fc_${call_id}`,
  call_id,
  name,
  arguments: "{}",
  status,
});
const answer = {
  ...begin("resp_1", "conv_1"),
  phase: "done",
  output: [item("1", "look"), item("2", "theirs"), item("3", "look", "incomplete")],
} as unknown as Answer;
const call = (status: Call["status"] = "asked"): Call => ({
  call: "1",
  response: "resp_1",
  conversation: "conv_1",
  name: "look",
  arguments: "{}",
  status,
});
const statuses = ["asked", "running", "interrupted", "ran", "declined"] as const;

test("calls are those of our tools that an answer which is over makes in whole", () => {
  expect(callsOf(answer, (name) => name === "look")).toEqual([call()]);
  expect(callsOf({ ...answer, phase: "writing" }, () => true)).toEqual([]);
});

test("there are no more calls than an entry may have outputs", () => {
  const output = Array.from({ length: 200 }, (_, at) => item(`${at}`, "look"));

  expect(callsOf({ ...answer, output: output as never }, () => true).length).toBe(128);
});

test("each call is decided on once, and says something once", () => {
  const after = (act: (of: Call) => Call | undefined) =>
    statuses.map((status) => act(call(status))?.status);

  expect(after(start)).toEqual(["running", undefined, "running", undefined, undefined]);
  expect(after((of) => finish(of, "x"))).toEqual([
    undefined,
    "ran",
    undefined,
    undefined,
    undefined,
  ]);
  expect(after((of) => decline(of))).toEqual([
    "declined",
    undefined,
    "declined",
    undefined,
    undefined,
  ]);
  expect(statuses.filter((status) => isOpen(call(status)))).toEqual([
    "asked",
    "running",
    "interrupted",
  ]);
});

test("a run that was cut off is asked for again, unless it does no harm twice", () => {
  expect(
    [restart(call("running"), false), restart(call("running"), true), restart(call(), false)].map(
      ({ status }) => status,
    ),
  ).toEqual(["interrupted", "running", "asked"]);
});

describe("outputs", () => {
  const ran: Call = { ...call("ran"), output: "sunny" };

  test("are told when all calls of the response are settled, and not before", () => {
    const declined = decline({ ...call(), call: "2" }, "No.") as Call;

    expect(outputsOf([ran, call()], "id")).toBe(undefined);
    expect(outputsOf([], "id")).toBe(undefined);
    expect(outputsOf([ran, declined], "id", { feature: "chat" })).toEqual({
      type: "outputs",
      id: "id",
      conversation: "conv_1",
      feature: "chat",
      outputs: [
        { call_id: "1", output: "sunny" },
        { call_id: "2", output: "No." },
      ],
    });
  });

  test.each(["a", "€", "😀"])("that are too long are cut, and say so (%s)", (unit) => {
    const output = unit.repeat(300_000);
    const told = finish(call("running"), output)?.output ?? "";

    expect(new TextEncoder().encode(told).length).toBeLessThanOrEqual(256 * 1024);
    expect(told.endsWith(`\n[Cut: ${output.length} characters in all.]`)).toBe(true);
    expect(/[\ud800-\udbff](?![\udc00-\udfff])/.test(told)).toBe(false);
  });
});

test("whatever a provider calls a call, its key is short, printable and its own", () => {
  const anything = fc.string({ unit: "binary", maxLength: 400 });
  fc.assert(
    fc.property(anything, anything, (one, other) => {
      const [key, another] = [one, other].map((name) => keyOfCall({ ...call(), call: name }));

      expect(key).toMatch(/^[\x20-\x7e]{1,300}$/);
      expect(key?.split("/").length).toBe(4);
      expect(key === another).toBe(one === other);
    }),
  );
});
