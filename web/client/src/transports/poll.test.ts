// @vitest-environment node
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Feed } from "../transport.ts";
import { pollTransport } from "./poll.ts";
import { Ears, errorOf, Stage, sendJson, settled, turnTold, until } from "./testing/stage.ts";

const changes: Feed = { kind: "changes", cursor: "e.40" };
const answer: Feed = { kind: "answer", response: "resp_1", after: 4 };
let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(async () => {
  await stage.close();
});

const listen = (feed: Feed) => Ears.of(pollTransport(), stage.wiring, feed);

const polled = (cursor: string, fields: object = {}) => ({
  cursor,
  changes: [],
  has_more: false,
  poll_after_s: 0,
  bootstrap: "b1",
  ...fields,
});

/** Answer the polls with these, and none after them. */
const script = (...bodies: readonly object[]) => {
  stage.answer = (_, response) => {
    const body = bodies[stage.requests.length - 1];
    if (body !== undefined) sendJson(response, 200, body);
  };
};

test("it is ready at once, tells what comes, and asks again from behind it", async () => {
  script(
    polled("e.41", { poll_after_s: 15 }),
    polled("e.42", { changes: [turnTold] }),
    polled("e.43", { poll_after_s: 20 }),
  );
  const ears = listen(changes);
  await until(() => stage.requests.length === 3 && stage.clock.next_ms === 20_000);
  stage.clock.pass(20_000);
  await until(() => stage.requests.length === 4);

  expect(ears.told).toEqual([
    { type: "ready", cursor: "e.41", bootstrap: "b1" },
    { type: "changes", changes: [turnTold], cursor: "e.42" },
    { type: "heartbeat", cursor: "e.43", bootstrap: "b1" },
  ]);
  expect(stage.asked).toEqual([
    "/api/events?cursor=e.40&wait=0",
    "/api/events?cursor=e.41&wait=25",
    "/api/events?cursor=e.42&wait=25",
    "/api/events?cursor=e.43&wait=25",
  ]);
  expect(stage.requests[0]?.headers).toMatchObject({
    accept: "application/json",
    authorization: "Bearer fd_st_1",
  });
  ears.stop();
  await until(() => stage.isLeft);
  expect([ears.endings, stage.clock.next_ms]).toEqual([[], undefined]);
});

test("a first sync is told page after page, and is ready behind the last one", async () => {
  script(
    polled("e.1", { reset: true, has_more: true, changes: [turnTold] }),
    polled("e.2", { changes: [turnTold] }),
    polled("e.3", { reset: true, has_more: true }),
    polled("e.4", { changes: [turnTold] }),
  );
  const ears = listen(changes);
  await until(() => stage.requests.length === 5);

  expect(
    ears.told.map((told) => ("cursor" in told ? `${told.type} ${told.cursor}` : told.type)),
  ).toEqual([
    "reset",
    "changes e.1",
    "changes e.2",
    "ready e.2",
    "reset",
    "changes e.4",
    "ready e.4",
  ]);
  expect(stage.asked.map((url) => url?.slice("/api/events?cursor=".length))).toEqual([
    "e.40&wait=0",
    "e.1&wait=0",
    "e.2&wait=25",
    "e.3&wait=0",
    "e.4&wait=25",
  ]);
  ears.stop();
});

test("who answers at once that there is nothing is not asked more often than each second", async () => {
  stage.answer = (_, response) => sendJson(response, 200, polled("e.41"));
  const ears = listen(changes);
  for (let count = 2; count < 5; count += 1) {
    await until(() => stage.requests.length === count && stage.clock.next_ms === 1_000);
    stage.clock.pass(1_000);
  }
  ears.stop();
  await settled();

  expect(stage.clock.next_ms).toBeUndefined();
});

