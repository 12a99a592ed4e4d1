// @vitest-environment node
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Feed, Told } from "../transport.ts";
import { begin } from "./course.ts";
import { eventReader } from "./events.ts";
import { streamTransport } from "./stream.ts";
import {
  answerEvent,
  beginStream,
  Ears,
  errorOf,
  FakeClock,
  heartbeat,
  ready,
  Stage,
  sendJson,
  settled,
  turn,
  turnTold,
  until,
} from "./testing/stage.ts";

const changes: Feed = { kind: "changes", cursor: "e.40" };
const answer: Feed = { kind: "answer", response: "resp_1", after: 4 };
const transport = streamTransport();
let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(async () => {
  await stage.close();
});

const listen = (feed: Feed) => Ears.of(transport, stage.wiring, feed);

test("changes are told as they come, with the cursor behind the last of each piece", async () => {
  stage.answer = (_, response) => beginStream(response, `retry: 2000\n\n${ready}`);
  const ears = listen(changes);
  const response = await stage.response();
  await until(() => ears.told.length === 1);
  response.write(turn + turn.replace("e.42", "e.43"));
  await until(() => ears.told.length === 2);
  response.write(`event: reset\ndata: {}\n\n${turn}${ready}${heartbeat}: keep-alive\n\n`);
  await until(() => ears.told.length === 6);

  expect(ears.told).toEqual([
    { type: "ready", cursor: "e.41", bootstrap: "b1" },
    { type: "changes", changes: [turnTold, turnTold], cursor: "e.43" },
    { type: "reset" },
    { type: "changes", changes: [turnTold], cursor: "e.42" },
    { type: "ready", cursor: "e.41", bootstrap: "b1" },
    { type: "heartbeat", cursor: "e.42", bootstrap: "b1" },
  ]);
  expect(stage.requests[0]?.url).toBe("/api/events?cursor=e.40");
  expect(stage.requests[0]?.headers).toMatchObject({
    accept: "text/event-stream",
    authorization: "Bearer fd_st_1",
    "frontdesk-client": "web/1.4.0",
  });
  ears.stop();
});

test("wherever a stream is cut, the same is told", () => {
  const text = `\uFEFFretry: 2000\n\n${ready}event: turn\nid: e.42\ndata: {"type":"turn","text":"für 東京 🎉"}\n\n${heartbeat}`;
  const bytes = new TextEncoder().encode(text.replaceAll("\n", "\r\n"));
  const toldOf = (...pieces: readonly Uint8Array[]) => {
    const told: Told[] = [];
    const wiring = { ...stage.wiring, clock: new FakeClock() };
    const course = begin(wiring, changes, { told: (each) => told.push(each), ended: () => {} });
    const take = eventReader(course);
    for (const piece of pieces) take(piece);
    return told;
  };
  const whole = toldOf(bytes);

  expect(whole).toHaveLength(3);
  for (let at = 0; at <= bytes.length; at += 1) {
    expect(toldOf(bytes.subarray(0, at), bytes.subarray(at))).toEqual(whole);
  }
});

test("an answer is told from behind what is had, and ends with its last event", async () => {
  const events = [5, 6].map((number) => answerEvent(number, "output_text.delta", { delta: "x" }));
  const notice = 'event: frontdesk.turn\ndata: {"type":"frontdesk.turn"}\n\n';
  stage.answer = (_, response) =>
    beginStream(response, notice + events.join("") + answerEvent(7, "completed"));
  const ears = listen(answer);

  expect(await ears.end()).toEqual({ why: "complete" });
  expect(ears.numbers).toEqual([5, 6, 7]);
  expect(stage.asked).toEqual(["/v1/responses/resp_1?stream=true&starting_after=4"]);
  await until(() => stage.isLeft);
});

test("an answer of which nothing is had is asked for from its first event on", async () => {
  const ears = listen({ ...answer, after: -1 });
  await stage.response();

  expect(stage.asked).toEqual(["/v1/responses/resp_1?stream=true"]);
  ears.stop();
});

test.each([
  ["incomplete", "cancelled", "response.incomplete"],
  ["incomplete", "incomplete", "response.incomplete"],
  ["completed", "completed", "response.completed"],
  ["failed", "failed", "response.failed"],
])("an answer with nothing behind what is had is read whole (%s, %s)", async (_, status, type) => {
  const whole = { id: "resp_1", status, output: [] };
  stage.answer = (request, response) => {
    if (request.url?.includes("stream"))
      response.writeHead(200, { "content-type": "text/event-stream" }).end();
    else sendJson(response, 200, whole);
  };
  const ears = listen(answer);

  expect(await ears.end()).toEqual({ why: "complete" });
  expect(ears.told).toEqual([
    { type: "event", event: { type, sequence_number: 5, response: whole } },
  ]);
});

