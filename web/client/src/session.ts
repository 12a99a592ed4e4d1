// Who the device is to the server: one credential for all that is asked, got again before it ends and when it is refused.
// It knows nothing of what is asked, nor of where credentials come from: sessions of the server's own are suppliers, in `sessions/`.

import { SESSION } from "./core/keys.ts";
import type { Effects, Fetch } from "./effects.ts";
import { codeOf, isOurs, SessionUnavailable, SignedOut, unavailable } from "./refusals.ts";
import type { Store } from "./store.ts";
import type { Wiring } from "./transport.ts";

/** What requests are made with. */
export interface Credential {
  readonly token?: string | undefined;
  /** Unix seconds. Without it the credential is used until it is refused. */
  readonly expires_at?: number | undefined;
  /** Whose it is. A later credential of somebody else is not used: another person wants another client. */
  readonly user?: string | undefined;
  /** Whether it was had before, by another process say: where it is refused, one that is new is asked for. */
  readonly isKept?: boolean;
  /** Further headers; asked for each request. Those that have no value, or one that no header may have, are left out. */
  headers?(): Extra | Promise<Extra>;
  /** How requests are made with it, in place of the platform's `fetch`. */
  readonly fetch?: Fetch;
}

type Extra = Readonly<Record<string, string | undefined>>;

export type Supplied = Credential | string | undefined;

/** What a supplier is given. */
export interface Need {
  /** The code with which the last credential was refused, if it was. */
  readonly refused: string | undefined;
  /** Whether the app has just brought this supplier, by `resume`: it counts more than what is kept. */
  readonly isResumed: boolean;
  /** What is kept of sessions is under `session`. */
  readonly store: Store;
  /** Aborted when the session has ended: nothing is kept from then on. */
  readonly signal: AbortSignal;
  readonly fetch: Fetch;
  random(count: number): Uint8Array;
  /** Unix time in milliseconds by the server's clock, as far as that is known. */
  now_ms(): number;
  /** Ask the server, without a credential. */
  request(path: string, asked: Asked): Promise<Response>;
}

/**
 * Where credentials come from. It gives a token, or a credential; undefined where nobody is signed in. It rejects with SignedOut
 * where there will be none, and with anything else where it cannot tell now.
 */
export interface Supplier {
  (need: Need): Supplied | Promise<Supplied>;
  /** Whether there is a session of an earlier process, which is to be ended when the person signs out. */
  isKept?(need: Need): Promise<boolean>;
}

export interface SessionOptions {
  readonly effects: Pick<Effects, "fetch" | "clock" | "random">;
  readonly store: Store;
  /** The server's address, without a slash at its end. */
  readonly url: string;
  readonly supplier: Supplier;
  /** The app's name and version, `web/1.4.0`. */
  readonly app?: string | undefined;
  readonly feature?: string | undefined;
  /** Where the app is used, as `Frontdesk-Context` says it; asked for each request. */
  readonly context?: (() => string | undefined) | undefined;
}

export interface Asked {
  readonly method: string;
  /** JSON, unless a Content-Type says otherwise. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly credentials?: "include";
}

/** What one feed is asked with. */
export interface SessionWiring extends Wiring {
  /**
   * Say that what this wiring gave was refused with 401. Resolves when there is another credential; rejects as
   * `ask` does.
   */
  refused(code: string): Promise<void>;
}

export interface Session {
  readonly isSignedOut: boolean;
  /** Why the server cannot be asked, in the words of what failed; undefined once it could. */
  readonly reason: string | undefined;
  /**
   * Ask the server. A 401 gets another credential and is repeated once; every other answer is returned. Rejects as `fetch` does; with
   * SignedOut where there is no credential to be had; with SessionUnavailable, or what the supplier rejects with, where it may be had later.
   */
  ask(path: string, asked: Asked): Promise<Response>;
  /** What a feed of a transport is asked with: one for each feed. Its functions reject as `ask` does. */
  wiring(): SessionWiring;
  /** Go on after SignedOut, with another supplier where one is given. */
  resume(supplier?: Supplier): void;
  /** End the session at the server, if that answers within 3 s, and here in any case. Never rejects. */
  end(): Promise<void>;
}

const EARLY_MS = 30_000;
const PATIENCE_MS = 30_000;
const GOODBYE_MS = 3_000;
const AT_ONCE = Number.NEGATIVE_INFINITY;

/** Make what knows who the device is to the server. It asks nothing before somebody needs it. */
export function createSession(options: SessionOptions): Session {
  const { effects, store, url, app } = options;
  const { fetch, clock, random } = effects;
  const ending = new AbortController();
  let { supplier } = options;
  let held: Credential = {};
  /** When another one is needed, by the server's clock. */
  let due_ms = AT_ONCE;
  /** How far the server's clock is ahead of the device's. */
  let ahead_ms = 0;
  /** Why there is no credential to be had. */
  let over: string | undefined;
  let renewing: Promise<void> | undefined;
  /** Why `held` was refused. */
  let refusal: string | undefined;
  /** In elapsed time, when a refused one was replaced by a new one. */
  let replaced_ms = AT_ONCE;
  let isResumed = false;
  let reason: string | undefined;

  const now_ms = () => clock.now_ms() + ahead_ms;

  const fails = (error: unknown): void => {
    reason = String((error as Partial<Error> | undefined)?.message ?? error);
  };

  const send: Fetch = async (address, init) => {
    try {
      const response = await (held.fetch ?? fetch)(address, init);
      reason = undefined;
      return response;
    } catch (error) {
      if (!init.signal?.aborted) fails(error);
      throw error;
    }
  };

  const within = <T>(limit_ms: number, work: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const stop = clock.later(limit_ms, () => reject(new SessionUnavailable(0, "timeout")));
      work.then(resolve, reject).finally(stop);
    });

