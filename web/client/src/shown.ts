// What is shown of all that the engine knows, as observables. They are told of nothing while nobody listens.

import { isOver } from "./core/said.ts";
import { memo, shared } from "./core/values.ts";
import { makeConversationView, makeSummaries } from "./core/view.ts";
import type { Engine } from "./engine.ts";
import { type Observable, type Source, source } from "./observable.ts";
import type { Call, ClientView, ConversationSummary, ConversationView } from "./state.ts";

/** Something that is remembered of the person. */
export interface FactView {
  readonly id: string;
  readonly words: string;
  /** Whether the server does not know it yet. */
  readonly isLocal: boolean;
}

export interface Shown {
  readonly view: Observable<ClientView>;
  readonly conversations: Observable<readonly ConversationSummary[]>;
  readonly facts: Observable<readonly FactView[]>;
  conversation(id: string): Observable<ConversationView>;
  /** Conversations that began here: there is nothing to be read of them. */
  made(id: string): void;
  /** It may look otherwise: all of it, or one conversation alone. */
  touch(conversation?: string): void;
}

export function makeShown(engine: () => Engine): Shown {
  const conversations = new Map<string, Source<ConversationView>>();
  const made = new Set<string>();
  /** Conversations that were there once. */
  const seen = new Set<string>();
  /** Conversations that the server did not know when all was told. */
  const missing = new Set<string>();
  const summarize = makeSummaries();
  const listed = memo<readonly ConversationSummary[]>();

  const view = source<ClientView>((before) => shared(before, engine().view));
  const list = source(() => {
    const { conversations, outbox: entries, unread, answers } = engine().replica.held;
    const making = [...answers.values()].filter((answer) => !isOver(answer));
    const busy = new Set(making.map(({ conversation }) => conversation).sort());
    // What an answer says by now is nothing that the list tells.
    return listed([conversations, entries, unread, [...busy].join()], () =>
      summarize({ conversations, entries, unread, busy }),
    );
  });
  const facts = source<readonly FactView[]>((before) => shared(before, remembered()));

  function remembered(): FactView[] {
    const { facts: told, outbox } = engine().replica.held;
    const known = new Map<string, FactView>();
    for (const { id, words } of told.values()) known.set(id, { id, words, isLocal: false });
    for (const { entry, status } of outbox) {
      if (entry.type !== "fact" || status === "refused" || status === "expired") continue;
      const { fact: id, words } = entry;
      if (words === null) known.delete(id);
      else known.set(id, { id, words, isLocal: status !== "done" });
    }
    return [...known.values()];
  }

  const statusOf = (id: string): ConversationView["status"] => {
    const { replica, isLoaded, view } = engine();
    const { conversations: told, outbox, cached, mark } = replica.held;
    if (told.has(id)) seen.add(id);
    const isThere =
      told.has(id) ||
      outbox.some(({ entry }) => "conversation" in entry && entry.conversation === id);
    if (!isThere && seen.has(id)) return "gone";
    if (!isLoaded(id)) return made.has(id) && !told.has(id) ? "ready" : "loading";
    if (!isThere && !made.has(id)) {
      if (view.connection === "live" && mark?.isWhole) missing.add(id);
      return missing.has(id) ? "missing" : "loading";
    }
    return cached.get(id)?.isPartial ? "partial" : "ready";
  };

  return {
    view,
    conversations: list,
    facts,
    conversation(id) {
      const known = conversations.get(id);
      if (known !== undefined) return known;
      const make = makeConversationView();
      const next = source<ConversationView>(
        () => {
          const { replica, calling, shelf } = engine();
          const { outbox: entries, feedback } = replica.held;
          return make({
            id,
            shelf: shelf(id),
            entries,
            feedback,
            status: statusOf(id),
            titleOf: calling?.titleOf ?? nameOf,
          });
        },
        () => engine().watch(id),
      );
      conversations.set(id, next);
      return next;
    },
    made: (id) => void made.add(id),
    touch(id) {
      if (id !== undefined) {
        conversations.get(id)?.touch();
        return;
      }
      for (const each of [view, list, facts, ...conversations.values()]) each.touch();
    },
  };
}

function nameOf({ name }: Call): string {
  return name;
}
