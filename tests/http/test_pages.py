"""The pages are served beside the API, never in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.http.edge import Edge
from frontdesk.http.pages import pages
from frontdesk.http.starlette import Routes
from tests.http.asgi import ask


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    (tmp_path / "index.html").write_text("<p>chat</p>")
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "index.html").write_text("<p>not the API</p>")
    return Edge({}, Routes([], pages(tmp_path)))


async def test_a_page_is_served_with_its_headers(edge: Edge) -> None:
    answer = await ask(edge, "GET", "/")

    assert answer.status == 200
    assert answer.messages[1]["body"] == b"<p>chat</p>"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/moderations"),
        ("GET", "/v1/moderations"),
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("DELETE", "/api/nothing"),
        ("GET", "/api"),
        ("POST", "/"),
        ("GET", "/nothing"),
        ("GET", "/../secret"),
    ],
)
async def test_what_is_no_page_is_an_unknown_url(edge: Edge, method: str, path: str) -> None:
    answer = await ask(edge, method, path)

    assert (answer.status, answer.code) == (404, "unknown_url")
    assert answer.body["error"]["message"] == f"There is no {method} {path} here."


async def test_pages_that_were_not_built_are_told_at_the_root_alone(tmp_path: Path) -> None:
    edge = Edge({}, Routes([], pages(tmp_path)))

    root, other = await ask(edge, "GET", "/"), await ask(edge, "GET", "/index.html")

    assert (root.status, other.status, other.code) == (200, 404, "unknown_url")
    assert b"make run" in root.messages[1]["body"]
