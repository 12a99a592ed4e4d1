from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.acts import LONG, ask, choose, field, line, see, state

pytestmark = pytest.mark.journey


def test_a_reload_keeps_the_conversation_and_what_was_not_sent(page: Page):
    ask(page, "Remember **me**")
    state(page, "Done")
    field(page).fill("Half a thou")

    page.reload()

    state(page, "Done")
    expect(page.locator(".answer strong")).to_have_text("me")
    expect(field(page)).to_have_value("Half a thou")


def test_the_conversation_is_there_before_the_server_answers(page: Page):
    ask(page, "Remember me")
    state(page, "Done")
    page.route("**/api/bootstrap", lambda route: route.abort())

    page.reload()

    see(page, "Remember me")
    line(page, "Frontdesk cannot be reached.")


def test_an_answer_that_was_being_written_is_interrupted_and_can_be_asked_again(page: Page):
    ask(page, LONG, model="slow")
    see(page, "word9")

    page.reload()

    see(page, "Interrupted: the page was closed")
    see(page, "word5")
    choose(page, "fast")
    page.get_by_role("button", name="Try again").click()
    state(page, "Done")
    see(page, "word199")


def test_a_new_conversation_can_be_taken_back(page: Page):
    ask(page, "Remember me")
    state(page, "Done")

    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    page.reload()
    expect(page.locator(".starters")).to_be_visible()
    page.get_by_role("button", name="Back to the one before").click()

    see(page, "Remember me")


def test_where_the_device_keeps_nothing_the_page_says_so(open_page: Callable[..., Page], chat_url: str):
    page = open_page(chat_url)
    page.add_init_script("Object.defineProperty(window, 'indexedDB', {value: null})")

    page.reload()
    ask(page, "Hello")

    state(page, "Done")
    line(page, "This browser keeps nothing here")
