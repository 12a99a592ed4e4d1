// Vercel's AI SDK, through its provider for OpenAI (both dialects) and the one for what is compatible.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  embed,
  embedMany,
  generateText,
  isStepCount,
  Output,
  streamText,
  tool,
} from "ai";
import { z } from "zod";
import { apiKey, baseURL, forecast, WORDS } from "./served.js";

const sent = [];
const openai = createOpenAI({
  baseURL,
  apiKey,
  fetch(url, init) {
    sent.push(init.body);
    return fetch(url, init);
  },
});
const compatible = createOpenAICompatible({
  name: "frontdesk",
  baseURL,
  apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});

const Place = z.object({
  name: z.string(),
  population: z.number().int().min(3),
  rivers: z.array(z.string()),
});
const PLACE = { name: "text", population: 3, rivers: ["text"] };
const Weather = z.object({ city: z.string(), days: z.number().int().min(2) });

const dialects = [
  ["openai.chat", (name) => openai.chat(name)],
  ["openai.responses", (name) => openai.responses(name)],
  ["openai-compatible", (name) => compatible(name)],
];

async function all(stream) {
  const seen = [];
  for await (const part of stream) seen.push(part);
  return seen;
}

for (const [name, model] of dialects) {
  const request = { model: model("fast"), instructions: "Be brief.", prompt: WORDS, maxRetries: 0 };

  function withTool(told) {
    const weather = tool({
      description: "Tells the weather.",
      inputSchema: Weather,
      execute: told.tell,
    });
    return { ...request, tools: { weather }, stopWhen: isStepCount(3) };
  }

  test(`${name}: generateText`, async () => {
    const { text, finishReason, usage } = await generateText(request);

    assert.equal(text, WORDS);
    assert.equal(finishReason, "stop");
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  });

  test(`${name}: streamText`, async () => {
    const result = streamText(request);

    const pieces = await all(result.textStream);
    assert.equal(pieces.join(""), WORDS);
    assert.ok(pieces.length > 1);
    assert.equal(await result.finishReason, "stop");
    assert.ok((await result.usage).outputTokens > 0);
  });

  test(`${name}: generateText runs a tool and uses its result`, async () => {
    const told = forecast();
    const { text, steps } = await generateText(withTool(told));

    assert.equal(text, "2 sunny days in text");
    assert.deepEqual(told.calls, [{ city: "text", days: 2 }]);
    assert.deepEqual(
      steps.map((step) => step.finishReason),
      ["tool-calls", "stop"],
    );
  });

  test(`${name}: streamText runs a tool and uses its result`, async () => {
    const told = forecast();
    const result = streamText(withTool(told));

    assert.equal((await all(result.textStream)).join(""), "2 sunny days in text");
    assert.deepEqual(told.calls, [{ city: "text", days: 2 }]);
    assert.equal((await result.steps).length, 2);
  });

  // Stored, the Responses provider sends references to items in their stead; else the items themselves.
  for (const store of [true, false]) {
    test(`${name}: a conversation goes on, ${store ? "stored" : "not stored"}`, async () => {
      const told = forecast();
      const providerOptions = { openai: { store } };
      const { responseMessages } = await generateText({ ...withTool(told), providerOptions });
      const messages = [
        { role: "user", content: WORDS },
        ...responseMessages,
        { role: "user", content: "And now?" },
      ];
      const { text } = await generateText({
        ...request,
        prompt: undefined,
        messages,
        providerOptions,
      });

      if (name === "openai.responses")
        assert.equal(sent.at(-1).includes('"item_reference"'), store);
      assert.equal(told.calls.length, 1);
      assert.equal(text, "And now?");
    });
  }

  test(`${name}: generateText gives an object`, async () => {
    const { output } = await generateText({ ...request, output: Output.object({ schema: Place }) });

    assert.deepEqual(output, PLACE);
  });

  test(`${name}: streamText gives an object as it grows`, async () => {
    const result = streamText({ ...request, output: Output.object({ schema: Place }) });

    assert.ok((await all(result.partialOutputStream)).length > 1);
    assert.deepEqual(await result.output, PLACE);
  });

  test(`${name}: streamText aborts`, async () => {
    const control = new AbortController();
    const result = streamText({
      ...request,
      model: model("crawling"),
      abortSignal: control.signal,
    });
    const kinds = [];
    for await (const part of result.stream) {
      kinds.push(part.type);
      if (part.type === "text-delta") control.abort();
    }

    assert.equal(kinds.at(-1), "abort");
  });

  test(`${name}: a refusal is an APICallError with the server's words`, async () => {
    await assert.rejects(generateText({ ...request, model: model("nowhere") }), (error) => {
      assert.ok(APICallError.isInstance(error));
      assert.equal(error.statusCode, 404);
      assert.match(error.message, /nowhere/);
      assert.equal(error.isRetryable, false);
      return true;
    });
  });
}

for (const [name, model] of [
  ["openai", openai.embeddingModel("embed")],
  ["openai-compatible", compatible.embeddingModel("embed")],
]) {
  test(`${name}: embeds one and many`, async () => {
    const { embedding } = await embed({ model, value: "one" });
    const { embeddings, usage } = await embedMany({ model, values: ["one", "two"] });

    assert.equal(embedding.length, 64);
    assert.deepEqual(embeddings[0], embedding);
    assert.equal(usage.tokens, 2);
  });
}
