import json

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.acts import ask, field, heard, see, state

pytestmark = pytest.mark.journey


def test_a_question_is_answered_and_its_life_is_told_in_words(page: Page):
    ask(page, "Hello, is **anybody** there? I hope so.")

    state(page, "Done")
    expect(page.locator(".question").last).to_contain_text("Hello, is **anybody** there?")
    expect(page.locator(".answer strong")).to_have_text("anybody")
    expect(field(page)).to_have_value("")
    assert heard(page)[0] == "Sending"
    assert heard(page)[-1] == "Done"
    assert "Hello, is anybody there? I hope so." in " ".join(heard(page))


def test_the_text_that_streams_is_no_live_region(page: Page):
    ask(page, "Hello", model="slow")

    see(page, "Hello")

    assert page.locator("[aria-live]").count() == 1
    assert page.locator("[aria-live] .prose, .prose [aria-live], .prose[aria-live]").count() == 0


def test_a_starter_is_sent_by_one_tap(page: Page):
    starters = page.locator(".starters button")
    words = starters.first.inner_text()

    assert starters.count() == 3
    starters.first.click()

    state(page, "Done")
    see(page, words)


def test_a_model_that_thinks_is_said_to_think(page: Page):
    ask(page, "Hello", model="thinking")

    state(page, "Done")
    assert "Thinking" in heard(page)


def test_an_answer_that_was_cut_short_says_so(page: Page):
    ask(page, "Hello", model="short")

    see(page, "This goes on and")
    see(page, "reached its length limit")


def test_the_model_is_told_what_was_said_before(page: Page):
    ask(page, "One")
    state(page, "Done")

    with page.expect_request("**/v1/responses") as asked:
        ask(page, "Two")

    sent = json.loads(asked.value.post_data or "{}")
    assert [message["content"] for message in sent["input"]] == ["One", "One", "Two"]


def test_code_and_answers_can_be_copied(page: Page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, "Look:\n\n```python\nprint(1)\n```")
    state(page, "Done")

    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "print(1)\n"

    page.get_by_role("button", name="Copy answer").click()
    assert page.evaluate("navigator.clipboard.readText()") == "Look:\n\n```python\nprint(1)\n```"
