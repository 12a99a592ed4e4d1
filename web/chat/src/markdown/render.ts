// Markdown of a model to nodes that are safe to show. A model's text is a stranger's text: it may hold
// scripts, forms, and images whose address tells someone what was asked. Only tags that carry text come
// through, only with harmless attributes, and nothing is ever loaded. DOMPurify parses under its own
// Trusted Types policy ("dompurify") and hands out nodes, so this page never turns a string into HTML.

import createDOMPurify, { type Config } from "dompurify";
import { Marked } from "marked";

const tag = /<(\/?)([a-z][\w-]*)[^>]*(?:>|$)/gi;

const marked = new Marked({
  gfm: true,
  renderer: {
    // An answer stands under the page's own first two levels; few models ever use their first.
    heading({ tokens, depth }) {
      const level = Math.min(6, Math.max(3, depth + 1));
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    // The address of an image leaks the conversation when it is loaded; as a link it waits for the person.
    image({ href, text }) {
      return `<a href="${escaped(href)}">${escaped(text || href)}</a>`;
    },
    // Of a tag that the model wrote only its name goes on. The sanitiser would drop the rest too, but the
    // browser reports a handler or a style to the console as soon as it reads one.
    html({ text }) {
      return text.replace(tag, (whole, slash: string, name: string) =>
        name.toLowerCase() === "img" ? escaped(alternative(whole)) : `<${slash}${name}>`,
      );
    },
    checkbox({ checked }) {
      return checked ? "☑ " : "☐ ";
    },
  },
});

const purify = createDOMPurify(window);

const rules: Config & { readonly RETURN_DOM_FRAGMENT: true } = {
  ALLOWED_TAGS: [
    ..."p br hr h3 h4 h5 h6 strong em b i u s del ins sub sup mark kbd abbr small".split(" "),
    ..."code pre blockquote ul ol li dl dt dd table thead tbody tr th td a".split(" "),
  ],
  ALLOWED_ATTR: ["href", "start", "align", "class"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel):/i,
  // Not addresses: without this line their values would have to look like one.
  ADD_URI_SAFE_ATTR: ["start", "align"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

purify.addHook("uponSanitizeAttribute", (node, attribute) => {
  // A class of ours on a stranger's element could look like a part of the page.
  if (attribute.attrName === "class") {
    attribute.keepAttr =
      node.nodeName === "CODE" && /^language-[\w+#.-]+$/.test(attribute.attrValue);
  }
});

purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName !== "A" || !node.hasAttribute("href")) return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});

/** The nodes of one block. `definitions` are the link definitions of the whole text. */
export function render(source: string, definitions = ""): DocumentFragment {
  const html = marked.parse(
    definitions && source.includes("[") ? `${definitions}\n${source}` : source,
  );
  return purify.sanitize(html as string, rules);
}

/** The words that stand for an image. */
function alternative(image: string): string {
  return /\balt\s*=\s*(["'])(.*?)\1/is.exec(image)?.[2] ?? "";
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
