// OpenAI's own client for JavaScript.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import {
  zodFunction,
  zodResponseFormat,
  zodResponsesFunction,
  zodTextFormat,
} from "openai/helpers/zod";
import { z } from "zod";
import { forecast, MESSAGES, sessionToken, WORDS } from "./served.js";

const client = new OpenAI({ maxRetries: 0 });
const Place = z.object({
  name: z.string(),
  population: z.number().int().min(3),
  rivers: z.array(z.string()),
});
const PLACE = { name: "text", population: 3, rivers: ["text"] };
const Weather = z.object({ city: z.string(), days: z.number().int().min(2) });

async function all(events) {
  const seen = [];
  for await (const event of events) seen.push(event);
  return seen;
}

test("chat answers", async () => {
  const answer = await client.chat.completions.create({ model: "fast", messages: MESSAGES });

  assert.equal(answer.choices[0].message.content, WORDS);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.model, "fast");
  assert.ok(answer.usage.total_tokens > 0);
});

test("chat streams", async () => {
  const chunks = await all(
    await client.chat.completions.create({
      model: "fast",
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    }),
  );

  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), WORDS);
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
});

test("chat is gathered from a stream by the helper", async () => {
  const stream = client.chat.completions.stream({ model: "fast", messages: MESSAGES });
  const pieces = [];
  stream.on("content", (piece) => pieces.push(piece));

  assert.equal(await stream.finalContent(), WORDS);
  assert.equal(pieces.join(""), WORDS);
});

for (const stream of [false, true]) {
  test(`chat runs a tool and uses its result, ${stream ? "streamed" : "whole"}`, async () => {
    const { calls, tell } = forecast();
    const runner = client.chat.completions.runTools({
      model: "fast",
      messages: MESSAGES,
      stream,
      tools: [zodFunction({ name: "weather", parameters: Weather, function: tell })],
    });

    assert.equal(await runner.finalContent(), "2 sunny days in text");
    assert.deepEqual(calls, [{ city: "text", days: 2 }]);
  });
}

test("chat parses to a schema", async () => {
  const answer = await client.chat.completions.parse({
    model: "fast",
    messages: MESSAGES,
    response_format: zodResponseFormat(Place, "place"),
  });

  assert.deepEqual(answer.choices[0].message.parsed, PLACE);
});

test("chat takes a picture", async () => {
  const url = "data:image/png;base64,iVBORw0KGgo=";
  const content = [
    { type: "text", text: "Look here" },
    { type: "image_url", image_url: { url } },
  ];
  const answer = await client.chat.completions.create({
    model: "fast",
    messages: [{ role: "user", content }],
  });

  assert.equal(answer.choices[0].message.content, "Look here [image]");
});

test("responses answer", async () => {
  const answer = await client.responses.create({
    model: "fast",
    instructions: "Be brief.",
    input: WORDS,
  });

  assert.equal(answer.output_text, WORDS);
  assert.equal(answer.status, "completed");
  assert.ok(answer.usage.output_tokens > 0);
});

test("responses stream", async () => {
  const events = await all(
    await client.responses.create({ model: "fast", input: WORDS, stream: true }),
  );

  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), WORDS);
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, place) => place),
  );
  assert.equal(events.at(-1).type, "response.completed");
});

test("responses are gathered from a stream by the helper", async () => {
  const stream = client.responses.stream({ model: "fast", input: WORDS });
  const pieces = [];
  stream.on("response.output_text.delta", (event) => pieces.push(event.delta));

  assert.equal((await stream.finalResponse()).output_text, WORDS);
  assert.equal(pieces.join(""), WORDS);
});

for (const stream of [false, true]) {
  test(`responses run a tool and use its result, ${stream ? "streamed" : "whole"}`, async () => {
    const { calls, tell } = forecast();
    const tool = zodResponsesFunction({ name: "weather", parameters: Weather });
    const input = [{ role: "user", content: WORDS }];

    const first = await respond({ model: "fast", input, tools: [tool] }, stream);
    for (const item of first.output) {
      input.push(item);
      if (item.type === "function_call") {
        const output = tell(item.parsed_arguments);
        input.push({ type: "function_call_output", call_id: item.call_id, output });
      }
    }
    const second = await respond({ model: "fast", input, tools: [tool] }, stream);

    assert.equal(second.output_text, "2 sunny days in text");
    assert.deepEqual(calls, [{ city: "text", days: 2 }]);
  });
}

