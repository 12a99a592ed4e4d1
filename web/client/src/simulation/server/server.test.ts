// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { AnswerEvent, Change } from "../../wire.ts";
import { chanceOf } from "../chance.ts";
import { Scheduler } from "../scheduler.ts";
import { type Connection, Server } from "./server.ts";

const conversation = `conv_${"0".repeat(31)}1`;
let count = 0;

function newId(): string {
  count += 1;
  return `0199a0b0-5d1c-7c3e-9d0a-${count.toString(16).padStart(12, "0")}`;
}

function itemOf(id: string): string {
  return `msg_${id.replaceAll("-", "")}`;
}

/** What came over one connection. */
interface Heard {
  status: number;
  headers: Readonly<Record<string, string>>;
  text: string;
  hasEnded: boolean;
  hangUp(): void;
}

function desk() {
  const scheduler = new Scheduler();
  const server = new Server(scheduler, chanceOf(7), 1_800_000_000_000);
  server.terms.forgets = 0;
  const { token } = server.sessions.of("ada");

  const ask = (
    method: string,
    path: string,
    body: unknown = "",
    more: Record<string, string> = {},
  ) => {
    const { pathname, searchParams } = new URL(path, "https://desk.example");
    let isGone = false;
    const heard: Heard = {
      status: 0,
      headers: {},
      text: "",
      hasEnded: false,
      hangUp: () => {
        isGone = true;
      },
    };
    const connection: Connection = {
      get isGone() {
        return isGone;
      },
      get hasHead() {
        return heard.status > 0;
      },
      head: (status, headers) => Object.assign(heard, { status, headers }),
      write: (text) => {
        heard.text += text;
      },
      end: () => {
        isGone = true;
        heard.hasEnded = true;
      },
      lose: () => {
        isGone = true;
        heard.status = -1;
      },
    };
    const headers = { authorization: `Bearer ${token}`, ...more };
    const request = { method, path: pathname, query: searchParams, headers };
    server.take({ ...request, body: body === "" ? "" : JSON.stringify(body) }, connection);
    return heard;
  };
  const sync = async (body: unknown) => {
    const heard = ask("POST", "/api/sync", body);
    await scheduler.runUntil(() => heard.hasEnded, 1000);
    return JSON.parse(heard.text);
  };
  const push = async (...entries: unknown[]) => (await sync({ push: entries })).results;
  const settle = () => scheduler.runFor(60_000);
  const things = async () => {
    const told: Change[] = [];
    let answer = await sync({});
    for (;;) {
      told.push(...answer.changes);
      if (!answer.has_more) return told;
      answer = await sync({ cursor: answer.cursor });
    }
  };
  return { scheduler, server, ask, sync, push, settle, things };
}

function message(content: string, more: Record<string, unknown> = {}) {
  return { id: newId(), type: "message", conversation, content, ...more };
}

function textsIn(told: readonly Change[]): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const each of told) {
    if (each.type !== "item" || !("item" in each) || each.item?.type !== "message") continue;
    texts[each.id] = each.item.content.map((part) => ("text" in part ? part.text : "")).join("");
  }
  return texts;
}

function eventsIn(text: string): { event: string; id?: string; data: unknown }[] {
  return text
    .split("\n\n")
    .filter((block) => block.includes("event: "))
    .map((block) => {
      const fields = Object.fromEntries(
        block.split("\n").map((line) => {
          const at = line.indexOf(": ");
          return [line.slice(0, at), line.slice(at + 2)];
        }),
      );
      return {
        event: fields.event ?? "",
        ...(fields.id && { id: fields.id }),
        data: JSON.parse(fields.data ?? ""),
      };
    });
}

