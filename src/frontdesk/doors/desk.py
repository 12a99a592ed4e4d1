"""What every door shares: who calls, what they sent, and how a turn starts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.config.features import FEATURE_NAME
from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.doors.client_context import read_context
from frontdesk.doors.shelf import Shelf, Wish
from frontdesk.http.callers import Callers, May, may_of
from frontdesk.http.requests import Head, Receive, Scope, Send, read_body
from frontdesk.keeping.plan import Form
from frontdesk.keeping.rows import ResponseRow
from frontdesk.policies.access import KIND_OF, Access
from frontdesk.turn.facts import Facts
from frontdesk.turn.items import Prompt, Request
from frontdesk.turn.live import LiveTurns
from frontdesk.turn.media_sinks import ContentRenderer, ContentSink
from frontdesk.turn.seams import Sink
from frontdesk.turn.sinks import BodyRenderer, BodySink, Headers, Notices, StreamRenderer, StreamSink, send_json
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
    adopts: ResponseRow | None = None  # the kept turn that it is asked for again, after a crash
    asked: bytes = b""  # the body, where it is needed once it was taken
    said: bytes | None = None  # the body as its client said it, where `asked` says more
    context: str | None = None  # what of the header Frontdesk-Context counts

    @property
    def content_type(self) -> bytes | None:
        """What the body is, as the request says."""
        return next((value for name, value in self.scope["headers"] if name == b"content-type"), None)

    def take_body(self) -> bytes:
        """Return the body and forget it: it may be large, and an answer long."""
        body, self.body = self.body, b""
        if self.head.idempotency_key is not None:
            self.asked = body
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

    def __init__(
        self,
        callers: Callers,
        live: LiveTurns,
        clock: Clock,
        access: Access,
        body_limit_bytes: int,
        shelf: Shelf | None = None,
    ) -> None:
        self._shelf = shelf
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
        if visit.head.context is not None:
            request = self._with_context(visit, visit.head.context, feature, request)
        turn = Turn(door, visit.caller, model, request, self._clock, feature)
        if visit.adopts is not None:
            turn.id, turn.started_at = visit.adopts.id, visit.adopts.created_at_ms / 1000
        if (client := visit.scope.get("client")) is not None:
            turn.address = client[0]
        turn.wants_status = visit.head.events == _STATUS
        turn.priority = self._access.choose_priority(visit.caller, feature, named_priority(visit.head.priority))
        if visit.head.timeout is not None:
            turn.deadline_at = self._clock.monotonic() + named_timeout_s(visit.head.timeout, self._live.longest_s)
        turn.headers.append((b"x-request-id", turn.id.encode()))
        return turn

    def _with_context(self, visit: Visit, header: bytes, feature: str, request: Request) -> Request:
        """The request with what its client says of itself, as far as its feature has variables for that."""
        if not isinstance(request, Prompt):
            read_context(header, {}, {})  # a client that writes it wrongly learns that anywhere
            return request
        context = read_context(header, self._access.variables_of(feature), request.variables)
        if not context.values:
            return request
        visit.context = context.header
        return msgspec.structs.replace(request, variables={**request.variables, **context.values})

    # --- answering ----------------------------------------------------------------------------

    def stream(
        self, turn: Turn, visit: Visit, render: Callable[[Any], StreamRenderer], wish: Wish | None = None
    ) -> Awaitable[None]:
        """Answer with an event stream. `render` makes its renderer, from the facts of the turn that is told."""

        def form(facts: Facts, headers: Headers) -> Sink:
            sink = StreamSink(render(facts), visit.send, headers, _notices(turn))
            if visit.head.last_event_id is not None and facts.id != turn.id:
                sink.resume()
            if turn.wants_status:
                turn.tell = sink.tell
            return sink

        return self.answer(turn, visit, form, wish)

    def collect(
        self, turn: Turn, visit: Visit, render: Callable[[Any], BodyRenderer], wish: Wish | None = None
    ) -> Awaitable[None]:
        """Answer with one body."""

        def form(facts: Facts, headers: Headers) -> Sink:
            return BodySink(render(facts), visit.send, headers, _notices(turn))

        return self.answer(turn, visit, form, wish)

    def deliver(
        self, turn: Turn, visit: Visit, render: Callable[[Any], ContentRenderer], wish: Wish | None = None
    ) -> Awaitable[None]:
        """Answer with bytes of one type, as they come."""

        def form(facts: Facts, headers: Headers) -> Sink:
            return ContentSink(render(facts), visit.send, headers, _notices(turn))

        return self.answer(turn, visit, form, wish)

    def keeps(self, turn: Turn) -> bool:
        """Whether anything of this turn may be stored: its tier or its feature may say that nothing is."""
        return self._shelf is not None and self._shelf.keeps(turn)

    def check_conversation(self, turn: Turn) -> None:
        """Raise BadRequest where this turn can be in no conversation: what it says would not be there."""
        if self._shelf is None:
            raise BadRequest(
                "A line of a batch adds nothing to a conversation. Leave 'conversation' out.",
                code="unsupported_parameter",
                param="conversation",
            )
        if not self._shelf.keeps(turn):
            raise BadRequest(
                "'conversation' keeps what is said, and for you nothing is stored here. Send what was said before as "
                "'input'.",
                code="nothing_is_stored",
                param="conversation",
            )

    def accept(
        self,
        turn: Turn,
        visit: Visit,
        accepted: Callable[[Any], bytes],
        render: Callable[[Any], ToldRenderer],
        wish: Wish,
    ) -> Awaitable[None]:
        """Begin a turn in the background, and answer with what `accepted` makes of its facts; where it was begun
        before and has ended, with what `render` makes of it.
        """
        if self._shelf is None:
            raise BadRequest(
                "'background': true has no sense in a batch, which is in the background as it is. Leave it out.",
                code="unsupported_parameter",
                param="background",
            )

        def form(facts: Facts, headers: Headers) -> Sink:
            return _ToldSink(render(facts), visit.send, headers)

        return self._shelf.accept(turn, visit, accepted, form, wish)

    def answer(self, turn: Turn, visit: Visit, form: Form, wish: Wish | None) -> Awaitable[None]:
        """Answer with what `form` makes."""
        if self._shelf is not None and (
            visit.adopts is not None
            or visit.head.idempotency_key is not None
            or (wish is not None and wish.is_kept and self._shelf.keeps(turn))
        ):
            return self._shelf.answer(turn, visit, form, wish or _NO_WISH)
        sink = form(turn if wish is None else wish.response_facts or turn, turn.headers)
        return self._live.carry(turn, sink, visit.receive, visit.scope.get("frontdesk.abort"))


class ToldRenderer(BodyRenderer, Protocol):
    """Makes one body of an answer, failed ones too."""

    def fail(self, error: FrontdeskError) -> None:
        """End it as failed."""
        ...


class _ToldSink(BodySink):
    """Tells a turn in the background to who asks for it again. That it failed is said in it, as where it is retrieved:
    what was asked of this request, to begin it, was done.
    """

    __slots__ = ("_told",)

    def __init__(self, renderer: ToldRenderer, send: Send, headers: Headers) -> None:
        super().__init__(renderer, send, headers)
        self._told = renderer

    async def fail(self, error: FrontdeskError) -> None:
        """Answer with what failed."""
        if not self._has_left:
            self._told.fail(error)
            await send_json(self._send, 200, self._told.body(), self._headers)
            self.is_complete = True


def _notices(turn: Turn) -> Notices:
    """The turn's own list, for policies add to it, and only for who asks: OpenAI's SDKs know no such events."""
    return turn.notices if turn.wants_status else ()


_NO_WISH = Wish()
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
