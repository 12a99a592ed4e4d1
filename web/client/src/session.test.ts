// @vitest-environment node

import { describe, expect, test } from "vitest";
import type { Supplied } from "./session.ts";
import { anonymousSession } from "./sessions/index.ts";
import { hour_s, post, settle, setUp, userOf } from "./sessions/testing/world.ts";

// --- refusals -------------------------------------------------------------------------------------------

describe("a 401", () => {
  const counting = () => {
    let given = 0;
    const asked: (string | undefined)[] = [];
    const world = setUp(() => ({ refused }): Supplied => {
      asked.push(refused);
      const { refresh_token: _, ...session } = world.server.begin("u1");
      given++;
      return session;
    });
    return { ...world, asked, given: () => given };
  };

  test("is answered by one renewal for all who got it, and each asks once more", async () => {
    const { server, session, asked } = counting();
    await session.token();
    server.revoke(0);

    const users = await Promise.all([1, 2, 3].map(() => userOf(session.ask("/api/sync", post))));

    expect([users, asked, server.log.length]).toEqual([
      ["u1", "u1", "u1"],
      [undefined, "token_revoked"],
      6,
    ]);
  });

  test("that comes again signs out, and all that follows is not even asked", async () => {
    const { server, session, given } = counting();
    server.intercept = () =>
      new Response(JSON.stringify({ error: { code: "token_revoked" } }), { status: 401 });

    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({ code: "token_revoked" });
    await expect(session.headers()).rejects.toMatchObject({ name: "SignedOut" });

    expect([given(), server.log.length, session.isSignedOut]).toEqual([2, 2, true]);
  });

  test("of a token that the app gives again signs out at once", async () => {
    const { server, session } = setUp(() => () => "fd_st_9_9");

    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({ code: "invalid_token" });

    expect(server.log).toEqual(["POST /api/sync"]);
  });

  test("that came late, of one replaced meanwhile, replaces nothing", async () => {
    const { server, session, asked } = counting();
    await session.token();
    let answer = (_: Response) => {};
    server.intercept = (line) =>
      line === "GET /late"
        ? new Promise((resolve) => {
            server.intercept = () => undefined;
            answer = resolve;
          })
        : undefined;
    const late = session.ask("/late", { method: "GET" });
    await settle();
    server.revoke(0);
    await session.ask("/api/sync", post);
    answer(new Response(JSON.stringify({ error: { code: "token_revoked" } }), { status: 401 }));

    expect([await userOf(late), asked.length]).toEqual(["u1", 2]);
  });

  test("of a feed renews as well, and signs out where the new one is refused too", async () => {
    const { clock, server, session, asked } = counting();
    const wiring = session.wiring();
    expect((await wiring.headers()).Authorization).toBe("Bearer fd_st_0_0");
    server.revoke(0);
    await wiring.refused("token_revoked");
    const next = session.wiring();
    expect([await next.token(), asked.length]).toEqual(["fd_st_1_0", 2]);

    // An older feed, which had the first one, says nothing of the second.
    await wiring.refused("token_revoked");
    expect(asked.length).toBe(2);

    clock.pass(1_000);
    await expect(next.refused("token_revoked")).rejects.toMatchObject({ code: "token_revoked" });
    expect(session.isSignedOut).toBe(true);
  });

  test("other answers are returned as they are", async () => {
    const { server, session } = setUp();
    await session.token();
    for (const status of [400, 403, 404, 409, 426, 429, 500, 503]) {
      server.intercept = () => new Response("{}", { status });
      expect((await session.ask("/api/sync", post)).status).toBe(status);
    }
    expect(session.isSignedOut).toBe(false);
  });
});

// --- clocks ----------------------------------------------------------------------------------------------

describe("the device's clock", () => {
  test.each([-7, 7])(
    "may be wrong by %i hours where the server's Date can be read",
    async (hours) => {
      const { clock, server, session } = setUp();
      clock.set(hours * hour_s * 1000);
      await session.ask("/api/sync", post);
      clock.pass((hour_s - 32) * 1000);
      expect(await session.token()).toBe("fd_st_0_0");
      clock.pass(3_000);

      expect([
        await session.token(),
        server.log.filter((line) => line === "POST /api/sync").length,
      ]).toEqual(["fd_st_0_1", 1]);
    },
  );

  test.each([-7, 7])(
    "may be wrong by %i hours where it cannot, at the price of a refusal",
    async (hours) => {
      const { clock, server, session } = setUp();
      server.showsDate = false;
      clock.set(hours * hour_s * 1000);
      for (let minute = 0; minute < 150; minute++) {
        expect(await userOf(session.ask("/api/sync", post))).toBe("anon_0");
        clock.pass(60_000);
      }

      const renewals = server.log.filter((line) => line.endsWith("refresh")).length;
      const refusals = server.log.filter((line) => line.endsWith("sync")).length - 150;
      // A clock that is behind is put right by the first refusal; one that is ahead may be right, and the token short-lived.
      expect([renewals, refusals]).toEqual([2, hours < 0 ? 1 : 2]);
    },
  );

  test("may be set while the process runs", async () => {
    const { clock, server, session } = setUp();
    await session.ask("/api/sync", post);
    clock.set(24 * hour_s * 1000);

    for (let count = 0; count < 5; count++) await session.ask("/api/sync", post);

    expect(server.log.filter((line) => line.endsWith("refresh")).length).toBe(1);
  });
});

// --- the app's supplier -------------------------------------------------------------------------------

