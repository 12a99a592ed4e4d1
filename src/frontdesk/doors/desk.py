"""What every door shares: who calls, what they sent, and how a turn starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from frontdesk.core.clock import Clock
from frontdesk.core.config.features import FEATURE_NAME
from frontdesk.core.errors import BadRequest
from frontdesk.http.callers import Callers, May, may_of
from frontdesk.http.requests import Head, Receive, Scope, Send, read_body
from frontdesk.policies.access import Access
from frontdesk.turn.items import Request
from frontdesk.turn.live import LiveTurns
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

        Raises BadRequest where two name different ones, or no model is named and none is the default.
        """
        feature = self._access.choose_feature(visit.caller, named_feature(visit.head.feature, features))
        if not model:
            model = self._access.choose_model(visit.caller, feature, "embeddings" if door == "embeddings" else "chat")
        if model is None:
            raise BadRequest("Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
        if len(model) > _MAX_MODEL_CHARS or not model.isprintable():
            raise BadRequest("'model' is no model's name.", code="invalid_value", param="model")
        turn = Turn(door, visit.caller, model, request, self._clock, feature)
        if (client := visit.scope.get("client")) is not None:
            turn.address = client[0]
        turn.wants_status = visit.head.events == _STATUS
        turn.headers.append((b"x-request-id", turn.id.encode()))
        return turn

    def stream(self, turn: Turn, renderer: StreamRenderer, visit: Visit) -> Awaitable[None]:
        """Answer with an event stream."""
        return self._carry(turn, StreamSink(renderer, visit.send, turn.headers, _notices(turn)), visit)

    def collect(self, turn: Turn, renderer: BodyRenderer, visit: Visit) -> Awaitable[None]:
        """Answer with one body."""
        return self._carry(turn, BodySink(renderer, visit.send, turn.headers, _notices(turn)), visit)

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
