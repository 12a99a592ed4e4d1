import { beforeEach, expect, test, vi } from "vitest";
import { Client } from "../server/client.ts";
import {
  bootstrap,
  created,
  delta,
  FakeServer,
  hanging,
  refusal,
  stream,
} from "../server/fake-server.ts";
import { Chat } from "./chat.ts";
import { type ConversationStore, openDeviceStore } from "./device-store.ts";
import { newTurn } from "./turn.ts";

let server: FakeServer;
let store: ConversationStore;
let isOnline: boolean;
let now_ms: number;

beforeEach(async () => {
  server = new FakeServer();
  store = await openDeviceStore(null);
  isOnline = true;
  now_ms = 1;
});

async function open(): Promise<Chat> {
  const chat = new Chat(new Client(server.fetch, null), () => undefined, {
    now: () => now_ms++,
    isOnline: () => isOnline,
  });
  await chat.load(store);
  await chat.connect();
  return chat;
}

function told(chat: Chat) {
  return chat.turns.value.map(({ value }) => [value.question, value.state, value.answer]);
}

test("a question is answered and both are kept", async () => {
  const chat = await open();

  await chat.send("  Hi  ");

  expect(told(chat)).toEqual([["Hi", "done", "Hello."]]);
  expect(told(await open())).toEqual([["Hi", "done", "Hello."]]);
});

test("nothing is sent for blank text, or while an answer is being written", async () => {
  server.answering = (_, signal) => hanging(signal, created, delta("Once"));
  const chat = await open();

  await chat.send(" \n");
  void chat.send("Hi");
  await vi.waitFor(() => expect(chat.writing.value?.value.state).toBe("writing"));
  await chat.send("And?");

  expect(told(chat)).toEqual([["Hi", "writing", "Once"]]);
});

test("stop keeps the text, tells the server, and ends the request", async () => {
  let signal: AbortSignal | null = null;
  server.answering = (_, given) => {
    signal = given;
    return hanging(given, created, delta("Once"));
  };
  const chat = await open();
  const sent = chat.send("Hi");
  await vi.waitFor(() => expect(chat.writing.value?.value.answer).toBe("Once"));

  chat.stop();
  await sent;

  expect(told(chat)).toEqual([["Hi", "stopped", "Once"]]);
  expect(server.cancelled).toEqual(["resp_1"]);
  expect((signal as AbortSignal | null)?.aborted).toBe(true);
});

test("a stop before the server has answered ends the request alone", async () => {
  server.answering = (_, signal) => hanging(signal);
  const chat = await open();
  const sent = chat.send("Hi");
  await vi.waitFor(() => expect(server.asked).toHaveLength(1));

  chat.stop();
  await sent;

  expect(told(chat)).toEqual([["Hi", "stopped", ""]]);
  expect(server.cancelled).toEqual([]);
});

test("a failed turn can be tried again with the model that is chosen now", async () => {
  server.answering = () => refusal(500, "provider_error");
  const chat = await open();
  await chat.send("Hi");
  server.answering = () => stream(created, delta("Now."), { type: "response.completed" });
  chat.model.value = "best";

  const [turn] = chat.turns.value;
  if (turn) await chat.tryAgain(turn);

  expect(told(chat)).toEqual([["Hi", "done", "Now."]]);
  expect(server.asked.map(({ model }) => model)).toEqual(["fast", "best"]);
});

test("the model of the last turn is still the chosen one after a reload", async () => {
  const chat = await open();
  expect(chat.model.value).toBe("fast");
  chat.model.value = "best";
  await chat.send("Hi");

  expect((await open()).model.value).toBe("best");
});

test("what is written offline is kept, and sent in order when the connection is back", async () => {
  isOnline = false;
  const chat = await open();
  await chat.send("One");
  await chat.send("Two");
  expect(chat.reach.value).toBe("offline");
  expect(told(chat).map(([, state]) => state)).toEqual(["saved", "saved"]);

  isOnline = true;
  await chat.connect();

  expect(told(chat)).toEqual([
    ["One", "done", "Hello."],
    ["Two", "done", "Hello."],
  ]);
  expect(server.asked.at(-1)?.input).toHaveLength(3);
});

