"""What routes served by Starlette share: its router, and JSON in.

Of Starlette only the router is used. Its middlewares would answer errors a second time, and raise
each bug again behind its answer; Edge answers whatever is raised here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Message

from frontdesk.core.errors import BadRequest, FrontdeskError, NotFound
from frontdesk.http.requests import Head, Receive, Scope, Send, WrongMethod, read_body

_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_MAX_BODY_BYTES = 1024 * 1024


class Routes:
    """Some routes, and `pages` for what none of them serves."""

    def __init__(self, routes: Sequence[BaseRoute], pages: ASGIApp) -> None:
        self._router = Router(routes, redirect_slashes=False, default=pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. Raises FrontdeskError also for what Starlette refuses."""
        scope["app"] = self  # Starlette's sign that HTTPException is caught: else it answers in plain text
        try:
            await self._router(scope, receive, send)  # type: ignore[arg-type]
        except HTTPException as error:
            raise self._told(error, scope) from None

    def _told(self, error: HTTPException, scope: Scope) -> FrontdeskError:
        path, method = scope["path"], scope["method"]
        if error.status_code == _NOT_FOUND:
            return NotFound(f"There is no {method} {path} here.", code="unknown_url")
        if error.status_code == _METHOD_NOT_ALLOWED:
            return WrongMethod(path, method, ", ".join(sorted(self._methods(scope))))
        return BadRequest(str(error.detail), status=error.status_code)

    def _methods(self, scope: Scope) -> set[str]:
        """All methods that the path answers: a route has one, and Starlette tells of the first that fits alone."""
        fitting = [route for route in self._router.routes if route.matches(scope)[0] is not Match.NONE]
        return {method for route in fitting if isinstance(route, Route) for method in route.methods or ()}


async def with_body(request: Request) -> Request:
    """Read a small body whole; returns the request with it at hand. Raises TooLarge, ClientGone."""
    return with_this_body(request, await read_body(request.receive, Head(request.scope), _MAX_BODY_BYTES))  # type: ignore[arg-type]


def with_this_body(request: Request, content: bytes) -> Request:
    """Return the request with a body at hand that was read already."""
    body: bytes | None = content

    async def receive() -> Message:
        nonlocal body
        if body is None:
            return await request.receive()
        whole, body = body, None
        return {"type": "http.request", "body": whole, "more_body": False}

    return Request(request.scope, receive)


async def read_json(request: Request, shape: type[_Shape]) -> _Shape:
    """Read a small JSON body; an empty one is an empty object. Raises BadRequest, TooLarge, ClientGone."""
    head = Head(request.scope)
    body = await read_body(request.receive, head, _MAX_BODY_BYTES)  # type: ignore[arg-type]
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body is wrong: {error}.", code="invalid_value") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not valid JSON.", code="invalid_json") from None


_NOT_FOUND = 404
_METHOD_NOT_ALLOWED = 405
