from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.acts import LONG, ask, choose, field, heard, line, see, state
from tests.journeys.desk import Desk

pytestmark = pytest.mark.journey


def test_a_failure_says_what_is_safe_and_offers_one_action(page: Page):
    ask(page, "Hello", model="broken")

    see(page, "Could not be answered: the model did not answer as it should. Your message is kept.")
    assert heard(page)[-1].startswith("Could not be answered:")
    assert page.locator(".answer .button").all_inner_texts() == ["Try again"]

    choose(page, "fast")
    page.get_by_role("button", name="Try again").click()

    state(page, "Done")
    assert page.locator(".question").count() == 1


def test_a_provider_that_breaks_off_leaves_its_text(page: Page):
    ask(page, "Hello", model="breaking")

    see(page, "word0 word1 word2 word3 word4")
    see(page, "Could not be answered:")


def test_a_busy_provider_says_when_to_try_again(page: Page):
    ask(page, "Hello", model="busy")

    see(page, "Your message is kept; try again in 1 second.")


def test_a_server_that_dies_in_mid_answer_leaves_the_text(open_page: Callable[..., Page], mortal_desk: Desk):
    page = open_page(mortal_desk.url)
    ask(page, LONG, model="slow")
    see(page, "word5")

    mortal_desk.kill()

    see(page, "Could not be answered: the connection was lost. What was written is kept.")
    see(page, "word5")
    line(page, "Frontdesk cannot be reached. You can read and write; messages will be sent later.")

    field(page).fill("And what about this?")
    page.keyboard.press("Enter")
    state(page, "Saved on this device")

    mortal_desk.open()
    choose(page, "fast")

    state(page, "Done")
    see(page, "And what about this?")


def test_trying_again_while_the_server_is_down_loses_nothing(open_page: Callable[..., Page], mortal_desk: Desk):
    page = open_page(mortal_desk.url)
    ask(page, LONG, model="slow")
    see(page, "word5")
    mortal_desk.kill()
    see(page, "the connection was lost")

    page.get_by_role("button", name="Try again").click()

    see(page, "the server could not be reached. Your message is kept.")
    see(page, "word5")


def test_offline_is_one_line_and_messages_wait(page: Page):
    page.context.set_offline(True)
    line(page, "Offline. You can read and write; messages will be sent later.")

    ask(page, "Later, please")
    state(page, "Saved on this device")
    page.context.set_offline(False)

    state(page, "Done")
    see(page, "Later, please")
    expect(page.locator(".slim-line")).to_have_count(0)
    assert "Offline. You can read and write; messages will be sent later." in heard(page)
