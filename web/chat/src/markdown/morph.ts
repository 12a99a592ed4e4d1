/**
 * Make the children of `shown` equal to those of `wanted`, touching only what differs, so that a
 * selection and the scroll position of a code block outlive the growth of the text around them.
 */
export function morph(shown: Element | DocumentFragment, wanted: Element | DocumentFragment): void {
  let have: ChildNode | null = shown.firstChild;
  for (const want of [...wanted.childNodes]) {
    if (have && have.nodeName === want.nodeName) {
      if (have instanceof Element && want instanceof Element) {
        morphAttributes(have, want);
        morph(have, want);
      } else if (have.nodeValue !== want.nodeValue) {
        have.nodeValue = want.nodeValue;
      }
      have = have.nextSibling;
    } else {
      shown.insertBefore(want, have);
    }
  }
  while (have) {
    const next: ChildNode | null = have.nextSibling;
    have.remove();
    have = next;
  }
}

function morphAttributes(have: Element, want: Element): void {
  for (const { name } of [...have.attributes]) {
    if (!want.hasAttribute(name)) have.removeAttribute(name);
  }
  for (const { name, value } of want.attributes) {
    if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  }
}
