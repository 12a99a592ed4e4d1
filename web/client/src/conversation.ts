// One conversation, as an app sees it. Whatever is said here is stored when its promise resolves, and sent when it can be.

import { messageId } from "./core/ids.ts";
import type { Commit } from "./core/keys.ts";
import {
  isAsking,
  isUnsent,
  itemOf,
  again as resend,
  reword,
  withdraw as takeBack,
  stop as unwant,
} from "./core/outbox.ts";
import { isOver } from "./core/said.ts";
import type { Loose } from "./core/values.ts";
import type { Engine } from "./engine.ts";
import type { Observable } from "./observable.ts";
import type { CallView, ConversationView, Kept } from "./state.ts";
import type { Json } from "./store.ts";
import type { Entry } from "./wire.ts";

/** A part of a message's content, as on the wire: `{type: "input_text", text}`, `{type: "input_image", …}` and so on. */
export type Part = { readonly type: string; readonly [key: string]: Json | undefined };

export interface Asking {
  /** The feature that answers, in place of the client's. */
  readonly feature?: string;
  /** What its request says beside: `model`, `max_output_tokens` and so on. */
  readonly request?: { readonly [key: string]: Json };
}

export interface Sending extends Asking {
  /** The item that it goes behind; null for the beginning. Without it, the end of the branch that is chosen when it arrives. */
  readonly after?: string | null;
  readonly attachments?: readonly Part[];
  /** Not to be sent any more after so long. */
  readonly expiresIn_s?: number;
}

export type Rating = Partial<
  Pick<Extract<Entry, { type: "feedback" }>, "reason" | "comment" | "correction">
>;

export interface Conversation {
  readonly id: string;
  /** What it looks like. Its messages are read from the store while somebody subscribes. */
  readonly view: Observable<ConversationView>;
  /** Say something, and ask for an answer. Resolves with the message's id once it is stored. */
  send(content: string | readonly Part[], sending?: Sending): Promise<string>;
  /**
   * Say something else in place of a message. One that did not leave the device is changed itself, and keeps its id; else the
   * new one stands beside it, in a branch of its own. Resolves with the id of the message that says it.
   */
  edit(message: string, content: string | readonly Part[], asking?: Asking): Promise<string>;
  /** Ask for another answer to a message, or to the last one. */
  again(message?: string, asking?: Asking): Promise<void>;
  /** End what is being answered; what was not sent yet is taken back. */
  stop(): Promise<void>;
  /** Take back a message that did not leave the device, or was refused. False where it may have left. */
  withdraw(message: string): Promise<boolean>;
  /** Send a message again that was refused or has expired. False where it was not. */
  retry(message: string): Promise<boolean>;
  /** Have it begin before anything is said in it. */
  begin(beginning?: {
    readonly title?: string;
    readonly metadata?: { readonly [key: string]: string };
  }): Promise<void>;
  rename(title: string | null): Promise<void>;
  pin(isPinned: boolean): Promise<void>;
  describe(metadata: { readonly [key: string]: string } | null): Promise<void>;
  /** Delete it with all that is in it, or one message of it. */
  remove(message?: string): Promise<void>;
  /** Turn to another branch. */
  choose(branch: number): Promise<void>;
  /** It was read up to this message, or to its end. */
  read(message?: string): Promise<void>;
  /** Have a message told to every model, or not any more. */
  pinItem(message: string, isPinned: boolean): Promise<void>;
  /** Say what an answer was worth; null takes it back. */
  rate(response: string, rating: "up" | "down" | null, why?: Rating): Promise<void>;
  /** Let a tool of the device's do what a model asks for. */
  approve(call: CallView | string): Promise<void>;
  decline(call: CallView | string, reason?: string): Promise<void>;
}

/** What a conversation is made of. */
export interface Surroundings {
  readonly engine: Engine;
  readonly feature: string | undefined;
  readonly request: { readonly [key: string]: Json } | undefined;
  readonly view: Observable<ConversationView>;
  /** Work, if it does not yet. */
  start(): Promise<void>;
  /** Put an entry into the outbox; resolves with its id. */
  put(make: (id: string) => Loose<Entry>, expires_ms?: number): Promise<string>;
  now_ms(): number;
}

