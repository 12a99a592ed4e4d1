// A server that has sessions and nothing else, a clock that goes on when it is told to, and a session between them.

import { createSession, type SessionOptions, type Supplier } from "../../session.ts";
import type { Store } from "../../store.ts";
import { memoryStore } from "../../stores/memory.ts";
import { anonymousSession } from "../refreshing.ts";

export const url = "https://chat.example";
export const hour_s = 3_600;

/** A clock that goes on only when it is told to. */
export function fakeClock(now_ms = 1_800_000_000_000) {
  let elapsed_ms = 0;
  let timers: { at_ms: number; act: () => void }[] = [];
  return {
    now_ms: () => now_ms,
    elapsed_ms: () => elapsed_ms,
    later(delay_ms: number, act: () => void) {
      const timer = { at_ms: elapsed_ms + delay_ms, act };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    pass(span_ms: number) {
      now_ms += span_ms;
      elapsed_ms += span_ms;
      const due = timers.filter(({ at_ms }) => at_ms <= elapsed_ms);
      timers = timers.filter(({ at_ms }) => at_ms > elapsed_ms);
      for (const { act } of due) act();
    },
    /** The person, or the network, sets it. */
    set(span_ms: number) {
      now_ms += span_ms;
    },
    waiting: () => timers.length,
  };
}

interface Row {
  readonly user: string;
  number: number;
  refreshed_s: number;
  /** When the token of each number ends. */
  readonly ends: number[];
  isEnded: boolean;
}

/** Sessions as the server keeps them: docs/api.md. Its clock is its own. */
function fakeServer(clock: ReturnType<typeof fakeClock>) {
  const started_ms = clock.elapsed_ms();
  const began_s = Math.floor(clock.now_ms() / 1000);
  const rows: Row[] = [];
  const log: string[] = [];
  let cookie: number | undefined;
  const world = {
    log,
    rows,
    /** Answers in place of the server, when it gives one. */
    intercept: (_line: string, _init: RequestInit): Response | Promise<Response> | undefined =>
      undefined,
    /** Whether a page may read `Date`. */
    showsDate: true,
    /** Loses the reply to what was done. */
    losesReply: (_line: string) => false,
    now_s: () => began_s + Math.floor((clock.elapsed_ms() - started_ms) / 1000),
    lastHeaders: {} as Record<string, string>,
    credentials: undefined as string | undefined,
    fetch: async (address: string, init: RequestInit): Promise<Response> => {
      const line = `${init.method} ${address.slice(url.length)}`;
      log.push(line);
      world.lastHeaders = init.headers as Record<string, string>;
      world.credentials = init.credentials;
      const answer = (await world.intercept(line, init)) ?? serve(line, init);
      if (world.losesReply(line)) throw new TypeError("Failed to fetch");
      return answer;
    },
    begin(user = `anon_${rows.length}`) {
      const index = add(user);
      return { ...told(index), ...tokens(index) };
    },
    beginInCookie(user = `anon_${rows.length}`) {
      cookie = add(user);
      return inCookie(cookie);
    },
    revoke(index: number) {
      const row = rows[index];
      if (row) row.isEnded = true;
    },
  };

  const json = (body: object, status = 200, headers: Record<string, string> = {}) =>
    new Response(JSON.stringify(body), {
      status,
      headers: {
        ...(world.showsDate && { Date: new Date(world.now_s() * 1000).toUTCString() }),
        ...headers,
      },
    });
  const refused = (code: string, status = 401) => json({ error: { code, message: code } }, status);

  const add = (user: string) => {
    const ends = [world.now_s() + hour_s];
    return rows.push({ user, number: 0, refreshed_s: 0, ends, isEnded: false }) - 1;
  };
  const told = (index: number) => {
    const { user, number, ends } = rows[index] as Row;
    return { id: `sess_${index}`, user, expires_at: ends[number] };
  };
  const tokens = (index: number) => {
    const { number } = rows[index] as Row;
    return { token: `fd_st_${index}_${number}`, refresh_token: `fd_rt_${index}_${number}` };
  };
  const inCookie = (index: number) => ({ ...told(index), csrf_token: `csrf_${index}` });

  const go = (index: number, number: number, isInCookie: boolean): Response => {
    const row = rows[index];
    if (!row || row.isEnded) return refused("token_revoked");
    if (number === row.number) {
      row.number++;
      row.refreshed_s = world.now_s();
      row.ends.push(world.now_s() + hour_s);
    } else if (number !== row.number - 1 || world.now_s() - row.refreshed_s > 60) {
      row.isEnded = true;
      return refused("refresh_token_reused");
    }
    return json(isInCookie ? inCookie(index) : { ...told(index), ...tokens(index) });
  };

  const serve = (line: string, init: RequestInit): Response => {
    const headers = init.headers as Record<string, string>;
    const body = init.body ? (JSON.parse(String(init.body)) as Record<string, string>) : {};
    const token = headers.Authorization?.replace("Bearer ", "");
    const csrf = headers["Frontdesk-CSRF"];
    const byCookie = token === undefined && init.credentials === "include" ? cookie : undefined;

    if (line === "POST /api/sessions/refresh" && body.refresh_token) {
      const [index, number] = body.refresh_token.split("_").slice(2).map(Number);
      return go(index as number, number as number, false);
    }
    if (line.endsWith(" /api/sessions/refresh")) {
      if (byCookie === undefined) return refused("missing_credential");
      if (line.startsWith("GET")) return json({ id: "", csrf_token: `csrf_${byCookie}` });
      if (csrf !== `csrf_${byCookie}`) return refused("csrf_failed", 403);
      return go(byCookie, (rows[byCookie] as Row).number, true);
    }
    if (line === "POST /api/sessions" && !token && byCookie === undefined) {
      return json(init.credentials === "include" ? world.beginInCookie() : world.begin());
    }
    if (token === undefined && byCookie === undefined) return refused("missing_credential");
    const [index, number] =
      byCookie === undefined
        ? (token ?? "").split("_").slice(2).map(Number)
        : [byCookie, rows[byCookie]?.number];
    const row = rows[index ?? -1];
    if (!row || number === undefined) return refused("invalid_token");
    if (row.isEnded) return refused("token_revoked");
    if ((row.ends[number] ?? 0) <= world.now_s()) return refused("token_expired");
    if (byCookie !== undefined && !line.startsWith("GET") && csrf !== `csrf_${byCookie}`) {
      return refused("csrf_failed", 403);
    }
    if (line === "GET /api/sessions/current") return json(inCookie(index as number));
    if (line === "DELETE /api/sessions/current") row.isEnded = true;
    return json({ user: row.user });
  };

  return world;
}

export function setUp(make: () => Supplier = anonymousSession, store: Store = memoryStore()) {
  const clock = fakeClock();
  const server = fakeServer(clock);
  const process = (options: Partial<SessionOptions> = {}) => {
    const session = createSession({
      effects: { fetch: server.fetch, clock, random: (count) => new Uint8Array(count).fill(7) },
      store,
      url,
      supplier: make(),
      ...options,
    });
    return Object.assign(session, {
      headers: () => session.wiring().headers(),
      token: () => session.wiring().token(),
    });
  };
  return { clock, server, store, process, session: process() };
}

export const userOf = async (answer: Promise<Response>) =>
  ((await (await answer).json()) as { user: string }).user;
export const post = { method: "POST", body: "{}" };
export const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
