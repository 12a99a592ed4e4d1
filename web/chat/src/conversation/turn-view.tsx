import { Button } from "@frontdesk/ui/button.tsx";
import { Icon } from "@frontdesk/ui/icon.tsx";
import type { Signal } from "@preact/signals";
import { Markdown } from "../markdown/markdown.tsx";
import { failureText, shortenedText, words } from "../words.ts";
import type { Chat } from "./chat.ts";
import { isRepeatable, type Turn } from "./turn.ts";
import { TurnStateWords } from "./turn-state.tsx";

/** States that are told under the question; from then on the answer tells its own. */
const onTheWay = ["saved", "sending", "received"];

export function TurnView(props: { chat: Chat; turn: Signal<Turn>; isLast: boolean; name: string }) {
  const turn = props.turn.value;
  const isOnTheWay = onTheWay.includes(turn.state);
  return (
    <div class="turn">
      <article class="question">
        <h2 class="visually-hidden">{words.you}</h2>
        <div class="bubble">
          <p dir="auto">{turn.question}</p>
        </div>
        {isOnTheWay && <TurnStateWords state={turn.state} />}
      </article>
      {(!isOnTheWay || turn.answer) && (
        <article class="answer">
          <header>
            <Icon name="bell" />
            <h2>{props.name}</h2>
            {!isOnTheWay && !turn.failure && <TurnStateWords state={turn.state} />}
          </header>
          {turn.answer && <Markdown text={turn.answer} isGrowing={turn.state === "writing"} />}
          {!isOnTheWay && <Ending {...props} />}
        </article>
      )}
    </div>
  );
}

/** What is said and offered below an answer that is no longer written. */
function Ending(props: { chat: Chat; turn: Signal<Turn>; isLast: boolean }) {
  const turn = props.turn.value;
  const text = endingText(turn);
  const canRepeat = props.isLast && isRepeatable(turn);
  return (
    <>
      {text && (
        <p class={`ending ${turn.failure ? "loss" : ""}`}>
          <Icon name={turn.failure ? "alert" : "broken"} />
          <span>{text}</span>
        </p>
      )}
      {canRepeat && (
        <Button
          kind={turn.state === "stopped" ? "quiet" : "main"}
          icon="again"
          onClick={() => props.chat.tryAgain(props.turn)}
        >
          {words.tryAgain}
        </Button>
      )}
      {turn.state === "done" && turn.answer && (
        <button type="button" class="button quiet copy">
          <Icon name="copy" />
          <span>{words.copyAnswer}</span>
        </button>
      )}
    </>
  );
}

function endingText({ failure, state, shortened }: Turn): string {
  if (failure) return failureText(failure);
  if (state === "interrupted") return words.interrupted;
  return shortened === null ? "" : shortenedText(shortened);
}
