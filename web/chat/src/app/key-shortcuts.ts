/** Esc stops wherever the focus is; letters count only where nobody is typing. Returns the way to end it. */
export function keyShortcuts(
  page: Window,
  act: { startNew: () => void; stop: () => void },
): () => void {
  page.addEventListener("keydown", pressed);
  return () => page.removeEventListener("keydown", pressed);

  function pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") act.stop();
    const isTyping = (event.target as Element).closest?.("input, textarea, select");
    if (event.key.toLowerCase() !== "n" || isTyping) return;
    event.preventDefault();
    act.startNew();
  }
}
