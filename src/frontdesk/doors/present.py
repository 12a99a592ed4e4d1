"""What is asked for somebody beside the request that they sent: in the background, at the door of all responses.

They are there, and told at once that it has entered, or why not; its answer they are told as all others of their
conversation. It counts as their own request does: the same limits, budgets and features, the same keys.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import msgspec

from frontdesk.core.errors import Unavailable
from frontdesk.doors.desk import Desk, Visit
from frontdesk.doors.responses import begin_response
from frontdesk.http.requests import Head, Scope
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_render import ResponsesBody

_PATH = "/v1/responses"
_SAME = (b"frontdesk-priority", b"frontdesk-context")
_FEATURE = b"frontdesk-feature"


class Presence(NamedTuple):
    """Who asks, and the request, or the offer of a socket, by which they are here."""

    caller: Caller
    scope: Scope


class AskedInBackground(NamedTuple):
    """A request for a response, as JSON, and the key under which it is done once.

    With `or_new` the conversation that it names is made, where it never was; with a `version` it is gone on with only
    while it has that one.
    """

    key: str
    body: bytes
    feature: str | None = None
    or_new: bool = False
    version: int | None = None


class PresentAsker:
    """Asks for responses in the background."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ask(self, presence: Presence, asked: AskedInBackground) -> str:
        """Begin a response, or find the one that was begun under the same key; returns its id once it is on the disk.

        Raises what refuses it.
        """
        inbox = _Inbox()
        scope = _scope(presence.scope, asked, inbox)
        visit = Visit(presence.caller, Head(scope), asked.body, scope, inbox.receive, inbox.send)
        body = visit.take_body()
        request = read_responses(body)
        if request.conversation is not None:
            named = msgspec.structs.replace(request.conversation, or_new=asked.or_new, version=asked.version)
            prompt = msgspec.structs.replace(request.prompt, conversation=named)
            request = msgspec.structs.replace(request, conversation=named, prompt=prompt)
        turn, wish = begin_response(self._desk, visit, request, body)
        await self._desk.accept(turn, visit, lambda facts: ResponsesBody(facts).accepted(), ResponsesBody, wish)
        if inbox.response is None:
            raise Unavailable("This ended before it had begun. Send it again.", retry_after_s=1)
        return inbox.response


def _scope(given: Scope, asked: AskedInBackground, inbox: _Inbox) -> dict[str, Any]:
    """The request as it would be by itself: from the same address, with the same headers that are about turns."""
    headers = [(name, value) for name, value in given["headers"] if name in _SAME]
    if asked.feature is not None:
        headers.append((_FEATURE, asked.feature.encode()))
    else:
        headers += [(name, value) for name, value in given["headers"] if name == _FEATURE]
    headers += [(b"content-type", b"application/json"), (b"idempotency-key", asked.key.encode())]
    scope = {"type": "http", "method": "POST", "scheme": given["scheme"], "path": _PATH, "headers": headers}
    return {**scope, "client": given.get("client"), "frontdesk.abort": inbox.abort}


class _Inbox:
    """What an answer is sent into. Of it the id of the response is kept; then its reader has gone."""

    __slots__ = ("_has_ended", "response")

    def __init__(self) -> None:
        self.response: str | None = None
        self._has_ended = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """Nothing more comes: return when it is known which response it is, or never will be."""
        await self._has_ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Look at the head of the answer."""
        if message["type"] == "http.response.start":
            self.response = dict(message["headers"])[b"x-request-id"].decode()
            self._has_ended.set()

    def abort(self) -> None:
        """There is no answer."""
        self._has_ended.set()
