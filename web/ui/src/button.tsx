import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon.tsx";

/** A button with words; `main` is the one action that a screen recommends. */
export function Button(props: {
  icon?: IconName;
  kind?: "main" | "quiet";
  type?: "button" | "submit";
  onClick?: () => void;
  children: ComponentChildren;
}) {
  return (
    <button
      type={props.type ?? "button"}
      class={`button ${props.kind ?? "quiet"}`}
      onClick={props.onClick}
    >
      {props.icon && <Icon name={props.icon} />}
      {props.children}
    </button>
  );
}
