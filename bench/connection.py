"""One connection of the client: asks a question, reads the answer, tells who owns it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol, cast

from bench.answer import Answer, BadAnswer


@dataclass(frozen=True, slots=True)
class Asked:
    """A question under way. `due` is when it should have been asked, `asked` when it was."""

    number: int
    due: float
    asked: float


class Owner(Protocol):
    """Who wants to know."""

    def answered(self, connection: Connection, asked: Asked, answer: Answer, now: float) -> None:
        """Take a whole answer; the connection can ask again. Raises BadAnswer for one that is wrong."""
        ...

    def failed(self, asked: Asked, reason: str) -> None:
        """Take the news that there will be none; the connection is closed."""
        ...


class Connection(asyncio.Protocol):
    """Asks one question at a time."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._asked: Asked | None = None
        self._answer = Answer()
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what was asked."""
        self.is_open = False
        self._fail(f"the connection was lost: {exc!r}")

    def ask(self, question: bytes, number: int, due: float) -> None:
        """Send a question. The last one was answered."""
        self._asked = Asked(number, due, time.monotonic())
        self._answer = Answer()
        self._transport.write(question)

    def close(self) -> None:
        """Close; what was asked fails."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        asked = self._asked
        if asked is None:  # an answer that nobody asked for
            self.close()
            return
        now = time.monotonic()
        try:
            self._answer.feed(data, now)
            if self._answer.is_whole:
                self._asked = None
                self._owner.answered(self, asked, self._answer, now)
        except (BadAnswer, ValueError) as error:  # ValueError: what msgspec and int() say to bytes that are wrong
            self._asked = asked
            self.close()
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._owner.failed(asked, reason)