test("an answer that does not come is lost 15 s behind its time", async () => {
  script(polled("e.41"));
  const ears = listen(changes);
  await until(() => stage.requests.length === 2 && stage.clock.next_ms === 40_000);
  stage.clock.pass(40_000);

  expect(await ears.end()).toEqual({ why: "lost", retryAfter_s: undefined });
  await until(() => stage.isLeft);
  expect(stage.clock.next_ms).toBeUndefined();
});

test("what the server refuses is refused, and what something else says is a lost connection", async () => {
  for (const [status, code, headers, retryAfter_s] of [
    [401, "token_expired", {}, undefined],
    [404, "response_not_found", {}, undefined],
    [429, "too_many_streams", { "retry-after": "5" }, 5],
  ] as const) {
    stage.answer = (_, response) => sendJson(response, status, errorOf(code), headers);
    expect(await listen(changes).end()).toEqual({ why: "refused", status, code, retryAfter_s });
    expect(await listen(answer).end()).toEqual({ why: "refused", status, code, retryAfter_s });
  }
  for (const [status, type] of [
    [200, "text/html"],
    [502, "text/html"],
    [200, "application/json"],
  ] as const) {
    stage.answer = (_, response) =>
      void response.writeHead(status, { "content-type": type }).end("{}");
    expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });
  }
  stage.answer = (_, response) => response.destroy();
  expect(await listen(changes).end()).toEqual({ why: "lost", retryAfter_s: undefined });
});

test("an answer is told whole whenever it has grown, and ends with an event numbered behind what was had", async () => {
  const made = { id: "resp_1", status: "in_progress", output: [] };
  const grown = { ...made, output: [{ type: "message" }] };
  const done = { ...grown, status: "completed" };
  const failed = { ...grown, status: "cancelled" };
  script(made, made, made, grown, done);
  const ears = listen(answer);
  for (const [count, pause_ms] of [1_000, 1_500, 2_250, 1_000].entries()) {
    await until(() => stage.requests.length === count + 1 && stage.clock.next_ms === pause_ms);
    stage.clock.pass(pause_ms);
  }

  expect(await ears.end()).toEqual({ why: "complete" });
  expect(ears.told).toEqual([
    { type: "event", event: { type: "frontdesk.snapshot", sequence_number: -1, response: made } },
    { type: "event", event: { type: "frontdesk.snapshot", sequence_number: -1, response: grown } },
    { type: "event", event: { type: "response.completed", sequence_number: 5, response: done } },
  ]);
  expect(new Set(stage.asked)).toEqual(new Set(["/v1/responses/resp_1"]));
  expect(stage.clock.next_ms).toBeUndefined();

  stage.answer = (_, response) => sendJson(response, 200, failed);
  const cancelled = listen(answer);
  await cancelled.end();
  expect(cancelled.told).toEqual([
    { type: "event", event: { type: "response.incomplete", sequence_number: 5, response: failed } },
  ]);
});

test("an answer that stays as it is is read every 5 s in the end", async () => {
  stage.answer = (_, response) => sendJson(response, 200, { status: "queued" });
  const ears = listen(answer);
  const pauses: (number | undefined)[] = [];
  for (let count = 1; count < 8; count += 1) {
    await until(() => stage.requests.length === count);
    await until(() => (stage.clock.next_ms ?? 15_000) <= 5_000);
    pauses.push(stage.clock.next_ms);
    stage.clock.pass(stage.clock.next_ms ?? 0);
  }

  expect(pauses).toEqual([1_000, 1_500, 2_250, 3_375, 5_000, 5_000, 5_000]);
  ears.stop();
  await until(() => stage.isLeft);
});

test("who is stopped between two polls is not asked for again", async () => {
  stage.answer = (_, response) => sendJson(response, 200, { status: "queued" });
  const ears = listen(answer);
  await until(() => stage.clock.next_ms === 1_000);
  ears.stop();
  expect(stage.clock.next_ms).toBeUndefined();
  await settled();

  expect([stage.asked.length, ears.endings]).toEqual([1, []]);
});
