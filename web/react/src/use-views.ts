// The client's views as hooks. What they return is readonly, and the same object for as long as nothing changed.

import type {
  ClientView,
  Conversation,
  ConversationSummary,
  ConversationView,
  FactView,
  MessageView,
  TurnView,
} from "@frontdesk/client";
import { useMemo, useState } from "react";
import { useClient } from "./provider.tsx";
import { useObservable, useSelected } from "./use-observable.ts";

// What a server renders: a device that has not said anything yet.
const STOPPED: ClientView = {
  connection: "stopped",
  transport: undefined,
  unsent: 0,
  storage: "memory",
  switches: {},
};
const NOTHING: readonly never[] = [];

/** How the client is: connected, signed in, safe on the disk. */
export function useClientView(): ClientView {
  return useObservable(useClient().view, () => STOPPED);
}

/** All conversations: pinned ones first, then those that changed last. */
export function useConversations(): readonly ConversationSummary[] {
  return useObservable<readonly ConversationSummary[]>(useClient().conversations, () => NOTHING);
}

/** What is remembered of the person. */
export function useFacts(): readonly FactView[] {
  return useObservable<readonly FactView[]>(useClient().facts, () => NOTHING);
}

/**
 * A conversation, with what it looks like and what can be done in it. It is open while the component is mounted. Without an
 * id it is a new one, the same until the component has an id or another client; nothing of it is kept before something is said.
 */
export function useConversation(id?: string): {
  readonly conversation: Conversation;
  readonly view: ConversationView;
} {
  const conversation = useOne(id);
  const unread = useMemo(() => loading(conversation.id), [conversation.id]);
  const view = useObservable(conversation.view, () => unread);
  return useMemo(() => ({ conversation, view }), [conversation, view]);
}

/** One message; undefined where there is none. Does not render again while only other messages change. */
export function useMessage(conversation: string, message: string): MessageView | undefined {
  return useSelected(
    useOne(conversation).view,
    (view) => view.messages.find(({ id }) => id === message),
    () => loading(conversation),
  );
}

/** How far a message and its answer are, or the latest turn of a conversation. Does not render again while only texts grow. */
export function useTurn(conversation: string, message?: string): TurnView | undefined {
  return useSelected(
    useOne(conversation).view,
    (view) =>
      message === undefined ? view.turn : view.messages.find(({ id }) => id === message)?.turn,
    () => loading(conversation),
  );
}

function useOne(id: string | undefined): Conversation {
  const client = useClient();
  const [begun, setBegun] = useState<{ client: typeof client; conversation: Conversation }>();
  if (id !== undefined) {
    // Where the id goes again, another one begins.
    if (begun !== undefined) setBegun(undefined);
    return client.conversation(id);
  }
  if (begun?.client === client) return begun.conversation;
  const conversation = client.conversation();
  setBegun({ client, conversation });
  return conversation;
}

function loading(id: string): ConversationView {
  return {
    id,
    title: undefined,
    changedAt_ms: 0,
    isPinned: false,
    isBusy: false,
    isUnread: false,
    isLocal: true,
    status: "loading",
    messages: NOTHING,
    calls: NOTHING,
    turn: undefined,
    followUps: NOTHING,
  };
}
