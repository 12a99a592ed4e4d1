from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.acts import LONG, answer, ask, field, see, state

pytestmark = pytest.mark.journey

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
WIDE = f"""{"unbreakable" * 30}

| {" | ".join("column" for _ in range(12))} |
|{"---|" * 12}
| {" | ".join("a longer cell" for _ in range(12))} |

```
{"one long line of code " * 20}
```

[https://example.org/{"a/long/path/" * 20}](https://example.org)
"""


def overflow(page: Page) -> list[str]:
    """Elements that stick out of the page sideways, but for what is inside a scroller of its own."""
    return page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter((element) => !element.closest('.table, pre, .visually-hidden'))
            .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
            .map((element) => element.outerHTML.slice(0, 80))"""
    )


@pytest.mark.parametrize("text_size", ["100%", "200%"])
def test_a_phone_never_scrolls_sideways(open_page: Callable[..., Page], chat_url: str, text_size: str):
    page = open_page(chat_url, **PHONE)
    page.evaluate("size => { document.documentElement.style.fontSize = size }", text_size)
    assert overflow(page) == []

    ask(page, WIDE)
    state(page, "Done")
    assert overflow(page) == []

    ask(page, "Hello", model="broken")
    see(page, "Could not be answered")
    assert overflow(page) == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
    expect(page.get_by_role("button", name="Try again")).to_be_in_viewport()
    expect(field(page)).to_be_in_viewport()


def test_at_twice_the_text_size_everything_can_still_be_reached(open_page: Callable[..., Page], chat_url: str):
    page = open_page(chat_url, **PHONE)
    page.evaluate("document.documentElement.style.fontSize = '200%'")

    page.locator(".starters button").last.tap()

    state(page, "Done")
    expect(page.get_by_role("button", name="New conversation")).to_be_in_viewport()


def test_what_is_touched_is_large_enough(open_page: Callable[..., Page], chat_url: str):
    page = open_page(chat_url, **PHONE)
    small = """() => [...document.querySelectorAll('button, select, textarea, input')]
        .map((element) => [element.outerHTML.slice(0, 60), element.getBoundingClientRect()])
        .filter(([_, box]) => box.width < 44 || box.height < 44)
        .map(([html, box]) => `${html} ${box.width}x${box.height}`)"""
    assert page.evaluate(small) == []

    ask(page, "```\ncode\n```")
    state(page, "Done")
    assert page.evaluate(small) == []


def test_on_touch_enter_is_a_new_line(open_page: Callable[..., Page], chat_url: str):
    page = open_page(chat_url, **PHONE)

    field(page).tap()
    page.keyboard.type("One")
    page.keyboard.press("Enter")
    page.keyboard.type("Two")

    expect(field(page)).to_have_value("One\nTwo")


def test_the_field_grows_to_six_lines_and_no_further(page: Page):
    def height(lines: int) -> float:
        field(page).fill("\n".join("line" for _ in range(lines)))
        box = field(page).bounding_box()
        assert box is not None
        return box["height"]

    heights = [height(lines) for lines in range(1, 9)]

    assert heights[:6] == sorted(set(heights[:6]))
    assert heights[5] == heights[6] == heights[7]


def test_the_dark_scheme_is_dark(open_page: Callable[..., Page], chat_url: str):
    lightness = "Number(/oklch\\(([\\d.]+)/.exec(getComputedStyle(document.documentElement).backgroundColor)[1])"

    assert open_page(chat_url, color_scheme="dark").evaluate(lightness) < 0.25
    assert open_page(chat_url, color_scheme="light").evaluate(lightness) > 0.95


def test_words_from_right_to_left_begin_at_the_right(page: Page):
    ask(page, "مرحبا، كيف يمكنني المساعدة؟")
    state(page, "Done")

    assert answer(page).locator(".block p").evaluate("p => getComputedStyle(p).direction") == "rtl"


def test_a_page_from_right_to_left_is_mirrored(page: Page):
    page.evaluate("document.documentElement.dir = 'rtl'")
    ask(page, "Hello")
    state(page, "Done")

    bubble = page.locator(".bubble").bounding_box()
    send = page.get_by_role("button", name="Send", exact=True).bounding_box()
    assert bubble is not None
    assert send is not None
    assert bubble["x"] < 400
    assert send["x"] < 400
    assert overflow(page) == []


def test_who_scrolls_up_is_left_in_peace(page: Page):
    ask(page, LONG * 4)
    state(page, "Done")
    ask(page, LONG, model="slow")
    see(page, "word2")

    page.get_by_role("main").hover()
    page.mouse.wheel(0, -600)
    latest = page.get_by_role("button", name="To the latest")
    latest.wait_for()
    before = page.get_by_role("main").evaluate("main => main.scrollTop")
    page.wait_for_timeout(500)  # some words more
    assert page.get_by_role("main").evaluate("main => main.scrollTop") == before

    latest.click()
    expect(latest).to_have_count(0)
    see(page, "word20")
    near = "main => main.scrollHeight - main.clientHeight - main.scrollTop"
    assert page.get_by_role("main").evaluate(near) < 60


def test_a_reading_column_has_about_seventy_characters(page: Page):
    ask(page, "The quick brown fox jumps over the lazy dog and then sits down to rest. " * 4)
    state(page, "Done")

    characters = page.locator(".answer p").evaluate(
        """(p) => {
            const range = document.createRange();
            range.setStart(p.firstChild, 0);
            let end = 1;
            for (; end < p.firstChild.length; end++) {
                range.setEnd(p.firstChild, end);
                if (range.getClientRects().length > 1) break;
            }
            return end;
        }"""
    )
    assert 55 <= characters <= 84
