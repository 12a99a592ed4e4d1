import { Icon } from "@frontdesk/ui/icon.tsx";
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";
import type { Chat } from "../conversation/chat.ts";
import { words } from "../words.ts";
import type { Draft } from "./draft.ts";
import { ModelChoice } from "./model-choice.tsx";

const touch = matchMedia("(pointer: coarse)");

export function Composer(props: {
  chat: Chat;
  draft: Draft;
  field: RefObject<HTMLTextAreaElement | null>;
}) {
  const { chat, draft, field } = props;
  const text = useSignal(draft.text);
  const isWriting = chat.writing.value !== null;
  const isBlank = !text.value.trim();

  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useLayoutEffect(() => fitToText(field.current), [text.value, field]);

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        if (isWriting) chat.stop();
        else send();
      }}
    >
      <label class="visually-hidden" for="message">
        {words.message}
      </label>
      <textarea
        id="message"
        ref={field}
        rows={1}
        dir="auto"
        autocomplete="off"
        enterkeyhint={touch.matches ? "enter" : "send"}
        placeholder={words.writeMessage}
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={keyPressed}
      />
      <ModelChoice chat={chat} />
      <button
        type="submit"
        class={isWriting ? "send stop" : "send"}
        aria-label={isWriting ? words.stop : words.send}
        aria-disabled={!isWriting && isBlank}
      >
        <Icon name={isWriting ? "stop" : "up"} />
      </button>
    </form>
  );

  function write(written: string): void {
    text.value = written;
    draft.write(written);
  }

  function send(): void {
    field.current?.focus();
    if (isBlank) return;
    void chat.send(text.value);
    write("");
  }

  /** On touch Enter is a new line, as its key says; while an input method composes it belongs to that. */
  function keyPressed(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch.matches) return;
    event.preventDefault();
    if (!isWriting) send();
  }
}

/** Where the style cannot do it alone (field-sizing: content). */
function fitToText(field: HTMLTextAreaElement | null): void {
  if (!field || CSS.supports("field-sizing", "content")) return;
  field.style.blockSize = "auto";
  field.style.blockSize = `${field.scrollHeight}px`;
}
