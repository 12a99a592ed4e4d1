// What of a session outlives the process: the record `session` of the store, which all processes of a device share, and the last word
// of which a process has in memory, for where nothing may be kept.

import { SESSION } from "../core/keys.ts";
import { codeOf, isOurs, SignedOut, unavailable } from "../refusals.ts";
import type { Credential, Need } from "../session.ts";

/** What the server answers to `POST /api/sessions`, or as much of it as the app has. */
export interface Grant {
  readonly token: string;
  /** Unix seconds. Without it the token is used until it is refused. */
  readonly expires_at?: number | undefined;
  /** With it the session goes on by itself and is kept in the store. */
  readonly refresh_token?: string | undefined;
  /** Whose it is. A later one of somebody else is not used: another person wants another client. */
  readonly user?: string | undefined;
}

export type Held = {
  readonly token?: string | undefined;
  readonly expires_at?: number | undefined;
  readonly refresh_token?: string | undefined;
  /** Stays when all else is gone: what is kept on this device is this person's. */
  readonly user?: string | undefined;
  /** What the server knows the device by when it counts anonymous sessions. */
  readonly device?: string | undefined;
  readonly csrf_token?: string | undefined;
};

/** What is in the store, and what counts: that, or what is in memory where the store has nothing. */
export interface Found {
  readonly kept: Held | undefined;
  readonly last: Held;
}

export interface SessionRecord {
  /** What was given last, by whichever process, as far as this one knows. */
  readonly held: Held;
  read(need: Need): Promise<Found>;
  /** Use what another process was given. */
  share(need: Need, other: Held): Credential;
  /** Use what was just given, once it is kept. Another process that was quicker has its own used. */
  adopt(need: Need, got: Held, found: Found): Promise<Credential>;
  /** Keep the person and the device alone: what was given is of no use any more. */
  empty(need: Need, found: Found): Promise<void>;
  /** Hold what is not kept yet. */
  hold(next: Held): void;
}

export function makeRecord(): SessionRecord {
  let held: Held = {};
  /** Does what the store could not do. */
  let writeAgain: (() => void) | undefined;

  const read = async ({ store }: Need): Promise<Found> => {
    let kept: Held | undefined;
    try {
      // What was written is what is read: nobody else writes under this key.
      [kept] = (await store.get([SESSION])) as [Held | undefined];
    } catch {
      // There is what is in memory.
    }
    return { kept, last: kept ?? held };
  };

  /** False where another process was quicker; what the store cannot do now is tried again. */
  const write = async (need: Need, next: Held, kept: Held | undefined): Promise<boolean> => {
    writeAgain = undefined;
    const { device, user } = next;
    if (!kept && !device && !user && !next.refresh_token) return true;
    try {
      const value = next.refresh_token ? next : { device, user };
      return await need.store.commit([[SESSION, value]], [{ key: SESSION, is: kept }]);
    } catch {
      writeAgain = () => {
        if (!need.signal.aborted) void write(need, next, kept);
      };
      return true;
    }
  };

  const use = (need: Need, next: Held, isKept: boolean): Credential => {
    if (need.signal.aborted) throw new SignedOut("ended");
    check(held.user, next.user);
    held = next;
    const { token, expires_at, user, csrf_token } = next;
    const headers = () => {
      writeAgain?.();
      return { "Frontdesk-CSRF": csrf_token };
    };
    return { token, expires_at, user, isKept, headers };
  };

  const adopt = async (need: Need, got: Held, { kept, last }: Found): Promise<Credential> => {
    const { token, expires_at, refresh_token, csrf_token, user = last.user } = got;
    check(last.user, user);
    const next = { device: last.device, user, token, expires_at, refresh_token, csrf_token };
    if (need.signal.aborted) throw new SignedOut("ended");
    if (await write(need, next, kept)) return use(need, next, false);
    const { kept: other } = await read(need);
    // Nothing at all: another process has just signed out.
    if (kept && !other) throw new SignedOut("ended");
    // Another one began, or was quicker. The same as before only could not be read then.
    if (other?.token && other.refresh_token !== last.refresh_token && !need.isResumed) {
      return use(need, other, true);
    }
    return adopt(need, got, { kept: other, last: { ...other, device: last.device } });
  };

  return {
    get held() {
      return held;
    },
    read,
    share: (need, other) => use(need, other, true),
    adopt,
    async empty(need, { kept, last }) {
      const rest = { device: last.device, user: last.user };
      // If it is not there any more, another process put the next one in its place: that counts then.
      const isWritten = await write(need, rest, kept);
      if (isWritten && held.refresh_token === last.refresh_token) held = rest;
    },
    hold(next) {
      held = next;
    },
  };
}

function check(before: string | undefined, user: string | undefined): void {
  if (before && user && user !== before) throw new SignedOut("other_user");
}

/** What the server gave. Rejects where it is something else that answered: a hotel's page, say. */
export async function given(answer: Response): Promise<Held> {
  const got = (await answer.json().catch(() => undefined)) as Held | undefined;
  if (typeof (got?.token ?? got?.csrf_token) !== "string") throw unavailable(answer, "unreadable");
  return got as Held;
}

/** The code of a refusal that will stay one. Rejects where it may pass. */
export async function finalCode(answer: Response, finals: readonly number[]): Promise<string> {
  const code = await codeOf(answer);
  if (!finals.includes(answer.status) || !isOurs(code)) throw unavailable(answer, code);
  return code;
}

/** Begin a session of somebody new, but never in place of somebody who is known here: what is kept is theirs. */
export async function begin(
  need: Need,
  record: SessionRecord,
  found: Found,
  code: string,
  more: { readonly credentials?: "include" } = {},
): Promise<Credential> {
  const { last } = found;
  if (last.user) throw new SignedOut(code);
  const device =
    last.device ?? [...need.random(16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  record.hold({ ...record.held, device });
  const answer = await need.request("/api/sessions", {
    method: "POST",
    body: JSON.stringify({ device, ...(more.credentials && { cookie: true }) }),
    ...more,
  });
  if (!answer.ok) throw new SignedOut(await finalCode(answer, [400, 401, 403]));
  return record.adopt(need, await given(answer), { ...found, last: { ...last, device } });
}
