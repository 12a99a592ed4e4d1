"""A page on /api/socket: it can set no header, so its token and its version are subprotocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.journeys.desk import Desk, open_desk
from tests.journeys.test_token import token_from

pytestmark = pytest.mark.journey

TALK = """async ([offers, asked]) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/api/socket", offers);
  const frames = [];
  await new Promise((done) => {
    socket.onopen = () => asked.forEach((frame) => socket.send(JSON.stringify(frame)));
    socket.onclose = (event) => done(frames.push({ type: "closed", code: event.code }));
    socket.onmessage = ({ data }) => {
      frames.push(JSON.parse(data));
      if (["response.completed", "response.failed"].includes(frames.at(-1).event?.type)) done();
    };
  });
  const spoken = socket.protocol;
  socket.close();
  return { spoken, frames };
}"""


@pytest.fixture
def desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path, anonymous=False) as opened:
        yield opened


def test_a_page_asks_and_listens_on_one_socket(open_page: Callable[..., Page], desk: Desk):
    page = open_page(desk.url)
    token = token_from(desk, page.request)
    request = {"input": "Hello there", "store": False}
    asked = [{"type": "subscribe"}, {"type": "create", "id": "a", "request": request}]

    said = page.evaluate(TALK, [["frontdesk", f"frontdesk.token.{token}", "frontdesk.client.web.1.0.0"], asked])

    assert said["spoken"] == "frontdesk"
    assert [frame["type"] for frame in said["frames"][:2]] == ["hello", "ready"]
    assert said["frames"][-1]["event"]["type"] == "response.completed"
