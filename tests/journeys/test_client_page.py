"""The page that shows how the client is used without a bundler, as it stands, from Frontdesk's own address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.journeys.desk import ROOT, Desk
from tests.journeys.devices import CLIENT, file_of

pytestmark = pytest.mark.journey

PAGE = ROOT / "web/examples/browser/index.html"
# As strict as a page with a script of its own can be: the client's files come from its origin, nothing is evaluated.
POLICY = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'self' 'nonce-page'"


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    if not (CLIENT / "index.js").is_file():
        pytest.skip("These journeys need the built client: npm --prefix web run build:packages")
    context = browser.new_context()

    def hand_out(route: Route) -> None:
        route.fulfill(path=file_of(route.request.url))

    def show(route: Route) -> None:
        body = PAGE.read_text().replace("<script ", '<script nonce="page" ')
        route.fulfill(body=body, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    context.route(f"{desk.url}/client/**", hand_out)
    context.route(f"{desk.url}/example*", show)
    yield context.new_page()
    context.close()


def test_what_is_said_in_the_example_is_answered_and_there_again_after_a_reload(page: Page, desk: Desk):
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.goto(f"{desk.url}/example")

    page.get_by_label("Message").fill("Hello there")
    page.get_by_role("button", name="Send").click()

    lines = page.get_by_role("listitem")
    expect(lines).to_have_text(["Hello theredone"] * 2)
    expect(page.get_by_role("status")).to_have_text("live, 0 unsent")

    page.reload()

    expect(lines).to_have_text(["Hello theredone"] * 2)
    expect(page.get_by_role("status")).to_have_text("live, 0 unsent")
    assert wrong == []
