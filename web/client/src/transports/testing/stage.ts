// For tests: a server on loopback that does what each test tells it to, a clock that goes on when told to, and a listener that
// remembers. Nothing here speaks for the real server; that has tests of its own.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Socket } from "node:net";
import type { Clock } from "../../effects.ts";
import type { Ending, Feed, Told, Transport, Wiring } from "../../transport.ts";
import type { SocketOptions } from "../socket.ts";
import type { XhrOptions } from "../xhr.ts";

interface Window {
  readonly WebSocket: NonNullable<SocketOptions["WebSocket"]>;
  readonly XMLHttpRequest: NonNullable<XhrOptions["XMLHttpRequest"]>;
  close(): void;
}

const { JSDOM } = createRequire(import.meta.url)("jsdom") as {
  readonly JSDOM: new (
    html: string,
    options: { readonly url: string },
  ) => { readonly window: Window };
};

export class FakeClock implements Clock {
  private at_ms = 0;
  private readonly timers = new Map<number, { readonly at_ms: number; readonly act: () => void }>();
  private count = 0;

  now_ms = () => 1_790_000_000_000 + this.at_ms;
  elapsed_ms = () => this.at_ms;

  later(delay_ms: number, act: () => void): () => void {
    this.count += 1;
    const number = this.count;
    this.timers.set(number, { at_ms: this.at_ms + delay_ms, act });
    return () => this.timers.delete(number);
  }

  /** After how long something happens next; undefined where nothing will. */
  get next_ms(): number | undefined {
    const all = [...this.timers.values()].map((timer) => timer.at_ms - this.at_ms);
    return all.length === 0 ? undefined : Math.min(...all);
  }

  pass(duration_ms: number): void {
    const until_ms = this.at_ms + duration_ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at_ms <= until_ms);
      const [next] = due.sort(([, one], [, other]) => one.at_ms - other.at_ms);
      if (next === undefined) break;
      this.at_ms = next[1].at_ms;
      this.timers.delete(next[0]);
      next[1].act();
    }
    this.at_ms = until_ms;
  }
}

/** What a feed told, and how it ended: each of them, so that a second end would be seen. */
export class Ears {
  readonly told: Told[] = [];
  readonly endings: Ending[] = [];
  stop = () => {};

  /** Have a transport tell a feed here. */
  static of(transport: Transport, wiring: Wiring, feed: Feed): Ears {
    const ears = new Ears();
    ears.stop = transport.listen(wiring, feed, {
      told: (told) => {
        if (ears.endings.length > 0) throw new Error("told behind its end");
        ears.told.push(told);
      },
      ended: (ending) => ears.endings.push(ending),
    });
    return ears;
  }

  async end(): Promise<Ending> {
    await until(() => this.endings.length > 0);
    await settled();
    return this.endings.length === 1 && this.endings[0] !== undefined
      ? this.endings[0]
      : Promise.reject(new Error(JSON.stringify(this.endings)));
  }

  /** The numbers of the events that were told. */
  get numbers(): readonly number[] {
    return this.told.flatMap((told) => (told.type === "event" ? told.event.sequence_number : []));
  }
}

/** One end of a WebSocket, at the server. */
export class Peer {
  readonly frames: {
    readonly type: string;
    readonly id?: string;
    readonly [field: string]: unknown;
  }[] = [];
  isClosed = false;
  private unread = Buffer.alloc(0);

