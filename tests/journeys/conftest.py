"""What every journey has: a desk, a browser, and pages that are watched for what must never happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.journeys.desk import PAGE, Desk, chromium, launch, open_desk

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    if not PAGE.is_file():
        pytest.skip("The journeys need the built page: npm --prefix web run build")
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("The journeys need Chromium: apt-get install chromium")
    browser = launch(playwright, path)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk that all journeys share; none of them may kill it."""
    with open_desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.fixture
def chat_url(desk: Desk) -> str:
    return desk.url


@pytest.fixture
def mortal_desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    """A desk of one's own, to kill."""
    with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open a page as a new person on a new device. At the end nothing may have gone wrong unseen."""
    contexts = []
    wrongs: list[str] = []

    def open_page(url: str, **device: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **device})
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrongs.append(f"uncaught: {error}"))
        page.on("console", lambda said: wrongs.append(said.text) if _is_wrong(said.text) else None)
        page.on("request", lambda asked: wrongs.append(asked.url) if not asked.url.startswith(url) else None)
        page.goto(url)
        page.locator("textarea, #token").wait_for()
        return page

    yield open_page

    for context in contexts:
        context.close()
    assert wrongs == []


@pytest.fixture
def page(open_page: OpenPage, chat_url: str) -> Page:
    """The chat page on a desktop."""
    return open_page(chat_url)


def _is_wrong(said: str) -> bool:
    """A failed request is a part of some journeys; a violation of the policy is not, nor a warning of ours."""
    return "Failed to load resource" not in said and "ERR_" not in said
