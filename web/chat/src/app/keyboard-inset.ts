/**
 * Tell the style how much of the page a virtual keyboard covers. Chromium shrinks the page by itself
 * (interactive-widget=resizes-content); WebKit lays the keyboard over it.
 */
export function followKeyboard(page: Window): void {
  const viewport = page.visualViewport;
  if (!viewport) return;
  const measure = () => {
    const covered =
      viewport.scale > 1 ? 0 : page.innerHeight - viewport.height - viewport.offsetTop;
    const { style } = page.document.documentElement;
    style.setProperty("--keyboard", `${Math.max(0, Math.round(covered))}px`);
  };
  viewport.addEventListener("resize", measure);
  viewport.addEventListener("scroll", measure);
}
