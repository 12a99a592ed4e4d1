// Who this page is to the server: a short-lived token, kept for this tab only. A device never holds a key.

export interface Token {
  readonly token: string;
  /** Unix seconds; absent for a token that the person pasted. */
  readonly expires_at?: number;
  /** Gets the next token for the same person, once. */
  readonly refresh_token?: string;
}

const slot = "frontdesk.token";

/** No token is known and this server gives none to strangers: the person has to bring one. */
export class TokenNeeded extends Error {}

export class Session {
  #token: Token | null;
  #renewal: Promise<Token> | null = null;

  /** `request` asks the server for the next token, or for one of somebody new, or throws TokenNeeded. */
  constructor(
    private readonly storage: Storage | null,
    private readonly request: (refreshToken?: string) => Promise<Token>,
    private readonly now: () => number = Date.now,
  ) {
    this.#token = JSON.parse(storage?.getItem(slot) ?? "null") as Token | null;
  }

  get isKnown(): boolean {
    return this.#token !== null;
  }

  async token(): Promise<string> {
    if (!this.#token || this.#endsSoon(this.#token)) return this.renew(this.#token?.token ?? null);
    return this.#token.token;
  }

  /** A token other than the refused one. Calls that wait at the same time share one request. */
  async renew(refused: string | null): Promise<string> {
    if (this.#token && this.#token.token !== refused) return this.#token.token;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = null;
    });
    return (await this.#renewal).token;
  }

  use(token: string): void {
    this.#keep({ token });
  }

  forget(): void {
    this.#keep(null);
  }

  async #renew(): Promise<Token> {
    const refreshToken = this.#token?.refresh_token;
    // It is kept until the server has answered: a lost reply must not lose who this is.
    if (!refreshToken) this.#keep(null);
    const token = await this.request(refreshToken);
    this.#keep(token);
    return token;
  }

  #keep(token: Token | null): void {
    this.#token = token;
    if (token) this.storage?.setItem(slot, JSON.stringify(token));
    else this.storage?.removeItem(slot);
  }

  /** Half a minute of margin, for clocks that differ and answers that take their time to begin. */
  #endsSoon({ expires_at }: Token): boolean {
    return expires_at !== undefined && expires_at * 1000 < this.now() + 30_000;
  }
}

/** Take a token out of `#token=...`, so that it stays neither in the address nor in the history. */
export function takeTokenFromAddress(page: Window): string | null {
  const token = new URLSearchParams(page.location.hash.slice(1)).get("token");
  if (token) page.history.replaceState(null, "", page.location.pathname + page.location.search);
  return token;
}