function respond(request, stream) {
  return stream
    ? client.responses.stream(request).finalResponse()
    : client.responses.parse(request);
}

test("responses parse to a schema", async () => {
  const answer = await client.responses.parse({
    model: "fast",
    input: WORDS,
    text: { format: zodTextFormat(Place, "place") },
  });

  assert.deepEqual(answer.output_parsed, PLACE);
});

for (const encoding_format of [undefined, "float", "base64"]) {
  test(`embeddings come as ${encoding_format ?? "the client likes them"}`, async () => {
    const answer = await client.embeddings.create({
      model: "embed",
      input: ["one", "two"],
      encoding_format,
    });

    assert.equal(answer.data.length, 2);
    const [vector] = answer.data.map(({ embedding }) =>
      typeof embedding === "string"
        ? new Float32Array(Uint8Array.from(Buffer.from(embedding, "base64")).buffer)
        : embedding,
    );
    assert.equal(vector.length, 64);
    assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-6);
  });
}

test("models are listed and told", async () => {
  const names = (await all(client.models.list())).map((model) => model.id);

  assert.ok(names.includes("fast"));
  assert.equal((await client.models.retrieve("fast")).id, "fast");
});

for (const [model, kind, status] of [
  ["nowhere", OpenAI.NotFoundError, 404],
  ["busy", OpenAI.InternalServerError, 503],
  ["broken", OpenAI.InternalServerError, 502],
]) {
  test(`model ${model} fails with ${kind.name}`, async () => {
    for (const stream of [false, true]) {
      await assert.rejects(
        client.chat.completions.create({ model, messages: MESSAGES, stream }),
        (error) => {
          assert.equal(error.status, status);
          assert.ok(error instanceof kind);
          assert.ok(error.message.length > 10 && error.code && error.type);
          return true;
        },
      );
    }
  });
}

test("a wrong key fails with AuthenticationError", async () => {
  const stranger = new OpenAI({ apiKey: "fd_sk_of-nobody", maxRetries: 0 });

  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
});

test("a person over the limit fails with RateLimitError that says when to come back", async () => {
  const person = new OpenAI({
    apiKey: await sessionToken({ user: "eager", tier: "free" }),
    maxRetries: 0,
  });
  const ask = () => person.chat.completions.create({ model: "fast", messages: MESSAGES });

  for (let call = 0; call < 3; call += 1) await ask();
  await assert.rejects(ask(), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.ok(Number(error.headers.get("retry-after")) > 0);
    return true;
  });
});

test("a wrong request fails with BadRequestError that names the parameter", async () => {
  for (const [param, wrong] of [
    ["temperature", { temperature: "warm" }],
    ["messages[0].role", { messages: [{ role: "nobody", content: WORDS }] }],
  ]) {
    await assert.rejects(
      client.chat.completions.create({ model: "fast", messages: MESSAGES, ...wrong }),
      (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, param);
        return true;
      },
    );
  }
});

test("a stream that breaks throws after its words", async () => {
  const words = [];
  const stream = await client.chat.completions.create({
    model: "cut",
    messages: MESSAGES,
    stream: true,
  });

  await assert.rejects(async () => {
    for await (const chunk of stream) words.push(chunk.choices[0]?.delta.content ?? "");
  }, OpenAI.APIError);
  assert.equal(words.join("").trim(), "word0 word1 word2");
});

for (const [name, open] of [
  [
    "chat",
    () => client.chat.completions.create({ model: "crawling", messages: MESSAGES, stream: true }),
  ],
  ["responses", () => client.responses.create({ model: "crawling", input: WORDS, stream: true })],
]) {
  test(`${name} is aborted in the middle of a stream, and the next one answers`, async () => {
    const stream = await open();
    const seen = [];
    for await (const event of stream) {
      seen.push(event);
      stream.controller.abort();
    }

    assert.ok(seen.length >= 1);
    const next = await client.chat.completions.create({ model: "fast", messages: MESSAGES });
    assert.equal(next.choices[0].message.content, WORDS);
  });
}
