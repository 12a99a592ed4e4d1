// What is between devices and the server: it delays, loses, doubles, cuts and holds back. What it hands to the client are
// real `Response` objects, whose bodies come in pieces.

import type { Fetch } from "../effects.ts";
import type { Chance } from "./chance.ts";
import type { Owner, Scheduler } from "./scheduler.ts";
import type { Connection, Request, Server } from "./server/server.ts";

/** How well a device's line works. All but the delay are probabilities. */
export interface Weather {
  /** Each way, at most. */
  readonly delay_ms: number;
  /** A request gets lost. */
  readonly drop: number;
  /** It is done, and its reply gets lost. */
  readonly dropReply: number;
  /** Something between sends it again, because the first reply got lost there. */
  readonly double: number;
  /** The reply breaks off in the middle. */
  readonly cut: number;
  /** Of what breaks, so much breaks in silence. */
  readonly silent: number;
  /** A proxy keeps each reply until it is whole. */
  readonly holdsBack: boolean;
}

export const fair: Weather = {
  delay_ms: 40,
  drop: 0,
  dropReply: 0,
  double: 0,
  cut: 0,
  silent: 0,
  holdsBack: false,
};

/** A device's way to the server. */
export interface Line {
  isUp: boolean;
  weather: Weather;
}

const givenUp_ms = 120_000;
const encoder = new TextEncoder();

/** One request and its reply, until either is over. */
interface Exchange {
  readonly owner: Owner;
  readonly line: Line;
  /** The line has gone, or something broke: for the client if it is told, for the server in a while. */
  break: (isSilent: boolean) => void;
}

