// @vitest-environment node
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Feed } from "../transport.ts";
import {
  answerEvent,
  beginStream,
  Ears,
  errorOf,
  ready,
  Stage,
  sendJson,
  settled,
  turn,
  turnTold,
  until,
} from "./testing/stage.ts";
import { type XhrLike, type XhrOptions, xhrTransport } from "./xhr.ts";

const changes: Feed = { kind: "changes", cursor: "e.40" };
const answer: Feed = { kind: "answer", response: "resp_1", after: 4 };
let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(async () => {
  await stage.close();
});

const listen = (feed: Feed, options: XhrOptions = {}) =>
  Ears.of(
    xhrTransport({ XMLHttpRequest: stage.window.XMLHttpRequest, ...options }),
    stage.wiring,
    feed,
  );

test("where there is no XMLHttpRequest it is not capable", () => {
  expect(xhrTransport().isCapable).toBe(false);
  expect(xhrTransport({ XMLHttpRequest: stage.window.XMLHttpRequest }).isCapable).toBe(true);
});

test("changes are told while the request goes on, each once, also where a character is cut", async () => {
  stage.answer = (_, response) => beginStream(response, ready);
  const ears = listen(changes);
  const response = await stage.response();
  await until(() => ears.told.length === 1);
  const bytes = Buffer.from(
    'id: e.42\nevent: item\ndata: {"type":"item","text":"für 東京 🎉"}\n\n',
  );
  for (const byte of bytes) {
    response.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => ears.told.length === 2);
  response.write(turn);
  await until(() => ears.told.length === 3);

  expect(ears.told.slice(1)).toEqual([
    { type: "changes", changes: [{ type: "item", text: "für 東京 🎉" }], cursor: "e.42" },
    { type: "changes", changes: [turnTold], cursor: "e.42" },
  ]);
  expect(stage.requests[0]?.headers).toMatchObject({
    accept: "text/event-stream",
    authorization: "Bearer fd_st_1",
    "frontdesk-client": "web/1.4.0",
  });
  ears.stop();
  await until(() => stage.isLeft);
  expect([ears.endings, stage.clock.next_ms]).toEqual([[], undefined]);
});

test("an answer ends with its last event", async () => {
  stage.answer = (_, response) =>
    beginStream(response, answerEvent(5, "in_progress") + answerEvent(6, "failed"));
  const ears = listen(answer);

  expect(await ears.end()).toEqual({ why: "complete" });
  expect([ears.numbers, stage.asked]).toEqual([
    [5, 6],
    ["/v1/responses/resp_1?stream=true&starting_after=4"],
  ]);
  await until(() => stage.isLeft);
});

test("a text that is too long goes on in another request, from behind what was told, and nothing comes twice", async () => {
  const sent = ["e.41", "e.42", "e.43"];
  stage.answer = (request, response) => {
    const at =
      sent.indexOf(new URL(request.url ?? "", stage.wiring.url).searchParams.get("cursor") ?? "") +
      1;
    if (at === sent.length) return beginStream(response);
    const padding = `: ${"x".repeat(600)}\n\n`;
    beginStream(
      response,
      padding + turn.replace("e.42", sent[at] ?? "e.43") + (at < 2 ? turn.slice(0, -1) : ""),
    );
  };
  const ears = listen(changes, { renew_chars: 500 });
  await until(() => ears.told.length === 3);
  await settled();

  expect(ears.told).toEqual(
    sent.map((cursor) => ({ type: "changes", changes: [turnTold], cursor })),
  );
  expect(stage.asked.slice(0, 3)).toEqual(
    ["e.40", "e.41", "e.42"].map((cursor) => `/api/events?cursor=${cursor}`),
  );
  expect(ears.endings).toEqual([]);
  await until(() => stage.responses.slice(0, 3).every((response) => response.closed));
  ears.stop();
  await until(() => stage.isLeft);
});

test("what is longer than that without an event is waited for", async () => {
  stage.answer = (_, response) => beginStream(response, `: ${"x".repeat(600)}\n`);
  const ears = listen(changes, { renew_chars: 500 });
  const response = await stage.response();
  await settled();
  response.write(`\n${ready}`);
  await until(() => ears.told.length === 1);

  expect(stage.asked.slice(0, 1)).toEqual(["/api/events?cursor=e.40"]);
  ears.stop();
});

