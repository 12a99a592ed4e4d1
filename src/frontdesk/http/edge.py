"""The way in: POSTs on the line go to their door by exact path, Starlette serves all else.

Both pass the same errors: a FrontdeskError is answered with its status in OpenAI's shape, a bug is
logged once and answered with 500.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from starlette.types import ASGIApp

from frontdesk.core.errors import FrontdeskError
from frontdesk.core.ids import new_id
from frontdesk.http.requests import ClientGone, Receive, Scope, Send
from frontdesk.turn.sinks import send_error

_log = logging.getLogger("frontdesk.http")


class Door(Protocol):
    """A POST path on the line."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or raise a FrontdeskError before anything was sent."""
        ...


class Edge:
    """The ASGI application under CORS."""

    def __init__(self, doors: Mapping[str, Door], rest: ASGIApp) -> None:
        self._doors = doors
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, a WebSocket or the lifespan."""
        door = self._doors.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if door is None:
            await self._rest(scope, receive, send)  # type: ignore[arg-type]
            return
        try:
            await door(scope, receive, send)
        except FrontdeskError as error:
            await send_error(send, error, [(b"x-request-id", new_id("req_").encode())])
        except ClientGone:
            return
        except Exception:  # noqa: BLE001 - the one place that answers a bug behind a door
            _log.exception("door_broke path=%s", scope["path"])
            await send_error(send, FrontdeskError("Something went wrong here. It was logged; try again."), [])
