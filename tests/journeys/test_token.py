from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import APIRequestContext, Browser, Page, expect

from tests.journeys.acts import ask, state
from tests.journeys.desk import Desk, open_desk

pytestmark = pytest.mark.journey


@pytest.fixture
def closed_desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path, anonymous=False) as desk:
        yield desk


def token_from(desk: Desk, request: APIRequestContext) -> str:
    answer = request.post(
        f"{desk.url}/api/sessions",
        headers={"authorization": f"Bearer {desk.admin_key}"},
        data={"user": "u1"},
    )
    assert answer.ok, answer.text()
    return answer.json()["token"]


def test_a_server_that_knows_its_people_asks_for_a_token(open_page: Callable[..., Page], closed_desk: Desk):
    page = open_page(closed_desk.url)
    token = token_from(closed_desk, page.request)

    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    ask(page, "Hello")
    expect(page.get_by_text("That token is not valid")).to_be_visible()
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Try again").click()

    state(page, "Done")
    page.reload()
    state(page, "Done")
    assert page.evaluate("localStorage.length") == 0


def test_a_token_in_the_address_is_used_and_removed(open_page: Callable[..., Page], closed_desk: Desk):
    page = open_page(closed_desk.url)
    token = token_from(closed_desk, page.request)

    page.goto(f"{closed_desk.url}/#token={token}")
    page.reload()
    ask(page, "Hello")

    state(page, "Done")
    assert token not in page.url
    assert page.evaluate("history.length") <= 3
