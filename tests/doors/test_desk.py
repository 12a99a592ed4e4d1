"""The desk: what policies tell of a turn leaves with its answer, and notices only to who asks for them."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from frontdesk.core.config import Config, Model
from frontdesk.core.errors import FrontdeskError, QuotaSpent
from frontdesk.doors.chat import ChatDoor
from frontdesk.doors.desk import Desk, named_timeout_s
from frontdesk.http.edge import Edge
from frontdesk.policies.access import Access
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock, PlayedProvider, answer_events

NOTICE: Mapping[str, object] = {"type": "frontdesk.budget", "step": "cheaper"}
EVENT = b'event: frontdesk.budget\ndata: {"type":"frontdesk.budget","step":"cheaper"}\n\n'
ASKS = (b"frontdesk-events", b"status")


class Telling:
    """Tells of the turn what it is given to tell, before it lets it pass or not."""

    def __init__(self, notices: Sequence[Mapping[str, object]], refusal: FrontdeskError | None = None) -> None:
        self._notices = notices
        self._refusal = refusal
        self.turn: Turn | None = None

    def admit(self, turn: Turn) -> None:
        self.turn = turn
        turn.headers.append((b"x-ratelimit-remaining-requests", b"19"))
        turn.notices.extend(self._notices)
        if self._refusal is not None:
            raise self._refusal

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""


class OneCaller:
    """Everybody is this one."""

    def known(self, head: Any) -> Caller:
        return Caller("user", "sess_1", "u1")

    async def identify(self, head: Any) -> Caller:
        return self.known(head)


class Answered:
    """What was sent."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers: list[tuple[bytes, bytes]] = messages[0]["headers"]
        self.body = b"".join(message.get("body", b"") for message in messages[1:])

    @property
    def without_its_id(self) -> tuple[int, str, str]:
        headers, body = (re.sub(r"chatcmpl-\w+", "ID", repr(part)) for part in (self.headers, self.body))
        return self.status, headers, body


async def chat(telling: Telling, *headers: tuple[bytes, bytes], stream: bool = True) -> Answered:
    access = Access(Config(models={"fast": Model(["p/m"])}))
    router = FallbackRouter({"fast": [Route("p", PlayedProvider(answer_events("a", "b")), "m")]})
    live = LiveTurns(Line([access, telling], [], router), TurnTimes(60, 60, 0))
    desk = Desk(OneCaller(), live, HandClock(), access, 1_000_000)
    edge = Edge({"/v1/chat/completions": desk.door(ChatDoor(desk).serve)}, nowhere)
    asked = {"model": "fast", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]}
    asked["stream_options"] = {"include_obfuscation": False} if stream else None
    coming = [{"type": "http.request", "body": json.dumps(asked).encode()}]
    sent: list[dict[str, Any]] = []
    whole = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if coming:
            return coming.pop()
        await whole.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            whole.set()

    path = "/v1/chat/completions"
    await edge(
        {"type": "http", "method": "POST", "path": path, "scheme": "http", "headers": list(headers)}, receive, send
    )
    await live.close(1)
    return Answered(sent)


async def nowhere(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("all requests are for the door")


async def test_who_asks_is_told_in_a_stream_behind_its_first_event() -> None:
    answered = await chat(Telling([NOTICE]), ASKS)

    first, _, rest = answered.body.partition(b"\n\n")
    assert first.startswith(b"data: ")
    assert rest.startswith(EVENT + b"data: ")
    assert answered.body.count(b"event:") == 1


async def test_who_asks_is_told_in_a_header_of_a_body() -> None:
    answered = await chat(Telling([NOTICE]), ASKS, stream=False)

    told = [value for name, value in answered.headers if name == b"frontdesk-notice"]
    assert [json.loads(each) for each in told] == [NOTICE]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("headers", [[], [(b"frontdesk-events", b"other")]])
async def test_for_everybody_else_nothing_changes(stream: bool, headers: list[tuple[bytes, bytes]]) -> None:
    told = await chat(Telling([NOTICE]), *headers, stream=stream)
    untold = await chat(Telling([]), stream=stream)

    assert told.without_its_id == untold.without_its_id


@pytest.mark.parametrize("stream", [True, False])
async def test_who_asks_and_is_told_nothing_sees_no_difference(stream: bool) -> None:
    asking, silent = await chat(Telling([]), ASKS, stream=stream), await chat(Telling([]), stream=stream)

    assert asking.without_its_id == silent.without_its_id


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("refusal", [None, QuotaSpent("Used up.")])
async def test_headers_of_a_turn_leave_with_its_answer_or_refusal(stream: bool, refusal: FrontdeskError | None) -> None:
    answered = await chat(Telling([], refusal), stream=stream)

    assert answered.status == (429 if refusal else 200)
    names = [name for name, _ in answered.headers]
    assert names.count(b"x-request-id") == 1
    assert (b"x-ratelimit-remaining-requests", b"19") in answered.headers
    assert ((b"x-should-retry", b"false") in answered.headers) == (refusal is not None)


# --- what headers say of time and priority ------------------------------------------------------


async def admitted(*headers: tuple[bytes, bytes], stream: bool = True) -> Turn:
    telling = Telling([])
    answered = await chat(telling, *headers, stream=stream)
    assert (answered.status, telling.turn is None) == (200, False)
    assert telling.turn is not None
    return telling.turn


async def test_headers_say_how_urgent_a_turn_is_and_how_long_it_may_take() -> None:
    turn = await admitted((b"frontdesk-priority", b"prefetch"), (b"frontdesk-timeout", b"2.5"))

    assert (turn.priority, turn.deadline_at) == ("prefetch", HandClock().monotonic() + 2.5)


async def test_without_these_headers_it_is_interactive_and_has_no_deadline_of_its_own() -> None:
    turn = await admitted()

    assert (turn.priority, turn.deadline_at) == ("interactive", math.inf)


@pytest.mark.parametrize(
    ("headers", "stream", "is_told"), [([ASKS], True, True), ([ASKS], False, False), ([], True, False)]
)
async def test_only_streams_of_who_asks_can_be_told_of_a_wait(
    headers: list[tuple[bytes, bytes]], stream: bool, is_told: bool
) -> None:
    turn = await admitted(*headers, stream=stream)

    assert (turn.tell is not None) == is_told


@pytest.mark.parametrize(
    "header", [b"", b"0", b"0.049", b"60.1", b"61", b"1e1", b"+5", b" 5", b"inf", b"\xb2", b"5" * 40]
)
async def test_a_timeout_that_cannot_be_is_refused(header: bytes) -> None:
    answered = await chat(Telling([]), (b"frontdesk-timeout", header))

    error = json.loads(answered.body)["error"]
    assert (answered.status, error["code"]) == (400, "invalid_value")
    assert "0.05 to 60" in error["message"]


@pytest.mark.parametrize("seconds", [0.05, 1, 59.999, 60])
def test_a_timeout_may_be_as_long_as_the_servers(seconds: float) -> None:
    assert named_timeout_s(str(seconds).encode(), 60) == seconds


@pytest.mark.parametrize("header", [b"", b"urgent", b"INTERACTIVE", b"batch ", b"\xff" * 500])
async def test_a_priority_that_there_is_not_is_refused_with_those_there_are(header: bytes) -> None:
    answered = await chat(Telling([]), (b"frontdesk-priority", header))

    error = json.loads(answered.body)["error"]
    assert (answered.status, error["code"]) == (400, "invalid_value")
    assert error["message"].endswith("It is one of: interactive, draft, prefetch, background, batch.")
    assert len(error["message"]) < 400