test("what waits is not spent on a server that goes away again", async () => {
  isOnline = false;
  const chat = await open();
  await chat.send("One");
  await chat.send("Two");
  server.answering = () => {
    server.bootstrap = null;
    throw new TypeError("Failed to fetch");
  };

  isOnline = true;
  await chat.connect();

  expect(told(chat).map(([, state]) => state)).toEqual(["failed", "saved"]);
});

test("a stop while the page still looks for the server asks nothing of it", async () => {
  server.bootstrap = null;
  const chat = await open();
  const failed = { ...newTurn("t", "Hi", "fast"), state: "failed" as const };
  await store.keep({ id: "a", startedAt: 9, turns: [failed] });
  await chat.load(store);
  server.bootstrap = bootstrap;

  const [turn] = chat.turns.value;
  const tried = turn && chat.tryAgain(turn);
  chat.stop();
  await tried;

  expect(told(chat)).toEqual([["Hi", "stopped", ""]]);
  expect(server.asked).toEqual([]);
});

test("a server that is gone is told apart from being offline", async () => {
  server.bootstrap = null;

  const chat = await open();

  expect(chat.reach.value).toBe("unreachable");
});

test("an answer that was being written when the page closed is interrupted, not lost", async () => {
  const writing = { ...newTurn("t", "Hi", "fast"), state: "writing" as const, answer: "Once" };
  await store.keep({ id: "a", startedAt: 1, turns: [writing] });

  expect(told(await open())).toEqual([["Hi", "interrupted", "Once"]]);
});

test("a page that goes while an answer is written leaves it interrupted", async () => {
  server.answering = (_, signal) => hanging(signal, created, delta("Once"));
  const chat = await open();
  void chat.send("Hi");
  await vi.waitFor(() => expect(chat.writing.value?.value.answer).toBe("Once"));

  chat.leave();

  expect(told(chat)).toEqual([["Hi", "interrupted", "Once"]]);
  expect((await store.list())[0]?.turns[0]?.state).toBe("interrupted");
});

test("a new conversation can be taken back, and only the two newest are kept", async () => {
  const chat = await open();
  for (const question of ["One", "Two", "Three"]) {
    await chat.send(question);
    chat.startNew();
  }
  await vi.waitFor(async () => expect(await store.list()).toHaveLength(2));
  expect(told(chat)).toEqual([]);

  chat.goBack();

  expect(told(chat)).toEqual([["Three", "done", "Hello."]]);
  expect(told(await open())).toEqual([["Three", "done", "Hello."]]);
});

test("without anonymous sessions a token is asked for, and what was waiting is sent with it", async () => {
  server.bootstrap = { ...bootstrap, anonymous: false };
  const chat = await open();
  expect(chat.token.value).toBe("needed");
  await chat.send("Hi");

  await chat.useToken("pasted");

  expect(told(chat)).toEqual([["Hi", "done", "Hello."]]);
});

test("a pasted token that is refused is asked for again, and the question is kept", async () => {
  server.bootstrap = { ...bootstrap, anonymous: false };
  server.refusesToken = "pasted";
  const chat = await open();
  await chat.useToken("pasted");

  await chat.send("Hi");

  expect(chat.token.value).toBe("refused");
  expect(told(chat)).toEqual([["Hi", "failed", ""]]);
});

test("a device that refuses to keep anything is told once it shows", async () => {
  const chat = await open();
  store.keep = async () => {
    throw new DOMException("Quota", "QuotaExceededError");
  };

  await chat.send("Hi");

  expect(chat.isKept.value).toBe(false);
  expect(told(chat)).toEqual([["Hi", "done", "Hello."]]);
});
