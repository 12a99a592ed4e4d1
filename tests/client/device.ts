// A device: the client as it is shipped, in a process of its own, on a real network. It is told what to do by lines of JSON on its
// standard input and answers each by a line. What it keeps is in a file, so the process may be killed anywhere.

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Conversation } from "../../web/client/src/conversation.ts";
import { type Client, createClient } from "../../web/client/src/index.ts";
import { type NetInfoState, nativeEffects } from "../../web/client/src/platform/native.ts";
import {
  anonymousSession,
  type Grant,
  refreshingSession,
} from "../../web/client/src/sessions/index.ts";
import type { ClientView, ConversationView } from "../../web/client/src/state.ts";
import type { Json, Store } from "../../web/client/src/store.ts";
import {
  type AsyncStorageLike,
  asyncStorageStore,
} from "../../web/client/src/stores/async-storage.ts";
import { memoryStore } from "../../web/client/src/stores/memory.ts";
import { deviceTools, type Tool } from "../../web/client/src/tools.ts";
import type { Transport } from "../../web/client/src/transport.ts";
import { pollTransport } from "../../web/client/src/transports/poll.ts";
import { socketTransport } from "../../web/client/src/transports/socket.ts";
import { streamTransport } from "../../web/client/src/transports/stream.ts";
import { type XhrLike, xhrTransport } from "../../web/client/src/transports/xhr.ts";

interface Setup {
  readonly url: string;
  readonly transports: readonly Transport["name"][];
  /** The file that things are kept in; in memory without one. */
  readonly file?: string;
  /** Where `jsdom` is, for its XMLHttpRequest. */
  readonly packages: string;
  readonly isVisible: boolean;
  readonly isOnline: boolean;
  /** Whether somebody new begins a session; else the tests give tokens. */
  readonly isAnonymous: boolean;
  readonly request?: { readonly [key: string]: Json };
  /** Whether the tool `where` is there, and whether the person is asked before. */
  readonly tool?: Tool["needs"];
}

interface Command {
  readonly id: number;
  readonly do: string;
  readonly conversation?: string;
  readonly [key: string]: unknown;
}

const setup = JSON.parse(process.argv[2] ?? "") as Setup;
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

// --- what is around the client ----------------------------------------------------------------------

/** A storage in a file that is only added to: what `setItem` has resolved for is there, whatever happens to the process. */
function fileStorage(path: string): AsyncStorageLike {
  const held = new Map<string, string>();
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
  const put = ([key, value]: readonly [string, string | null]) =>
    value === null ? held.delete(key) : held.set(key, value);
  for (const line of lines) put(JSON.parse(line) as [string, string | null]);
  const write = async (key: string, value: string | null) => {
    appendFileSync(path, `${JSON.stringify([key, value])}\n`);
    put([key, value]);
  };
  return {
    getItem: async (key) => held.get(key) ?? null,
    setItem: write,
    removeItem: (key) => write(key, null),
    getAllKeys: async () => [...held.keys()],
  };
}

function pageRequest(): new () => XhrLike {
  const require = createRequire(`${setup.packages}/`);
  const { JSDOM } = require("jsdom") as {
    JSDOM: new (html: string, options: object) => { window: { XMLHttpRequest: new () => XhrLike } };
  };
  return new JSDOM("", { url: setup.url }).window.XMLHttpRequest;
}

const ways: Record<Transport["name"], () => Transport> = {
  stream: streamTransport,
  poll: pollTransport,
  socket: socketTransport,
  xhr: () => xhrTransport({ XMLHttpRequest: pageRequest() }),
};

const app = { state: setup.isVisible ? "active" : "background", changed: (_: string) => {} };
const net = { isConnected: setup.isOnline, changed: (_: NetInfoState) => {} };
const effects = nativeEffects({
  appState: {
    get currentState() {
      return app.state;
    },
    addEventListener(_, changed) {
      app.changed = changed;
      return { remove: () => {} };
    },
  },
  netInfo: {
    addEventListener(changed) {
      net.changed = changed;
      changed({ isConnected: net.isConnected });
      return () => {};
    },
  },
});

let given: ((grant: Grant | undefined) => void) | undefined;
const storage = setup.file === undefined ? undefined : fileStorage(setup.file);
const store: Store = storage ? asyncStorageStore(storage, "frontdesk") : memoryStore();
let runs = 0;
const where: Tool = {
  name: "where",
  description: "Tells where the person is.",
  parameters: { type: "object", properties: {} },
  needs: setup.tool ?? "nothing",
  run: () => {
    runs += 1;
    return `In room ${runs}.`;
  },
};

