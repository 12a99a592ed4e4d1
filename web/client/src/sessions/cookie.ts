// The session that a cookie of this site holds: the page never sees its token, and says a word of its own beside what it asks for.

import type { Fetch } from "../effects.ts";
import { codeOf, SignedOut } from "../refusals.ts";
import type { Credential, Need, Supplier } from "../session.ts";
import { begin, finalCode, given, makeRecord } from "./record.ts";

export interface CookieOptions {
  /** Whether a session of somebody new begins where there is none. */
  readonly isAnonymous?: boolean;
}

/** Use the session of the page's cookie. */
export function cookieSession({ isAnonymous = false }: CookieOptions = {}): Supplier {
  const record = makeRecord();
  const credentials = "include" as const;

  const renew = async (need: Need): Promise<Credential> => {
    const found = await record.read(need);
    // The page's word is good for refreshing, unless the cookie is another session's.
    let csrf =
      need.refused === "csrf_failed" || need.isResumed ? undefined : record.held.csrf_token;
    let code = need.refused ?? "no_credential";
    if (!csrf) {
      const current = await need.request("/api/sessions/current", { method: "GET", credentials });
      if (current.ok) return record.adopt(need, await given(current), found);
      await finalCode(current, [401]);
      // The session's own cookie may have ended before that which refreshes it.
      const told = await need.request("/api/sessions/refresh", { method: "GET", credentials });
      if (told.ok) csrf = (await given(told)).csrf_token;
      else code = await finalCode(told, [401]);
    }
    if (csrf) {
      const answer = await need.request("/api/sessions/refresh", {
        method: "POST",
        headers: { "Frontdesk-CSRF": csrf },
        credentials,
      });
      if (answer.ok) return record.adopt(need, await given(answer), found);
      code = await finalCode(answer, [401, 403]);
    }
    if (!isAnonymous) throw new SignedOut(code);
    return begin(need, record, found, code, { credentials });
  };

  const supply = async (need: Need): Promise<Credential> => {
    const credential = await renew(need);
    return { ...credential, fetch: withCookies(need.fetch) };
  };
  return Object.assign(supply, {
    // Where nobody was ever known here, one would have to begin to be ended.
    isKept: async (need: Need) => !isAnonymous || Boolean((await record.read(need)).last.user),
  });
}

/** Ask with cookies; a word that is of another session is refused as credentials are. */
function withCookies(fetch: Fetch): Fetch {
  return async (url, init) => {
    const response = await fetch(url, { ...init, credentials: "include" });
    if (response.status !== 403 || (await codeOf(response.clone())) !== "csrf_failed")
      return response;
    return new Response(response.body, { status: 401, headers: response.headers });
  };
}
