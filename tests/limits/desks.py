"""Counters with time that is turned by hand, in process and in a real Valkey."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

from frontdesk.core.clock import Clock, SystemClock
from frontdesk.limits.counters import Counters, Denied, Left, Take, Taken
from frontdesk.limits.in_process import InProcessCounters
from frontdesk.limits.valkey import Scripts, ValkeyCounters, open_valkey
from tests.fakes import HandClock
from tests.limits.valkey_server import Server

_OUR_TIME = "redis.call('TIME')"
_HAND_TIME = "redis.call('HMGET', 'hand-clock', 'seconds', 'microseconds')"
PATIENT_S = 20.0


class Desk(Protocol):
    """What a test asks, whichever counters it has."""

    counters: Counters

    @property
    def now(self) -> float: ...

    async def move(self, seconds: float) -> None: ...

    async def take(self, takes: Sequence[Take], holder: str) -> Taken | Denied: ...

    async def settle(self, taken: Taken, used: Sequence[int]) -> None: ...

    async def look(self, takes: Sequence[Take]) -> list[Left]: ...

    async def close(self) -> None: ...


class InProcessDesk:
    """In this process."""

    def __init__(self) -> None:
        self._clock = HandClock()
        self.counters: Counters = InProcessCounters(self._clock)

    @property
    def now(self) -> float:
        return self._clock.now()

    async def move(self, seconds: float) -> None:
        self._clock.move(seconds)

    async def take(self, takes: Sequence[Take], holder: str) -> Taken | Denied:
        outcome = self.counters.take(takes, holder)
        assert isinstance(outcome, (Taken, Denied)), "counters of one process never wait"
        return outcome

    async def settle(self, taken: Taken, used: Sequence[int]) -> None:
        self.counters.settle(taken, used)

    async def look(self, takes: Sequence[Take]) -> list[Left]:
        left = self.counters.look(takes)
        assert isinstance(left, list)
        return left

    async def close(self) -> None:
        await self.counters.close()


class ValkeyDesk:
    """In Valkey, whose scripts read a clock of the test's."""

    def __init__(self, counters: ValkeyCounters, client: Any) -> None:
        self.counters: Counters = counters
        self._counters = counters
        self._client = client
        self._now = 0.0
        self._tell_time(1_800_000_000.0)

    @classmethod
    async def open(cls, server: Server) -> ValkeyDesk:
        return cls(await open_counters(server, hand_time=True), server.client())

    @property
    def now(self) -> float:
        return self._now

    async def move(self, seconds: float) -> None:
        """And renew leases, as a living process does all the time."""
        self._tell_time(self._now + seconds)
        await self._counters._renew()
        await self._counters._lane.flush(PATIENT_S)

    async def take(self, takes: Sequence[Take], holder: str) -> Taken | Denied:
        waiting = self.counters.take(takes, holder)
        assert inspect.isawaitable(waiting), "it fell back to counting alone"
        return await waiting

    async def settle(self, taken: Taken, used: Sequence[int]) -> None:
        self.counters.settle(taken, used)

    async def look(self, takes: Sequence[Take]) -> list[Left]:
        waiting = self.counters.look(takes)
        assert inspect.isawaitable(waiting), "it fell back to counting alone"
        return await waiting

    async def close(self) -> None:
        await self.counters.close()
        self._client.close()

    def _tell_time(self, now: float) -> None:
        self._now = now
        seconds = int(now // 1)
        told = {"seconds": seconds, "microseconds": round((now - seconds) * 1_000_000)}
        self._client.hset("hand-clock", mapping=told)


async def open_counters(
    server: Server, *, hand_time: bool = False, timeout_s: float = PATIENT_S, clock: Clock | None = None
) -> ValkeyCounters:
    """Counters in Valkey, which wait for it for as long as a busy machine may take."""
    scripts = Scripts()
    if hand_time:
        for script in (scripts.take, scripts.correct, scripts.renew):
            assert _OUR_TIME in script.source
            script.source = script.source.replace(_OUR_TIME, _HAND_TIME)
    return await open_valkey(server.url, clock or SystemClock(), timeout_s=timeout_s, scripts=scripts)
