import pytest
from playwright.sync_api import Page, expect

from tests.journeys.acts import LONG, answer, ask, field, see, state

pytestmark = pytest.mark.journey


def test_stop_keeps_what_was_written_and_tells_the_server(page: Page):
    ask(page, LONG, model="slow")
    see(page, "word3")

    with page.expect_request("**/v1/responses/*/cancel") as cancel:
        page.get_by_role("button", name="Stop").click()

    state(page, "Stopped")
    told = cancel.value.response()
    assert told is not None
    assert told.ok
    written = answer(page).inner_text()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    page.wait_for_timeout(400)  # three more words would have come
    assert answer(page).inner_text() == written


def test_escape_stops_too(page: Page):
    ask(page, LONG, model="slow")
    see(page, "word1")

    page.keyboard.press("Escape")

    state(page, "Stopped")


def test_what_was_typed_meanwhile_stays_in_the_field(page: Page):
    ask(page, LONG, model="slow")
    see(page, "word1")

    field(page).fill("And then?")
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("And then?")

    page.get_by_role("button", name="Stop").click()
    expect(field(page)).to_have_value("And then?")


def test_a_stopped_answer_can_be_asked_for_again(page: Page):
    ask(page, LONG, model="slow")
    see(page, "word1")
    page.keyboard.press("Escape")

    page.get_by_label("Model").select_option("fast")
    page.get_by_role("button", name="Try again").click()

    state(page, "Done")
    see(page, "word199")
