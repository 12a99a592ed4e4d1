// @vitest-environment node

import { describe, expect, test } from "vitest";
import { type Store, StoreError } from "../store.ts";
import { memoryStore } from "../stores/memory.ts";
import { anonymousSession, attested, cookieSession, refreshingSession } from "./index.ts";
import { hour_s, post, settle, setUp, url, userOf } from "./testing/world.ts";

// --- an anonymous session -----------------------------------------------------------------------------

describe("an anonymous session", () => {
  test("begins when something is asked, once for all who ask", async () => {
    const { server, session } = setUp();
    expect(server.log).toEqual([]);

    const users = await Promise.all([
      userOf(session.ask("/api/sync", post)),
      userOf(session.ask("/api/sync", post)),
    ]);

    expect([users, server.log]).toEqual([
      ["anon_0", "anon_0"],
      ["POST /api/sessions", "POST /api/sync", "POST /api/sync"],
    ]);
  });

  test("is the same in the next process, which asks for nothing", async () => {
    const { server, session, process } = setUp();
    await session.token();

    expect([await process().token(), server.log]).toEqual(["fd_st_0_0", ["POST /api/sessions"]]);
  });

  test("is one where two processes begin at the same time", async () => {
    const { session, process } = setUp();

    const tokens = await Promise.all([session.token(), process().token()]);

    expect(new Set(tokens).size).toBe(1);
  });

  test("of a person who is lost is not begun anew, for what is kept is theirs", async () => {
    const { server, session, process } = setUp();
    await session.token();
    server.revoke(0);

    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({
      name: "SignedOut",
      code: "token_revoked",
    });
    await expect(process().token()).rejects.toMatchObject({ name: "SignedOut" });
    expect([session.isSignedOut, server.rows.length]).toEqual([true, 1]);
  });

  test("that the server does not give is signed out; one that it does not give now comes later", async () => {
    const { server, session } = setUp();
    const answer = (status: number, code: string) =>
      new Response(JSON.stringify({ error: { code } }), {
        status,
        headers: { "Retry-After": "9" },
      });
    server.intercept = () => answer(429, "too_many_sessions");

    await expect(session.token()).rejects.toMatchObject({
      name: "SessionUnavailable",
      status: 429,
      code: "too_many_sessions",
      retryAfter_s: 9,
    });
    expect(session.isSignedOut).toBe(false);
    server.intercept = () => answer(401, "missing_credential");
    await expect(session.token()).rejects.toMatchObject({ code: "missing_credential" });
    expect(session.isSignedOut).toBe(true);
  });
});

// --- renewal -------------------------------------------------------------------------------------------

