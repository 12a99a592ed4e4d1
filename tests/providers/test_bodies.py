"""Bodies of answers: what is read of a response, in which pieces, and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from types import TracebackType
from typing import Self, cast

import msgspec
import pytest

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.bodies import MAX_BODY_BYTES, BodyDecoder, Decoder, StreamDecoder, read_events
from frontdesk.providers.openai_errors import read_error
from frontdesk.providers.refusals import Refusals
from frontdesk.providers.upstream import UpstreamResponse
from frontdesk.turn.events import Event, TextDelta, TurnCompleted
from tests.fakes import HandClock

KEY = "sk-test-very-secret"
REFUSALS = Refusals("https://api.example/v1", KEY, HandClock(), read_error)


class Response:
    """A response whose body comes in the pieces that it was made of, and then ends."""

    def __init__(self, *chunks: bytes | ProviderError) -> None:
        self._chunks = list(chunks)
        self.became: str = "held"

    async def read(self) -> bytes:
        chunk = self._chunks.pop(0) if self._chunks else b""
        if isinstance(chunk, ProviderError):
            raise chunk
        return chunk

    def skip_rest(self) -> None:
        self.became = "skipped"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.became == "held":
            self.became = "given back"


class Words(StreamDecoder):
    """A dialect of words: "." ends the answer, "!" and "?" are errors, the end of the bytes is one where it may be."""

    __slots__ = ("_ends_with_bytes",)

    def __init__(self, *, ends_with_bytes: bool = False) -> None:
        super().__init__()
        self._ends_with_bytes = ends_with_bytes

    def _take(self, payload: bytes, events: list[Event]) -> None:
        said = msgspec.json.decode(payload, type=str)
        events.append(TextDelta(0, said))
        if said == "!":
            raise ProviderError(f"it broke for {KEY}")
        if said == "?":
            raise BadRequest(f"no such thing for {KEY}")
        self.is_done = said == "."

    def _end(self, events: list[Event]) -> None:
        if not self._ends_with_bytes:
            super()._end(events)
        events.append(TurnCompleted())
        self.is_done = True


def said(*words: str) -> bytes:
    return b"".join(b'data: "%b"\n\n' % word.encode() for word in words)


def told(*words: str) -> list[Event]:
    return [TextDelta(0, word) for word in words]


async def read(response: Response, decoder: Decoder) -> tuple[list[list[Event]], FrontdeskError | None]:
    async def ask() -> tuple[UpstreamResponse, Decoder]:
        return cast("UpstreamResponse", response), decoder

    batches: list[list[Event]] = []
    try:
        async with aclosing(read_events(ask, REFUSALS)) as reading:
            async for batch in reading:
                batches.append(batch)  # noqa: PERF401 - what came before an error counts
    except FrontdeskError as error:
        return batches, error
    return batches, None


async def test_every_read_is_one_batch_and_what_comes_behind_the_end_is_skipped() -> None:
    response = Response(said("a", "b"), b": nothing\n\n", said("c", ".", "d"), said("e"))

    batches, error = await read(response, Words())

    assert (batches, error) == ([told("a", "b"), told("c", ".")], None)
    assert response.became == "skipped"


@pytest.mark.parametrize("ends_with_bytes", [True, False])
async def test_the_end_of_the_bytes_is_one_where_the_dialect_says_so(ends_with_bytes: bool) -> None:
    batches, error = await read(Response(said("a"), b'data: "b"'), Words(ends_with_bytes=ends_with_bytes))

    assert batches[0] == told("a")
    if ends_with_bytes:
        assert (batches[1:], error) == ([[*told("b"), TurnCompleted()]], None)
    else:
        assert batches[1:] == [told("b")]
        assert str(error) == "the stream ended before its answer did"


@pytest.mark.parametrize(
    ("wrong", "kind", "before"),
    [
        (said("!"), ProviderError, told("!")),
        (said("?"), BadRequest, told("?")),
        (b"data: {not json\n\n", ProviderError, []),
        (b"data: 7\n\n", ProviderError, []),
        (b'data: "\xff"\n\n', ProviderError, []),
    ],
)
async def test_what_came_before_an_error_is_told_and_nothing_after(
    wrong: bytes, kind: type[FrontdeskError], before: list[Event]
) -> None:
    response = Response(said("a") + wrong + said("b"), said("c"))

    batches, error = await read(response, Words())

    assert batches == [told("a") + before]
    assert isinstance(error, kind)
    assert KEY not in f"{error} {error.message}"
    assert response.became == "given back"


async def test_one_event_without_an_end_is_an_error() -> None:
    batches, error = await read(Response(said("a"), b"data: " + b"x" * (16 * 1024 * 1024 + 1)), Words())

    assert batches == [told("a")]
    assert isinstance(error, ProviderError)


async def test_a_response_that_breaks_off_is_let_go() -> None:
    response = Response(said("a"), ProviderError("reset"))

    batches, error = await read(response, Words())

    assert (batches, str(error)) == ([told("a")], "reset")
    assert response.became == "given back"


async def test_who_leaves_in_between_lets_go_of_the_response() -> None:
    response = Response(said("a"), said("b"))

    async def ask() -> tuple[UpstreamResponse, Decoder]:
        return cast("UpstreamResponse", response), Words()

    async with aclosing(read_events(ask, REFUSALS)) as reading:
        assert await anext(reading) == told("a")

    assert response.became == "given back"


@pytest.mark.parametrize("chunks", [[b"ab", b"c"], [b"abc"], []])
async def test_a_whole_body_is_decoded_once_at_its_end(chunks: list[bytes]) -> None:
    batches, error = await read(Response(*chunks), BodyDecoder(lambda body: told(body.decode(), ".")))

    assert (batches, error) == ([told(b"".join(chunks).decode(), ".")], None)


def raising(error: FrontdeskError) -> Callable[[bytes], list[Event]]:
    def decode(_body: bytes) -> list[Event]:
        raise error

    return decode


@pytest.mark.parametrize("error", [ProviderError(f"for {KEY}"), BadRequest(f"for {KEY}", param=KEY)])
async def test_what_a_whole_body_is_refused_for_tells_no_key(error: FrontdeskError) -> None:
    batches, found = await read(Response(b"x"), BodyDecoder(raising(error)))

    assert batches == []
    assert isinstance(found, type(error))
    assert KEY not in f"{found} {found.message} {found.param}"


async def test_a_whole_body_has_a_most() -> None:
    half = bytes(MAX_BODY_BYTES // 2)

    whole, none = await read(Response(half, half), BodyDecoder(lambda body: told(str(len(body)))))
    batches, error = await read(Response(half, half, b"x"), BodyDecoder(lambda body: told(str(len(body)))))

    assert (whole, none) == ([told(str(MAX_BODY_BYTES))], None)
    assert (batches, str(error)) == ([], f"the provider's answer is larger than {MAX_BODY_BYTES} bytes")
