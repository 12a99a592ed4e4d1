// @vitest-environment node
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Feed, Transport } from "../transport.ts";
import { socketTransport } from "./socket.ts";
import {
  Ears,
  errorOf,
  type Peer,
  Stage,
  sendJson,
  settled,
  turnTold,
  until,
} from "./testing/stage.ts";

const changes: Feed = { kind: "changes", cursor: "e.40" };
const answer: Feed = { kind: "answer", response: "resp_1", after: 4 };
const hello = { type: "hello", protocol: 1, heartbeat_s: 10, bootstrap: "b1" };
let stage: Stage;
let transport: Transport;

beforeEach(async () => {
  stage = await Stage.open();
  transport = socketTransport({ WebSocket: stage.window.WebSocket });
});
afterEach(async () => {
  await stage.close();
});

const listen = (feed: Feed) => Ears.of(transport, stage.wiring, feed);
const event = (number: number, type = "in_progress") => ({
  type: `response.${type}`,
  sequence_number: number,
});

/** A feed of changes that was told where it is. */
async function subscribed(): Promise<{ ears: Ears; peer: Peer }> {
  const ears = listen(changes);
  const peer = await stage.peer();
  peer.tell(hello);
  const { id } = await peer.frame(0);
  peer.tell({ type: "ready", cursor: "e.41", id });
  await until(() => ears.told.length === 1);
  return { ears, peer };
}

/** The same beside a feed that was begun before. */
async function subscribedBeside(): Promise<{ ears: Ears; peer: Peer }> {
  const ears = listen(changes);
  const peer = await stage.peer();
  peer.tell(hello);
  await peer.frame(1);
  return { ears, peer };
}

test("where there is no WebSocket it is not capable", () => {
  const capable = socketTransport({ WebSocket: stage.window.WebSocket }).isCapable;

  expect([typeof WebSocket === "function", capable]).toEqual([socketTransport().isCapable, true]);
});

test("all feeds are on one connection, and each is told its own", async () => {
  const { ears, peer } = await subscribed();
  const one = listen(answer);
  const other = listen({ kind: "answer", response: "resp_2", after: -1 });
  await peer.frame(2);
  peer.tell({ type: "event", id: "3", event: event(0) });
  peer.tell({ type: "changes", id: "1", cursor: "e.42", changes: [turnTold] });
  peer.tell({ type: "event", id: "2", event: event(5) });
  peer.tell({ type: "event", id: "2", event: { type: "frontdesk.turn" } });
  peer.tell({ type: "event", id: "2", event: event(6, "completed") });
  peer.tell({ type: "heartbeat", bootstrap: "b2", cursor: "e.43" });
  peer.tell({ type: "reset", id: "1" });
  peer.tell({ type: "ready", id: "1", cursor: "e.44" });
  await until(() => ears.told.length === 5);

  expect(peer.frames).toEqual([
    { type: "subscribe", id: "1", cursor: "e.40" },
    { type: "follow", id: "2", response: "resp_1", starting_after: 4 },
    { type: "follow", id: "3", response: "resp_2" },
  ]);
  expect(ears.told).toEqual([
    { type: "ready", cursor: "e.41", bootstrap: "b1" },
    { type: "changes", changes: [turnTold], cursor: "e.42" },
    { type: "heartbeat", cursor: "e.43", bootstrap: "b2" },
    { type: "reset" },
    { type: "ready", cursor: "e.44", bootstrap: "b2" },
  ]);
  expect([one.numbers, one.endings]).toEqual([[5, 6], [{ why: "complete" }]]);
  expect([other.numbers, other.endings]).toEqual([[0], []]);
  expect(stage.peers.length).toBe(1);
  expect(peer.request.url).toBe("/api/socket");
  expect(peer.request.headers["sec-websocket-protocol"]?.split(/, */)).toEqual([
    "frontdesk",
    "frontdesk.token.fd_st_1",
    "frontdesk.client.web.1.4.0",
  ]);
});

