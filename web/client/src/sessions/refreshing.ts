// Sessions that go on by a refresh token, which is kept in the store: of who the app says, or of somebody new.
//
//     due, or refused ──► another process had a new one already ──► taken
//                          └► refresh token ──► where the first one came from ──► signed out

import { SignedOut } from "../refusals.ts";
import type { Credential, Need, Supplier } from "../session.ts";
import {
  begin,
  type Found,
  finalCode,
  type Grant,
  given,
  makeRecord,
  type SessionRecord,
} from "./record.ts";

export type { Grant } from "./record.ts";

/** Where the first grant comes from, and the next one where a session was lost. It rejects as a Supplier does. */
export type Granting = (need: Need) => Granted | Promise<Granted>;

type Granted = Grant | string | undefined;

const EARLY_MS = 30_000;

/**
 * Have what `granting` gives go on by its refresh token, over the end of the process as well. It is asked again only where that
 * fails. Whose session it is stays known: nobody else's is used with the same store.
 */
export function refreshingSession(granting: Granting): Supplier {
  return refreshing(async (need, record, found, code) => {
    const supplied = await granting(need);
    const got = typeof supplied === "string" ? { token: supplied } : supplied;
    const isRefused = need.refused !== undefined && got?.token === record.held.token;
    if (!got?.token || isRefused) throw new SignedOut(code);
    return record.adopt(need, got, found);
  });
}

/** Begin a session of somebody new, where the server allows it, which goes on for as long as the store does. */
export function anonymousSession(): Supplier {
  return refreshing(begin);
}

/** `first` is asked where there is nothing to be refreshed, with the code of why not. */
function refreshing(
  first: (need: Need, record: SessionRecord, found: Found, code: string) => Promise<Credential>,
): Supplier {
  const record = makeRecord();
  const supply = async (need: Need): Promise<Credential> => {
    let code = need.refused ?? "no_credential";
    let dead: string | undefined;
    for (;;) {
      const found = await record.read(need);
      const { token, expires_at = Infinity, refresh_token } = found.last;
      if (need.isResumed || !refresh_token || refresh_token === dead) {
        return first(need, record, found, code);
      }
      // Another process may have been quicker.
      if (token && token !== record.held.token) {
        const credential = record.share(need, found.last);
        if (expires_at * 1000 - need.now_ms() > EARLY_MS) return credential;
      }
      dead = refresh_token;
      const answer = await need.request("/api/sessions/refresh", {
        method: "POST",
        body: JSON.stringify({ refresh_token }),
      });
      if (answer.ok) return record.adopt(need, await given(answer), found);
      code = await finalCode(answer, [401]);
      await record.empty(need, found);
    }
  };
  return Object.assign(supply, {
    isKept: async (need: Need) => Boolean((await record.read(need)).last.refresh_token),
  });
}
