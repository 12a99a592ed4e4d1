"""A load, and what became of it: so many questions, asked by a crowd or at a rate."""

from __future__ import annotations

import asyncio
import gc
import time
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import uvloop

from bench.answer import Answer, check_body, check_stream
from bench.connection import Asked, Connection
from bench.question import question
from bench.script import Script
from bench.ticker import Ticker

_CONNECT_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask.

    Without a rate a crowd of `at_once` clients begins within `spread_s`, and each asks again as soon as
    it was answered. With a rate a question is asked at every moment of the schedule, whoever is still
    being answered: `at_once` connections are opened beforehand, more when they are all busy.
    """

    script: Script
    is_streaming: bool
    requests: int
    at_once: int = 16
    spread_s: float = 0.0
    rate_per_s: float | None = None
    timeout_s: float = 60.0


@dataclass(slots=True)
class Outcome:
    """What became of a load. Times are in seconds, from the moment at which a question was due."""

    whole_s: array[float] = field(default_factory=lambda: array("d"))  # to the whole answer
    first_word_s: array[float] = field(default_factory=lambda: array("d"))
    gap_s: array[float] = field(default_factory=lambda: array("d"))  # between two words of a stream
    late_s: array[float] = field(default_factory=lambda: array("d"))  # to the moment it was asked
    failures: int = 0
    first_failure: str = ""
    cpu_s: float = 0.0  # of the client's process
    wall_s: float = 0.0


def run(load: Load, port: int, token: str, first_number: int) -> Outcome:
    """Run a load against a port and wait for its end. Questions are numbered from `first_number`."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(Run(load, port, token, first_number).outcome())
    finally:
        gc.enable()


class Run:
    """One run of a load."""

    def __init__(self, load: Load, port: int, token: str, first_number: int) -> None:
        self._load = load
        self._port = port
        self._token = token
        self._numbers = iter(range(first_number, first_number + load.requests))
        self._left = load.requests
        self._idle: deque[Connection] = deque()
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._outcome = Outcome()

    async def outcome(self) -> Outcome:
        """Ask everything; returns when all is answered, has failed, or has taken too long."""
        self._ended = asyncio.get_running_loop().create_future()
        await self._open_all(self._load.at_once)
        cpu_s, wall_s = time.process_time(), time.monotonic()
        ticker = self._start()
        try:
            async with asyncio.timeout(self._load.timeout_s):
                await self._ended
        except TimeoutError:
            self._count_failures(self._left, f"no answer within {self._load.timeout_s:g} s")
        self._outcome.cpu_s = time.process_time() - cpu_s
        self._outcome.wall_s = time.monotonic() - wall_s
        self._left = 0
        ticker.stop()
        for connection in list(self._connections):
            connection.close()
        return self._outcome

    def answered(self, connection: Connection, asked: Asked, answer: Answer, now: float) -> None:
        """Check an answer and keep its times."""
        check = check_stream if self._load.is_streaming else check_body
        check(answer, self._load.script, asked.number)
        outcome = self._outcome
        outcome.whole_s.append(now - asked.due)
        outcome.late_s.append(asked.asked - asked.due)
        times = answer.word_times
        if times:
            outcome.first_word_s.append(times[0] - asked.due)
            outcome.gap_s.extend(later - earlier for earlier, later in zip(times, islice(times, 1, None), strict=False))
        self._idle.append(connection)
        self._one_less()

    def failed(self, asked: Asked, reason: str) -> None:
        """Count it; a crowd's client goes on."""
        if self._left:
            self._count_failures(1, f"question {asked.number}: {reason}")
            self._one_less()

    def _start(self) -> Ticker:
        load = self._load
        if load.rate_per_s is not None:
            ticker = Ticker(load.requests, 1 / load.rate_per_s, self._ask)
        else:
            ticker = Ticker(load.at_once, max(load.spread_s / load.at_once, 1e-9), self._ask)
        ticker.start()
        return ticker

    def _one_less(self) -> None:
        self._left -= 1
        if not self._left:
            self._ended.set_result(None)
        elif self._load.rate_per_s is None:
            self._ask(time.monotonic())

    def _ask(self, due: float) -> None:
        number = next(self._numbers, None)
        if number is None:
            return
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                self._ask_over(connection, number, due)
                return
        task = asyncio.get_running_loop().create_task(self._open_and_ask(number, due))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _ask_over(self, connection: Connection, number: int, due: float) -> None:
        load = self._load
        asking = question(load.script, number, self._token, is_streaming=load.is_streaming)
        connection.ask(asking, number, due)

    async def _open_and_ask(self, number: int, due: float) -> None:
        try:
            connection = await self._open()
        except OSError as error:
            self.failed(Asked(number, due, due), f"no connection: {error}")
            return
        self._ask_over(connection, number, due)

    async def _open_all(self, count: int) -> None:
        """Open connections, some at a time: a server takes only so many that it has not seen yet."""
        for each in _sizes(count, _CONNECT_AT_ONCE):
            self._idle.extend(await asyncio.gather(*(self._open() for _ in range(each))))

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
        self._connections.add(connection)
        return connection

    def _count_failures(self, count: int, reason: str) -> None:
        self._outcome.failures += count
        self._outcome.first_failure = self._outcome.first_failure or reason


def _sizes(count: int, most: int) -> Iterator[int]:
    for start in range(0, count, most):
        yield min(most, count - start)