test("the connection is closed with its last feed, and nothing goes on", async () => {
  const { ears, peer } = await subscribed();
  const followed = listen(answer);
  await peer.frame(1);
  ears.stop();
  await settled();
  expect(peer.isClosed).toBe(false);
  followed.stop();
  await until(() => peer.isClosed);

  expect([ears.endings, followed.endings, stage.clock.next_ms]).toEqual([[], [], undefined]);
});

test("who is stopped before there is a connection opens none, or closes it", async () => {
  listen(changes).stop();
  await settled();
  expect(stage.peers.length).toBe(0);

  const ears = listen(changes);
  const peer = await stage.peer();
  ears.stop();
  await until(() => peer.isClosed);
  expect([ears.endings, stage.clock.next_ms]).toEqual([[], undefined]);
});

test("a lost connection ends each feed once, and the next one gets another", async () => {
  const { ears, peer } = await subscribed();
  const followed = listen(answer);
  await peer.frame(1);
  peer.drop();

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  expect(await followed.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  listen(changes);
  await stage.peer(1);
});

test("who begins again in the moment of the loss is not put on the lost connection", async () => {
  const again: Ears[] = [];
  const ended = () => void again.push(listen(answer));
  transport.listen(stage.wiring, answer, { told: () => {}, ended });
  const { peer } = await subscribedBeside();
  stage.clock.pass(25_000);
  const other = await stage.peer(1);
  other.tell(hello);
  await other.frame(0);
  await until(() => peer.isClosed);

  expect(again.map((ears) => ears.endings)).toEqual([[]]);
});

test("25 s without a frame is a lost connection, and each frame begins them anew", async () => {
  const { ears, peer } = await subscribed();
  for (let count = 0; count < 3; count += 1) {
    stage.clock.pass(24_000);
    peer.tell({ type: "heartbeat", bootstrap: "b1", cursor: "e.41" });
    await until(() => stage.clock.next_ms === 25_000);
  }
  stage.clock.pass(25_000);

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  await until(() => peer.isClosed);
  expect(stage.clock.next_ms).toBeUndefined();
});

test("a cursor of the subscription before is not told to the one behind it", async () => {
  const { ears, peer } = await subscribed();
  listen(answer);
  await peer.frame(1);
  ears.stop();
  const again = listen({ kind: "changes", cursor: "e.41" });
  await peer.frame(2);
  peer.tell({ type: "changes", id: "1", cursor: "e.50", changes: [turnTold] });
  peer.tell({ type: "heartbeat", bootstrap: "b1", cursor: "e.50" });
  peer.tell({ type: "changes", id: "3", cursor: "e.42", changes: [turnTold] });
  peer.tell({ type: "heartbeat", bootstrap: "b1", cursor: "e.43" });
  await until(() => again.told.length === 3);

  expect(again.told).toEqual([
    { type: "heartbeat", cursor: undefined, bootstrap: "b1" },
    { type: "changes", changes: [turnTold], cursor: "e.42" },
    { type: "heartbeat", cursor: "e.43", bootstrap: "b1" },
  ]);
});

test("a second feed of changes gets a connection of its own", async () => {
  const { ears } = await subscribed();
  const second = listen(changes);
  (await stage.peer(1)).tell(hello);
  await (await stage.peer(1)).frame(0);

  expect([ears.endings, second.endings]).toEqual([[], []]);
});

test("feeds with another credential get another connection", async () => {
  await subscribed();
  stage.wiring = { ...stage.wiring, token: async () => "fd_st_2" };
  listen(answer);
  const { request } = await stage.peer(1);

  expect(request.headers["sec-websocket-protocol"]).toContain("frontdesk.token.fd_st_2");
});

test("a cookie is a credential as well", async () => {
  stage.wiring = { ...stage.wiring, token: async () => undefined, app: undefined };
  listen(answer);
  const { request } = await stage.peer();

  expect(request.headers["sec-websocket-protocol"]).toBe("frontdesk");
});

test("who is stopped before its frame was sent asks for nothing", async () => {
  const { peer } = await subscribed();
  listen(answer).stop();
  stage.wiring = { ...stage.wiring, token: async () => "fd_st_2" };
  const waiting = listen(answer);
  listen(changes);
  const other = await stage.peer(1);
  await settled();
  waiting.stop();
  other.tell(hello);
  await other.frame(0);
  await settled();

  expect(peer.frames.map((frame) => frame.type)).toEqual(["subscribe"]);
  expect(other.frames.map((frame) => frame.type)).toEqual(["subscribe"]);
});

test.each([
  ["its last event", { type: "event", id: "2", event: event(9, "completed") }],
  ["an end", { type: "end", id: "2" }],
  ["an error", { type: "error", id: "2", status: 404, ...errorOf("response_not_found") }],
])(
  "an answer that nobody follows any more takes a place until %s, and a full connection is left alone",
  async (_, last) => {
    const { peer } = await subscribed();
    for (let number = 1; number <= 11; number += 1) {
      const ears = listen({ ...answer, response: `resp_${number}` });
      await peer.frame(2 * number - 1);
      ears.stop();
      expect(await peer.frame(2 * number)).toEqual({ type: "unfollow", id: `${number + 1}` });
    }
    listen(answer);
    await stage.peer(1);
    peer.tell(last);
    await settled();
    listen({ ...answer, response: "resp_last" });

    expect((await peer.frame(23)).response).toBe("resp_last");
  },
);

test("an answer that was had already is complete", async () => {
  const { peer } = await subscribed();
  const ears = listen(answer);
  await peer.frame(1);
  peer.tell({ type: "end", id: "2" });

  expect([await ears.end(), ears.told]).toEqual([{ why: "complete" }, []]);
});

test("an error ends the feed that it is for, and one for none of them ends all", async () => {
  const { ears, peer } = await subscribed();
  const unknown = listen(answer);
  await peer.frame(1);
  peer.tell({ type: "error", id: "2", status: 404, ...errorOf("response_not_found") });
  expect(await unknown.end()).toEqual({
    why: "refused",
    status: 404,
    code: "response_not_found",
    retryAfter_s: undefined,
  });
  const broken = listen(answer);
  await peer.frame(2);
  peer.tell({ type: "error", id: "3", status: 500, ...errorOf("internal_error") });
  expect(await broken.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  expect(ears.endings).toEqual([]);

  const error = { code: "too_many_streams", headers: { "retry-after": "5" } };
  peer.tell({ type: "error", status: 429, error });
  peer.close(4429, "too_many_streams");
  expect(await ears.end()).toEqual({
    why: "refused",
    status: 429,
    code: "too_many_streams",
    retryAfter_s: 5,
  });
});

test("a close says what it is, as far as its code does", async () => {
  for (const [code, reason, ending] of [
    [
      4401,
      "token_expired",
      { why: "refused", status: 401, code: "token_expired", retryAfter_s: undefined },
    ],
    [
      4403,
      "forbidden",
      { why: "refused", status: 403, code: "forbidden", retryAfter_s: undefined },
    ],
    [1000, "", { why: "lost", retryAfter_s: undefined }],
    [1011, "", { why: "lost", retryAfter_s: undefined }],
    [1013, "server_overloaded", { why: "lost", retryAfter_s: undefined }],
  ] as const) {
    const ears = listen(changes);
    const peer = await stage.peer(stage.peers.length);
    peer.tell(hello);
    await peer.frame(0);
    peer.close(code, reason);

    expect(await ears.end()).toEqual(ending);
  }
});

test("behind a bye changes end, answers are finished, and what is new goes elsewhere", async () => {
  const { ears, peer } = await subscribed();
  const finished = listen(answer);
  const cut = listen({ ...answer, response: "resp_2" });
  await peer.frame(2);
  peer.tell({ type: "bye", ...errorOf("server_shutting_down"), retry_after_s: 0.63 });
  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: 0.63 });
  listen(changes);
  const other = await stage.peer(1);
  peer.tell({ type: "event", id: "2", event: event(5, "completed") });
  expect(await finished.end()).toEqual({ why: "complete" });
  peer.close(1012);

  expect(await cut.end()).toEqual({ why: "lost", retryAfter_s: 0.63 });
  expect(other.isClosed).toBe(false);
});

