import { words } from "../words.ts";

/** Give code its name and a Copy button, and let wide things scroll by themselves, also from the keyboard. */
export function furnish(fragment: DocumentFragment): DocumentFragment {
  for (const pre of fragment.querySelectorAll("pre")) pre.replaceWith(codeFigure(pre));
  for (const table of fragment.querySelectorAll("table")) {
    const scroller = element("div", "table");
    scroller.setAttribute("role", "region");
    scroller.setAttribute("aria-label", words.table);
    scroller.tabIndex = 0;
    table.replaceWith(scroller);
    scroller.append(table);
  }
  return fragment;
}

function codeFigure(pre: HTMLPreElement): HTMLElement {
  const language = pre.querySelector("code")?.className.replace("language-", "") ?? "";
  const figure = element("figure", "code");
  const caption = element("figcaption");
  const name = element("span");
  name.textContent = language || words.code;
  const copy = element("button", "copy");
  copy.setAttribute("type", "button");
  copy.textContent = words.copy;
  caption.append(name, copy);
  const shown = pre.cloneNode(true) as HTMLPreElement;
  shown.tabIndex = 0;
  shown.dir = "ltr";
  figure.append(caption, shown);
  return figure;
}

function element(tag: string, className = ""): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return made;
}
