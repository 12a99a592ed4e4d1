import { Icon } from "@frontdesk/ui/icon.tsx";
import type { Chat } from "../conversation/chat.ts";
import { words } from "../words.ts";

export function TopBar(props: { chat: Chat; name: string; onNew: () => void }) {
  const { chat } = props;
  const reach = chat.reach.value;
  const state = reach === "ready" && chat.writing.value ? "answering" : reach;
  return (
    <div class="bar">
      <span class="mark">
        <Icon name="bell" />
      </span>
      <div class="title">
        <h1 dir="auto">{props.name}</h1>
        <span class={`reach ${state}`}>{words[state]}</span>
      </div>
      <button
        type="button"
        class="button quiet new"
        aria-keyshortcuts="N"
        aria-label={words.newConversation}
        title={`${words.newConversation} (N)`}
        onClick={props.onNew}
      >
        <Icon name="plus" />
        <span>{words.newConversation}</span>
      </button>
    </div>
  );
}
