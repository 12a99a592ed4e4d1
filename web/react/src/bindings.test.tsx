import type {
  Client,
  ClientView,
  Conversation,
  ConversationSummary,
  ConversationView,
  MessageView,
  Observable,
  TurnView,
} from "@frontdesk/client";
import { act, type ReactNode, StrictMode } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  FrontdeskProvider,
  useClient,
  useClientView,
  useConversation,
  useConversations,
  useMessage,
  usePaced,
  useTurn,
} from "./index.ts";

// --- a client that shows what it is told to --------------------------------------------------------

function observed<T>(first: T) {
  let value = first;
  const listeners = new Set<() => void>();
  return {
    listeners,
    get: () => value,
    subscribe(changed: () => void) {
      listeners.add(changed);
      return () => void listeners.delete(changed);
    },
    set(next: T) {
      value = next;
      for (const changed of [...listeners]) changed();
    },
  } satisfies Observable<T> & Record<string, unknown>;
}

function message(id: string, text: string, turn?: TurnView): MessageView {
  return {
    id,
    role: "user",
    text,
    content: NO_CONTENT,
    thoughts: "",
    at_ms: 1,
    turn,
    response: undefined,
    isPinned: false,
    isLocal: false,
    siblings: NO_CONTENT,
    rating: undefined,
  };
}
const NO_CONTENT: readonly never[] = [];

function summary(id: string): ConversationSummary {
  return {
    id,
    title: `Title of ${id}`,
    changedAt_ms: 1,
    isPinned: false,
    isBusy: false,
    isUnread: false,
    isLocal: false,
  };
}

function conversationView(id: string, messages: readonly MessageView[] = []): ConversationView {
  return {
    ...summary(id),
    status: "ready",
    messages,
    calls: [],
    turn: messages.at(-1)?.turn,
    followUps: [],
  };
}

function scripted() {
  const view = observed<ClientView>({
    connection: "live",
    transport: "stream",
    unsent: 0,
    storage: "kept",
    switches: {},
  });
  const conversations = observed<readonly ConversationSummary[]>([summary("a")]);
  const views = new Map<string, ReturnType<typeof observed<ConversationView>>>();
  const known = new Map<string, Conversation>();
  let starts = 0;
  const viewOf = (id: string) => {
    const there = views.get(id) ?? observed(conversationView(id));
    views.set(id, there);
    return there;
  };
  const client = {
    view,
    conversations,
    facts: observed([]),
    async start() {
      starts += 1;
    },
    conversation(id = `new-${known.size}`) {
      const there = known.get(id) ?? ({ id, view: viewOf(id) } as unknown as Conversation);
      known.set(id, there);
      return there;
    },
  } as unknown as Client;
  return { client, view, conversations, viewOf, starts: () => starts };
}

// --- a page -----------------------------------------------------------------------------------------

let host: HTMLElement;
let root: Root | undefined;

beforeEach(() => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
  host = document.body.appendChild(document.createElement("div"));
});

afterEach(async () => {
  await act(async () => root?.unmount());
  root = undefined;
  host.remove();
});

async function show(children: ReactNode) {
  const made = root ?? createRoot(host);
  root = made;
  await act(async () => made.render(children));
}