describe("the app's supplier", () => {
  test("that has nobody is signed out, until the app resumes with somebody", async () => {
    const { server, session } = setUp(() => async () => undefined);
    await expect(session.ask("/api/sync", post)).rejects.toMatchObject({ code: "no_credential" });

    session.resume(async () => server.begin("u1"));

    expect([session.isSignedOut, await userOf(session.ask("/api/sync", post))]).toEqual([
      false,
      "u1",
    ]);
  });

  test("that cannot tell is asked again, and nobody is signed out", async () => {
    let tries = 0;
    const { server, session } = setUp(() => async () => {
      if (tries++ === 0) throw new Error("offline");
      return server.begin("u1");
    });

    await expect(session.token()).rejects.toThrow("offline");

    expect([session.isSignedOut, await session.token()]).toEqual([false, "fd_st_0_0"]);
  });

  test("that the app brings counts more than what is kept", async () => {
    const { server, session } = setUp(() => () => server.begin("u1"));
    await session.token();

    session.resume(() => server.begin("u1"));

    expect(await session.token()).toBe("fd_st_1_0");
  });

  test("that the app brings while the one before is being asked counts more than that one", async () => {
    let answer = (_: string) => {};
    const { session } = setUp(() => () => new Promise<string>((resolve) => (answer = resolve)));
    const first = session.token();
    await settle();
    let asked = 0;
    session.resume(async () => {
      asked++;
      await settle();
      return "new";
    });
    answer("old");
    await settle();
    const tokens = await Promise.all([session.token(), session.token()]);

    expect([await first, tokens, asked]).toEqual(["old", ["new", "new"], 1]);
  });
});

// --- its end ------------------------------------------------------------------------------------------------

describe("the end of a session", () => {
  test("is told to the server, and nothing is left of it", async () => {
    const { server, session, store } = setUp();
    await session.token();

    await session.end();

    expect([server.rows[0]?.isEnded, await store.list(""), session.isSignedOut]).toEqual([
      true,
      [],
      true,
    ]);
    session.resume(anonymousSession());
    await expect(session.token()).rejects.toMatchObject({ code: "ended" });
  });

  test("waits 3 s for the server, and no longer", async () => {
    const { clock, server, session, store } = setUp();
    await session.token();
    server.intercept = () => new Promise(() => {});

    let isOver = false;
    const ended = session.end().then(() => {
      isOver = true;
    });
    await settle();
    clock.pass(2_999);
    await settle();
    expect(isOver).toBe(false);
    clock.pass(1);
    await ended;

    expect(await store.list("")).toEqual([]);
  });

  test("of what never began asks nothing", async () => {
    const { server, session } = setUp();
    await session.end();

    expect(server.log).toEqual([]);
  });

  test("is not undone by a renewal that comes back later", async () => {
    const { clock, server, session, store } = setUp();
    await session.token();
    clock.pass(hour_s * 1000);
    let answer = () => {};
    server.intercept = (line) =>
      line.endsWith("refresh")
        ? new Promise((resolve) => {
            server.intercept = () => undefined;
            answer = () => resolve(new Response(JSON.stringify(server.begin("anon_0"))));
          })
        : undefined;
    const renewed = session.token().catch(({ code }: { code: string }) => code);
    await settle();
    const ended = session.end();
    await settle();
    clock.pass(3_000);
    await ended;
    answer();

    expect([await renewed, await store.list("")]).toEqual(["ended", []]);
  });

  test("is not undone by a beginning that comes back later", async () => {
    const { server, session, store } = setUp();
    let answer = () => {};
    server.intercept = () =>
      new Promise((resolve) => {
        answer = () => resolve(new Response(JSON.stringify(server.begin())));
      });
    const begun = session.token().catch(({ code }: { code: string }) => code);
    await settle();
    await session.end();
    answer();

    expect([await begun, await store.list("")]).toEqual(["ended", []]);
  });

  test("in another process ends this one's at its next renewal", async () => {
    const { clock, session, process } = setUp();
    await session.token();
    const other = process();
    await other.token();
    await other.end();
    clock.pass(hour_s * 1000);

    await expect(session.token()).rejects.toMatchObject({ name: "SignedOut" });
  });
});

// --- headers ------------------------------------------------------------------------------------------------

describe("a request", () => {
  test("says who asks, by which app, for what, and where", async () => {
    const { server, process } = setUp();
    let screen = "cart";
    const session = process({
      app: "web/1.4.0",
      feature: "support",
      context: () => `screen="${screen}"`,
    });
    await session.ask("/api/sync", { ...post, headers: { "Frontdesk-Feature": "chat" } });
    screen = "start";

    expect([server.lastHeaders, await session.headers()]).toEqual([
      {
        "Content-Type": "application/json",
        Authorization: "Bearer fd_st_0_0",
        "Frontdesk-Client": "web/1.4.0",
        "Frontdesk-Feature": "chat",
        "Frontdesk-Context": 'screen="cart"',
      },
      {
        Authorization: "Bearer fd_st_0_0",
        "Frontdesk-Client": "web/1.4.0",
        "Frontdesk-Feature": "support",
        "Frontdesk-Context": 'screen="start"',
      },
    ]);
  });

  test("leaves out what no header may say", async () => {
    const { process } = setUp();
    const session = process({ context: () => 'location="Köln"' });

    expect(await session.headers()).toEqual({ Authorization: "Bearer fd_st_0_0" });
  });
});
