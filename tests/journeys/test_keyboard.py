import pytest
from playwright.sync_api import Page, expect

from tests.journeys.acts import LONG, field, see, state

pytestmark = pytest.mark.journey


def test_everything_can_be_done_without_a_pointer(page: Page):
    keyboard = page.keyboard
    expect(field(page)).to_be_focused()

    keyboard.type("One line")
    keyboard.press("Shift+Enter")
    keyboard.type("and another")
    expect(field(page)).to_have_value("One line\nand another")
    keyboard.press("Enter")
    state(page, "Done")
    expect(field(page)).to_be_focused()

    keyboard.press("Tab")
    expect(page.get_by_label("Model")).to_be_focused()
    keyboard.type("slow")
    keyboard.press("Shift+Tab")
    page.keyboard.insert_text(LONG)
    keyboard.press("Enter")
    see(page, "word1")
    keyboard.press("Escape")
    state(page, "Stopped")

    keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    keyboard.press("Enter")
    see(page, "word2")
    keyboard.press("Escape")
    state(page, "Stopped")

    keyboard.press("n")
    expect(page.locator(".turn")).to_have_count(0)
    expect(field(page)).to_be_focused()


def test_every_stop_of_the_tab_key_can_be_seen(page: Page):
    page.keyboard.press("Shift+Tab")
    seen = set()
    for _ in range(12):
        focus = page.evaluate(
            """() => {
                const focused = document.activeElement;
                const ring = focused.matches('textarea') ? focused.closest('form') : focused;
                return [focused.outerHTML.slice(0, 60), getComputedStyle(ring).outlineStyle];
            }"""
        )
        seen.add(focus[0])
        assert focus[1] != "none" or focus[0].startswith("<body"), focus
        page.keyboard.press("Shift+Tab")
    assert len(seen) >= 6


def test_letters_that_are_typed_start_nothing(page: Page):
    page.keyboard.type("nnn")

    expect(field(page)).to_have_value("nnn")


def test_the_conversation_scrolls_from_the_keyboard(page: Page):
    page.keyboard.insert_text(LONG * 5)
    page.keyboard.press("Enter")
    state(page, "Done")

    page.get_by_role("main").focus()
    page.keyboard.press("Home")

    expect(page.locator(".bubble")).to_be_in_viewport()
    page.wait_for_timeout(300)  # the browser's own scrolling comes to rest
    page.get_by_role("button", name="To the latest").press("Enter")
    expect(page.get_by_role("button", name="Copy answer")).to_be_in_viewport()
