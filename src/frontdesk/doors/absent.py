"""What is asked for callers who are not there: at the doors of all requests, down the same line, into the same books.

What is different: it has a priority of its own, its answer is kept in memory, and where it was refused before any
provider did something for it, because there is no room for it now, it may be asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.errors import FrontdeskError, ProviderError, QuotaSpent, RateLimited, Unavailable
from frontdesk.core.ids import new_id
from frontdesk.doors.desk import Desk, Visit
from frontdesk.http.requests import Head
from frontdesk.storage.errors import StorageError
from frontdesk.turn.events import Usage
from frontdesk.turn.items import Request
from frontdesk.turn.turn import Caller, Door, Interruption, Turn

_log = logging.getLogger("frontdesk.doors")
_STORE_AWAY_S = 5.0
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Answered:
    """It was answered, well or with an error; `body` is JSON, `usage` is what it used, where that is known."""

    status: int
    request_id: str
    body: bytes
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """There was no room for it, and nothing was spent: it may be asked again, after so long where that is known."""

    after_s: float | None


@dataclass(frozen=True, slots=True)
class Unfunded:
    """No budget had the money for it, and nothing was spent: `answer` says so, should no answer under way free some.

    `after_s` is when the refusal says that there is some again, where it does.
    """

    answer: Answered
    after_s: float | None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """It was under way when it was ended: what it did is not known."""


Outcome = Answered | Postponed | Unfunded | Interrupted


@dataclass(slots=True)
class AbsentVisit(Visit):
    """A visit of nobody. `turn` is there once it began; its priority is `priority`, or its feature's lower one.

    `is_aside` is whether nobody sent it: the server asks it by itself.
    """

    turn: Turn | None = None
    priority: Priority = "batch"
    is_aside: bool = False


class AbsentDesk(Desk):
    """The desk where turns begin that nobody waits for. It keeps none of them."""

    def begin(
        self, door: Door, visit: Visit, model: str | None, request: Request, features: Mapping[str, str | None]
    ) -> Turn:
        """See `Desk.begin`."""
        turn = super().begin(door, visit, model, request, features)
        assert isinstance(visit, AbsentVisit)
        if PRIORITIES.index(turn.priority) < PRIORITIES.index(visit.priority):
            turn.priority = visit.priority
        turn.is_aside = visit.is_aside
        visit.turn = turn
        return turn


class Asker:
    """Asks at doors, each by its path. An answer may take `timeout_s` in all, where that is said.

    With `asides` it asks what nobody sent (`Turn.is_aside`).
    """

    def __init__(
        self,
        doors: Mapping[str, Callable[[Visit], Awaitable[None]]],
        priority: Priority,
        timeout_s: float | None = None,
        *,
        asides: bool = False,
    ) -> None:
        self._doors = doors
        self._priority: Priority = priority
        self._timeout_s = timeout_s
        self._asides = asides

    @property
    def endpoints(self) -> list[str]:
        """The paths that it knows."""
        return list(self._doors)

    async def ask(self, path: str, caller: Caller, feature: str | None, address: str, body: bytes) -> Outcome:
        """Ask, and return what came of it. Raises nothing but CancelledError; the turn then goes on."""
        inbox = _Inbox()
        scope = _scope(path, feature, address, inbox, self._timeout_s)
        visit = AbsentVisit(caller, Head(scope), body, scope, inbox.receive, inbox.send)
        visit.priority, visit.is_aside = self._priority, self._asides
        try:
            await self._doors[path](visit)
        except Unavailable as error:  # before it was a turn
            return Postponed(error.retry_after_s)
        except StorageError:
            return Postponed(_STORE_AWAY_S)
        except FrontdeskError as error:
            return _told(error)
        except Exception:  # noqa: BLE001 - a bug ends this request alone
            _log.exception("absent_request_broke path=%s", path)
            return _told(FrontdeskError("Something went wrong here. It was logged; try again."))
        return _outcome(visit.turn, inbox)


def _outcome(turn: Turn | None, inbox: _Inbox) -> Outcome:
    if turn is None or not inbox.is_whole:
        return Interrupted()
    error = turn.error
    was_free = all(attempt.was_free for attempt in turn.attempts)
    if error is not None and was_free and _passes(error):
        return Postponed(error.retry_after_s)
    if turn.interruption is Interruption.SHUTDOWN:
        return Interrupted()
    answer = Answered(inbox.status, turn.id, bytes(inbox.body), turn.usage)
    if isinstance(error, QuotaSpent) and was_free:
        return Unfunded(answer, error.retry_after_s)
    return answer


def _passes(error: FrontdeskError) -> bool:
    """Whether a refusal is one for now alone."""
    if isinstance(error, QuotaSpent):
        return False
    return isinstance(error, RateLimited | Unavailable) or (isinstance(error, ProviderError) and error.status == 503)


def _told(error: FrontdeskError) -> Answered:
    return Answered(error.status, new_id("req_"), _encode(error.body()))


def _scope(path: str, feature: str | None, address: str, inbox: _Inbox, timeout_s: float | None) -> dict[str, Any]:
    headers = [] if feature is None else [(b"frontdesk-feature", feature.encode())]
    if timeout_s is not None:
        headers.append((b"frontdesk-timeout", f"{timeout_s:.3f}".encode()))
    scope: dict[str, Any] = {"type": "http", "method": "POST", "scheme": "http", "path": path, "headers": headers}
    return {**scope, "client": (address, 0) if address else None, "frontdesk.abort": inbox.abort}


class _Inbox:
    """The two ends of an ASGI connection, kept in memory."""

    __slots__ = ("_has_ended", "body", "is_whole", "status")

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self.is_whole = False
        self._has_ended = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """Nothing more comes: return when the answer is whole, or never will be."""
        await self._has_ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Keep a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.body += message.get("body", b"")
        if not message.get("more_body", False):
            self.is_whole = True
            self._has_ended.set()

    def abort(self) -> None:
        """The turn ended without an answer."""
        self._has_ended.set()
