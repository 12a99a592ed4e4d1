// The chat of this page: what is shown, as signals, and what a person can do. It decides nothing about
// how a turn moves (turn.ts) or what travels (server/); it brings them together.

import { computed, type Signal, signal } from "@preact/signals";
import type { Bootstrap, Client } from "../server/client.ts";
import { type Failure, unreachable } from "../server/failure.ts";
import { TokenNeeded } from "../server/session.ts";
import { type Conversation, newConversation, newId, reopened } from "./conversation.ts";
import type { ConversationStore } from "./device-store.ts";
import {
  advance,
  inputFor,
  isActive,
  isRepeatable,
  newTurn,
  type Turn,
  type TurnEvent,
} from "./turn.ts";

export type Reach = "connecting" | "ready" | "offline" | "unreachable";

/** Text that arrives is kept at most this often; changes of state at once. */
const keepEvery_ms = 500;
const signInLost: Failure = { code: "invalid_api_key", message: "", retryAfterS: null };

export class Chat {
  readonly turns = signal<readonly Signal<Turn>[]>([]);
  readonly reach = signal<Reach>("connecting");
  readonly bootstrap = signal<Bootstrap | null>(null);
  readonly token = signal<"known" | "needed" | "refused">("known");
  readonly model = signal("");
  readonly earlier = signal<Conversation | null>(null);
  readonly isLoaded = signal(false);
  readonly isKept = signal(true);
  readonly writing = computed(() => this.turns.value.find((turn) => isActive(turn.value)) ?? null);

  #conversation: Conversation;
  #store: ConversationStore | null = null;
  #abort: AbortController | null = null;
  #keptAt = 0;

  /** `told` hears of every change of a turn, for those who cannot see it. */
  constructor(
    private readonly client: Client,
    private readonly told: (before: Turn, after: Turn) => void,
    private readonly page: { readonly now: () => number; readonly isOnline: () => boolean },
  ) {
    this.#conversation = newConversation(page.now());
  }

  /** Show what this device remembers. */
  async load(store: ConversationStore): Promise<void> {
    this.#store = store;
    this.isKept.value = store.isLasting;
    const [current, earlier] = await store.list();
    if (current) this.#show(reopened(current));
    this.model.value = current?.turns.at(-1)?.model ?? "";
    this.earlier.value = earlier ?? null;
    this.isLoaded.value = true;
  }

  /** Ask the server how it is; when it answers, send what was waiting. */
  async connect(): Promise<void> {
    if (!this.page.isOnline()) {
      this.reach.value = "offline";
      return;
    }
    try {
      const bootstrap = await this.client.bootstrap();
      this.bootstrap.value = bootstrap;
      if (!bootstrap.models.some(({ id }) => id === this.model.value)) {
        this.model.value = bootstrap.default_model ?? "";
      }
      if (!bootstrap.anonymous && !this.client.session.isKnown && this.token.value === "known") {
        this.token.value = "needed";
      }
      this.reach.value = "ready";
    } catch {
      this.reach.value = "unreachable";
    }
    await this.#sendWaiting();
  }

  async send(question: string): Promise<void> {
    if (!question.trim() || this.writing.value) return;
    const turn = signal(newTurn(newId(), question.trim(), this.model.value));
    this.turns.value = [...this.turns.value, turn];
    this.#keep();
    await this.#sendWaiting();
  }

  async tryAgain(turn: Signal<Turn>): Promise<void> {
    if (!isRepeatable(turn.value) || this.writing.value) return;
    await this.#run(turn);
  }

  stop(): void {
    const turn = this.writing.value;
    const abort = this.#abort;
    if (!turn) return;
    this.#apply(turn, { kind: "StopAsked" });
    const { responseId } = turn.value;
    // The server hears of it first: a mere hang-up would let it go on for a while.
    if (responseId) void this.client.cancel(responseId).then(() => abort?.abort());
    else abort?.abort();
  }

  startNew(): void {
    if (this.turns.value.length === 0) return;
    this.stop();
    this.#keep();
    this.earlier.value = this.#snapshot();
    this.#show(newConversation(this.page.now()));
    this.#keep();
    void this.#forgetOld();
  }

  goBack(): void {
    const earlier = this.earlier.value;
    if (!earlier || this.turns.value.length > 0) return;
    void this.#store?.remove(this.#conversation.id);
    this.earlier.value = null;
    this.#show(earlier);
    void this.#sendWaiting();
  }

  async useToken(token: string): Promise<void> {
    if (!token) return;
    this.client.session.use(token);
    this.token.value = "known";
    await this.#sendWaiting();
  }

  /** The page may not come back: keep what there is, now. */
  pause(): void {
    if (this.writing.value) this.#keep();
  }

  /** The page goes. The browser ends the stream with it, which is not a lost connection. */
  leave(): void {
    if (this.writing.value) this.#apply(this.writing.value, { kind: "PageClosed" });
  }

  async #sendWaiting(): Promise<void> {
    for (const turn of this.turns.value) {
      const isClear = this.reach.value === "ready" && this.token.value === "known";
      if (!isClear || this.writing.value) return;
      if (turn.value.state === "saved") await this.#run(turn);
    }
  }

  async #run(turn: Signal<Turn>): Promise<void> {
    this.#abort = new AbortController();
    const { signal: aborted } = this.#abort;
    this.#apply(turn, { kind: "TurnSent", model: this.model.value });
    if (this.reach.value !== "ready") await this.connect();
    if (aborted.aborted) return;
    if (this.reach.value !== "ready") {
      this.#apply(turn, { kind: "AnswerFailed", failure: unreachable });
      return;
    }
    const turns = this.turns.value.map((each) => each.value);
    const input = inputFor(turns, this.turns.value.indexOf(turn));
    try {
      for await (const event of this.client.answer(turn.value.model, input, aborted)) {
        this.#apply(turn, event);
      }
    } catch (error) {
      if (!(error instanceof TokenNeeded)) throw error;
      this.#apply(turn, { kind: "AnswerFailed", failure: signInLost });
      this.token.value = "refused";
    }
    const code = turn.value.failure?.code;
    // Before anything else that waits is sent into the void.
    if (code === "unreachable" || code === "connection_lost") await this.connect();
  }

  #apply(turn: Signal<Turn>, event: TurnEvent): void {
    const before = turn.value;
    const after = advance(before, event);
    if (after === before) return;
    turn.value = after;
    this.told(before, after);
    if (after.state !== before.state || this.page.now() - this.#keptAt > keepEvery_ms) this.#keep();
  }

  #show(conversation: Conversation): void {
    this.#conversation = conversation;
    this.turns.value = conversation.turns.map((turn) => signal(turn));
  }

  #snapshot(): Conversation {
    return { ...this.#conversation, turns: this.turns.value.map((turn) => turn.value) };
  }

  #keep(): void {
    this.#keptAt = this.page.now();
    this.#store?.keep(this.#snapshot()).catch(() => {
      this.isKept.value = false;
    });
  }

  async #forgetOld(): Promise<void> {
    const kept = (await this.#store?.list()) ?? [];
    for (const { id } of kept.slice(2)) await this.#store?.remove(id);
  }
}
