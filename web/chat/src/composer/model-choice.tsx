import { Icon } from "@frontdesk/ui/icon.tsx";
import type { Chat } from "../conversation/chat.ts";
import { words } from "../words.ts";

/** Shown only where there is something to choose. */
export function ModelChoice({ chat }: { chat: Chat }) {
  const models = chat.bootstrap.value?.models ?? [];
  if (models.length < 2) return null;
  return (
    <div class="model">
      <select
        aria-label={words.model}
        value={chat.model.value}
        onChange={(event) => {
          chat.model.value = event.currentTarget.value;
        }}
      >
        {models.map(({ id, title }) => (
          <option key={id} value={id}>
            {title}
          </option>
        ))}
      </select>
      <Icon name="chevron" />
    </div>
  );
}
