import type { VNode } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { type Block, type Blocks, grow, noBlocks } from "./blocks.ts";
import { furnish } from "./furnish.ts";
import { morph } from "./morph.ts";
import { render } from "./render.ts";
import { closed } from "./unfinished.ts";
import { usePaced } from "./use-paced.ts";

/** The Markdown of an answer, which may still be growing. */
export function Prose({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  const shown = usePaced(text, isGrowing).replace(/\r\n?/g, "\n");
  const before = useRef<Blocks>(noBlocks);
  const blocks = useMemo(() => grow(before.current, shown), [shown]);
  before.current = blocks;
  const { list, definitions } = blocks;
  // The same element again tells Preact that there is nothing to compare: of a long answer only the
  // end costs anything while it grows.
  // biome-ignore lint/correctness/useExhaustiveDependencies: other definitions draw every block anew
  const finished = useMemo(() => new WeakMap<Block, VNode>(), [definitions]);

  return <div class="prose">{list.map(isGrowing ? growing : drawn)}</div>;

  function growing(block: Block, index: number): VNode {
    if (index < list.length - 1) return drawn(block);
    return <BlockView key={block.start} source={closed(block.source)} definitions={definitions} />;
  }

  function drawn(block: Block): VNode {
    const known = finished.get(block);
    if (known) return known;
    const made = <BlockView key={block.start} source={block.source} definitions={definitions} />;
    finished.set(block, made);
    return made;
  }
}

function BlockView({ source, definitions }: { source: string; definitions: string }) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (place.current) morph(place.current, furnish(render(source, definitions)));
  }, [source, definitions]);
  return <div class="block" dir="auto" ref={place} />;
}