test("no hello in 8 s is silent, where the server answers other requests", async () => {
  stage.answer = (_, response) => sendJson(response, 200, { cursor: "e.1" });
  const ears = listen(changes);
  const followed = listen(answer);
  const peer = await stage.peer();
  await settled();
  stage.clock.pass(8_000);

  expect(await ears.end()).toEqual({ why: "silent" });
  expect(await followed.end()).toEqual({ why: "silent" });
  expect(stage.asked).toEqual(["/api/events?wait=0"]);
  await until(() => peer.isClosed);
  expect(stage.clock.next_ms).toBeUndefined();
});

test("a hello that comes while the silence is looked into counts", async () => {
  const ears = listen(changes);
  const peer = await stage.peer();
  await settled();
  stage.clock.pass(8_000);
  const probe = await stage.response();
  peer.tell(hello);
  await peer.frame(0);
  sendJson(probe, 200, { cursor: "e.1" });
  await settled();

  expect([ears.endings, stage.clock.next_ms]).toEqual([[], 25_000]);
});

test("a refused handshake, which no page can read, is looked into by another request", async () => {
  stage.takesSockets = false;
  stage.answer = (_, response) => sendJson(response, 200, { cursor: "e.1" });
  expect(await listen(changes).end()).toEqual({ why: "unfit" });

  stage.answer = (_, response) => sendJson(response, 426, errorOf("client_too_old"));
  expect(await listen(changes).end()).toMatchObject({
    why: "refused",
    status: 426,
    code: "client_too_old",
  });

  stage.answer = (_, response) => response.destroy();
  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });

  stage.answer = () => {};
  const ears = listen(changes);
  await stage.response(3);
  stage.clock.pass(8_000);
  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  await until(() => stage.isLeft);
  expect(stage.clock.next_ms).toBeUndefined();
});

