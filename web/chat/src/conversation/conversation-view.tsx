import { Icon } from "@frontdesk/ui/icon.tsx";
import { useEffect, useRef } from "preact/hooks";
import { copied } from "../markdown/copy.ts";
import type { Announcer } from "../status/announcer.ts";
import { words } from "../words.ts";
import type { Chat } from "./chat.ts";
import { Empty } from "./empty.tsx";
import type { Follow } from "./follow.ts";
import { TurnView } from "./turn-view.tsx";

const copiedFor_ms = 2000;

export function ConversationView(props: {
  chat: Chat;
  follow: Follow;
  announcer: Announcer;
  name: string;
}) {
  const { chat, follow } = props;
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const turns = chat.turns.value;

  useEffect(() => {
    if (scroller.current && content.current)
      return follow.attach(scroller.current, content.current);
    return undefined;
  }, [follow]);

  // With every new turn: a question of one’s own is always worth seeing.
  useEffect(() => follow.start(turns.length > 0), [turns.length, follow]);

  return (
    <div class="conversation-frame">
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: it only hears of clicks on the buttons inside */}
      <main
        class="conversation"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must scroll from the keyboard too
        tabIndex={0}
        aria-label={words.conversation}
        ref={scroller}
        onClick={copyClicked}
      >
        <div class="column" ref={content}>
          {turns.length === 0 && <Empty chat={chat} />}
          {turns.map((turn, index) => (
            <TurnView
              key={turn.peek().id}
              chat={chat}
              turn={turn}
              isLast={index === turns.length - 1}
              name={props.name}
            />
          ))}
        </div>
      </main>
      {!follow.isFollowing.value && turns.length > 0 && (
        <button type="button" class="latest" onClick={follow.toLatest}>
          <Icon name="down" />
          {words.latest}
        </button>
      )}
    </div>
  );

  async function copyClicked(event: MouseEvent): Promise<void> {
    const button = (event.target as Element).closest<HTMLButtonElement>("button.copy");
    if (!button) return;
    const isCopied = await copied(textFor(button));
    props.announcer.say(isCopied ? words.copied : words.notCopied);
    if (!isCopied) return;
    const label = button.querySelector("span") ?? button;
    const before = label.textContent;
    label.textContent = words.copied;
    setTimeout(() => {
      if (label.textContent === words.copied) label.textContent = before;
    }, copiedFor_ms);
  }

  /** The code beside the button; the whole answer, as its Markdown, for the button below it. */
  function textFor(button: Element): string {
    const code = button.closest("figure.code")?.querySelector("code");
    if (code) return code.textContent ?? "";
    const shown = [...(content.current?.querySelectorAll(".turn") ?? [])];
    const index = shown.findIndex((turn) => turn.contains(button));
    return turns[index]?.peek().answer ?? "";
  }
}
