"""Post between processes over one Valkey: each process has a stream there, which it alone reads.

    send ─► outbox ─► a task: one XADD for each process, one round trip ─► frontdesk:post:{process} ─► XREAD ─► take

Theory of operation. One connection sends: what came together while the answer to the last batch was awaited is the next
batch, so a busy process sends few large ones and an idle one sends at once. Another connection only waits for what
comes, from the place behind the last message on, so a connection that breaks loses nothing that was sent. What was read
is removed; what nobody reads is gone after a minute, and so is the stream of a process that died.

    well ──(three failures in a row, or one at the start)──► away ──(a probe does all that is done here)──► well

While Valkey is away nobody asks it but the probe, and what is to be sent waits, of too much the newest. What was sent
and had no answer is not sent again: it may have arrived or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import ResponseError

from frontdesk.core.clock import Clock
from frontdesk.core.tasks import Tasks
from frontdesk.sharing.breaker import MOST_FAILURES, Breaker, Signs
from frontdesk.sharing.connection import (
    CONNECT_S,
    UNREACHABLE,
    Word,
    answer_to,
    connections,
    hang_up,
    has_ended,
    next_answer,
    reason_of,
)
from frontdesk.sharing.post import Take

_log = logging.getLogger("frontdesk.sharing")

_SIGNS = Signs(_log, "post_away", "post_back", "found=in_the_database")
_CLOSE_S = 1.0
_KEPT_S = 60
_MOST_KEPT = 1_000  # batches that a process may leave unread
_MOST_READ = 50  # batches at once
_MOST_WAITING = 10_000
_MOST_WAITING_BYTES = 16 << 20
_MOST_IN_BATCH = 512
_MOST_IN_BATCH_BYTES = 128 << 10
_FIRST = b"0-0"

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


@dataclass(frozen=True, slots=True)
class Times:
    """How long an answer may take, how long one question waits for messages, and the pauses after failures."""

    timeout_s: float = 1.0
    wait_s: float = 2.0
    pause_s: float = 0.1
    probe_every_s: float = 0.5


Batch = dict[str, list[tuple[str, bytes]]]
"""For each process its messages in order, each with its topic."""


class ValkeyPost:
    """See `post.Post`."""

    def __init__(self, url: str, me: str, clock: Clock, times: Times | None = None) -> None:
        self.me = me
        self._times = times or Times()
        self._breaker = Breaker(clock, _SIGNS)
        self._pool = connections(url)
        self._sending = self._pool.make_connection()
        self._receiving = self._pool.make_connection()
        self._outbox = Outbox()
        self._unanswered = 0
        self._takes: dict[str, Take] = {}  # by topic
        self._last = _FIRST
        self._read: list[bytes] = []  # and not yet removed
        self._missed = 0  # times in a row that nothing could be read
        self._reading: asyncio.Timeout | None = None
        self._tasks = Tasks("post")

    @property
    def is_well(self) -> bool:
        """Whether Valkey answers."""
        return not self._breaker.is_open

    @property
    def lost(self) -> int:
        """How many messages were thrown away because too many waited, or had no answer and may have arrived or not."""
        return self._outbox.lost + self._unanswered

    def listen(self, topic: str, take: Take) -> None:
        """Say who is given what comes of a topic."""
        self._takes[topic] = take

    def move(self, me: str) -> None:
        """Read the stream of another name from now on."""
        self.me, self._last = me, _FIRST
        self._read.clear()
        self._read_no_longer()

    def send(self, process: str, topic: str, message: bytes) -> None:
        """Put a message where it waits to be sent."""
        self._outbox.put(process, topic, message)

    async def start(self) -> None:
        """Find out whether Valkey is there, and begin."""
        try:
            await self._probe()
        except UNREACHABLE as error:
            self._breaker.open(reason_of(error))
        self._tasks.start("send", self._send_for_ever())
        self._tasks.start("receive", self._receive_for_ever())
        self._tasks.start("probe", self._probe_for_ever())

    async def close(self) -> None:
        """Send what waits, for a moment at most; then leave nothing of this process there, and hang up."""
        if self.is_well:
            await self._outbox.empty(_CLOSE_S)
        await self._tasks.close()
        if self.is_well:
            await self._remove_mine()
        await hang_up(self._sending)
        await hang_up(self._receiving)

    async def _remove_mine(self) -> None:
        try:
            await self._ensure_open(self._sending)
            async with asyncio.timeout(self._times.timeout_s):
                await answer_to(self._sending, "DEL", _stream_of(self.me))
        except UNREACHABLE:
            pass  # it expires

    # --- sending ----------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        while True:
            await self._breaker.closed.wait()
            await self._outbox.has_some.wait()
            if not self._breaker.is_open:
                await self._send_next()

    async def _send_next(self) -> None:
        try:
            await self._ensure_open(self._sending)
        except UNREACHABLE as error:
            self._breaker.failed(reason_of(error))
            await asyncio.sleep(self._times.pause_s)
            return
        batch = self._outbox.take()
        try:
            async with asyncio.timeout(self._times.timeout_s):
                await self._send_batch(batch)
        except Exception as error:  # noqa: BLE001 - a bug must not end the post for all that follow
            self._unanswered += sum(map(len, batch.values()))
            self._breaker.failed(_reason_of_any(error))
            await hang_up(self._sending)
        else:
            self._breaker.worked()
        finally:
            self._outbox.has_left()

    async def _send_batch(self, batch: Batch) -> None:
        commands: list[Sequence[Word]] = []
        for process, messages in batch.items():
            stream = _stream_of(process)
            commands.append(("XADD", stream, "MAXLEN", "~", _MOST_KEPT, "*", "m", _pack(messages)))
            commands.append(("EXPIRE", stream, _KEPT_S))
        packed = self._sending.pack_commands(commands)
        await self._sending.send_packed_command(packed, check_health=False)
        refusal: ResponseError | None = None
        for _ in commands:
            try:
                await next_answer(self._sending)
            except ResponseError as error:
                refusal = error
        if refusal is not None:
            raise refusal

    # --- receiving --------------------------------------------------------------------------

    async def _receive_for_ever(self) -> None:
        while True:
            await self._breaker.closed.wait()
            me = self.me
            try:
                await self._receive_next(_stream_of(me))
            except Exception as error:  # noqa: BLE001 - the same
                await hang_up(self._receiving)
                if me == self.me:
                    await self._miss(_reason_of_any(error))
            else:
                self._missed = 0

    async def _miss(self, reason: str) -> None:
        """Counted apart: what this process sends may arrive, and nothing that is sent to it."""
        self._missed += 1
        if self._missed >= MOST_FAILURES:
            self._breaker.open(reason)
        await asyncio.sleep(self._times.pause_s)

    async def _receive_next(self, stream: str) -> None:
        await self._ensure_open(self._receiving)
        times = self._times
        try:
            async with asyncio.timeout(times.wait_s + times.timeout_s) as self._reading:
                batches = await self._wait_for_some(stream)
        finally:
            self._reading = None
        for place, (_, content) in batches:
            self._hand_over(content)
            if stream != _stream_of(self.me):
                return
            self._last = place
            self._read.append(place)
            await asyncio.sleep(0)  # many messages must not hold up all else

    async def _wait_for_some(self, stream: str) -> Sequence[Any]:
        """Remove what was read, and read what came since, as (place, (field, content)) each."""
        connection, last, removed = self._receiving, self._last, len(self._read)
        block_ms = round(self._times.wait_s * 1000)
        commands: list[Sequence[Word]] = [
            ("XDEL", stream, *(self._read or [_FIRST])),
            ("XREAD", "COUNT", _MOST_READ, "BLOCK", block_ms, "STREAMS", stream, last),
        ]
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        await next_answer(connection)
        del self._read[:removed]
        if came := _of_one_stream(await next_answer(connection)):
            return came
        # Where somebody emptied Valkey, and its clock goes after the one before, what comes has places before ours.
        newest = await answer_to(connection, "XREVRANGE", stream, "+", "-", "COUNT", 1)
        if newest and _number_of(newest[0][0]) < _number_of(last):
            self._last = _FIRST
        return ()

    def _hand_over(self, content: bytes) -> None:
        try:
            messages = _unpack(content)
        except msgspec.DecodeError:
            _log.warning("post_unreadable size_bytes=%d", len(content))
            return
        for topic, message in messages:
            take = self._takes.get(topic)
            if take is None:  # of a newer version, or nobody's matter here
                continue
            try:
                take(message)
            except Exception:  # noqa: BLE001 - a bug in one message must not end the post for all that follow
                _log.exception("message_broke topic=%s", topic)

    def _read_no_longer(self) -> None:
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())

    # --- while it is away -------------------------------------------------------------------

    async def _probe_for_ever(self) -> None:
        while True:
            await self._breaker.opened.wait()
            self._read_no_longer()
            await asyncio.sleep(self._times.probe_every_s)
            try:
                await self._probe()
            except UNREACHABLE:
                continue
            self._breaker.close()

    async def _probe(self) -> None:
        """Do all that is done here, over a new connection: some of it alone may be forbidden, or fail."""
        stream = _stream_of(self.me)
        connection = self._pool.make_connection()
        try:
            await self._ensure_open(connection)
            async with asyncio.timeout(self._times.timeout_s):
                await answer_to(connection, "XADD", stream, "MAXLEN", "~", _MOST_KEPT, "*", "m", _pack([]))
                await answer_to(connection, "EXPIRE", stream, _KEPT_S)
                await answer_to(connection, "XDEL", stream, _FIRST)
                await answer_to(connection, "XREVRANGE", stream, "+", "-", "COUNT", 1)
                await answer_to(connection, "XREAD", "COUNT", 1, "STREAMS", stream, _FIRST)
        finally:
            await hang_up(connection)

    async def _ensure_open(self, connection: AbstractConnection) -> None:
        if connection.is_connected and has_ended(connection):
            await hang_up(connection)
        if not connection.is_connected:
            async with asyncio.timeout(CONNECT_S):
                await connection.connect()


class Outbox:
    """What waits to be sent: the newest of it, where it is too much."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, str, bytes]] = deque()
        self._size_bytes = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self.has_some = asyncio.Event()
        self.lost = 0

    def put(self, process: str, topic: str, message: bytes) -> None:
        """Let a message wait, and throw away the oldest for it where there is no room."""
        self._waiting.append((process, topic, message))
        self._size_bytes += len(message)
        while len(self._waiting) > _MOST_WAITING or self._size_bytes > _MOST_WAITING_BYTES:
            self._size_bytes -= len(self._waiting.popleft()[2])
            self.lost += 1
        if self._waiting:
            self.has_some.set()
            self._is_empty.clear()

    def take(self) -> Batch:
        """Take out the next batch, which `has_left` follows."""
        batch: Batch = {}
        count = size_bytes = 0
        while self._waiting and count < _MOST_IN_BATCH and size_bytes < _MOST_IN_BATCH_BYTES:
            process, topic, message = self._waiting.popleft()
            batch.setdefault(process, []).append((topic, message))
            count += 1
            size_bytes += len(message)
        self._size_bytes -= size_bytes
        return batch

    def has_left(self) -> None:
        """What was taken out is there, or lost."""
        if not self._waiting:
            self.has_some.clear()
            self._is_empty.set()

    async def empty(self, timeout_s: float) -> None:
        """Return when all has left, or after this time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_empty.wait()
        except TimeoutError:
            pass


def _stream_of(process: str) -> str:
    return f"frontdesk:post:{{{process}}}"


def _of_one_stream(answer: Any) -> Sequence[Any]:
    """What XREAD brought of its only stream: nothing after its time, a list of pairs, or a map in RESP3."""
    if not answer:
        return ()
    return answer[next(iter(answer))] if hasattr(answer, "keys") else answer[0][1]


def _number_of(place: bytes) -> tuple[int, int]:
    milliseconds, _, number = place.partition(b"-")
    return int(milliseconds), int(number)


def _reason_of_any(error: Exception) -> str:
    if not isinstance(error, UNREACHABLE):
        _log.error("post_broke", exc_info=error)
    return reason_of(error)
