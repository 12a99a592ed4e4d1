from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.journeys.acts import LONG, ask, line, see, state
from tests.journeys.desk import ROOT

pytestmark = pytest.mark.journey

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
RICH = """## Title

A [link](https://example.org), `code` and **bold**.

| a | b |
|---|---|
| c | d |

```python
print(1)
```

> quoted
"""


def findings(page: Page) -> list[str]:
    """What axe finds, each as one line."""
    if not AXE.is_file():
        pytest.skip("These journeys need axe-core: npm --prefix web ci")
    # Evaluated by the debugger, which the page's own policy does not bind.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations: list[dict[str, Any]] = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{found['id']}: {found['help']} {[node['target'] for node in found['nodes']]} "
        f"{[node['failureSummary'] for node in found['nodes']][:1]}"
        for found in violations
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(open_page: Callable[..., Page], chat_url: str, scheme: str):
    page = open_page(chat_url, color_scheme=scheme)
    assert findings(page) == []

    ask(page, LONG, model="slow")
    see(page, "word2")
    assert findings(page) == []
    page.keyboard.press("Escape")

    ask(page, RICH, model="fast")
    state(page, "Done")
    assert findings(page) == []

    ask(page, "Hello", model="broken")
    see(page, "Could not be answered")
    assert findings(page) == []

    page.context.set_offline(True)
    line(page, "Offline.")
    assert findings(page) == []


def test_each_message_names_its_author_and_headings_are_in_order(page: Page):
    ask(page, RICH)
    state(page, "Done")

    headings = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(each => [each.tagName, each.textContent])")

    assert headings == [["H1", "Frontdesk"], ["H2", "You"], ["H2", "Frontdesk"], ["H3", "Title"]]
