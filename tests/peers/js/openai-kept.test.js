// OpenAI's own client for JavaScript, at what outlives a request: stored answers, conversations, lost replies.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import OpenAI from "openai";
import { forecast, MESSAGES, WORDS } from "./served.js";

const client = new OpenAI({ maxRetries: 0 });
const WEATHER = {
  type: "function",
  name: "weather",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer", minimum: 2 } },
    required: ["city", "days"],
    additionalProperties: false,
  },
};

async function all(events) {
  const seen = [];
  for await (const event of events) seen.push(event);
  return seen;
}

function textOf(events) {
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  return deltas.map((event) => event.delta).join("");
}

function numbersOf(events) {
  return events.map((event) => event.sequence_number);
}

/** Reads events up to the first word, and hangs up. */
async function untilFirstWord(stream) {
  const seen = [];
  for await (const event of stream) {
    seen.push(event);
    if (event.type === "response.output_text.delta") break;
  }
  return seen;
}

test("a response in the background is gone on with behind the last event that came", async () => {
  const request = { model: "slow", input: WORDS, background: true, stream: true };
  const before = await untilFirstWord(await client.responses.create(request));
  const cursor = { stream: true, starting_after: before.at(-1).sequence_number };
  const after = await all(await client.responses.retrieve(before[0].response.id, cursor));

  assert.deepEqual(numbersOf([...before, ...after]), [
    ...Array(before.length + after.length).keys(),
  ]);
  assert.equal(textOf([...before, ...after]), WORDS);
  assert.equal(after.at(-1).type, "response.completed");
  const stored = await client.responses.retrieve(before[0].response.id);
  assert.equal(stored.output_text, WORDS);
  assert.equal(stored.background, true);
});

test("the stream helper reads a stored response from a cursor", async () => {
  const { id } = await client.responses.create({ model: "fast", input: WORDS, background: true });
  const told = await all(await client.responses.retrieve(id, { stream: true }));
  const [begun] = told.filter((event) => event.type === "response.output_text.delta");
  const stream = client.responses.stream({
    response_id: id,
    starting_after: begun.sequence_number,
  });

  assert.equal((await stream.finalResponse()).output_text, WORDS);
});

test("a response in the background is asked after until it has ended", async () => {
  let response = await client.responses.create({ model: "slow", input: WORDS, background: true });

  assert.equal(response.status, "queued");
  while (["queued", "in_progress"].includes(response.status))
    response = await client.responses.retrieve(response.id);
  assert.equal(response.status, "completed");
  assert.equal(response.output_text, WORDS);
});

test("a response is cancelled as often as one likes, and deleted once", async () => {
  const { id } = await client.responses.create({
    model: "crawling",
    input: WORDS,
    background: true,
  });

  for (let times = 0; times < 2; times += 1)
    assert.equal((await client.responses.cancel(id)).status, "cancelled");
  await client.responses.delete(id);
  await assert.rejects(client.responses.retrieve(id), OpenAI.NotFoundError);
  await assert.rejects(client.responses.delete(id), OpenAI.NotFoundError);
});

test("a tool's output is all that a chain of responses needs", async () => {
  const { calls, tell } = forecast();
  const first = await client.responses.create({ model: "fast", input: WORDS, tools: [WEATHER] });
  const call = first.output.find((item) => item.type === "function_call");
  const second = await client.responses.create({
    model: "fast",
    previous_response_id: first.id,
    input: [
      {
        type: "function_call_output",
        call_id: call.call_id,
        output: tell(JSON.parse(call.arguments)),
      },
    ],
    tools: [WEATHER],
  });
  const third = await client.responses.create({
    model: "fast",
    previous_response_id: second.id,
    input: "And now?",
  });

  assert.equal(second.output_text, "2 sunny days in text");
  assert.deepEqual(calls, [{ city: "text", days: 2 }]);
  assert.equal(third.previous_response_id, second.id);
  assert.equal(third.output_text, "And now?");
  assert.ok(third.usage.input_tokens > second.usage.input_tokens);
});

test("the input of a response is listed page by page", async () => {
  const input = ["one", "two", "three"].map((content) => ({ role: "user", content }));
  const { id } = await client.responses.create({ model: "fast", input });
  const items = await all(client.responses.inputItems.list(id, { limit: 2, order: "asc" }));

  assert.deepEqual(
    items.map((item) => item.content[0].text),
    ["one", "two", "three"],
  );
});

