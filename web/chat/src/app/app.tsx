import { useEffect, useMemo, useRef } from "preact/hooks";
import { Composer } from "../composer/composer.tsx";
import type { Draft } from "../composer/draft.ts";
import type { Chat } from "../conversation/chat.ts";
import { ConversationView } from "../conversation/conversation-view.tsx";
import { Follow } from "../conversation/follow.ts";
import type { Announcer } from "../status/announcer.ts";
import { StatusRegion } from "../status/status-region.tsx";
import { words } from "../words.ts";
import { keyShortcuts } from "./key-shortcuts.ts";
import { reachLine, SlimLines } from "./slim-lines.tsx";
import { TokenGate } from "./token-gate.tsx";
import { TopBar } from "./top-bar.tsx";

interface Props {
  chat: Chat;
  draft: Draft;
  announcer: Announcer;
}

export function App(props: Props) {
  const { chat, announcer } = props;
  return (
    <>
      {chat.isLoaded.value &&
        (chat.token.value === "known" ? <Desk {...props} /> : <TokenGate chat={chat} />)}
      <StatusRegion announcer={announcer} />
    </>
  );
}

function Desk({ chat, draft, announcer }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const follow = useMemo(() => new Follow(), []);
  const name = chat.bootstrap.value?.name ?? "Frontdesk";

  // biome-ignore lint/correctness/useExhaustiveDependencies: startNew uses only what lives as long as the page
  useEffect(() => {
    // On a phone a focus would bring up the keyboard over what the person came to read.
    if (!matchMedia("(pointer: coarse)").matches) field.current?.focus();
    return keyShortcuts(window, { startNew, stop: () => chat.stop() });
  }, [chat]);

  const line = reachLine(chat.reach.value, name);
  useEffect(() => announcer.say(line), [announcer, line]);

  return (
    <>
      <header>
        <TopBar chat={chat} name={name} onNew={startNew} />
        <SlimLines chat={chat} name={name} />
      </header>
      <ConversationView chat={chat} follow={follow} announcer={announcer} name={name} />
      <footer class="foot">
        <Composer chat={chat} draft={draft} field={field} />
        {chat.bootstrap.value?.development && <p class="fine-print">{words.developmentLine}</p>}
      </footer>
    </>
  );

  function startNew(): void {
    if (chat.turns.peek().length > 0) announcer.say(words.startedNew);
    chat.startNew();
    field.current?.focus();
  }
}
