"""The events of a turn that outlives its connection: written by the turn, read by any number of readers.

    turn ──append──► entries ──(stored)──► show ──► readers, each at a place and a pace of its own

Nobody is shown what is not on the disk: what a reader has seen is there after a crash as well, so cursors never point
at words that were lost. A reader that does not take what it is sent waits by itself; neither the turn nor the others
wait for it. Entries are few bytes each, and shared by all readers.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, cast

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.core.tasks import Tasks
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    Event,
    ReasoningDelta,
    ReasoningSummaryDelta,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
)
from frontdesk.turn.seams import Sink

_log = logging.getLogger("frontdesk.turn")


class Failure(msgspec.Struct, frozen=True, array_like=True, tag=100):
    """How a turn ended that failed: the error as its caller was told it."""

    message: str
    code: str
    status: int
    kind: str
    param: str | None = None
    retry_after_s: float | None = None
    should_retry: bool | None = None

    @classmethod
    def of(cls, error: FrontdeskError) -> Failure:
        """What there is to keep of an error."""
        return cls(
            error.message, error.code, error.status, error.type, error.param, error.retry_after_s, error.should_retry
        )

    def error(self) -> FrontdeskError:
        """The error again."""
        error = FrontdeskError(
            self.message,
            code=self.code,
            param=self.param,
            status=self.status,
            retry_after_s=self.retry_after_s,
            should_retry=self.should_retry,
        )
        error.type = self.kind
        return error


Entry = Event | Failure
"""What a log holds: the events of an answer in their order; the last one is terminal, or a Failure."""
ENDS = frozenset({*TERMINAL_TYPES, Failure})

_encode = msgspec.msgpack.Encoder().encode
decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """Entries as they are kept. Whole numbers of more than 64 bits, which JSON may bring, become fractions."""
    try:
        return _encode(entries)
    except OverflowError:
        return _encode(_within_64_bits(msgspec.to_builtins(entries, builtin_types=(bytes,))))


def _within_64_bits(value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    if isinstance(value, list):
        return [_within_64_bits(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _within_64_bits(each) for name, each in cast("dict[str, Any]", value).items()}
    return value


def put_together(entries: list[Entry]) -> list[Entry]:
    """The same answer in fewer entries: neighbouring pieces of one text become one."""
    whole: list[Entry] = []
    pieces: list[str] = []  # of the last one, where it is a piece of a text
    for entry in entries:
        if isinstance(entry, _PIECES) and not (isinstance(entry, _LOGGED) and entry.logprobs is not None):
            last = whole[-1] if pieces else None
            if type(last) is type(entry) and last.output == entry.output:  # type: ignore[union-attr]
                pieces.append(entry.text)
                continue
            _join(whole, pieces)
            pieces = [entry.text]
        else:
            _join(whole, pieces)
            pieces = []
        whole.append(entry)
    _join(whole, pieces)
    return whole


_PIECES = (TextDelta, RefusalDelta, ReasoningDelta, ReasoningSummaryDelta, ToolArgumentsDelta)
_LOGGED = (TextDelta, RefusalDelta)  # each with logprobs of its own, which belong to its tokens


def _join(whole: list[Entry], pieces: list[str]) -> None:
    if len(pieces) > 1:
        last: Any = whole[-1]
        whole[-1] = type(last)(last.output, "".join(pieces))


class TurnLog:
    """The entries of one turn. `shown` is how many of them readers may see."""

    __slots__ = ("__weakref__", "_readers", "_tasks", "entries", "finished_at", "id", "shown")

    def __init__(self, turn_id: str, tasks: Tasks) -> None:
        self.id = turn_id
        self.entries: list[Entry] = []
        self.shown = 0
        self.finished_at: float | None = None  # its turn's, before the last entry is shown
        self._tasks = tasks
        self._readers: dict[Reader, None] = {}  # in the order of their coming

    @property
    def has_ended(self) -> bool:
        """Whether the last entry is there."""
        return bool(self.entries) and type(self.entries[-1]) in ENDS

    def show(self, count: int) -> None:
        """Let readers see so many entries."""
        self.shown = count
        for reader in tuple(self._readers):
            reader.wake()

    @property
    def readers(self) -> list[Reader]:
        """Who reads it and has not read all."""
        return list(self._readers)

    def attach(self, sink: Sink, abort: Callable[[], None] | None = None) -> Reader:
        """Let a sink have all entries, from the first one on; renderers leave out what their clients have.

        `abort` closes its connection, where no end will come.
        """
        reader = Reader(self, sink, self._tasks, abort)
        self._readers[reader] = None
        reader.wake()
        return reader

    def abandon(self) -> None:
        """Nothing more comes: its turn is carried elsewhere, or by nobody. Clients come again, with their cursors."""
        for reader in self.readers:
            reader.break_off()

    def keep_alive(self) -> None:
        """Send to all readers what keeps silent connections open."""
        for reader in self.readers:
            reader.sink.keep_alive()

    def forget(self, reader: Reader) -> None:
        """Let a reader go; does nothing where it has gone."""
        self._readers.pop(reader, None)


class Reader:
    """Somebody who reads a log. Its sink gets each entry once, in order, and never waits for another reader's."""

    __slots__ = ("_abort", "_is_sending", "_log", "_place", "_tasks", "sink")

    def __init__(self, log: TurnLog, sink: Sink, tasks: Tasks, abort: Callable[[], None] | None) -> None:
        self._log = log
        self.sink = sink
        self._abort = abort
        self._tasks = tasks
        self._place = 0
        self._is_sending = False

    def wake(self) -> None:
        """Send what is new, at once as far as that goes, the rest by a task."""
        if self._is_sending or self._place == self._log.shown:
            return
        self._is_sending = True
        sending = self._send()
        try:
            waited = sending.send(None)
        except StopIteration:
            return
        self._tasks.start(f"reader of {self._log.id}", _went_on(sending, waited))

    def leave(self) -> None:
        """Read no more: the connection has gone."""
        self._log.forget(self)
        self.sink.leave()

    def break_off(self) -> None:
        """End its connection without an end of its answer."""
        self.leave()
        if self._abort is not None and not self.sink.is_complete:
            self._abort()

    async def _send(self) -> None:
        log = self._log
        try:
            while self._place < log.shown:
                entries = log.entries[self._place : min(log.shown, self._place + _MOST_AT_ONCE)]
                self._place += len(entries)
                await self._hand_over(entries)
                if len(entries) == _MOST_AT_ONCE:
                    await asyncio.sleep(0)  # a late reader of a long answer must not hold up the others
        except Exception:  # noqa: BLE001 - a bug of its renderer ends this reader, and neither the turn nor the others
            _log.exception("reader_broke turn_id=%s", log.id)
            self.break_off()
        finally:
            self._is_sending = False
        if self._place and type(log.entries[self._place - 1]) in ENDS:
            log.forget(self)

    async def _hand_over(self, entries: list[Entry]) -> None:
        last = entries[-1]
        if isinstance(last, Failure):
            if len(entries) > 1:
                await self.sink.write(cast("list[Event]", entries[:-1]))
            await self.sink.fail(last.error())
        else:
            await self.sink.write(cast("list[Event]", entries))


_MOST_AT_ONCE = 500


async def _went_on(begun: Coroutine[Any, Any, None], waited: Any) -> None:
    """Go on with a coroutine that was begun outside of a task, and waits for a future already."""
    await _rest_of(begun, waited)


@types.coroutine
def _rest_of(begun: Any, waited: Any) -> Generator[Any, Any, None]:
    yield waited
    yield from begun
