// The one place that speaks to the server. Everything it is given comes from outside, `fetch` included,
// so that a test is a server of a few lines.

import { type AnswerEvent, answerEvent, isTerminal } from "./answer-events.ts";
import { connectionLost, failureOf, Refused, unreachable } from "./failure.ts";
import { Session, type Token, TokenNeeded } from "./session.ts";
import { SseParser } from "./sse.ts";

export interface Bootstrap {
  readonly name: string;
  readonly development: boolean;
  readonly anonymous: boolean;
  readonly default_model: string | null;
  readonly models: readonly { readonly id: string; readonly title: string }[];
}

export interface InputMessage {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** A phone’s dead socket says nothing, for ever. The server sends a comment at least every 10 s. */
const silence_ms = 35_000;
const short_ms = 10_000;

export class Client {
  readonly session: Session;
  #isAnonymous = false;

  constructor(
    private readonly fetch: typeof globalThis.fetch,
    storage: Storage | null,
  ) {
    this.session = new Session(storage, (refreshToken) => this.#anonymousToken(refreshToken));
  }

  /** What a page needs to know at start. Throws where the server cannot be reached or is not well. */
  async bootstrap(): Promise<Bootstrap> {
    const response = await this.fetch("/api/bootstrap", { signal: AbortSignal.timeout(short_ms) });
    if (!response.ok) throw new Error(`bootstrap: ${response.status}`);
    const bootstrap = (await response.json()) as Bootstrap;
    this.#isAnonymous = bootstrap.anonymous;
    return bootstrap;
  }

  /**
   * Ask for an answer; yields events in order, the last of which is terminal.
   * Ends without one only when `signal` was aborted. Throws TokenNeeded, nothing else.
   * The bytes are read to their end, so that the connection can serve the next call.
   */
  async *answer(
    model: string,
    input: readonly InputMessage[],
    signal: AbortSignal,
  ): AsyncGenerator<AnswerEvent> {
    const end = new AbortController();
    signal.addEventListener("abort", () => end.abort());
    let silence = setTimeout(() => end.abort(), silence_ms);
    let failure = unreachable;
    let isSettled = false;
    try {
      const response = await this.#post(
        "/v1/responses",
        { model, input, stream: true, store: false },
        end.signal,
      );
      if (!response.ok || !response.body) throw new Refused(await failureOf(response));
      failure = connectionLost;
      const parser = new SseParser();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Refused(connectionLost);
        clearTimeout(silence);
        silence = setTimeout(() => end.abort(), silence_ms);
        for (const event of parser.feed(value).map(answerEvent)) {
          if (!event || isSettled) continue;
          isSettled = isTerminal(event);
          yield event;
        }
      }
    } catch (error) {
      if (error instanceof TokenNeeded) throw error;
      if (isSettled || signal.aborted) return;
      yield {
        kind: "AnswerFailed",
        failure: error instanceof Refused ? error.failure : failure,
      };
    } finally {
      clearTimeout(silence);
    }
  }

  /** Tell the server that nobody waits for this answer. A failure changes nothing for the person. */
  async cancel(responseId: string): Promise<void> {
    const path = `/v1/responses/${encodeURIComponent(responseId)}/cancel`;
    await this.#post(path, {}, AbortSignal.timeout(short_ms)).catch(() => undefined);
  }

  /** POST as this session; a refused token is renewed once and the call repeated. */
  async #post(path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    const token = await this.session.token();
    const response = await this.#send(path, body, token, signal);
    if (response.status !== 401) return response;
    return this.#send(path, body, await this.session.renew(token), signal);
  }

  #send(path: string, body: unknown, token: string, signal: AbortSignal): Promise<Response> {
    return this.fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
      signal,
    });
  }

  async #anonymousToken(refreshToken?: string): Promise<Token> {
    const next = refreshToken && (await this.#token("/refresh", { refresh_token: refreshToken }));
    if (next) return next;
    const first = this.#isAnonymous && (await this.#token("", {}));
    if (first) return first;
    this.session.forget();
    throw new TokenNeeded();
  }

  /** A token, or null where the server gives none for this. */
  async #token(path: string, body: unknown): Promise<Token | null> {
    const response = await this.fetch(`/api/sessions${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(short_ms),
    });
    if (response.status === 401 || response.status === 403) return null;
    if (!response.ok) throw new Refused(await failureOf(response));
    return (await response.json()) as Token;
  }
}
