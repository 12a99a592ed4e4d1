import type { Announcer } from "./announcer.ts";

/** Polite, apart from the text that streams: `aria-live` there would read every letter again. */
export function StatusRegion({ announcer }: { announcer: Announcer }) {
  return (
    <div class="visually-hidden" role="status" aria-live="polite" aria-atomic="false">
      {announcer.lines.value.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}