describe("hooks", () => {
  test("show what is, and each change of it", async () => {
    const { client, view } = scripted();
    const Line = () => <p>{useClientView().connection}</p>;
    const seen: string[] = [];

    await show(
      <FrontdeskProvider client={client}>
        <Line />
      </FrontdeskProvider>,
    );
    seen.push(host.innerHTML);
    await act(async () => view.set({ ...view.get(), connection: "offline" }));
    seen.push(host.innerHTML);

    expect(seen).toEqual(["<p>live</p>", "<p>offline</p>"]);
  });

  test("without a provider say so", () => {
    const Alone = () => <p>{useClient().view.get().unsent}</p>;

    expect(() => renderToString(<Alone />)).toThrow("There is no FrontdeskProvider");
  });

  test("in StrictMode start the client, and leave no listener behind", async () => {
    const { client, view, viewOf, starts } = scripted();
    const Both = () => (
      <p>
        {useClientView().connection} {useConversation("a").view.title}
      </p>
    );

    await show(
      <StrictMode>
        <FrontdeskProvider client={client}>
          <Both />
        </FrontdeskProvider>
      </StrictMode>,
    );
    const mounted = [
      host.textContent,
      view.listeners.size,
      viewOf("a").listeners.size,
      starts() > 0,
    ];
    await show(null);

    expect([mounted, view.listeners.size, viewOf("a").listeners.size]).toEqual([
      ["live Title of a", 1, 1, true],
      0,
      0,
    ]);
  });

  test("open the conversation whose id they are given, and close the one before", async () => {
    const { client, viewOf } = scripted();
    const Title = ({ id }: { id: string }) => <p>{useConversation(id).view.title}</p>;
    const page = (id: string) => (
      <FrontdeskProvider client={client}>
        <Title id={id} />
      </FrontdeskProvider>
    );

    await show(page("a"));
    await show(page("b"));

    expect([host.textContent, viewOf("a").listeners.size, viewOf("b").listeners.size]).toEqual([
      "Title of b",
      0,
      1,
    ]);
  });

  test("keep a new conversation while there is no id, and begin another when the id has gone", async () => {
    const { client } = scripted();
    const ids: string[] = [];
    const Chat = ({ id }: { id?: string }) => {
      ids.push(useConversation(id).conversation.id);
      return null;
    };
    const page = (id?: string) => (
      <FrontdeskProvider client={client}>
        {id === undefined ? <Chat /> : <Chat id={id} />}
      </FrontdeskProvider>
    );

    await show(page());
    await show(page());
    const [first] = ids;
    const isTheSame = ids.every((id) => id === first);
    await show(page("a"));
    await show(page());

    expect([isTheSame, ids.at(-1) === first]).toEqual([true, false]);
  });

  test("of one message render again when it changes, and not when others do", async () => {
    const { client, viewOf } = scripted();
    const asked = message("asked", "Hello", { state: "accepted" });
    viewOf("a").set(conversationView("a", [asked, message("answer", "H")]));
    const renders = { message: 0, turn: 0 };
    const Message = () => {
      renders.message += 1;
      return <p>{useMessage("a", "asked")?.text}</p>;
    };
    const Turn = () => {
      renders.turn += 1;
      return <i>{useTurn("a", "asked")?.state}</i>;
    };

    await show(
      <FrontdeskProvider client={client}>
        <Message />
        <Turn />
      </FrontdeskProvider>,
    );
    const before = { ...renders };
    // A view is computed anew; what it says of this message is the same in other objects.
    const same = message("asked", "Hello", { state: "accepted" });
    await act(async () =>
      viewOf("a").set(
        conversationView("a", [{ ...same, turn: asked.turn }, message("answer", "Hi")]),
      ),
    );
    await act(async () => viewOf("a").set(conversationView("a", [same, message("answer", "Hi!")])));
    const turnAfter = renders.turn;
    await act(async () =>
      viewOf("a").set(conversationView("a", [message("asked", "Hello", { state: "done" })])),
    );

    expect([turnAfter - before.turn, renders.turn - turnAfter, host.innerHTML]).toEqual([
      0,
      1,
      "<p>Hello</p><i>done</i>",
    ]);
  });
});

describe("a text that comes in bursts", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["requestAnimationFrame", "cancelAnimationFrame", "performance"] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const Line = (props: { text: string; isOver: boolean }) => (
    <p>{usePaced(props.text, props.isOver)}</p>
  );

  async function frames(count: number) {
    const seen: string[] = [];
    for (let frame = 0; frame < count; frame += 1) {
      await act(async () => void vi.advanceTimersByTime(16));
      seen.push(host.textContent ?? "");
    }
    return seen;
  }

  test("is shown at once where it was there before, then piece by piece, and whole in the end", async () => {
    const text = "A desk bell is rung by whoever wants to be served.";

    await show(<Line text="A desk" isOver={false} />);
    const first = host.textContent;
    await show(<Line text={text} isOver={true} />);
    const seen = await frames(60);

    const isGrowing = seen.every((step, at) => at === 0 || step.startsWith(seen[at - 1] ?? ""));
    expect([first, isGrowing, new Set(seen).size > 3, seen.at(-1)]).toEqual([
      "A desk",
      true,
      true,
      text,
    ]);
  });

  test("asks for no frame while nothing comes, and for none when it is gone", async () => {
    const begun = "Wait for \u{1f469}";

    await show(<Line text={begun} isOver={false} />);
    await frames(5);
    const waiting = vi.getTimerCount();
    await show(<Line text={`${begun} and more`} isOver={false} />);
    const going = vi.getTimerCount();
    await show(null);

    expect([waiting, going, vi.getTimerCount()]).toEqual([0, 1, 0]);
  });
});

describe("a page from a server", () => {
  test("renders what a server knows, and then what the device knows, without a mismatch", async () => {
    const { client } = scripted();
    const problems: unknown[] = [];
    const Page = () => (
      <p>
        {useClientView().connection} {useConversations().length} {useConversation("a").view.status}
      </p>
    );
    const page = (
      <FrontdeskProvider client={client}>
        <Page />
      </FrontdeskProvider>
    );

    const html = renderToString(page);
    host.innerHTML = html;
    await act(async () => {
      root = hydrateRoot(host, page, { onRecoverableError: (error) => problems.push(error) });
    });

    const text = (markup: string) => markup.replaceAll(/<[^>]*>/g, "");
    expect([text(html), host.textContent, problems]).toEqual([
      "stopped 0 loading",
      "live 1 ready",
      [],
    ]);
  });
});
