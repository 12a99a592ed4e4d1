"""Whatever is raised behind the edge is answered once and logged once, from a door or a route."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from frontdesk.core.errors import RateLimited
from frontdesk.http.edge import Edge
from frontdesk.http.pages import pages
from frontdesk.http.requests import ClientGone
from frontdesk.http.starlette import Routes
from frontdesk.storage.errors import StorageFailed
from tests.http.asgi import ask


def make_edge(folder: Path, error: Exception, *, begins: bool = False) -> Edge:
    """A door and a route that raise, the door after its answer began where it is told to."""

    async def door(scope: Any, receive: Any, send: Any) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    async def route(request: Request) -> Response:
        raise error

    return Edge({"/v1/door": door}, Routes([Route("/api/route", route, methods=["POST"])], pages(folder)))


@pytest.mark.parametrize("path", ["/v1/door", "/api/route"])
async def test_a_bug_is_logged_once_and_answered_once(tmp_path: Path, path: str, caplog: Any) -> None:
    edge = make_edge(tmp_path, RuntimeError("bug"))

    answer = await ask(edge, "POST", path)

    assert (answer.status, answer.code) == (500, "internal_error")
    assert len(answer.messages) == 2
    [record] = caplog.records
    assert record.getMessage() == f"route_broke path={path} request_id={answer.headers['x-request-id']}"
    assert record.exc_info is not None


async def test_a_bug_within_an_answer_is_only_logged(tmp_path: Path, caplog: Any) -> None:
    edge = make_edge(tmp_path, RuntimeError("bug"), begins=True)

    answer = await ask(edge, "POST", "/v1/door")

    assert [message["type"] for message in answer.messages] == ["http.response.start"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("path", ["/v1/door", "/api/route"])
async def test_a_refusal_is_the_same_from_doors_and_routes(tmp_path: Path, path: str, caplog: Any) -> None:
    edge = make_edge(tmp_path, RateLimited("Wait.", retry_after_s=1.2))

    answer = await ask(edge, "POST", path)

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, "rate_limit_exceeded", "2")
    assert answer.headers["x-request-id"].startswith("req_")
    assert not caplog.records


@pytest.mark.parametrize("path", ["/v1/door", "/api/route"])
async def test_a_store_that_fails_is_503_and_told_to_the_operator(tmp_path: Path, path: str, caplog: Any) -> None:
    edge = make_edge(tmp_path, StorageFailed("disk full"))

    answer = await ask(edge, "POST", path)

    assert (answer.status, answer.code) == (503, "store_unavailable")
    [record] = caplog.records
    assert (record.levelno, record.exc_info) == (logging.ERROR, None)
    assert "disk full" in record.getMessage()


@pytest.mark.parametrize("path", ["/v1/door", "/api/route"])
async def test_nobody_is_answered_who_is_gone(tmp_path: Path, path: str, caplog: Any) -> None:
    edge = make_edge(tmp_path, ClientGone())

    answer = await ask(edge, "POST", path)

    assert answer.messages == []
    assert not caplog.records


async def test_a_door_answers_post_alone(tmp_path: Path) -> None:
    edge = make_edge(tmp_path, RuntimeError("never reached"))

    answers = [await ask(edge, method, "/v1/door") for method in ("GET", "HEAD", "DELETE", "OPTIONS")]

    assert [(each.status, each.code, each.headers["allow"]) for each in answers] == [
        (405, "method_not_allowed", "POST")
    ] * 4


async def test_the_methods_of_a_route_are_told_in_one_order(tmp_path: Path) -> None:
    async def route(request: Request) -> Response:
        return JSONResponse({})

    edge = Edge({}, Routes([Route("/api/route", route, methods=["GET", "DELETE"])], pages(tmp_path)))

    answer = await ask(edge, "POST", "/api/route")

    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", "DELETE, GET, HEAD")


async def test_a_door_s_path_may_be_a_list_for_who_reads(tmp_path: Path) -> None:
    async def door(scope: Any, receive: Any, send: Any) -> None:
        await Response("door")(scope, receive, send)

    async def listing(request: Request) -> Response:
        return Response("list")

    routes = Routes([Route("/v1/door", listing, methods=["GET"])], pages(tmp_path))
    edge = Edge({"/v1/door": door, "/v1/other": door}, routes, listed={"/v1/door"})

    answers = [await ask(edge, method, path) for path in ("/v1/door", "/v1/other") for method in ("POST", "GET", "PUT")]

    assert [(answer.status, answer.headers.get("allow")) for answer in answers] == [
        (200, None),
        (200, None),
        (405, "GET, HEAD, POST"),
        (200, None),
        (405, "POST"),
        (405, "POST"),
    ]
    assert [answer.messages[1]["body"] for answer in answers[:2]] == [b"door", b"list"]