test("what the server refuses is refused, and what something else says is a lost connection", async () => {
  for (const [status, code, headers, retryAfter_s] of [
    [401, "token_expired", {}, undefined],
    [404, "response_not_found", {}, undefined],
    [429, "too_many_streams", { "retry-after": "5" }, 5],
  ] as const) {
    stage.answer = (_, response) => sendJson(response, status, errorOf(code), headers);
    expect(await listen(answer).end()).toEqual({ why: "refused", status, code, retryAfter_s });
  }
  for (const status of [200, 403, 502]) {
    stage.answer = (_, response) =>
      void response.writeHead(status, { "content-type": "text/html" }).end("<html>");
    expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });
  }
  stage.answer = (_, response) => sendJson(response, 200, { cursor: "e.1" });
  expect(await listen(changes).end()).toEqual({ why: "unfit" });
});

test("a request that breaks before an answer is lost", async () => {
  stage.answer = (_, response) => response.destroy();

  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });
});

// By hand, for jsdom's says nothing when a connection breaks behind a part of its answer.
class Breaking implements XhrLike {
  static made: Breaking[] = [];
  readyState = 0;
  status = 0;
  responseText = "";
  withCredentials = false;
  private readonly acts: [string, () => void][] = [];
  open() {}
  setRequestHeader() {}
  getResponseHeader = () => "text/event-stream";
  send() {
    Breaking.made.push(this);
  }
  abort() {}
  addEventListener(type: string, act: () => void) {
    this.acts.push([type, act]);
  }
  tell(type: string) {
    for (const [heard, act] of this.acts) if (heard === type) act();
  }
}

test("a request that breaks behind a part of its answer is lost, and says nothing more", async () => {
  const ears = listen(changes, { XMLHttpRequest: Breaking });
  await until(() => Breaking.made.length > 0);
  const [request] = Breaking.made as [Breaking];
  Object.assign(request, { readyState: 3, status: 200, responseText: ready + turn.slice(0, -1) });
  request.tell("progress");
  Object.assign(request, { readyState: 4, status: 0, responseText: "" });
  for (const type of ["readystatechange", "error", "error", "load"]) request.tell(type);

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  expect(ears.told.map((told) => told.type)).toEqual(["ready"]);
});

test("a request that was left for another one says nothing more", async () => {
  const before = Breaking.made.length;
  const ears = listen(changes, { XMLHttpRequest: Breaking, renew_chars: 10 });
  await until(() => Breaking.made.length === before + 1);
  const request = Breaking.made[before] as Breaking;
  Object.assign(request, { readyState: 3, status: 200, responseText: ready });
  request.tell("progress");
  await until(() => Breaking.made.length === before + 2);
  request.responseText += turn;
  for (const type of ["progress", "error", "load"]) request.tell(type);
  await settled();

  expect([ears.told.map((told) => told.type), ears.endings]).toEqual([["ready"], []]);
  expect(Breaking.made.length).toBe(before + 2);
  ears.stop();
});

test("where text comes only once it is whole, it is silent", async () => {
  stage.answer = (request, response) => {
    if (request.headers.accept === "application/json") sendJson(response, 200, { cursor: "e.1" });
  };
  const ears = listen(changes);
  await stage.response();
  stage.clock.pass(8_000);

  expect(await ears.end()).toEqual({ why: "silent" });
  await until(() => stage.isLeft);
});

test("25 s without a byte is a lost connection", async () => {
  stage.answer = (_, response) => beginStream(response, ready);
  const ears = listen(changes);
  await until(() => ears.told.length === 1);
  stage.clock.pass(25_000);

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  await until(() => stage.isLeft);
});

test("an answer with nothing behind what is had is read whole", async () => {
  stage.answer = (request, response) => {
    if (request.url?.includes("stream"))
      response.writeHead(200, { "content-type": "text/event-stream" }).end();
    else sendJson(response, 200, { status: "completed" });
  };
  const ears = listen(answer);

  expect(await ears.end()).toEqual({ why: "complete" });
  expect(ears.numbers).toEqual([5]);
});

test("what is no JSON ends the feed, and who is stopped before it asked never asks", async () => {
  stage.answer = (_, response) => beginStream(response, 'event: turn\ndata: {"type":\n\n');
  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });

  listen(changes).stop();
  await settled();
  expect(stage.asked).toHaveLength(1);
});