test("a conversation takes items and responses, and lists them all", async () => {
  const conversation = await client.conversations.create({
    items: [{ type: "message", role: "user", content: "My name is Ada." }],
    metadata: { topic: "names" },
  });
  const answer = await client.responses.create({
    model: "fast",
    conversation: conversation.id,
    input: WORDS,
  });
  await client.conversations.items.create(conversation.id, {
    items: [{ type: "message", role: "user", content: "Goodbye." }],
  });
  const items = await all(
    client.conversations.items.list(conversation.id, { order: "asc", limit: 2 }),
  );

  assert.equal(answer.conversation.id, conversation.id);
  assert.deepEqual(
    items.map((item) => [item.role, item.content[0].text]),
    [
      ["user", "My name is Ada."],
      ["user", WORDS],
      ["assistant", WORDS],
      ["user", "Goodbye."],
    ],
  );
  assert.equal(items[2].id, answer.output[0].id);

  const changed = await client.conversations.update(conversation.id, { metadata: { topic: "x" } });
  assert.deepEqual(changed.metadata, { topic: "x" });
  const place = { conversation_id: conversation.id };
  await client.conversations.items.delete(items[0].id, place);
  await assert.rejects(
    client.conversations.items.retrieve(items[0].id, place),
    OpenAI.NotFoundError,
  );
  assert.equal((await client.conversations.delete(conversation.id)).deleted, true);
  await assert.rejects(client.conversations.retrieve(conversation.id), OpenAI.NotFoundError);
  assert.equal((await client.responses.retrieve(answer.id)).output_text, WORDS);
});

test("a stored chat is found by its metadata, changed and deleted", async () => {
  const metadata = { of: randomUUID() };
  const chat = await client.chat.completions.create({
    model: "fast",
    messages: MESSAGES,
    store: true,
    metadata,
  });
  const listed = await all(client.chat.completions.list({ metadata }));
  const messages = await all(client.chat.completions.messages.list(chat.id));

  assert.deepEqual(
    listed.map(({ id, choices }) => [id, choices[0].message.content]),
    [[chat.id, WORDS]],
  );
  assert.deepEqual(
    messages.map(({ role, content }) => ({ role, content })),
    MESSAGES,
  );
  await client.chat.completions.update(chat.id, { metadata: { of: "another" } });
  assert.equal((await all(client.chat.completions.list({ metadata }))).length, 0);
  await client.chat.completions.delete(chat.id);
  await assert.rejects(client.chat.completions.retrieve(chat.id), OpenAI.NotFoundError);
});

test("what was not stored is not there", async () => {
  const { id } = await client.responses.create({ model: "fast", input: WORDS, store: false });

  await assert.rejects(client.responses.retrieve(id), OpenAI.NotFoundError);
  await assert.rejects(
    client.responses.create({ model: "fast", input: WORDS, previous_response_id: id }),
    (error) => error.status === 400 && error.code === "previous_response_not_found",
  );
});

/** The SDK gives each POST a key where it knows the header's name, and sends it with each try. */
class KeyedOpenAI extends OpenAI {
  idempotencyHeader = "Idempotency-Key";
}

for (const [name, ask] of [
  ["a response", (keyed) => keyed.responses.create({ model: "fast", input: WORDS })],
  ["a chat", (keyed) => keyed.chat.completions.create({ model: "fast", messages: MESSAGES })],
  ["a conversation", (keyed) => keyed.conversations.create({ metadata: { topic: "lost" } })],
]) {
  test(`${name} whose reply is lost is asked again, and made once`, async () => {
    const seen = [];
    const keyed = new KeyedOpenAI({
      maxRetries: 1,
      async fetch(url, init) {
        const reply = await fetch(url, init);
        const id = (await reply.clone().json()).id;
        seen.push([
          id,
          init.headers.get("idempotency-key"),
          reply.headers.get("idempotent-replayed"),
        ]);
        if (seen.length === 1) throw new TypeError("the network is gone");
        return reply;
      },
    });

    const answer = await ask(keyed);
    const [[id, key]] = seen;
    assert.deepEqual(seen, [
      [id, key, null],
      [id, key, "true"],
    ]);
    assert.equal(answer.id, id);
    assert.ok(key.length > 20);
  });
}

test("a stream that is asked for again under its key is the same one", async () => {
  const headers = { "Idempotency-Key": randomUUID() };
  const request = { model: "slow", input: WORDS, stream: true };
  const before = await untilFirstWord(await client.responses.create(request, { headers }));
  const again = await all(await client.responses.create(request, { headers }));

  assert.deepEqual(again.slice(0, before.length), before);
  assert.equal(textOf(again), WORDS);
  await assert.rejects(
    client.responses.create({ ...request, input: "Something else" }, { headers }),
    (error) => error.status === 422 && error.code === "idempotency_key_reused",
  );
});