test("the end of a stream is not the end of its answer", async () => {
  stage.answer = (request, response) => {
    if (!request.url?.includes("stream")) return sendJson(response, 200, { status: "in_progress" });
    response.writeHead(200, { "content-type": "text/event-stream" }).end(": keep-alive\n\n");
  };
  const empty = listen(answer);
  expect(await empty.end()).toEqual({ why: "lost", retryAfter_s: undefined });

  stage.answer = (_, response) => {
    response
      .writeHead(200, { "content-type": "text/event-stream" })
      .end(answerEvent(5, "in_progress"));
  };
  const begun = listen(answer);
  const asked = stage.asked.length;
  expect(await begun.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  expect(begun.numbers).toEqual([5]);
  expect(stage.asked.length).toBe(asked + 1);
});

test("a stream that breaks in the middle of an event is lost, and that event was not told", async () => {
  stage.answer = (_, response) => beginStream(response, ready + turn.slice(0, -1));
  const ears = listen(changes);
  await until(() => ears.told.length === 1);
  (await stage.response()).destroy();

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  expect(ears.told.map((told) => told.type)).toEqual(["ready"]);
});

test("what the server refuses is refused, with what its error says", async () => {
  const cases = [
    [401, "token_expired", {}, undefined],
    [403, "forbidden", {}, undefined],
    [404, "response_not_found", {}, undefined],
    [426, "client_too_old", {}, undefined],
    [429, "too_many_streams", { "retry-after": "5" }, 5],
    [503, "server_shutting_down", { "retry-after": "1" }, 1],
  ] as const;
  for (const [status, code, headers, retryAfter_s] of cases) {
    stage.answer = (_, response) => sendJson(response, status, errorOf(code), headers);

    expect(await listen(changes).end()).toEqual({ why: "refused", status, code, retryAfter_s });
    expect(await listen(answer).end()).toEqual({ why: "refused", status, code, retryAfter_s });
  }
});

test("what something else says in the server's place is a lost connection", async () => {
  const page = "<html>Sign in to the hotel's network</html>";
  for (const [status, headers, retryAfter_s] of [
    [200, {}, undefined],
    [403, {}, undefined],
    [404, {}, undefined],
    [502, {}, undefined],
    [503, { "retry-after": "30" }, 30],
    [503, { "retry-after": "Mon, 21 Sep 2026 14:13:22 GMT" }, 2],
    [503, { "retry-after": "Mon, 21 Sep 2099 14:13:20 GMT" }, 3600],
    [503, { "retry-after": "Mon, 21 Sep 1999 14:13:20 GMT" }, undefined],
    [500, { "retry-after": "soon" }, undefined],
  ] as const) {
    stage.answer = (_, response) => {
      response.writeHead(status, { "content-type": "text/html", ...headers }).end(page);
    };

    expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s });
  }
  stage.answer = (_, response) => sendJson(response, 500, errorOf("internal_error"));
  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });
});

test("it does not work where the server is not told that a stream is wanted, and where no body can be read", async () => {
  stage.answer = (_, response) => sendJson(response, 200, { cursor: "e.1", changes: [] });
  expect(await listen(changes).end()).toEqual({ why: "unfit" });

  stage.answer = (_, response) => beginStream(response, ready);
  const { fetch } = stage.wiring;
  stage.wiring = {
    ...stage.wiring,
    fetch: async (url, init) => {
      const { status, headers } = await fetch(url, init);
      return { status, headers, text: async () => "" } as Response;
    },
  };
  expect(await listen(changes).end()).toEqual({ why: "unfit" });
});

test("no event of changes in 8 s is silent, where the server answers other requests", async () => {
  stage.answer = (request, response) => {
    if (request.headers.accept === "application/json") sendJson(response, 200, { cursor: "e.1" });
    else beginStream(response, ": held back\n\n");
  };
  const ears = listen(changes);
  await stage.response();
  await settled();
  stage.clock.pass(7_999);
  expect(ears.endings).toEqual([]);
  stage.clock.pass(1);

  expect(await ears.end()).toEqual({ why: "silent" });
  expect(stage.asked).toEqual(["/api/events?cursor=e.40", "/api/events?wait=0"]);
  await until(() => stage.isLeft);
  expect(stage.clock.next_ms).toBeUndefined();
});