describe("a session that goes on", () => {
  test("is renewed 30 s before its end, once for all", async () => {
    const { clock, server, session } = setUp();
    await session.token();
    clock.pass((hour_s - 31) * 1000);
    expect(await session.token()).toBe("fd_st_0_0");

    clock.pass(1_000);
    const tokens = await Promise.all([session.token(), session.token(), session.token()]);

    expect([tokens, server.log]).toEqual([
      ["fd_st_0_1", "fd_st_0_1", "fd_st_0_1"],
      ["POST /api/sessions", "POST /api/sessions/refresh"],
    ]);
  });

  test("uses what it has while it cannot be renewed", async () => {
    const { clock, server, session } = setUp();
    await session.token();
    clock.pass((hour_s - 20) * 1000);
    server.intercept = () => Promise.reject(new TypeError("Failed to fetch"));

    expect(await session.token()).toBe("fd_st_0_0");
  });

  test("takes what another process has renewed", async () => {
    const { clock, server, session, process } = setUp();
    await session.token();
    const other = process();
    await other.token();
    clock.pass((hour_s - 10) * 1000);
    await other.token();

    expect([await session.token(), server.log.length]).toEqual(["fd_st_0_1", 2]);
  });

  test("survives that two processes renew it at once", async () => {
    const { clock, server, session, process } = setUp();
    const others = [session, process(), process()];
    for (const one of others) await one.token();
    clock.pass((hour_s - 10) * 1000);

    const tokens = await Promise.all(others.map((one) => one.token()));

    expect([new Set(tokens), server.rows[0]?.isEnded]).toEqual([new Set(["fd_st_0_1"]), false]);
  });

  test("survives a lost reply", async () => {
    const { clock, server, session, process } = setUp();
    await session.token();
    clock.pass((hour_s + 1) * 1000);
    server.losesReply = (line) => line.endsWith("refresh");
    await expect(session.ask("/api/sync", post)).rejects.toThrow("Failed to fetch");

    server.losesReply = () => false;
    clock.pass(20_000);

    expect(await userOf(process().ask("/api/sync", post))).toBe("anon_0");
    expect(await userOf(session.ask("/api/sync", post))).toBe("anon_0");
  });

  test("survives a store that does not take it now", async () => {
    const inner = memoryStore();
    let isBroken = false;
    const store: Store = {
      ...inner,
      async commit(writes, guards) {
        if (isBroken) throw new StoreError("broken", "It is.");
        return inner.commit(writes, guards);
      },
    };
    const { clock, session, process } = setUp(anonymousSession, store);
    await session.token();
    clock.pass(hour_s * 1000);
    isBroken = true;
    expect(await session.token()).toBe("fd_st_0_1");
    isBroken = false;

    // Whatever is asked next has it written.
    await session.headers();
    await settle();

    expect(await store.get(["session"])).toMatchObject([{ token: "fd_st_0_1" }]);
    expect(await process().token()).toBe("fd_st_0_1");
  });

  test("works where nothing may be kept", async () => {
    const denied = () => Promise.reject(new StoreError("denied", "Nothing is kept here."));
    const store: Store = { ...memoryStore(), get: denied, commit: denied };
    const { clock, session } = setUp(anonymousSession, store);
    expect(await session.token()).toBe("fd_st_0_0");
    clock.pass(hour_s * 1000);

    expect(await session.token()).toBe("fd_st_0_1");
  });

  test("is not lost to a proxy that answers in the server's place", async () => {
    const { clock, server, session } = setUp();
    await session.token();
    clock.pass(2 * hour_s * 1000);
    for (const [status, text] of [
      [200, "<html>Sign in to the hotel's network"],
      [401, "<html>Who are you?"],
      [403, "{}"],
      [404, '{"error": {"code": "not_found"}}'],
      [502, "bad gateway"],
    ] as const) {
      server.intercept = () => new Response(text, { status });
      await session.ask("/api/sync", post).catch(() => {});
      expect([status, session.isSignedOut]).toEqual([status, false]);
    }
    server.intercept = () => undefined;

    expect(await userOf(session.ask("/api/sync", post))).toBe("anon_0");
  });

  test("does not wait for ever for a server that does not answer", async () => {
    const { clock, server, session } = setUp();
    server.intercept = () => new Promise(() => {});
    const asked = session.token();
    const told = expect(asked).rejects.toMatchObject({ name: "SessionUnavailable", status: 0 });
    await settle();
    clock.pass(30_000);
    await told;
    server.intercept = () => undefined;

    expect([await session.token(), clock.waiting()]).toEqual(["fd_st_0_0", 0]);
  });
});

// --- a supplier whose grants go on ----------------------------------------------------------------------

describe("what the app grants", () => {
  test("is asked once where its session can be refreshed, and again once that fails", async () => {
    let given = 0;
    const { clock, server, session, process } = setUp(() =>
      refreshingSession(() => {
        given++;
        return server.begin("u1");
      }),
    );
    await session.token();
    clock.pass(hour_s * 1000);
    expect([await process().token(), given]).toEqual(["fd_st_0_1", 1]);
    server.revoke(0);

    expect([await userOf(session.ask("/api/sync", post)), given]).toEqual(["u1", 2]);
  });

  test("may give nobody else than before", async () => {
    const people = ["u1", "u2"];
    const { server, session, process, store } = setUp(() =>
      refreshingSession(() => server.begin(people.shift())),
    );
    await session.token();
    server.revoke(0);

    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({ code: "other_user" });

    expect(await store.get(["session"])).toEqual([{ user: "u1" }]);
    await expect(
      process({ supplier: refreshingSession(() => server.begin("u3")) }).token(),
    ).rejects.toMatchObject({
      code: "other_user",
    });
  });

  test("keeps nothing in the store of a token that cannot be refreshed", async () => {
    const { session, store } = setUp(() => refreshingSession(() => "fd_st_0_0"));
    await session.token();

    expect(await store.list("")).toEqual([]);
  });
});

// --- cookies ---------------------------------------------------------------------------------------------

