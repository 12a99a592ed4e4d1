"""What a person does and sees on the chat page, in a person's words."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

LONG = " ".join(f"word{place}" for place in range(200))


def field(page: Page) -> Locator:
    """Where one writes."""
    return page.get_by_label("Message", exact=True)


def choose(page: Page, model: str) -> None:
    """Choose the model that answers."""
    page.get_by_label("Model").select_option(model)


def ask(page: Page, question: str, model: str | None = None) -> None:
    """Write and send."""
    if model is not None:
        choose(page, model)
    field(page).fill(question)
    page.get_by_role("button", name="Send", exact=True).click()


def answer(page: Page) -> Locator:
    """The last answer."""
    return page.locator(".answer").last


def see(page: Page, words: str) -> None:
    """Wait until the last answer says so."""
    expect(answer(page)).to_contain_text(words)


def state(page: Page, words: str) -> None:
    """Wait until the last turn tells this state."""
    expect(page.locator(".turn").last.locator(".state-words")).to_have_text(words)


def line(page: Page, words: str) -> None:
    """Wait until the slim line under the bar says so."""
    expect(page.locator(".slim-line")).to_contain_text(words)


def heard(page: Page) -> list[str]:
    """What the status region has told so far."""
    return page.get_by_role("status").locator("p").all_text_contents()
