from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.test_accessibility import findings

pytestmark = pytest.mark.journey

PHONE: dict[str, Any] = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
LANGUAGES = pytest.mark.parametrize(
    ("locale", "direction", "send", "done", "failed"),
    [
        ("de-DE", "ltr", "Senden", "Fertig", "Konnte nicht beantwortet werden: Das Modell hat nicht geantwortet"),
        ("ar-EG", "rtl", "إرسال", "تم", "تعذّرت الإجابة: لم يُجب النموذج كما ينبغي"),
    ],
)


@LANGUAGES
def test_a_person_is_spoken_to_in_their_language(
    open_page: Callable[..., Page], chat_url: str, locale: str, direction: str, send: str, done: str, failed: str
):
    """From the greeting to what failed, on the smallest phone, with nothing that sticks out on either side."""
    page = open_page(chat_url, locale=locale, **PHONE)
    html = page.locator("html")
    expect(html).to_have_attribute("lang", locale)
    expect(html).to_have_attribute("dir", direction)
    assert sticking_out(page) == []

    page.get_by_role("textbox").fill("Say hello")
    page.get_by_role("button", name=send, exact=True).click()
    expect(page.locator(".turn").last.locator(".state-words")).to_have_text(done)
    assert findings(page) == []

    page.get_by_role("combobox").select_option("broken")
    page.get_by_role("textbox").fill("Hello")
    page.get_by_role("button", name=send, exact=True).click()
    expect(page.locator("main").get_by_text(failed)).to_be_visible()
    assert sticking_out(page) == []
    assert findings(page) == []


def test_without_words_of_ones_own_it_is_english(open_page: Callable[..., Page], chat_url: str):
    page = open_page(chat_url, locale="fi-FI")

    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def sticking_out(page: Page) -> list[str]:
    """Elements of which a part is beside the page."""
    return page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter((element) => !element.closest('.table, pre, .visually-hidden'))
            .filter((element) => {
                const { left, right } = element.getBoundingClientRect();
                return left < -0.5 || right > innerWidth + 0.5;
            })
            .map((element) => element.outerHTML.slice(0, 80))"""
    )
