import { Button } from "@frontdesk/ui/button.tsx";
import { Icon } from "@frontdesk/ui/icon.tsx";
import { greeting, words } from "../words.ts";
import type { Chat } from "./chat.ts";

/** Three real beginnings; each is sent by one tap. */
export function Empty({ chat }: { chat: Chat }) {
  return (
    <div class="empty">
      <h2>
        <span>{greeting(new Date().getHours())}</span> <span>{words.atYourService}</span>
      </h2>
      <p>{words.askAnything}</p>
      <ul class="starters">
        {words.starters.map((starter) => (
          <li key={starter}>
            <button type="button" onClick={() => chat.send(starter)}>
              <span>{starter}</span>
              <Icon name="up" />
            </button>
          </li>
        ))}
      </ul>
      {chat.earlier.value && (
        <Button icon="back" onClick={() => chat.goBack()}>
          {words.goBack}
        </Button>
      )}
    </div>
  );
}
