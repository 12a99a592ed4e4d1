"""Counters that many processes share in one Valkey. One round trip takes; to settle, nobody waits.

Theory of operation. Scripts decide, in Valkey and by its clock. What was taken is counted in this process as well
(`mirror`). While Valkey does not answer (`Breaker`), only that counts, each process for itself: so none of N
processes lets more pass than the limit, and all together no more than N times as much, from the first moment on.

    shared ──(three failures in a row)──► degraded ──(a probe succeeds)──► shared

Back again, what the time away left behind is put right: tokens of the day are added to the shared sum, and all that
is under way holds its leases again. An allowance a minute needs nothing: it refills by itself.

A lease holds for `_LEASE_S` and is renewed as long as its process lives; of a process that was killed it ends then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from frontdesk.core.clock import Clock
from frontdesk.core.tasks import Tasks
from frontdesk.limits.counters import Denied, Left, Sharing, Take, Taken
from frontdesk.limits.in_process import InProcessCounters
from frontdesk.limits.lane import Call, Lane, Script
from frontdesk.sharing.breaker import Breaker, Signs
from frontdesk.sharing.connection import UNREACHABLE, Word, reason_of

_TIMEOUT_S = 0.05
_PROBE_EVERY_S = 0.5
_LEASE_S = 30.0
_RENEW_EVERY_S = 10.0
_CLOSE_S = 1.0
_KEYS_AT_ONCE = 1000
_HOLDERS_AT_ONCE = 500
_HERE = Path(__file__).parent
_SIGNS = Signs(logging.getLogger("frontdesk.limits"), "limits_degraded", "limits_shared", "counted=in_this_process")


def _script(name: str) -> Script:
    return Script((_HERE / f"{name}.lua").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Scripts:
    """What Valkey runs for us."""

    take: Script = field(default_factory=partial(_script, "take"))
    correct: Script = field(default_factory=partial(_script, "correct"))
    renew: Script = field(default_factory=partial(_script, "renew"))


async def open_valkey(
    url: str, clock: Clock, *, timeout_s: float = _TIMEOUT_S, scripts: Scripts | None = None
) -> ValkeyCounters:
    """Connect, or begin degraded where that fails. `timeout_s` is how long a request waits for Valkey."""
    counters = ValkeyCounters(url, clock, timeout_s, scripts or Scripts())
    await counters.start()
    return counters


class ValkeyCounters:
    """See `counters.Counters`. `start` it, and `close` it."""

    def __init__(self, url: str, clock: Clock, timeout_s: float, scripts: Scripts) -> None:
        self._breaker = Breaker(clock, _SIGNS)
        self._scripts = scripts
        self._lane = Lane(url, timeout_s, self._breaker, [scripts.take, scripts.correct, scripts.renew])
        self._alone = InProcessCounters(clock)
        self._tasks = Tasks("limits")
        self._owed: dict[str, int] = {}  # tokens of one day, that Valkey has not been told of
        self._owed_on = 0.0

    @property
    def sharing(self) -> Sharing:
        """Whether Valkey counts, or this process for itself."""
        return "degraded" if self._breaker.is_open else "shared"

    async def start(self) -> None:
        """Connect, and begin the work in the background."""
        try:
            await self._lane.connect()
        except UNREACHABLE as error:
            self._breaker.open(reason_of(error))
        self._tasks.start("send", self._lane.run())
        self._tasks.start("renew", self._renew_for_ever())
        self._tasks.start("probe", self._probe_for_ever())

    async def close(self) -> None:
        """Send what was settled, for a moment; then hang up."""
        if not self._breaker.is_open:
            await self._lane.flush(_CLOSE_S)
        await self._tasks.close()
        await self._lane.close()

    def take(self, takes: Sequence[Take], holder: str) -> Taken | Denied | Awaitable[Taken | Denied]:
        """Take all, or nothing: in Valkey, and in this process alone where that does not answer in time."""
        if self._breaker.is_open:
            return self._alone.take(takes, holder)
        return self._take(takes, holder)

    def settle(self, taken: Taken, used: Sequence[int]) -> None:
        """Put what was used in the place of what was taken, here and in Valkey."""
        self._alone.settle(taken.mirror or taken, used)
        for take, mark, spent in zip(taken.takes, taken.marks, used, strict=True):
            kind = take.limit.kind
            if kind == "lease":
                self._end_lease(take.key, taken.holder)
            elif taken.mirror is not None:
                self._correct(take, mark, spent - take.weight)
            elif kind == "day":
                self._owe(take.key, mark, spent)

    def look(self, takes: Sequence[Take]) -> list[Left] | Awaitable[list[Left]]:
        """What is left, and nothing taken."""
        if self._breaker.is_open:
            return self._alone.look(takes)
        return self._look(takes)

    # --- asking -----------------------------------------------------------------------------

    async def _take(self, takes: Sequence[Take], holder: str) -> Taken | Denied:
        call = self._call("take", takes, holder)
        call.late = partial(self._undo, takes, holder)
        waiting = self._lane.ask(call)
        try:
            answer = await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled() and (came := waiting.result()) is not None:
                self._undo(takes, holder, came)  # it came in the moment of the cancellation
            raise
        if answer is None:
            return self._alone.take(takes, holder)
        outcome = _outcome(answer, takes, holder)
        if isinstance(outcome, Taken):
            outcome.mirror = self._alone.note(takes, holder)
        return outcome

    async def _look(self, takes: Sequence[Take]) -> list[Left]:
        answer = await self._lane.ask(self._call("look", takes, ""))
        return self._alone.look(takes) if answer is None else _left(answer.split())

    def _call(self, mode: str, takes: Sequence[Take], holder: str) -> Call:
        words: list[Word] = [mode, holder, _LEASE_S]
        for take in takes:
            limit = take.limit
            words += (limit.kind, limit.amount, take.weight, limit.window_s, limit.interval_s)
        return Call(self._scripts.take, [take.key for take in takes], words)

    def _undo(self, takes: Sequence[Take], holder: str, answer: bytes) -> None:
        """Give back what was taken for nobody."""
        outcome = _outcome(answer, takes, holder)
        if isinstance(outcome, Denied):
            return
        for take, mark in zip(takes, outcome.marks, strict=True):
            if take.limit.kind != "lease":
                self._correct(take, mark, -take.weight)
            elif holder not in self._alone.leases.get(take.key, ()):
                self._end_lease(take.key, holder)

    # --- telling ----------------------------------------------------------------------------

    def _correct(self, take: Take, mark: float, more: int) -> None:
        if more == 0:
            return
        if take.limit.kind == "rate":
            words: list[Word] = ["rate", more, take.limit.interval_s, mark]
            self._lane.tell(Call(self._scripts.correct, [take.key], words))
        elif self._breaker.is_open:  # the lane forgets the oldest, which a day does not
            self._owe(take.key, mark, more)
        else:
            self._correct_day(take.key, mark, more)

    def _correct_day(self, key: str, day: float, more: int) -> None:
        self._lane.tell(Call(self._scripts.correct, [key], ["day", more, int(day)]))

    def _end_lease(self, key: str, holder: str) -> None:
        self._lane.tell(Call("ZREM", [key], [holder]))

    def _owe(self, key: str, day: float, more: int) -> None:
        """Tell it when Valkey is back; nobody asks about days before."""
        if day > self._owed_on:
            self._owed, self._owed_on = {}, day
        if day == self._owed_on:
            self._owed[key] = self._owed.get(key, 0) + more

    # --- in the background ------------------------------------------------------------------

    async def _probe_for_ever(self) -> None:
        while True:
            await self._breaker.opened.wait()
            await asyncio.sleep(_PROBE_EVERY_S)
            if await self._lane.probe():
                self._lane.hurry()
                self._breaker.close()
                await self._pay()
                await self._renew()

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            if not self._breaker.is_open:
                await self._renew()

    async def _pay(self) -> None:
        owed, self._owed = self._owed, {}
        for number, (key, more) in enumerate(owed.items(), 1):
            self._correct_day(key, self._owed_on, more)
            await self._let_go(number)

    async def _renew(self) -> None:
        number = 0
        for key, names in list(self._alone.leases.items()):
            holders = list(names)
            for start in range(0, len(holders), _HOLDERS_AT_ONCE):
                words: list[Word] = [_LEASE_S, *holders[start : start + _HOLDERS_AT_ONCE]]
                self._lane.tell(Call(self._scripts.renew, [key], words))
                number += 1
                await self._let_go(number)

    async def _let_go(self, number: int) -> None:
        """After so many, let them leave before there are more."""
        if number % _KEYS_AT_ONCE == 0:
            await self._lane.flush(_CLOSE_S)


def _outcome(answer: bytes, takes: Sequence[Take], holder: str) -> Taken | Denied:
    words = answer.split()
    refuses = int(words[0])
    if refuses:
        return Denied(refuses - 1, float(words[1]), _left(words))
    return Taken(takes, holder, _left(words), [float(mark) for mark in words[4::3]])


def _left(words: list[bytes]) -> list[Left]:
    return [Left(int(words[at]), float(words[at + 1])) for at in range(2, len(words), 3)]
