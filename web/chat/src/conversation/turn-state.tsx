import type { IconName } from "@frontdesk/ui/icon.tsx";
import { StateWords } from "@frontdesk/ui/state-words.tsx";
import { words } from "../words.ts";
import type { TurnState } from "./turn.ts";

const glyphs: Readonly<Record<TurnState, IconName>> = {
  saved: "tray",
  sending: "up",
  received: "check",
  thinking: "dots",
  writing: "pen",
  done: "check",
  stopped: "stop",
  failed: "alert",
  interrupted: "broken",
};

export function TurnStateWords({ state }: { state: TurnState }) {
  return <StateWords icon={glyphs[state]} words={words.states[state]} />;
}
