"""What every door shares: who calls, what they sent, and how a turn starts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from frontdesk.core.clock import Clock
from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.config.features import FEATURE_NAME
from frontdesk.core.errors import BadRequest
from frontdesk.http.callers import Callers, May, may_of
from frontdesk.http.requests import Head, Receive, Scope, Send, read_body
from frontdesk.policies.access import KIND_OF, Access
from frontdesk.turn.items import Request
from frontdesk.turn.live import LiveTurns
from frontdesk.turn.media_sinks import ContentRenderer, ContentSink
from frontdesk.turn.seams import Sink
from frontdesk.turn.sinks import BodyRenderer, BodySink, Notices, StreamRenderer, StreamSink
from frontdesk.turn.turn import Caller, Door, Turn


@dataclass(slots=True)
class Visit:
    """One request at a door, before it is a turn."""

    caller: Caller
    head: Head
    body: bytes
    scope: Scope
    receive: Receive
    send: Send

    @property
    def content_type(self) -> bytes | None:
        """What the body is, as the request says."""
        return next((value for name, value in self.scope["headers"] if name == b"content-type"), None)

    def take_body(self) -> bytes:
        """Return the body and forget it: it may be large, and an answer long."""
        body, self.body = self.body, b""
        return body


ASKING = May("user", "server", "operator", scope="turns")
"""Who may ask models."""


class GuardedDoor:
    """A door that only these may pass."""

    __slots__ = ("_desk", "_serve", "may")

    def __init__(self, desk: Desk, serve: Callable[[Visit], Awaitable[None]], may: May) -> None:
        self._desk = desk
        self._serve = serve
        self.may = may

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._serve(await self._desk.open(scope, receive, send, self.may))


class Desk:
    """Opens visits and starts their turns."""

    def __init__(self, callers: Callers, live: LiveTurns, clock: Clock, access: Access, body_limit_bytes: int) -> None:
        self._callers = callers
        self._live = live
        self._clock = clock
        self._access = access
        self._body_limit_bytes = body_limit_bytes

    def door(self, serve: Callable[[Visit], Awaitable[None]]) -> GuardedDoor:
        """Make a door of what serves its visits, to those whom its signature allows."""
        return GuardedDoor(self, serve, may_of(serve, "visit"))

    async def open(self, scope: Scope, receive: Receive, send: Send, may: May) -> Visit:
        """Learn who calls, then read the body. Raises Unauthenticated, Forbidden, TooLarge, ClientGone."""
        head = Head(scope)
        may.check(self._callers.known(head) or await self._callers.identify(head))
        body = await read_body(receive, head, self._body_limit_bytes)
        # Again: a body may take a minute to come, and the credential be revoked meanwhile.
        caller = self._callers.known(head) or await self._callers.identify(head)
        may.check(caller)
        return Visit(caller, head, body, scope, receive, send)

    @property
    def has_features(self) -> bool:
        """Whether features are configured."""
        return self._access.has_features

    def begin(
        self, door: Door, visit: Visit, model: str | None, request: Request, features: Mapping[str, str | None]
    ) -> Turn:
        """Make the turn of a visit. `features` are the fields that may name one, and what they say.

        Raises BadRequest where two name different ones, or no model is named and none is the default, or where a
        header says what it cannot.
        """
        feature = self._access.choose_feature(visit.caller, named_feature(visit.head.feature, features))
        if not model:
            model = self._access.choose_model(visit.caller, feature, KIND_OF[door])
        if model is None:
            raise BadRequest("Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
        if len(model) > _MAX_MODEL_CHARS or not model.isprintable():
            raise BadRequest("'model' is no model's name.", code="invalid_value", param="model")
        turn = Turn(door, visit.caller, model, request, self._clock, feature)
        if (client := visit.scope.get("client")) is not None:
            turn.address = client[0]
        turn.wants_status = visit.head.events == _STATUS
        turn.priority = self._access.choose_priority(visit.caller, feature, named_priority(visit.head.priority))
        if visit.head.timeout is not None:
            turn.deadline_at = self._clock.monotonic() + named_timeout_s(visit.head.timeout, self._live.longest_s)
        turn.headers.append((b"x-request-id", turn.id.encode()))
        return turn

    def stream(self, turn: Turn, renderer: StreamRenderer, visit: Visit) -> Awaitable[None]:
        """Answer with an event stream."""
        sink = StreamSink(renderer, visit.send, turn.headers, _notices(turn))
        if turn.wants_status:
            turn.tell = sink.tell
        return self._carry(turn, sink, visit)

    def collect(self, turn: Turn, renderer: BodyRenderer, visit: Visit) -> Awaitable[None]:
        """Answer with one body."""
        return self._carry(turn, BodySink(renderer, visit.send, turn.headers, _notices(turn)), visit)

    def deliver(self, turn: Turn, renderer: ContentRenderer, visit: Visit) -> Awaitable[None]:
        """Answer with bytes of one type, as they come."""
        return self._carry(turn, ContentSink(renderer, visit.send, turn.headers, _notices(turn)), visit)

    def _carry(self, turn: Turn, sink: Sink, visit: Visit) -> Awaitable[None]:
        return self._live.carry(turn, sink, visit.receive, visit.scope.get("frontdesk.abort"))


def _notices(turn: Turn) -> Notices:
    """The turn's own list, for policies add to it, and only for who asks: OpenAI's SDKs know no such events."""
    return turn.notices if turn.wants_status else ()


_STATUS = b"status"  # of the header Frontdesk-Events
_MAX_MODEL_CHARS = 200
_METADATA = "metadata.feature"


def named_feature(header: bytes | None, fields: Mapping[str, str | None]) -> str | None:
    """The feature that a request names: in the header Frontdesk-Feature, or in one of these fields."""
    named = None if header is None else header.decode("latin-1")
    place = "The header Frontdesk-Feature"
    param = _METADATA
    for field, said in fields.items():
        if said is None:
            continue
        if named is not None and said != named:
            raise BadRequest(
                f"{place} says {named!r} and {field} says {said!r}. Send one.", code="ambiguous_feature", param=field
            )
        named, place, param = said, field, field
    if named is not None and FEATURE_NAME.fullmatch(named) is None:
        raise BadRequest(
            f"The feature {named!r} is not a name: letters, digits, '_', '.', '-', at most 64.",
            code="invalid_feature",
            param=param,
        )
    return named


def named_priority(header: bytes | None) -> Priority | None:
    """The priority that a request names in the header Frontdesk-Priority."""
    if header is None:
        return None
    named = header.decode("latin-1")
    for priority in PRIORITIES:
        if named == priority:
            return priority
    raise BadRequest(
        f"The header Frontdesk-Priority says {named[:_MAX_TOLD_CHARS]!r}. It is one of: {', '.join(PRIORITIES)}.",
        code="invalid_value",
    )


def named_timeout_s(header: bytes, longest_s: float) -> float:
    """How long a request may take in all, in seconds, as the header Frontdesk-Timeout says."""
    named = header.decode("latin-1")
    if _SECONDS.fullmatch(named) is None or not _LEAST_TIMEOUT_S <= (timeout_s := float(named)) <= longest_s:
        raise BadRequest(
            f"The header Frontdesk-Timeout says {named[:_MAX_TOLD_CHARS]!r}. It is a number of seconds from "
            f"{_LEAST_TIMEOUT_S:g} to {longest_s:g}, as '30' or '2.5'.",
            code="invalid_value",
        )
    return timeout_s


_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_LEAST_TIMEOUT_S = 0.05
_MAX_TOLD_CHARS = 64
