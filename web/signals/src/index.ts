// What `@frontdesk/signals` exports: the client's observables as signals. The acts stay where they are, on the client and its conversations.

import type {
  Client,
  ClientView,
  ConversationSummary,
  ConversationView,
  FactView,
  MessageView,
  Observable,
} from "@frontdesk/client";
import { computed, type ReadonlySignal, Signal } from "@preact/signals-core";

/** A client, as signals. Reading one of them in an effect, a computed signal or a component is what keeps it current. */
export interface ClientSignals {
  readonly view: ReadonlySignal<ClientView>;
  readonly conversations: ReadonlySignal<readonly ConversationSummary[]>;
  readonly facts: ReadonlySignal<readonly FactView[]>;
  /** A conversation; it is open while somebody watches. */
  conversation(id: string): ReadonlySignal<ConversationView>;
  /** One message of it, undefined where there is none: tells nothing while only others change. */
  message(conversation: string, id: string): ReadonlySignal<MessageView | undefined>;
}

/** Make signals of all that a client shows. Costs nothing until one of them is watched. */
export function signalsOf(client: Client): ClientSignals {
  const conversation = (id: string) => signalOf(client.conversation(id).view);
  return {
    view: signalOf(client.view),
    conversations: signalOf(client.conversations),
    facts: signalOf(client.facts),
    conversation,
    message(within, id) {
      const view = conversation(within);
      return computed(() => view.value.messages.find((message) => message.id === id));
    },
  };
}

const made = new WeakMap<object, ReadonlySignal<unknown>>();

/** Make a signal of an observable: the same one for the same observable, subscribed while somebody watches it. */
export function signalOf<T>(observable: Observable<T>): ReadonlySignal<T> {
  // The map holds for each observable a signal of its own type.
  const known = made.get(observable) as ReadonlySignal<T> | undefined;
  if (known !== undefined) return known;
  const latest = new Latest(observable);
  made.set(observable, latest);
  return latest;
}

class Latest<T> extends Signal<T> {
  readonly #observable: Observable<T>;
  #stop: (() => void) | undefined;

  constructor(observable: Observable<T>) {
    super(observable.get(), {
      watched: () => this.#watch(),
      unwatched: () => this.#unwatch(),
    });
    this.#observable = observable;
  }

  // Without a setter: whoever assigns is told so.
  override get value(): T {
    if (this.#stop === undefined) this.#take();
    return super.value;
  }

  override peek(): T {
    if (this.#stop === undefined) this.#take();
    return super.peek();
  }

  #watch(): void {
    this.#stop = this.#observable.subscribe(() => this.#take());
    // Being watched may have changed it.
    this.#take();
  }

  #unwatch(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #take(): void {
    super.value = this.#observable.get();
  }
}
