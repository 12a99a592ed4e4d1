"""The bodies of answers: bytes come as they arrive, events of ours leave, until an answer is whole or breaks off.

A dialect brings a decoder for each; it never sees a socket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

import msgspec

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.refusals import Refusals
from frontdesk.providers.sse import SseDecoder
from frontdesk.providers.upstream import UpstreamResponse
from frontdesk.turn.events import Event

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The most that is read of a body that says something only as a whole."""


class Decoder(Protocol):
    """Reads one body. Feed it bytes as they come until `is_done`, then `finish()` where they end before.

    Where `error` is set afterwards, the events returned so far are good and the answer breaks off there.
    """

    @property
    def is_done(self) -> bool:
        """Whether the answer is whole, or as whole as it will be."""
        ...

    @property
    def error(self) -> FrontdeskError | None:
        """What went wrong."""
        ...

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events of these bytes. Never raises: see `error`."""
        ...

    def finish(self) -> list[Event]:
        """Return the last events; the bytes have ended."""
        ...


async def read_events(
    ask: Callable[[], Awaitable[tuple[UpstreamResponse, Decoder]]], refusals: Refusals
) -> AsyncGenerator[list[Event], None]:
    """Ask for an answer and yield the events of one upstream read at a time.

    `ask` returns a response that has begun well, and what reads it. Raises what that raises, and what the decoder
    finds, in words that tell neither our key nor the provider's address.
    """
    response, decoder = await ask()
    with response:
        while not decoder.is_done:
            chunk = await response.read()
            events = decoder.feed(chunk) if chunk else decoder.finish()
            if events:
                yield events
            if decoder.error is not None:
                raise refusals.redacted(decoder.error)
        response.skip_rest()


class BodyDecoder:
    """Reads a body that says something only as a whole. `decode` raises BadRequest or ProviderError."""

    __slots__ = ("_decode", "_pieces", "_size_bytes", "error", "is_done")

    def __init__(self, decode: Callable[[bytes], list[Event]]) -> None:
        self._decode = decode
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self.error: FrontdeskError | None = None
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Keep these bytes."""
        self._size_bytes += len(chunk)
        if self._size_bytes > MAX_BODY_BYTES:
            self.error = ProviderError(f"the provider's answer is larger than {MAX_BODY_BYTES} bytes")
        self._pieces.append(chunk)
        return []

    def finish(self) -> list[Event]:
        """Return the events of the body."""
        pieces, self._pieces = self._pieces, []
        try:
            events = self._decode(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        except (BadRequest, ProviderError) as error:
            self.error = error
            return []
        self.is_done = True
        return events


class StreamDecoder(ABC):
    """Reads server-sent events. What becomes of each, and of their end, a dialect says."""

    __slots__ = ("_sse", "error", "is_done")

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self.error: FrontdeskError | None = None
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events of these bytes. Never raises: see `error`."""
        try:
            payloads = self._sse.feed(chunk)
        except ProviderError as error:
            self.error = error
            return []
        return self._decode(payloads)

    def finish(self) -> list[Event]:
        """Return the last events; the bytes have ended."""
        events = self._decode(self._sse.flush())
        if not self.is_done and self.error is None:
            try:
                self._end(events)
            except ProviderError as error:
                self.error = error
        return events

    def _decode(self, payloads: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for payload in payloads:
            if self.is_done or self.error is not None:
                break
            try:
                self._take(payload, events)
            except (ProviderError, BadRequest) as error:
                self.error = error
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                self.error = ProviderError(f"an event of the stream cannot be read: {type(error).__name__}")
        return events

    @abstractmethod
    def _take(self, payload: bytes, events: list[Event]) -> None:
        """Add what the data of an event says, and note where it is the last.

        Raises ProviderError or BadRequest, or what msgspec raises; what was added stands.
        """

    def _end(self, events: list[Event]) -> None:
        """Add what the end of the bytes says. Raises ProviderError where the answer is not whole without more."""
        del events
        raise ProviderError("the stream ended before its answer did")