describe("a session in a cookie", () => {
  test("that the page has is used with its CSRF token, and never told", async () => {
    const { server, session } = setUp(cookieSession);
    server.beginInCookie("u1");

    expect(await userOf(session.ask("/api/sync", post))).toBe("u1");

    expect([
      await session.token(),
      server.lastHeaders["Frontdesk-CSRF"],
      server.credentials,
    ]).toEqual([undefined, "csrf_0", "include"]);
    await session.wiring().fetch(`${url}/x`, { method: "GET", headers: {} });
    expect(server.credentials).toBe("include");
  });

  test("is refreshed where its token ended while the page was away", async () => {
    const { clock, server, session } = setUp(cookieSession);
    server.beginInCookie("u1");
    clock.pass(2 * hour_s * 1000);

    expect(await userOf(session.ask("/api/sync", post))).toBe("u1");

    expect(server.log).toEqual([
      "GET /api/sessions/current",
      "GET /api/sessions/refresh",
      "POST /api/sessions/refresh",
      "POST /api/sync",
    ]);
  });

  test("is refreshed at a 401, and before its end", async () => {
    const { clock, server, session } = setUp(cookieSession);
    server.beginInCookie("u1");
    await session.ask("/api/sync", post);
    clock.pass(hour_s * 1000);
    await session.ask("/api/sync", post);

    expect(server.log.slice(2)).toEqual(["POST /api/sessions/refresh", "POST /api/sync"]);
  });

  test("that became another person's is not used", async () => {
    const { server, session } = setUp(cookieSession);
    server.beginInCookie("u1");
    await session.ask("/api/sync", post);
    server.beginInCookie("u2");

    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({ code: "other_user" });
  });

  test("that became another one of the same person goes on", async () => {
    const { server, session } = setUp(cookieSession);
    server.beginInCookie("u1");
    await session.ask("/api/sync", post);
    server.beginInCookie("u1");

    expect(await userOf(session.ask("/api/sync", post))).toBe("u1");
  });

  test("where there is none is signed out, or begun", async () => {
    const { session } = setUp(cookieSession);
    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({
      code: "missing_credential",
    });

    const anonymous = setUp(() => cookieSession({ isAnonymous: true }));
    expect(await userOf(anonymous.session.ask("/api/sync", post))).toBe("anon_0");
    expect(await anonymous.store.get(["session"])).toEqual([
      { device: "07".repeat(16), user: "anon_0" },
    ]);
  });
});

// --- attestation ------------------------------------------------------------------------------------------

describe("an attestation", () => {
  test("that is refused is no sign-out, and another one is said the next time", async () => {
    let count = 0;
    const { server, session } = setUp(() =>
      attested(
        () => "fd_st_0_0",
        async () => `word-${count++}`,
      ),
    );
    server.begin("u1");
    server.intercept = () =>
      new Response(JSON.stringify({ error: { code: "attestation_invalid" } }), { status: 401 });

    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({
      name: "SessionUnavailable",
      status: 401,
    });
    server.intercept = () => undefined;
    await session.ask("/api/sync", post);

    expect([session.isSignedOut, server.lastHeaders["Frontdesk-Attestation"]]).toEqual([
      false,
      "word-1",
    ]);
  });

  test("goes with the request that begins a session as well", async () => {
    const { server, session } = setUp(() => attested(anonymousSession(), () => "word"));
    const said: (string | undefined)[] = [];
    server.intercept = (_, { headers }) => {
      said.push((headers as Record<string, string>)["Frontdesk-Attestation"]);
      return undefined;
    };

    expect(await userOf(session.ask("/api/sync", post))).toBe("anon_0");
    expect(said).toEqual(["word", "word"]);
  });
});

// --- sessions that are had in two places ------------------------------------------------------------------

describe("a session of an earlier process", () => {
  test("is ended with that one's credential, though nothing was asked yet", async () => {
    const { server, session, process } = setUp();
    await session.token();

    await process().end();

    expect([server.rows[0]?.isEnded, server.log]).toEqual([
      true,
      ["POST /api/sessions", "DELETE /api/sessions/current"],
    ]);
  });

  test("in a cookie is ended too", async () => {
    const { server, session } = setUp(cookieSession);
    server.beginInCookie("u1");

    await session.end();

    expect(server.rows[0]?.isEnded).toBe(true);
  });

  test("that was replaced by another process is taken; where that one was revoked, it is renewed", async () => {
    const { clock, server, session, process } = setUp(() =>
      refreshingSession(() => server.begin("u1")),
    );
    await session.token();
    const other = process();
    await other.token();
    clock.pass((hour_s - 10) * 1000);
    await other.token();
    server.revoke(0);
    server.intercept = (line, init) =>
      line.endsWith("sync") &&
      String((init.headers as Record<string, string>).Authorization).endsWith("_0_0")
        ? new Response(JSON.stringify({ error: { code: "token_revoked" } }), { status: 401 })
        : undefined;

    expect(await userOf(session.ask("/api/sync", post))).toBe("u1");
    expect(server.rows.length).toBe(2);
  });
});
