// Keeps the end of a growing conversation in view, and yields to the person: who scrolls up stays there.

import { signal } from "@preact/signals";

/** Nearer to the end than this counts as being at the end. */
const near_px = 56;

export class Follow {
  readonly isFollowing = signal(false);
  #scroller: HTMLElement | null = null;
  #observer: ResizeObserver | null = null;
  #top = 0;

  attach(scroller: HTMLElement, content: HTMLElement): () => void {
    this.#scroller = scroller;
    this.#observer = new ResizeObserver(() => this.#settle());
    this.#observer.observe(content);
    this.#observer.observe(scroller);
    scroller.addEventListener("scroll", this.#scrolled, { passive: true });
    return () => {
      this.#observer?.disconnect();
      scroller.removeEventListener("scroll", this.#scrolled);
    };
  }

  /** An empty page is read from its beginning; a conversation from its end. */
  start(isFollowing: boolean): void {
    this.isFollowing.value = isFollowing;
    this.#settle();
  }

  readonly toLatest = (): void => this.start(true);

  #settle(): void {
    if (!this.isFollowing.value || !this.#scroller) return;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  readonly #scrolled = (): void => {
    if (!this.#scroller) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const isNear = scrollHeight - clientHeight - scrollTop <= near_px;
    // Growth alone never moves the position up; only a person does.
    if (isNear) this.isFollowing.value = true;
    else if (scrollTop < this.#top) this.isFollowing.value = false;
    this.#top = scrollTop;
  };
}