export class Network {
  private readonly wire: Owner = { name: "wire", isAlive: true, isFrozen: false };
  private readonly exchanges = new Set<Exchange>();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly server: Server,
  ) {}

  /** The `fetch` of a process; `sent` is told of each request that it begins. */
  fetchFor(owner: Owner, line: Line, chance: Chance, sent: (request: Request) => void): Fetch {
    return (url, init) =>
      new Promise((resolve, reject) => {
        const request = requestOf(url, init);
        sent(request);
        this.exchange(owner, line, chance, request, init.signal ?? undefined, resolve, reject);
      });
  }

  /** A device's line is gone, or there again. What was under way does not come back. */
  setUp(line: Line, isUp: boolean, chance: Chance): void {
    line.isUp = isUp;
    if (isUp) return;
    for (const each of this.exchanges)
      if (each.line === line) each.break(chance.happens(line.weather.silent));
  }

  /** A process is gone, with its connections. */
  drop(owner: Owner): void {
    for (const each of this.exchanges) if (each.owner === owner) each.break(true);
  }

  private exchange(
    owner: Owner,
    line: Line,
    chance: Chance,
    request: Request,
    signal: AbortSignal | undefined,
    resolve: (response: Response) => void,
    reject: (reason: unknown) => void,
  ): void {
    const { scheduler, server } = this;
    const { weather } = line;
    let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isOver = false;
    let isBroken = false;
    let arrives_ms = 0;
    const delay_ms = () => chance.fraction() * weather.delay_ms;
    const over = () => {
      isOver = true;
      this.exchanges.delete(exchange);
      signal?.removeEventListener("abort", abort);
    };
    const fail = (reason: unknown) => {
      if (isOver) return;
      over();
      if (stream === undefined) reject(reason);
      else stream.error(reason);
    };
    const exchange: Exchange = {
      owner,
      line,
      break: (isSilent) => {
        if (isBroken) return;
        isBroken = true;
        scheduler.after(isSilent ? givenUp_ms : delay_ms(), owner, () =>
          fail(new TypeError("network error")),
        );
        // The server learns of it by what it writes in vain.
        scheduler.after(isSilent ? 30_000 : delay_ms(), this.wire, () => {
          first.isGone = true;
        });
      },
    };
    const abort = () => {
      isBroken = true;
      fail(signal?.reason ?? new DOMException("aborted", "AbortError"));
      scheduler.after(delay_ms(), this.wire, () => {
        first.isGone = true;
      });
    };
    /** What the server does comes in its order. */
    const arrive = (act: () => void) => {
      arrives_ms = Math.max(arrives_ms, scheduler.now_ms + delay_ms());
      scheduler.after(arrives_ms - scheduler.now_ms, owner, () => {
        if (!isOver && !isBroken) act();
      });
    };
    const first = this.reply(chance, weather, exchange, {
      head: (status, headers) =>
        arrive(() => {
          const isBare = status === 204 || status === 304;
          const body = new ReadableStream<Uint8Array>({
            start: (controller) => {
              stream = controller;
            },
            cancel: () => {
              if (isOver) return;
              over();
              scheduler.after(delay_ms(), this.wire, () => {
                first.isGone = true;
              });
            },
          });
          resolve(new Response(isBare ? null : body, { status, headers }));
        }),
      bytes: (bytes) => arrive(() => stream?.enqueue(bytes)),
      end: () =>
        arrive(() => {
          over();
          stream?.close();
        }),
    });

    if (signal?.aborted) {
      abort();
      return;
    }
    signal?.addEventListener("abort", abort);
    this.exchanges.add(exchange);
    if (!line.isUp) {
      exchange.break(false);
      return;
    }
    if (chance.happens(weather.drop)) {
      exchange.break(chance.happens(weather.silent));
      return;
    }
    const deliver = (connection: Connection, asked = request) => {
      if (server.isUp) server.take(asked, connection);
      else connection.lose();
    };
    const isDoubled = chance.happens(weather.double);
    const isReplyLost = chance.happens(weather.dropReply);
    scheduler.after(delay_ms(), this.wire, () => {
      if (!isDoubled)
        return deliver(isReplyLost ? unheard(exchange, chance.happens(weather.silent)) : first);
      deliver(unheard(undefined, true));
      scheduler.after(delay_ms() + chance.fraction() * 2000, this.wire, () =>
        deliver(first, { ...request, isRepeated: true }),
      );
    });
  }

  private reply(chance: Chance, weather: Weather, exchange: Exchange, to: Ends): Reply {
    const cutAfter = chance.happens(weather.cut)
      ? chance.between(0, 2000)
      : Number.POSITIVE_INFINITY;
    const held: Uint8Array[] = [];
    let headers: readonly [number, Readonly<Record<string, string>>] | undefined;
    let written = 0;
    const send = (bytes: Uint8Array) => {
      for (const piece of pieces(bytes, chance)) to.bytes(piece);
    };
    const reply: Reply = {
      isGone: false,
      hasHead: false,
      head: (status, fields) => {
        reply.hasHead = true;
        if (weather.holdsBack) headers = [status, fields];
        else to.head(status, fields);
      },
      write: (text) => {
        if (reply.isGone || text === "") return;
        const bytes = encoder.encode(text);
        written += bytes.length;
        if (weather.holdsBack) held.push(bytes);
        else if (written > cutAfter) {
          send(bytes.slice(0, Math.max(bytes.length - (written - cutAfter), 0)));
          reply.isGone = true;
          exchange.break(chance.happens(weather.silent));
        } else send(bytes);
      },
      end: () => {
        if (reply.isGone) return;
        reply.isGone = true;
        if (headers !== undefined) to.head(...headers);
        for (const bytes of held) send(bytes);
        to.end();
      },
      lose: () => {
        if (reply.isGone) return;
        reply.isGone = true;
        exchange.break(false);
      },
    };
    return reply;
  }
}

interface Ends {
  head(status: number, headers: Readonly<Record<string, string>>): void;
  bytes(bytes: Uint8Array): void;
  end(): void;
}

type Reply = { -readonly [name in keyof Connection]: Connection[name] };

/** A connection whose reply nobody gets. */
function unheard(exchange: Exchange | undefined, isSilent: boolean): Connection {
  let isLost = false;
  const lose = () => {
    if (!isLost) exchange?.break(isSilent);
    isLost = true;
  };
  return { isGone: true, hasHead: false, head: lose, write: lose, end: lose, lose };
}

/** Bytes, now and then in pieces, cut anywhere. */
function pieces(bytes: Uint8Array, chance: Chance): Uint8Array[] {
  if (bytes.length < 2 || !chance.happens(0.15)) return [bytes];
  const at = chance.between(1, bytes.length - 1);
  return [bytes.slice(0, at), bytes.slice(at)];
}

function requestOf(url: string, init: RequestInit): Request {
  const { pathname, searchParams } = new URL(url, "https://desk.example");
  const headers: Record<string, string> = {};
  new Headers(init.headers).forEach((value, name) => {
    headers[name] = value;
  });
  return {
    method: init.method ?? "GET",
    path: pathname,
    query: searchParams,
    headers,
    body: typeof init.body === "string" ? init.body : "",
  };
}