describe("entries", () => {
  it("begins a conversation with a message, and answers it", async () => {
    const { push, settle, things } = desk();
    const said = message("hello");

    const [result] = await push(said);
    await settle();

    const item = itemOf(said.id);
    expect(result).toEqual({ id: said.id, status: "done", item, response: result.response });
    const told = await things();
    expect(told.filter((each) => each.type === "turn")).toEqual([
      { type: "turn", conversation, id: result.response, state: "answered" },
    ]);
    expect(textsIn(told)[item]).toBe("hello");
    expect(Object.keys(textsIn(told))).toHaveLength(2);
  });

  it("does an entry once, however often it is sent", async () => {
    const { push, settle, things } = desk();
    const said = message("once");

    const [first] = await push(said);
    const [again] = await push(said);
    await settle();
    const [later] = await push(said);

    expect([again, later]).toEqual([first, first]);
    expect(Object.values(textsIn(await things())).filter((text) => text === "once")).toHaveLength(
      1,
    );
  });

  it("keeps what follows in a conversation waiting, and does all else", async () => {
    const { push } = desk();
    const other = `conv_${"0".repeat(31)}2`;
    const entries = [
      message("one"),
      message("two"),
      { id: newId(), type: "rename", conversation, title: "Three" },
      message("elsewhere", { conversation: other }),
    ];

    const results = await push(...entries);

    const [one, two, three, elsewhere] = results;
    expect([one, two, three, elsewhere].map((each) => each.status)).toEqual([
      "done",
      "waiting",
      "waiting",
      "done",
    ]);
    expect(two).toMatchObject({ retry_after_s: 1, error: { code: "conversation_locked" } });
    expect(three).toEqual({ id: three.id, status: "waiting", retry_after_s: 1 });
  });

  it("refuses what is deleted, and lets what is beside it be", async () => {
    const { push, settle } = desk();
    await push(message("hello"));
    await settle();

    const results = await push(
      { id: newId(), type: "delete", conversation },
      message("too late"),
      { id: newId(), type: "delete", conversation },
      { id: newId(), type: "fact", fact: `fact_${"a".repeat(32)}`, words: "likes tea" },
    );

    expect(results.map((each: { status: string }) => each.status)).toEqual([
      "done",
      "refused",
      "done",
      "done",
    ]);
    expect(results[1].error.code).toBe("conversation_not_found");
  });

  it("puts messages behind what they name, and edits beside what they edit", async () => {
    const { push, settle, things } = desk();
    const first = message("one");
    const second = message("two");
    for (const entry of [first, second]) {
      await push(entry);
      await settle();
    }
    const beside = message("other", { after: null });
    const behind = message("three", { after: itemOf(first.id) });
    const edit = { id: newId(), type: "edit", conversation, item: itemOf(second.id), content: "2" };
    for (const entry of [beside, behind, edit]) {
      expect(await push(entry)).toMatchObject([{ status: "done" }]);
      await settle();
    }

    const told = await things();
    const row = told.find((each) => each.type === "conversation");
    expect(row).toMatchObject({ branch: 3 });
    expect(row && "branches" in row && row.branches?.map(({ fork }) => fork)).toEqual([0, 0, 1, 2]);
    const places = Object.fromEntries(
      told.flatMap((each) =>
        each.type === "item" && "branch" in each ? [[each.id, [each.branch, each.position]]] : [],
      ),
    );
    expect(places[itemOf(second.id)]).toEqual([0, 2]);
    expect(places[itemOf(beside.id)]).toEqual([1, 0]);
    expect(places[itemOf(behind.id)]).toEqual([2, 1]);
    expect(places[itemOf(edit.id)]).toEqual([3, 2]);
  });

  it("takes what tools said behind their calls, once", async () => {
    const { server, push, settle } = desk();
    const [{ response }] = await push(message("(tool)"));
    await settle();
    const call = server.answers.get(response)?.output.find((item) => item.type === "function_call");
    const outputs = [{ call_id: call?.type === "function_call" ? call.call_id : "", output: "3" }];
    const entry = { id: newId(), type: "outputs", conversation, outputs };

    const [unknown] = await push({
      ...entry,
      id: newId(),
      outputs: [{ call_id: "x", output: "" }],
    });
    const [done] = await push(entry);
    await settle();
    const [twice] = await push({ ...entry, id: newId() });

    expect(unknown.error.code).toBe("call_not_found");
    expect(done).toMatchObject({ status: "done", item: `fco_${entry.id.replaceAll("-", "")}` });
    expect(await push(entry)).toEqual([done]);
    expect(twice.error.code).toBe("call_answered");
  });

  it("reads turns up to an item, never back, and never what has failed", async () => {
    const { push, settle, things } = desk();
    const entries = [message("one"), message("two (fails)"), message("three")];
    for (const entry of entries) {
      await push(entry);
      await settle();
    }
    const read = (entry: { id: string } | undefined) =>
      push({ id: newId(), type: "read", conversation, item: itemOf(entry?.id ?? "") });

    await read(entries[2]);
    await read(entries[0]);

    const told = await things();
    expect(told.find((each) => each.type === "conversation")).toMatchObject({
      read_item: itemOf(entries[2]?.id ?? ""),
    });
    const states = told.flatMap((each) =>
      each.type === "turn" && "state" in each ? [each.state] : [],
    );
    expect(states.sort()).toEqual(["answered", "failed", "read"]);
  });
});