test("who is stopped while a refused handshake is looked into leaves nothing behind", async () => {
  stage.takesSockets = false;
  const ears = listen(changes);
  await stage.response();
  ears.stop();
  await until(() => stage.isLeft);

  expect([ears.endings, stage.clock.next_ms]).toEqual([[], undefined]);
});

test("where no connection may be opened it is unfit, and without a credential lost", async () => {
  stage.wiring = { ...stage.wiring, token: async () => "not a token" };
  expect(await listen(changes).end()).toEqual({ why: "unfit" });

  const error = Object.assign(new Error("not now"), { retryAfter_s: 7 });
  stage.wiring = { ...stage.wiring, token: () => Promise.reject(error) };
  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: 7 });
});

test("what is no JSON ends the connection", async () => {
  const { ears, peer } = await subscribed();
  peer.tellText("{");

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  await until(() => peer.isClosed);
});

test("a frame that comes behind the end is not heard, and begins no wait", async () => {
  const heard: ((event: unknown) => void)[] = [];
  // As in React Native and Node, where frames that were on their way are told behind a close.
  class Late {
    addEventListener(type: string, act: (event: unknown) => void) {
      if (type === "message") heard.push(act);
    }
    send() {}
    close() {}
  }
  const ears = Ears.of(socketTransport({ WebSocket: Late }), stage.wiring, changes);
  await until(() => heard.length > 0);
  ears.stop();
  for (const act of heard) act({ data: JSON.stringify(hello) });

  expect([ears.told, stage.clock.next_ms]).toEqual([[], undefined]);
});