export function makeConversation(id: string, around: Surroundings): Conversation {
  const { engine, view, put: add } = around;
  const { replica, calling } = engine;
  const said = { conversation: id } as const;

  const asking = ({ feature = around.feature, request: own }: Asking = {}) => {
    const wanted = around.request || own ? { ...around.request, ...own } : undefined;
    return { feature, request: calling ? calling.requestOf(wanted) : wanted };
  };

  const change = async (decide: () => Commit | undefined, isStrict = false): Promise<boolean> => {
    await around.start();
    return (await replica.change(decide, { isStrict })) !== "moot";
  };

  const say = async (what: Said): Promise<void> => {
    await add((its) => ({ ...what, id: its, ...said }));
  };

  /** The entry that a message is. */
  const entryOf = (message: string): Kept | undefined =>
    replica.held.outbox.find(({ entry }) => itemOf(entry) === message);

  /** The entry that asked last for another answer to a message. */
  const askingFor = (message: string): Kept | undefined =>
    replica.held.outbox
      .filter(({ entry }) => entry.type === "answer" && entry.after === message)
      .at(-1);

  /** The message of a person that an answer answers. */
  const askedBy = (message: string): string => {
    const { messages } = view.get();
    const at = messages.findIndex((each) => each.id === message);
    const before = messages.slice(0, at + 1).filter(({ role }) => role === "user");
    return before.at(-1)?.id ?? message;
  };

  const again = async (message: string | undefined, options?: Asking): Promise<void> => {
    if (message !== undefined) await engine.open(id);
    const after = message === undefined ? undefined : askedBy(message);
    await say({ type: "answer", after, ...asking(options) });
  };

  return {
    id,
    view,
    async send(content, { after, attachments, expiresIn_s, ...options } = {}) {
      const parts = contentOf(
        attachments?.length ? [...partsOf(content), ...attachments] : content,
      );
      const entry = await add(
        (its) => ({
          type: "message",
          id: its,
          ...said,
          content: parts,
          after,
          ...asking(options),
        }),
        expiresIn_s === undefined ? undefined : around.now_ms() + expiresIn_s * 1000,
      );
      return messageId(entry);
    },
    async edit(message, given, options) {
      const content = contentOf(given);
      const isReworded = await change(() => {
        const kept = entryOf(message);
        return kept && reword(kept, content);
      }, true);
      if (isReworded) return message;
      const entry = await add((its) => ({
        type: "edit",
        id: its,
        ...said,
        item: message,
        content,
        ...asking(options),
      }));
      return messageId(entry);
    },
    again,
    async stop() {
      await around.start();
      const stopped = new Set<string>();
      for (const { entry } of replica.held.outbox) {
        if (!isAsking(entry) || entry.conversation !== id) continue;
        await change(() => {
          const kept = replica.held.outbox.find((each) => each.entry.id === entry.id);
          return kept && isUnsent(kept) ? unwant(kept) : undefined;
        });
      }
      const { answers, conversations, outbox } = replica.held;
      for (const { entry } of outbox) if (entry.type === "cancel") stopped.add(entry.response);
      const under = [...answers.values()].filter(
        (each) => each.conversation === id && !isOver(each),
      );
      const responses = new Set([
        ...under.map(({ response }) => response),
        conversations.get(id)?.response,
      ]);
      for (const response of responses) {
        const isOurs = response !== undefined && !stopped.has(response);
        if (isOurs) await add((its) => ({ type: "cancel", id: its, response }));
      }
    },
    withdraw: (message) =>
      change(() => {
        const kept = entryOf(message);
        return kept && takeBack(kept);
      }, true),
    async retry(message) {
      const isResent = await change(() => {
        const kept = entryOf(message) ?? askingFor(message);
        return kept && kept.status !== "done" && kept.status !== "sending" && !kept.isUnclear
          ? resend(kept)
          : undefined;
      });
      if (isResent) return true;
      await engine.open(id);
      const turn = view.get().messages.find((each) => each.id === message)?.turn;
      if (turn?.response === undefined || (turn.state !== "failed" && turn.state !== "cancelled"))
        return false;
      await again(message);
      return true;
    },
    begin: (beginning = {}) => say({ type: "conversation", ...beginning }),
    rename: (title) => say({ type: "rename", title }),
    pin: (pinned) => say({ type: "pin", pinned }),
    describe: (metadata) => say({ type: "metadata", metadata }),
    remove: (item) => say({ type: "delete", item }),
    choose: (branch) => say({ type: "choose", branch }),
    async read(message) {
      await engine.open(id);
      const item = message ?? view.get().messages.at(-1)?.id;
      if (item !== undefined) await say({ type: "read", item });
    },
    pinItem: (item, pinned) => say({ type: "pin_item", item, pinned }),
    async rate(response, rating, why = {}) {
      await add((its) => ({ type: "feedback", id: its, response, rating, ...why }));
    },
    async approve(call) {
      await around.start();
      await calling?.approve(nameOf(call));
    },
    async decline(call, reason) {
      await around.start();
      await calling?.decline(nameOf(call), reason);
    },
  };
}

/** What an entry of this conversation says. */
type Said = Entry extends infer E
  ? E extends { readonly conversation: string }
    ? Loose<Omit<E, "id" | "conversation">>
    : never
  : never;

function nameOf(call: CallView | string): string {
  return typeof call === "string" ? call : call.call;
}

function partsOf(content: string | readonly Part[]): readonly Part[] {
  if (typeof content !== "string") return content;
  return content === "" ? [] : [{ type: "input_text", text: content }];
}

/** Of what says nothing an answer would be paid for. */
function contentOf(content: string | readonly Part[]): string | { [key: string]: unknown }[] {
  const isEmpty = typeof content === "string" ? !content.trim() : !content?.length;
  if (isEmpty)
    throw new TypeError(`A message needs a text or parts, not ${JSON.stringify(content)}.`);
  return typeof content === "string" ? content : [...content];
}