test("no event of changes in 8 s is a refusal or a loss, where that is what other requests get", async () => {
  stage.answer = (request, response) => {
    if (request.headers.accept === "application/json")
      sendJson(response, 401, errorOf("token_expired"));
  };
  const refused = listen(changes);
  await stage.response();
  stage.clock.pass(8_000);
  expect(await refused.end()).toMatchObject({ why: "refused", status: 401 });

  stage.answer = () => {};
  const lost = listen(changes);
  stage.clock.pass(8_000);
  await until(() => stage.asked.filter((url) => url?.endsWith("wait=0")).length === 2);
  stage.clock.pass(8_000);
  expect(await lost.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  expect(stage.clock.next_ms).toBeUndefined();
});

test("a first event that comes while the silence is looked into counts", async () => {
  stage.answer = () => {};
  const ears = listen(changes);
  const response = await stage.response();
  stage.clock.pass(8_000);
  const other = await stage.response(1);
  beginStream(response, ready);
  await until(() => ears.told.length === 1);
  sendJson(other, 200, { cursor: "e.1" });
  await settled();

  expect(ears.endings).toEqual([]);
  expect(stage.clock.next_ms).toBe(25_000);
  ears.stop();
});

test("25 s without a byte is a lost connection, and each byte begins them anew", async () => {
  stage.answer = (_, response) => beginStream(response, ready);
  const ears = listen(changes);
  const response = await stage.response();
  await until(() => ears.told.length === 1);
  for (let count = 0; count < 3; count += 1) {
    stage.clock.pass(24_000);
    expect(stage.clock.next_ms).toBe(1_000);
    response.write(": keep-alive\n\n");
    await until(() => stage.clock.next_ms === 25_000);
  }
  stage.clock.pass(25_000);

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  expect(stage.clock.next_ms).toBeUndefined();
  await until(() => stage.isLeft);
});

test("an answer of which nothing comes in 25 s is lost", async () => {
  const ears = listen(answer);
  await stage.response();
  stage.clock.pass(25_000);

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
});

test("a bye says when to come again; without that the credential has ended", async () => {
  const bye = (fields: object) => `event: bye\ndata: ${JSON.stringify(fields)}\n\n`;
  const cases = [
    [
      { ...errorOf("server_shutting_down"), retry_after_s: 0.63 },
      { why: "lost", retryAfter_s: 0.63 },
    ],
    [
      errorOf("token_revoked", "authentication_error"),
      { why: "refused", status: 401, code: "token_revoked", retryAfter_s: undefined },
    ],
    [
      errorOf("forbidden", "permission_error"),
      { why: "refused", status: 403, code: "forbidden", retryAfter_s: undefined },
    ],
  ] as const;
  for (const [said, ending] of cases) {
    stage.answer = (_, response) => beginStream(response, ready + turn + bye(said) + turn);
    const ears = listen(changes);

    expect(await ears.end()).toEqual(ending);
    expect(ears.told.map((told) => told.type)).toEqual(["ready", "changes"]);
  }
});

test("who is stopped hears nothing more, and nothing goes on for it", async () => {
  stage.answer = (_, response) => beginStream(response, ready);
  const ears = listen(changes);
  await until(() => ears.told.length === 1);
  ears.stop();
  ears.stop();
  await until(() => stage.isLeft);
  const unheard = listen(changes);
  unheard.stop();
  await settled();

  expect([ears.told.length, ears.endings, unheard.told, unheard.endings]).toEqual([1, [], [], []]);
  expect(stage.clock.next_ms).toBeUndefined();
});

test("a fetch that knows of no signal is ended as well", async () => {
  stage.answer = (_, response) => beginStream(response, ready);
  const { fetch } = stage.wiring;
  const deaf = {
    ...stage.wiring,
    fetch: (url: string, { headers = {} }: RequestInit) => fetch(url, { headers }),
  };
  const ears = Ears.of(transport, deaf, changes);
  await until(() => ears.told.length === 1);
  ears.stop();
  await until(() => stage.isLeft);

  const early = Ears.of(transport, deaf, changes);
  stage.answer = (_, response) => {
    early.stop();
    beginStream(response, ready);
  };
  await until(() => stage.responses.length === 2 && stage.isLeft);
});

test("who is stopped between two events of a piece hears the first alone", async () => {
  stage.answer = (_, response) =>
    beginStream(response, [5, 6].map((n) => answerEvent(n, "in_progress")).join(""));
  const numbers: unknown[] = [];
  const stop = transport.listen(stage.wiring, answer, {
    told: (told) => {
      numbers.push(told);
      stop();
    },
    ended: (ending) => numbers.push(ending),
  });
  await until(() => numbers.length > 0);
  await settled();

  expect(numbers).toHaveLength(1);
});

test("without a credential it is lost, for as long as the session says", async () => {
  const error = Object.assign(new Error("not now"), { retryAfter_s: 7 });
  stage.wiring = { ...stage.wiring, headers: () => Promise.reject(error) };

  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: 7 });
  expect(stage.asked).toEqual([]);
});

test("what is no JSON is a lost connection", async () => {
  stage.answer = (_, response) => beginStream(response, `${ready}event: turn\ndata: {"type":\n\n`);

  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });
});

test("cookies go along where there is no other credential", async () => {
  const asked: (string | undefined)[] = [];
  const fetch = async (_: string, init: RequestInit) => {
    asked.push(init.credentials);
    throw new TypeError("no network");
  };
  const bearer = { ...stage.wiring, fetch };
  await Ears.of(transport, bearer, changes).end();
  await Ears.of(transport, { ...bearer, headers: async () => ({}) }, changes).end();

  expect(asked).toEqual(["same-origin", "include"]);
});
