import { Button } from "@frontdesk/ui/button.tsx";
import { Icon } from "@frontdesk/ui/icon.tsx";
import { useRef } from "preact/hooks";
import type { Chat } from "../conversation/chat.ts";
import { words } from "../words.ts";

/** Shown instead of the conversation where this server gives no token to strangers. */
export function TokenGate({ chat }: { chat: Chat }) {
  const field = useRef<HTMLInputElement>(null);
  return (
    <main class="gate">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void chat.useToken(field.current?.value.trim() ?? "");
        }}
      >
        <Icon name="key" />
        <h1>{words.tokenTitle}</h1>
        <p id="token-text">
          {chat.token.value === "refused" ? words.tokenRefused : words.tokenText}
        </p>
        <label for="token">{words.tokenLabel}</label>
        <input
          id="token"
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          dir="ltr"
          required
          aria-describedby="token-text"
        />
        <Button kind="main" type="submit">
          {words.useToken}
        </Button>
      </form>
    </main>
  );
}
