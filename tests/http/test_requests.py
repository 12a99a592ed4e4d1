"""A request's head and body: what came twice counts neither time, what is not whole is nobody's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from frontdesk.core.errors import BadRequest, Unauthenticated
from frontdesk.http.callers import May, guarded
from frontdesk.http.edge import Edge
from frontdesk.http.pages import pages
from frontdesk.http.requests import Head
from frontdesk.http.starlette import Routes, read_json
from frontdesk.turn.turn import Caller
from tests.http.asgi import ask


def _scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"method": "GET", "scheme": "http", "headers": list(headers)}


class OneCaller:
    """Knows one key."""

    def known(self, head: Head) -> Caller | None:
        return Caller("server", "key_1") if head.authorization == b"Bearer good" else None

    async def identify(self, head: Head) -> Caller:
        raise Unauthenticated("Unknown.")


class _Body(msgspec.Struct):
    name: str = ""


async def _who(_: Request, caller: Annotated[Caller, May("server")]) -> Response:
    return JSONResponse({"id": caller.credential_id})


async def _read(request: Request) -> Response:
    return JSONResponse({"name": (await read_json(request, _Body)).name})


EDGE = Edge(
    {},
    Routes(
        [guarded("/api/who", "GET", _who, OneCaller()), Route("/api/read", _read, methods=["POST"])],
        pages(Path("not-built")),
    ),
)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("Authorization", "authorization"),
        ("Frontdesk-Feature", "feature"),
        ("Frontdesk-Events", "events"),
        ("Frontdesk-Priority", "priority"),
        ("Frontdesk-Timeout", "timeout"),
    ],
)
def test_a_header_that_decides_may_come_once(name: str, attribute: str) -> None:
    header = (name.lower().encode(), b"x")

    assert getattr(Head(_scope(header)), attribute) == b"x"
    with pytest.raises(BadRequest) as caught:
        Head(_scope(header, (b"host", b"h"), header))
    assert (caught.value.code, caught.value.message) == (
        "duplicate_header",
        f"The header {name} came twice. Send it once.",
    )


@pytest.mark.parametrize("values", [[b"Bearer good", b"Bearer bad"], [b"Bearer bad", b"Bearer good"]])
async def test_a_route_takes_neither_of_two_credentials(values: list[bytes]) -> None:
    one = await ask(EDGE, "GET", "/api/who", headers=[(b"authorization", b"Bearer good")])
    two = await ask(EDGE, "GET", "/api/who", headers=[(b"authorization", value) for value in values])

    assert (one.status, one.body) == (200, {"id": "key_1"})
    assert (two.status, two.code) == (400, "duplicate_header")


async def test_a_client_that_leaves_within_a_body_is_no_error(caplog: Any) -> None:
    messages = [{"type": "http.request", "body": b'{"na', "more_body": True}, {"type": "http.disconnect"}]

    answer = await ask(EDGE, "POST", "/api/read", messages=messages)

    assert answer.messages == []
    assert not caplog.records


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"name": "x"}', 200, None),
        (b"", 200, None),
        (b"{", 400, "invalid_json"),
        (b'{"name": 7}', 400, "invalid_value"),
        (b" " * 1_048_577, 413, "request_too_large"),
    ],
)
async def test_a_small_body_is_read(body: bytes, status: int, code: str | None) -> None:
    half = len(body) // 2
    messages = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]

    answer = await ask(EDGE, "POST", "/api/read", messages=messages)

    assert answer.status == status
    if code is not None:
        assert answer.code == code
