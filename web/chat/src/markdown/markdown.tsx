import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** Most of the page's script is what draws Markdown. The first paint needs none of it, so it is fetched beside it. */
const renderer = signal<Pick<typeof import("./prose.tsx"), "Prose"> | undefined>(undefined);
let fetching: Promise<void> | undefined;

/** Fetch what draws Markdown, once. Where that fails it is tried again with the next text. Never rejects. */
export function fetchRenderer(): Promise<void> {
  fetching ??= import("./prose.tsx").then(
    (found) => {
      renderer.value = found;
    },
    () => {
      fetching = undefined;
    },
  );
  return fetching;
}

/** The Markdown of an answer, which may still be growing; as it was written, where it cannot be drawn. */
export function Markdown(props: { text: string; isGrowing: boolean }) {
  const drawn = renderer.value;
  useEffect(() => void fetchRenderer(), []);
  if (drawn) return <drawn.Prose {...props} />;
  return (
    <p class="prose unformatted" dir="auto">
      {props.text}
    </p>
  );
}