const client: Client = createClient({
  url: setup.url,
  user: "somebody",
  token: setup.isAnonymous
    ? anonymousSession()
    : refreshingSession(
        ({ refused }) =>
          new Promise((resolve) => {
            given = resolve;
            say({ asks: "token", refused: refused ?? null });
          }),
      ),
  store,
  effects,
  transports: setup.transports.map((name) => ways[name]()),
  app: "tests/1.0.0",
  ...(setup.request && { request: setup.request }),
  ...(setup.tool && { tools: deviceTools([where]) }),
});

// --- what it shows ----------------------------------------------------------------------------------

const wrong: string[] = [];
const watched = new Map<string, Conversation>();

/** Show a conversation, and see that no text that was shown is taken back. */
function conversation(id: string | undefined): Conversation {
  const known = id === undefined ? undefined : watched.get(id);
  if (known) return known;
  const chat = client.conversation(id);
  watched.set(chat.id, chat);
  const shown = new Map<string, string>();
  chat.view.subscribe(() => {
    const { messages } = chat.view.get();
    const ids = messages.map((message) => message.id);
    if (new Set(ids).size !== ids.length) wrong.push(`twice: ${ids.join(" ")}`);
    for (const { role, response, id: item, text } of messages) {
      if (role !== "assistant") continue;
      const key = response ?? item;
      const before = shown.get(key) ?? "";
      if (!text.startsWith(before)) wrong.push(`${key}: ${before} became ${text}`);
      shown.set(key, text);
    }
  });
  return chat;
}

function until<T>(
  view: { get(): T; subscribe(changed: () => void): () => void },
  is: (now: T) => boolean,
): Promise<T> {
  return new Promise((resolve) => {
    const look = () => {
      if (!is(view.get())) return;
      stop();
      resolve(view.get());
    };
    const stop = view.subscribe(look);
    queueMicrotask(look);
  });
}

const OVER = ["done", "failed", "cancelled"];

/** Whether a conversation is as far as a command says. */
function isThere(view: ConversationView, wanted: Command): boolean {
  const {
    messages = 0,
    calls = 0,
    chars = 0,
    isOver = false,
  } = wanted as {
    messages?: number;
    calls?: number;
    chars?: number;
    isOver?: boolean;
  };
  const last = view.messages.at(-1);
  return (
    view.status === "ready" &&
    view.messages.length >= messages &&
    view.calls.length >= calls &&
    (chars === 0 || (last?.role === "assistant" && last.text.length >= chars)) &&
    (!isOver || (OVER.includes(view.turn?.state ?? "") && !view.isBusy))
  );
}

function isClientThere(view: ClientView, wanted: Command): boolean {
  return (["connection", "transport", "unsent"] as const).every(
    (name) => !(name in wanted) || view[name] === wanted[name],
  );
}

async function keys(): Promise<string[]> {
  return storage ? [...(await storage.getAllKeys())] : [];
}

// --- what it is told --------------------------------------------------------------------------------

async function act(command: Command): Promise<unknown> {
  const chat = () => conversation(command.conversation);
  switch (command.do) {
    case "start":
      return client.start();
    case "stop":
      return client.stop();
    case "flush":
      return client.flush();
    case "sign_out":
      return client.signOut();
    case "open":
      return chat().id;
    case "send":
      return chat().send(command.content as string);
    case "edit":
      return chat().edit(command.message as string, command.content as string);
    case "again":
      return chat().again(command.message as string | undefined);
    case "cancel":
      return chat().stop();
    case "rename":
      return chat().rename(command.title as string);
    case "approve":
      return chat().approve(command.call as string);
    case "view":
      return chat().view.get();
    case "until":
      return until(chat().view, (view) => isThere(view, command));
    case "client":
      return client.view.get();
    case "until_client":
      return until(client.view, (view) => isClientThere(view, command));
    case "conversations":
      return client.conversations.get();
    case "until_conversations":
      return until(client.conversations, (all) => all.length >= (command.count as number));
    case "wrong":
      return wrong;
    case "runs":
      return runs;
    case "keys":
      return keys();
    case "token":
      given?.(command.credential as Grant | undefined);
      return undefined;
    case "see":
      app.state = command.isVisible ? "active" : "background";
      app.changed(app.state);
      return undefined;
    case "connect":
      net.isConnected = command.isOnline as boolean;
      net.changed({ isConnected: net.isConnected });
      return undefined;
    default:
      throw new Error(`A device cannot ${command.do}.`);
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line) as Command;
    act(command).then(
      (value) => say({ id: command.id, value: value ?? null }),
      (error: unknown) => say({ id: command.id, error: String(error) }),
    );
  })
  .on("close", () => process.exit());
say({ is: "there" });