  constructor(
    private readonly socket: Socket,
    readonly request: IncomingMessage,
  ) {
    socket.on("data", (bytes: Buffer) => this.read(bytes));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  tell(frame: object): void {
    this.tellText(JSON.stringify(frame));
  }

  tellText(text: string): void {
    this.write(0x1, Buffer.from(text));
  }

  close(code: number, reason = ""): void {
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    this.write(0x8, Buffer.concat([body, Buffer.from(reason)]));
    this.socket.end();
  }

  /** Vanish without a word. */
  drop(): void {
    this.socket.destroy();
  }

  async frame(number: number): Promise<(typeof this.frames)[number]> {
    await until(() => this.frames.length > number);
    return this.frames[number] as (typeof this.frames)[number];
  }

  private write(opcode: number, body: Buffer): void {
    if (this.socket.destroyed) return;
    const length = body.length < 126 ? [body.length] : [126, body.length >> 8, body.length & 255];
    this.socket.write(Buffer.concat([Buffer.from([0x80 | opcode, ...length]), body]));
  }

  private read(bytes: Buffer): void {
    this.unread = Buffer.concat([this.unread, bytes]);
    for (;;) {
      const { unread } = this;
      if (unread.length < 2) return;
      const short = (unread[1] ?? 0) & 127;
      const start = short === 126 ? 4 : 2;
      const length = short === 126 ? unread.readUInt16BE(2) : short;
      if (unread.length < start + 4 + length) return;
      const mask = unread.subarray(start, start + 4);
      const body = Buffer.from(unread.subarray(start + 4, start + 4 + length));
      for (let at = 0; at < body.length; at += 1) body[at] = (body[at] ?? 0) ^ (mask[at % 4] ?? 0);
      this.unread = unread.subarray(start + 4 + length);
      const opcode = (unread[0] ?? 0) & 15;
      if (opcode === 1) this.frames.push(JSON.parse(body.toString()));
      if (opcode === 8) this.socket.end();
    }
  }
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server, and what a transport needs to ask it. */
export class Stage {
  readonly clock = new FakeClock();
  readonly requests: IncomingMessage[] = [];
  readonly responses: ServerResponse[] = [];
  readonly peers: Peer[] = [];
  readonly window: Window;
  /** What answers a request; by itself, nothing does. */
  answer: Answer = () => {};
  /** Whether WebSockets are taken. */
  takesSockets = true;
  wiring: Wiring;
  private readonly connections = new Set<Socket>();

  private constructor(private readonly server: ReturnType<typeof createServer>) {
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    this.window = new JSDOM("", { url }).window;
    this.wiring = {
      url,
      clock: this.clock,
      fetch: (address, init) => fetch(address, init),
      app: "web/1.4.0",
      headers: async () => ({ Authorization: "Bearer fd_st_1", "Frontdesk-Client": "web/1.4.0" }),
      token: async () => "fd_st_1",
    };
    server.on("connection", (socket: Socket) => {
      this.connections.add(socket);
      socket.on("close", () => this.connections.delete(socket));
    });
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.requests.push(request);
      this.responses.push(response);
      this.answer(request, response);
    });
    server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
      if (!this.takesSockets) {
        socket.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
      const accept = createHash("sha1").update(key).digest("base64");
      const lines = [
        "HTTP/1.1 101 Switching Protocols",
        "upgrade: websocket",
        "connection: upgrade",
      ];
      lines.push(`sec-websocket-accept: ${accept}`, "sec-websocket-protocol: frontdesk");
      socket.write(`${lines.join("\r\n")}\r\n\r\n`);
      this.peers.push(new Peer(socket, request));
    });
  }

  static async open(): Promise<Stage> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Stage(server);
  }

  /** The addresses that were asked, in order. */
  get asked(): readonly (string | undefined)[] {
    return this.requests.map((request) => request.url);
  }

  async peer(number = 0): Promise<Peer> {
    await until(() => this.peers.length > number);
    return this.peers[number] as Peer;
  }

  async response(number = 0): Promise<ServerResponse> {
    await until(() => this.responses.length > number);
    return this.responses[number] as ServerResponse;
  }

  /** Whether nobody is connected any more who waits for something. */
  get isLeft(): boolean {
    return (
      this.responses.every((response) => response.closed) &&
      this.peers.every((peer) => peer.isClosed)
    );
  }

  async close(): Promise<void> {
    this.window.close();
    for (const connection of this.connections) connection.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Wait for something of the real network; fails after 5 s. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Let all that is on its way arrive. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers = {},
): void {
  response
    .writeHead(status, { "content-type": "application/json", ...headers })
    .end(JSON.stringify(body));
}

export function beginStream(response: ServerResponse, text = ""): void {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  response.flushHeaders();
  if (text !== "") response.write(text);
}

export function errorOf(code: string, type = "invalid_request_error"): object {
  return { error: { message: "No.", type, param: null, code } };
}

/** An event of an answer, as its stream has it. */
export function answerEvent(number: number, type: string, fields: object = {}): string {
  const event = { type: `response.${type}`, sequence_number: number, ...fields };
  return `id: ${number}\nevent: response.${type}\ndata: ${JSON.stringify(event)}\n\n`;
}

export const turnTold = {
  type: "turn",
  conversation: "conv_1",
  id: "resp_1",
  state: "answering",
} as const;
export const ready = 'id: e.41\nevent: ready\ndata: {"cursor":"e.41","bootstrap":"b1"}\n\n';
export const turn = `id: e.42\nevent: turn\ndata: ${JSON.stringify(turnTold)}\n\n`;
export const heartbeat = 'id: e.42\nevent: heartbeat\ndata: {"cursor":"e.42","bootstrap":"b1"}\n\n';
