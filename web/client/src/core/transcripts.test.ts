// Every golden transcript of a streamed Response, read as a device reads it, says what was decoded from the provider.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Answer } from "../state.ts";
import { sseReader } from "../transports/sse.ts";
import type { AnswerEvent } from "../wire.ts";
import { begin, hear } from "./answer.ts";
import { textOf, thoughtsOf } from "./said.ts";

interface Decoded {
  readonly event?: string;
  readonly output?: number;
  readonly text?: string;
  readonly name?: string;
  readonly arguments?: string;
  readonly call_id?: string;
  readonly failure?: { readonly message: string };
  readonly [field: string]: unknown;
}

const root = join(import.meta.dirname, "../../../../contract/transcripts");
const folders = ["responses", "responses-over-chat"].flatMap((door) =>
  readdirSync(join(root, door))
    .filter((name) => name.endsWith("-stream"))
    .map((name) => join(door, name)),
);

function told(folder: string): { status: number; events: AnswerEvent[] } {
  const bytes = readFileSync(join(root, folder, "answer.http"));
  const end = bytes.indexOf("\n\n");
  const status = Number(bytes.subarray(0, end).toString().split(/\s/)[1]);
  const events: AnswerEvent[] = [];
  if (status === 200)
    sseReader(({ data }) => events.push(JSON.parse(data)))(bytes.subarray(end + 2));
  return { status, events };
}

function decoded(folder: string): Decoded[] {
  const lines = readFileSync(join(root, folder, "events.jsonl"), "utf8").split("\n");
  return lines.filter((line) => line).map((line) => JSON.parse(line) as Decoded);
}

function heard(events: readonly AnswerEvent[]): Answer {
  return events.reduce<Answer>(
    (answer, event) => {
      const next = hear(answer, event);
      if (!next) throw new Error(`Events are missing before ${event.sequence_number}.`);
      return next;
    },
    begin("resp_1", "conv_1"),
  );
}

/** The items that each kind of decoded events speaks of, put together, in the order of their outputs. */
function said(events: readonly Decoded[], kinds: readonly string[], field: string): string[] {
  const texts = new Map<number, string>();
  for (const event of events) {
    if (event.output === undefined || !kinds.includes(event.event ?? "")) continue;
    texts.set(event.output, (texts.get(event.output) ?? "") + String(event[field] ?? ""));
  }
  return [...texts].sort(([one], [other]) => one - other).map(([, text]) => text);
}

const streams = folders.filter((folder) => told(folder).status === 200);

test("there are transcripts", () => {
  expect(streams.length).toBeGreaterThan(20);
});

describe.each(streams)("%s", (folder) => {
  const { events } = told(folder);
  const source = decoded(folder);
  const failure = source.find((event) => event.failure)?.failure;
  // A terminal event holds all; what is told without it has to come to the same.
  const answers = [heard(events), heard(events.slice(0, -1))];

  test("it ends as the provider's answer did", () => {
    const [whole] = answers;

    expect([whole?.phase, whole?.error?.message]).toEqual(
      failure
        ? ["failed", failure.message]
        : ["done", source.some(({ event }) => event === "TurnIncomplete") ? "" : undefined],
    );
  });

  test.each(["with its terminal event", "without it"])(
    "its texts are those that were decoded, %s",
    (way) => {
      const answer = answers[way === "without it" ? 1 : 0];
      const texts = answer?.output.filter(({ type }) => type === "message").map(textOf);

      expect(texts?.filter((text) => text)).toEqual(
        said(source, ["TextDelta", "RefusalDelta"], "text"),
      );
    },
  );

  test.each(["with its terminal event", "without it"])(
    "its calls are those that were decoded, %s",
    (way) => {
      const answer = answers[way === "without it" ? 1 : 0];
      const calls = answer?.output.flatMap((item) =>
        item.type === "function_call" || item.type === "custom_tool_call"
          ? [[item.call_id, item.name, item.type === "function_call" ? item.arguments : item.input]]
          : [],
      );
      const started = source.filter(({ event }) => event === "ToolCallStarted");
      const given = new Map<number, string>();
      for (const { event, output, ...rest } of source) {
        if (event !== "ToolArgumentsDelta" || output === undefined) continue;
        given.set(output, (given.get(output) ?? "") + String(rest.text ?? ""));
      }

      expect(calls).toEqual(
        started.map(({ output = -1, call_id, name }) => [call_id, name, given.get(output) ?? ""]),
      );
    },
  );

  test("its thoughts are those that were decoded: the summary, where there is one", () => {
    const parts = new Map<number, { summary: string[]; content: string }>();
    for (const { event, output = -1, text = "" } of source) {
      const part = parts.get(output) ?? { summary: [], content: "" };
      if (event === "ReasoningStarted") parts.set(output, part);
      if (event === "ReasoningSummaryStarted") part.summary.push("");
      if (event === "ReasoningSummaryDelta") part.summary.push((part.summary.pop() ?? "") + text);
      if (event === "ReasoningDelta") part.content += text;
    }
    const thoughts = answers[0]?.output.filter(({ type }) => type === "reasoning").map(thoughtsOf);

    expect(thoughts).toEqual(
      [...parts.values()].map(({ summary, content }) => summary.join("\n\n") || content),
    );
  });
});