  const need = (): Need => ({
    refused: refusal,
    isResumed,
    store,
    signal: ending.signal,
    fetch,
    random,
    now_ms,
    request: (path, asked) => request(fetch, path, asked, {}),
  });

  const credential = async (): Promise<Credential> => {
    if (!over && !renewing && now_ms() >= due_ms) startRenewing(renew());
    try {
      await renewing;
    } catch (error) {
      // One that ends soon is good until then.
      if (due_ms === AT_ONCE) throw error;
    }
    if (over) throw new SignedOut(over);
    return held;
  };

  const startRenewing = (work: Promise<void>): void => {
    const mine = within(PATIENCE_MS, work);
    renewing = mine;
    const settle = () => {
      if (renewing === mine) renewing = undefined;
    };
    mine.catch(fails).finally(settle);
  };

  const renew = async (): Promise<void> => {
    try {
      const supplied = await supplier(need());
      if (ending.signal.aborted) throw new SignedOut("ended");
      take(typeof supplied === "string" ? { token: supplied } : supplied);
    } catch (error) {
      if (error instanceof SignedOut) close(error.code);
      throw error;
    }
  };

  const take = (next: Credential | undefined): void => {
    const { token, headers, user = held.user, expires_at } = next ?? {};
    const isRefused = refusal && token && token === held.token;
    if (isRefused || !(token || headers)) throw new SignedOut(refusal ?? "no_credential");
    if (held.user && held.user !== user) throw new SignedOut("other_user");
    if (refusal && !next?.isKept) replaced_ms = clock.elapsed_ms();
    refusal = undefined;
    isResumed = false;
    held = { ...next, user };
    const left_ms = expires_at === undefined ? Infinity : expires_at * 1000 - now_ms();
    // New and over already, the device's clock must be wrong: then a refusal has to tell.
    due_ms = left_ms > 0 ? now_ms() + left_ms - Math.min(EARLY_MS, left_ms / 2) : Infinity;
  };

  /** Note that a credential was refused, unless another one has taken its place. */
  const refuse = (used: Credential, code: string, isLast = false): void => {
    if (code === "token_expired" && used.expires_at !== undefined) {
      ahead_ms = Math.max(ahead_ms, used.expires_at * 1000 - clock.now_ms());
    }
    if (used !== held) return;
    // The one that was got for it is refused as well.
    if (isLast || clock.elapsed_ms() - replaced_ms < PATIENCE_MS) {
      close(code);
      throw new SignedOut(code);
    }
    refusal = code;
    due_ms = AT_ONCE;
  };

  const close = (code: string): void => {
    over ??= code;
    held = { user: held.user };
    due_ms = AT_ONCE;
  };

  const headersOf = async ({ token, headers }: Credential): Promise<Record<string, string>> => {
    const all = Object.entries({
      Authorization: token && `Bearer ${token}`,
      "Frontdesk-Client": app,
      "Frontdesk-Feature": options.feature,
      "Frontdesk-Context": options.context?.(),
      ...(await headers?.()),
    });
    // Others than these make every request fail.
    return Object.fromEntries(
      all.filter((each): each is [string, string] => /^[\x20-\x7e]+$/.test(each[1] ?? "")),
    );
  };

  const request = async (
    by: Fetch,
    path: string,
    asked: Asked,
    used: Credential,
  ): Promise<Response> => {
    const response = await by(url + path, {
      ...asked,
      headers: {
        ...(asked.body !== undefined && { "Content-Type": "application/json" }),
        ...(await headersOf(used)),
        ...asked.headers,
      },
    });
    // What is read may come from a cache, with the time at which it got there.
    const date_ms = asked.method !== "GET" && Date.parse(response.headers.get("date") ?? "");
    if (date_ms) ahead_ms = date_ms - clock.now_ms();
    return response;
  };

  const ask = async (path: string, asked: Asked): Promise<Response> => {
    for (let attempt = 1; ; attempt++) {
      const used = await credential();
      const response = await request(send, path, asked, used);
      if (response.status !== 401) return response;
      const code = await codeOf(response);
      if (!isOurs(code)) throw unavailable(response, code);
      refuse(used, code, attempt === 3);
    }
  };

  return {
    get isSignedOut() {
      return over !== undefined;
    },
    get reason() {
      return over ?? reason;
    },
    ask,
    wiring() {
      let used: Credential | undefined;
      const use = async () => {
        used = await credential();
        return used;
      };
      return {
        fetch: send,
        clock,
        url,
        app,
        headers: async () => headersOf(await use()),
        token: async () => (await use()).token,
        async refused(code) {
          if (used && isOurs(code)) refuse(used, code);
          await credential();
        },
      };
    },
    resume(next) {
      if (ending.signal.aborted) return;
      const before = renewing;
      over = undefined;
      due_ms = AT_ONCE;
      const work = async () => {
        await before?.catch(() => {});
        if (ending.signal.aborted) throw new SignedOut("ended");
        over = undefined;
        refusal = undefined;
        if (next) {
          supplier = next;
          isResumed = true;
        }
        await renew();
      };
      startRenewing(work());
      renewing?.catch(() => {});
    },
    async end() {
      const goodbye = async () => {
        if (over) return;
        const isThere = held.token || held.headers || (await supplier.isKept?.(need()));
        if (isThere) await ask("/api/sessions/current", { method: "DELETE" });
      };
      await within(GOODBYE_MS, goodbye()).catch(() => {});
      ending.abort();
      over = "ended";
      close(over);
      held = {};
      await store.commit([[SESSION, undefined]]).catch(() => {});
    },
  };
}
