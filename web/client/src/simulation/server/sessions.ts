// Who calls: sessions with tokens that expire and refresh tokens that are used once, as docs/api.md says.

import type { SessionBegun } from "../../wire.ts";
import { Refused } from "./person.ts";

interface Session {
  readonly id: string;
  readonly user: string;
  isEnded: boolean;
  /** The refresh token that is to come next, and the one before with what was answered to it. */
  refresh: string;
  before:
    | { readonly refresh: string; readonly answer: SessionBegun; readonly at_ms: number }
    | undefined;
}

interface Token {
  readonly session: Session;
  expires_at: number;
}

const grace_ms = 60_000;

export class Sessions {
  /** How long a token lasts. */
  lasts_s = 3600;
  /** How many tokens there were. */
  count = 0;
  private readonly sessions = new Map<string, Session>();
  private readonly tokens = new Map<string, Token>();

  constructor(private readonly now_ms: () => number) {}

  /** A session of somebody new. */
  begin(authorization: string | undefined): SessionBegun {
    if (authorization !== undefined) throw new Refused(400, "session_exists");
    return this.of(`anon_${this.sessions.size}`);
  }

  /** A session of a user, as their app's server asks for. */
  of(user: string): SessionBegun {
    const id = `sess_${this.sessions.size}`;
    const session: Session = { id, user, isEnded: false, refresh: "", before: undefined };
    this.sessions.set(id, session);
    return this.issue(session);
  }

  refresh(refresh: string): SessionBegun {
    for (const session of this.sessions.values()) {
      if (session.isEnded) continue;
      if (session.refresh === refresh) {
        const answer = this.issue(session);
        session.before = { refresh, answer, at_ms: this.now_ms() };
        return answer;
      }
      if (session.before?.refresh !== refresh) continue;
      if (this.now_ms() - session.before.at_ms <= grace_ms) return session.before.answer;
      session.isEnded = true;
      throw new Refused(401, "refresh_token_reused");
    }
    throw new Refused(401, "refresh_token_expired");
  }

  tokenOf(authorization: string | undefined): string {
    return /^Bearer (\S+)$/.exec(authorization ?? "")?.[1] ?? "";
  }

  userOf(token: string): string {
    const why = this.whyNot(token);
    if (why !== undefined) throw new Refused(401, why);
    return this.tokens.get(token)?.session.user ?? "";
  }

  /** Why a token does not hold, if it does not. */
  whyNot(token: string): string | undefined {
    if (token === "") return "missing_credential";
    const known = this.tokens.get(token);
    if (known === undefined) return "invalid_token";
    if (known.session.isEnded) return "token_revoked";
    return known.expires_at * 1000 <= this.now_ms() ? "token_expired" : undefined;
  }

  end(token: string): void {
    const known = this.tokens.get(token);
    if (known !== undefined) known.session.isEnded = true;
  }

  /** Let all tokens end now, earlier than they said. */
  expireTokens(): void {
    for (const token of this.tokens.values()) token.expires_at = 0;
  }

  /** End all sessions: nothing goes on but by a new one. */
  revokeAll(): void {
    for (const session of this.sessions.values()) session.isEnded = true;
  }

  private issue(session: Session): SessionBegun {
    this.count += 1;
    const token = `fd_st_${this.count}`;
    const expires_at = Math.floor(this.now_ms() / 1000) + this.lasts_s;
    this.tokens.set(token, { session, expires_at });
    session.refresh = `fd_rt_${this.count}`;
    const { id, user } = session;
    const refresh_expires_at = expires_at + 2_592_000;
    return { id, user, token, expires_at, refresh_token: session.refresh, refresh_expires_at };
  }
}