describe("cursors", () => {
  it("tell the newest first at first, then what has changed", async () => {
    const { server, sync, push, settle } = desk();
    for (const text of ["one", "two", "three"]) {
      await push(message(text));
      await settle();
    }
    server.terms.page = 4;

    const first = await sync({});
    expect(first.has_more).toBe(true);
    expect(first.changes).toHaveLength(4);
    expect(first.changes[0].type).toBe("turn");
    await push({ id: newId(), type: "rename", conversation, title: "Meanwhile" });
    const told = [...first.changes];
    let answer = first;
    while (answer.has_more) {
      answer = await sync({ cursor: answer.cursor });
      told.push(...answer.changes);
    }

    expect(told.at(-1)).toMatchObject({ type: "conversation", title: "Meanwhile" });
    expect(await sync({ cursor: answer.cursor })).toEqual({
      cursor: answer.cursor,
      has_more: false,
      changes: [],
    });
  });

  it("that are too old begin a first sync", async () => {
    const { server, sync, push, settle } = desk();
    await push(message("one"));
    await settle();
    const { cursor } = await sync({});
    await push({ id: newId(), type: "delete", conversation });
    server.sweep();

    const answer = await sync({ cursor });

    expect(answer).toMatchObject({ reset: true, has_more: false, changes: [] });
    expect((await sync({ cursor: "elsewhere.12" })).reset).toBe(true);
    expect(await sync({ cursor: answer.cursor })).not.toHaveProperty("reset");
  });

  it("come back as they were sent where nothing is to be told", async () => {
    const { sync, push, settle } = desk();
    await push(message("one"));
    await settle();

    const answer = await sync({ cursor: "any.1", limit: 0, push: [message("two")] });

    expect(answer).toMatchObject({ cursor: "any.1", has_more: false, changes: [] });
    expect(answer.results).toMatchObject([{ status: "done" }]);
  });
});

describe("feeds", () => {
  const stream = { accept: "text/event-stream" };

  it("say ready, tell what changes with its cursor, and beat", async () => {
    const { scheduler, server, ask, push } = desk();
    const heard = ask("GET", "/api/events", "", stream);

    await push({ id: newId(), type: "conversation", conversation, title: "New" });
    await scheduler.runFor(10_500);

    const events = eventsIn(heard.text);
    expect(events.map(({ event }) => event)).toEqual(["ready", "conversation", "heartbeat"]);
    expect(events[1]).toMatchObject({
      id: server.person("ada").changes.now(),
      data: { title: "New" },
    });
    expect(events[2]?.data).toEqual({
      cursor: server.person("ada").changes.now(),
      bootstrap: "r1",
    });
  });

  it("tell what was missed before they are ready, after a reset all there is", async () => {
    const { scheduler, ask, push, sync } = desk();
    await push({ id: newId(), type: "conversation", conversation, title: "New" });
    const { cursor } = await sync({});
    await push({ id: newId(), type: "pin", conversation, pinned: true });

    const missed = ask("GET", "/api/events", "", { ...stream, "last-event-id": cursor });
    const reset = ask("GET", "/api/events?cursor=other.3", "", stream);
    await scheduler.runFor(100);

    expect(eventsIn(missed.text).map(({ event }) => event)).toEqual(["conversation", "ready"]);
    expect(eventsIn(reset.text).map(({ event }) => event)).toEqual([
      "reset",
      "conversation",
      "ready",
    ]);
  });

  it("end with a word when the session has, and when the server does", async () => {
    const { server, ask } = desk();
    const going = ask("GET", "/api/events", "", stream);
    server.sessions.expireTokens();
    server.lookAtCredentials();
    expect(eventsIn(going.text).at(-1)).toMatchObject({
      event: "bye",
      data: { error: { code: "token_expired" } },
    });
    expect(going.hasEnded).toBe(true);

    const { server: other, ask: askOther } = desk();
    const lost = askOther("GET", "/api/events", "", stream);
    other.stop();
    expect(eventsIn(lost.text).at(-1)?.data).toHaveProperty("retry_after_s");
  });

  it("answer polls when something changes, or after their time", async () => {
    const { scheduler, ask, push } = desk();
    const first = ask("GET", "/api/events");
    await scheduler.runFor(10);
    const { cursor, poll_after_s } = JSON.parse(first.text);
    expect(poll_after_s).toBe(15);

    const quiet = ask("GET", `/api/events?cursor=${cursor}&wait=20`);
    await scheduler.runFor(19_000);
    expect(quiet.text).toBe("");
    await scheduler.runFor(2_000);
    expect(JSON.parse(quiet.text)).toMatchObject({ changes: [], poll_after_s: 0 });

    const told = ask("GET", `/api/events?cursor=${cursor}&wait=20`);
    await push({ id: newId(), type: "conversation", conversation });
    await scheduler.runFor(20);
    expect(JSON.parse(told.text)).toMatchObject({ changes: [{ type: "conversation" }] });

    const hasty = ask("GET", `/api/events?cursor=${cursor}&wait=0`);
    await scheduler.runFor(20);
    expect(JSON.parse(hasty.text)).toMatchObject({ changes: [{ type: "conversation" }] });
  });
});

