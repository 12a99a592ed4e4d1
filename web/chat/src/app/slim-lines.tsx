import type { Chat, Reach } from "../conversation/chat.ts";
import { words } from "../words.ts";

/** What is unusual about the page, told in one line each. */
export function SlimLines({ chat, name }: { chat: Chat; name: string }) {
  const line = reachLine(chat.reach.value, name);
  return (
    <>
      {line && <p class="slim-line waiting">{line}</p>}
      {!chat.isKept.value && <p class="slim-line">{words.notKeptLine}</p>}
    </>
  );
}

/** Empty where there is nothing unusual. */
export function reachLine(reach: Reach, name: string): string {
  if (reach === "offline") return words.offlineLine;
  return reach === "unreachable" ? words.unreachableLine(name) : "";
}
