import { afterEach, expect, test, vi } from "vitest";
import { Client } from "./client.ts";
import { completed, created, delta, FakeServer, hanging, refusal, stream } from "./fake-server.ts";
import { TokenNeeded } from "./session.ts";

const input = [{ role: "user", content: "Hi" }] as const;

async function ask(server: FakeServer, signal = new AbortController().signal) {
  const client = new Client(server.fetch, null);
  await client.bootstrap();
  const events = [];
  for await (const event of client.answer("fast", input, signal)) events.push(event);
  return events;
}

afterEach(() => vi.useRealTimers());

test("an answer is its events in order", async () => {
  const server = new FakeServer();

  expect(await ask(server)).toEqual([
    { kind: "TurnReceived", responseId: "resp_1" },
    { kind: "TextDelta", text: "Hello." },
    { kind: "AnswerCompleted" },
  ]);
  expect(server.asked).toEqual([{ model: "fast", input, stream: true, store: false }]);
});

test("an end of bytes without a terminal event is a lost connection", async () => {
  const server = new FakeServer();
  server.answering = () => stream(created, delta("Hel"));

  expect((await ask(server)).at(-1)).toMatchObject({
    kind: "AnswerFailed",
    failure: { code: "connection_lost" },
  });
});

test("what comes after a terminal event is not told", async () => {
  const server = new FakeServer();
  server.answering = () => stream(created, completed, delta("more"), { type: "error" });

  expect((await ask(server)).at(-1)).toEqual({ kind: "AnswerCompleted" });
});

test("a refusal before the stream carries its code and the time to wait", async () => {
  const server = new FakeServer();
  server.answering = () => refusal(429, "rate_limit_exceeded", { "retry-after": "12" });

  expect(await ask(server)).toEqual([
    {
      kind: "AnswerFailed",
      failure: {
        code: "rate_limit_exceeded",
        message: "Refused: rate_limit_exceeded.",
        retryAfterS: 12,
      },
    },
  ]);
});

test("an error page of something in between gives its status as code", async () => {
  const server = new FakeServer();
  server.answering = () => new Response("<html>Bad gateway</html>", { status: 502 });

  expect(await ask(server)).toEqual([
    { kind: "AnswerFailed", failure: { code: "http_502", message: "", retryAfterS: null } },
  ]);
});

test("no connection at all is told as such", async () => {
  const server = new FakeServer();
  server.answering = () => {
    throw new TypeError("Failed to fetch");
  };

  expect(await ask(server)).toMatchObject([{ failure: { code: "unreachable" } }]);
});

test("a refused token is renewed for the same person and the call repeated", async () => {
  const server = new FakeServer();
  server.refusesToken = "token-1-1";

  expect((await ask(server)).at(-1)).toEqual({ kind: "AnswerCompleted" });
  expect(lastToken(server)).toBe("Bearer token-1-2");
});

test("a session that has ended for good is followed by one of somebody new", async () => {
  const server = new FakeServer();
  server.refusesToken = "token-1-1";
  server.refreshes = false;

  expect((await ask(server)).at(-1)).toEqual({ kind: "AnswerCompleted" });
  expect(lastToken(server)).toBe("Bearer token-2-1");
});

test("a server that wants a token says so", async () => {
  const server = new FakeServer();
  server.bootstrap = {
    ...(server.bootstrap as NonNullable<typeof server.bootstrap>),
    anonymous: false,
  };

  await expect(ask(server)).rejects.toThrow(TokenNeeded);
});

test("an aborted answer ends without a word", async () => {
  const abort = new AbortController();
  const server = new FakeServer();
  server.answering = (_, signal) => hanging(signal, created);
  const client = new Client(server.fetch, null);
  await client.bootstrap();

  const events = [];
  for await (const event of client.answer("fast", input, abort.signal)) {
    events.push(event);
    abort.abort();
  }

  expect(events).toEqual([{ kind: "TurnReceived", responseId: "resp_1" }]);
});

test("a connection that has gone silent is lost in the end", async () => {
  vi.useFakeTimers();
  const server = new FakeServer();
  server.answering = (_, signal) => hanging(signal, created);

  const events = ask(server);
  await vi.advanceTimersByTimeAsync(35_000);

  expect((await events).at(-1)).toMatchObject({ failure: { code: "connection_lost" } });
});

test("cancelling never throws", async () => {
  const server = new FakeServer();
  const client = new Client(server.fetch, null);
  await client.bootstrap();

  await client.cancel("resp_1");
  server.fetch.mockRejectedValue(new TypeError("Failed to fetch"));
  await client.cancel("resp_2");

  expect(server.cancelled).toEqual(["resp_1"]);
});

function lastToken(server: FakeServer): string | null {
  return new Headers(server.fetch.mock.lastCall?.[1]?.headers).get("authorization");
}