describe("answers", () => {
  it("are told from any event on, while they are made and afterwards, with the same numbers", async () => {
    const { scheduler, server, ask, push, settle } = desk();
    const [{ response }] = await push(message("hello"));
    await scheduler.runFor(900);
    const from = (after?: number) =>
      ask(
        "GET",
        `/v1/responses/${response}?stream=true${after === undefined ? "" : `&starting_after=${after}`}`,
      );
    const early = from();
    await settle();

    const all = eventsIn(early.text).map(({ data }) => data as AnswerEvent);
    expect(all.map(({ sequence_number }) => sequence_number)).toEqual(all.map((_, at) => at));
    expect(all.at(-1)?.type).toBe("response.completed");
    const text = all.filter(({ type }) => type.endsWith("text.delta")).map(({ delta }) => delta);
    expect(server.answers.get(response)?.output).toMatchObject([
      { content: [{ text: text.join("") }] },
    ]);
    for (let after = 0; after < all.length; after += 1)
      expect(eventsIn(from(after).text).map(({ data }) => data)).toEqual(all.slice(after + 1));
  });

  it("whose events are gone are told whole, or by their last event", async () => {
    const { server, ask, push, settle } = desk();
    server.terms.forgets = 1;
    const [{ response }] = await push(message("hello"));
    await settle();

    const whole = eventsIn(ask("GET", `/v1/responses/${response}?stream=true`).text);
    const last = eventsIn(
      ask("GET", `/v1/responses/${response}?stream=true&starting_after=4`).text,
    );

    expect(whole.map(({ event }) => event)).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(last.map(({ event }) => event)).toEqual(["response.completed"]);
  });

  it("that are cancelled keep what was said", async () => {
    const { scheduler, server, ask, push } = desk();
    const [{ response }] = await push(message("hello (thinks)"));
    await scheduler.runUntil(() => server.answers.get(response)?.events.length === 5, 5000);

    await push({ id: newId(), type: "cancel", response });
    await scheduler.runFor(100);

    const told = JSON.parse(ask("GET", `/v1/responses/${response}`).text);
    expect(told.status).toBe("cancelled");
    const [last] = eventsIn(ask("GET", `/v1/responses/${response}?stream=true`).text).slice(-1);
    expect(last).toMatchObject({
      event: "response.incomplete",
      data: { response: { status: "cancelled" } },
    });
  });

  it("end as failed where the server died in them, and are made where it died before", async () => {
    const { scheduler, server, push, settle, things } = desk();
    const [{ response: begun }] = await push(message("hello"));
    await scheduler.runUntil(() => server.answers.get(begun)?.events.length === 5, 5000);
    const other = `conv_${"0".repeat(31)}2`;
    const [{ response: waiting }] = await push(message("hello", { conversation: other }));
    expect(server.answers.get(waiting)?.isDispatched).toBe(false);

    server.kill();
    await scheduler.runFor(1000);
    server.start();
    await settle();

    const states = Object.fromEntries(
      (await things()).flatMap((each) =>
        each.type === "turn" && "state" in each ? [[each.id, each]] : [],
      ),
    );
    expect(states[begun]).toMatchObject({ state: "failed", code: "server_crashed" });
    expect(states[waiting]).toMatchObject({ state: "answered" });
  });
});

describe("sessions", () => {
  it("are refreshed once, and again within the time of grace", () => {
    const { server } = desk();
    const { refresh_token = "" } = server.sessions.of("bob");

    const next = server.sessions.refresh(refresh_token);

    expect(server.sessions.refresh(refresh_token)).toEqual(next);
    expect(() => server.sessions.refresh("fd_rt_unheard")).toThrow("refresh_token_expired");
  });

  it("refuse who does not come with a token that holds, and versions that are too old", () => {
    const { server, ask } = desk();
    server.terms.minimum = "1.4.0";
    const code = (heard: Heard) => [heard.status, JSON.parse(heard.text).error.code];

    expect(code(ask("POST", "/api/sync", {}, { authorization: "" }))).toEqual([
      401,
      "missing_credential",
    ]);
    const old = { "frontdesk-client": "web/1.3.9" };
    expect(code(ask("POST", "/api/sync", {}, old))).toEqual([426, "client_too_old"]);
    server.terms.minimum = undefined;
    server.terms.overloads = 1;
    const overloaded = ask("POST", "/api/sync", {});
    expect([429, 503]).toContain(overloaded.status);
    expect(Number(overloaded.headers["retry-after"])).toBeGreaterThan(0);
    server.sessions.expireTokens();
    expect(code(ask("POST", "/api/sync", {}))).toEqual([401, "token_expired"]);
  });
});
