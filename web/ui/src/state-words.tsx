import { Icon, type IconName } from "./icon.tsx";

/** A state told in words beside a small glyph. */
export function StateWords({ icon, words }: { icon: IconName; words: string }) {
  return (
    <span class="state-words">
      <Icon name={icon} />
      {words}
    </span>
  );
}
