"""The way to Valkey: one connection, whose commands go in batches, one round trip each.

    ask(call), tell(call) ─► queue ─► a task sends what has come together, reads the answers in order ─► who waits

Who asks waits for so long and then goes on without an answer; the task does not. So an answer that comes late, or
whose asker was cancelled, is still read, and `late` undoes what nobody waits for any more: a connection is never
left with an answer that the next one would take for its own. What a broken connection had not answered may have
been done or not; it is not sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator

from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import NoScriptError, ResponseError

from frontdesk.sharing.breaker import Breaker
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

_log = logging.getLogger("frontdesk.limits")

_LATE_S = 30.0
_STALL_S = 0.01
_MOST_IN_BATCH = 256
_MOST_WAITING = 10_000


class Script:
    """A script, and the name that Valkey knows it by."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = ""


class Call:
    """A command, or a script with its keys and words. Its answer is bytes; None where there was none in time."""

    __slots__ = ("answer", "command", "due_at", "has_grace", "keys", "late", "script", "timer")

    def __init__(
        self, command: Script | str, keys: list[str], words: list[Word], late: Callable[[bytes], None] | None = None
    ) -> None:
        self.script = command if isinstance(command, Script) else None
        self.command: list[Word] = [*keys, *words] if self.script else [str(command), *keys, *words]
        self.keys = len(keys)
        self.late = late
        self.answer: asyncio.Future[bytes | None] | None = None
        self.due_at = 0.0
        self.has_grace = True
        self.timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether somebody asked, and waits no more."""
        return self.answer is not None and self.answer.done()

    def tell(self, answer: bytes | None) -> None:
        """Tell who waits; where nobody does, what came too late."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.answer is None:
            return
        if not self.answer.done():
            self.answer.set_result(answer)
        elif answer is not None and self.late is not None:
            self.late(answer)


class Lane:
    """Sends calls. `run` is the task that does it, `probe` asks whether it could."""

    def __init__(self, url: str, timeout_s: float, breaker: Breaker, scripts: list[Script]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = connections(url)
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._scripts = scripts
        self._connection = self._pool.make_connection()
        # What is told late heals by itself (an allowance refills, a lease ends), so the oldest may be lost.
        self._waiting: deque[Call] = deque(maxlen=_MOST_WAITING)
        self._has_work = asyncio.Event()
        self._has_sent_all = asyncio.Event()
        self._has_sent_all.set()
        self._patience: asyncio.Timeout | None = None

    def ask(self, call: Call) -> asyncio.Future[bytes | None]:
        """Send a call; returns what becomes its answer, or None after the time-out."""
        call.answer = self._loop.create_future()
        call.due_at = self._loop.time() + self._timeout_s
        call.timer = self._loop.call_at(call.due_at, self._expire, call)
        self.tell(call)
        return call.answer

    def tell(self, call: Call) -> None:
        """Send a call whose answer nobody wants."""
        self._waiting.append(call)
        self._has_work.set()
        self._has_sent_all.clear()

    async def run(self) -> None:
        """Send calls for ever, but none while the breaker is open."""
        while True:
            await self._breaker.closed.wait()
            await self._has_work.wait()
            if not self._waiting:
                self._has_work.clear()
                self._has_sent_all.set()
            elif not self._breaker.is_open:
                await self._send_next()

    async def connect(self) -> None:
        """Connect. Raises ValkeyError, OSError, TimeoutError."""
        async with asyncio.timeout(CONNECT_S):
            await self._open(self._connection)

    async def probe(self) -> bool:
        """Whether a new connection answers in time, and takes what is written."""
        connection = self._pool.make_connection()
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._open(connection)
            async with asyncio.timeout(self._timeout_s):
                await answer_to(connection, "SET", "frontdesk:probe", "1", "PX", "1000")
        except UNREACHABLE:
            return False
        finally:
            await hang_up(connection)
        return True

    def hurry(self) -> None:
        """Wait no longer for what it asked of a server that now answers others."""
        if self._patience is not None:
            self._patience.reschedule(self._loop.time() + self._timeout_s)

    async def flush(self, timeout_s: float) -> None:
        """Return when all that was told is sent, or after this time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_sent_all.wait()
        except TimeoutError:
            pass

    async def close(self) -> None:
        """Hang up; whoever waits has no answer. `run` has ended."""
        self._fail_waiting()
        await hang_up(self._connection)

    def _expire(self, call: Call) -> None:
        """Let who waits go on without; but once a moment later, where this process was too busy itself to read."""
        now = self._loop.time()
        if call.has_grace and now - call.due_at > _STALL_S:
            call.has_grace = False
            call.timer = self._loop.call_at(now + _STALL_S, self._expire, call)
            return
        call.timer = None
        if call.answer is not None and not call.answer.done():
            call.answer.set_result(None)
            self._breaker.failed("no answer in time")

    async def _send_next(self) -> None:
        try:
            await self._ensure_open()
        except UNREACHABLE as error:
            # Nothing was sent: what was told can still be, what was asked is of no use by then.
            self._breaker.failed(reason_of(error))
            self._drop_asked()
            return
        batch: list[Call] = []
        while self._waiting and len(batch) < _MOST_IN_BATCH:
            call = self._waiting.popleft()
            if not call.is_idle:
                batch.append(call)
        if not batch:
            return
        unanswered = deque(batch)
        try:
            async with asyncio.timeout(_LATE_S) as self._patience:
                await self._exchange(unanswered)
        except UNREACHABLE as error:
            self._breaker.failed(reason_of(error))
        except Exception as error:  # noqa: BLE001 - a bug must not end the lane for all that follow
            _log.exception("limits_broke")
            self._breaker.failed(reason_of(error))
        finally:
            self._patience = None
            for call in unanswered:
                call.tell(None)
        if unanswered:
            await hang_up(self._connection)

    async def _exchange(self, calls: deque[Call]) -> None:
        """Send calls and read their answers; each leaves as it is answered."""
        packed = self._connection.pack_commands(_commands(calls))
        await self._connection.send_packed_command(packed, check_health=False)
        unknown: deque[Call] = deque()
        while calls:
            try:
                answer = await next_answer(self._connection)
            except NoScriptError:
                unknown.append(calls.popleft())
                continue
            except ResponseError as error:
                self._breaker.failed(reason_of(error))
                calls.popleft().tell(None)
                continue
            calls.popleft().tell(answer)
            self._breaker.worked()
        if unknown:  # somebody flushed the scripts, and these did nothing
            calls.extend(unknown)
            await self._load_scripts(self._connection)
            await self._exchange(calls)

    async def _ensure_open(self) -> None:
        if self._connection.is_connected and has_ended(self._connection):
            await hang_up(self._connection)
        if not self._connection.is_connected:
            await self.connect()

    async def _open(self, connection: AbstractConnection) -> None:
        try:
            await connection.connect()
            await self._load_scripts(connection)
        except BaseException:
            await hang_up(connection)
            raise

    async def _load_scripts(self, connection: AbstractConnection) -> None:
        for script in self._scripts:
            script.sha = (await answer_to(connection, "SCRIPT", "LOAD", script.source)).decode()

    def _drop_asked(self) -> None:
        for _ in range(len(self._waiting)):
            call = self._waiting.popleft()
            if call.answer is None:
                self._waiting.append(call)
            else:
                call.tell(None)

    def _fail_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().tell(None)


def _commands(calls: deque[Call]) -> Iterator[list[Word]]:
    for call in calls:
        if call.script is None:
            yield call.command
        else:
            yield ["EVALSHA", call.script.sha, call.keys, *call.command]
