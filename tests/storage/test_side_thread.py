"""Jobs come back whether the loop waited for them or not, each once and in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
import uvloop

from frontdesk.storage.side_thread import Leave, SideThread


class _Bench:
    """A side thread whose jobs say what to do; outcomes are kept."""

    def __init__(self, head_start_s: float = 10.0, loan_after_s: float = 3600.0) -> None:
        self.outcomes: list[object] = []
        self._head_start_s = head_start_s
        self._came = asyncio.Event()
        self.thread: SideThread[Callable[[Leave], object], object] = SideThread(
            "test", lambda job, leave: job(leave), self._done, loan_after_s
        )

    def start(self, job: Callable[[Leave], object]) -> None:
        self.thread.start(job, self._head_start_s)

    def _done(self, outcome: object) -> None:
        self.outcomes.append(outcome)
        self._came.set()

    async def until_done(self) -> None:
        while self.thread.is_busy:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 10)


async def test_a_quick_job_is_done_when_start_returns():
    bench = _Bench()

    bench.start(lambda leave: "outcome")

    assert bench.outcomes == ["outcome"]
    assert not bench.thread.is_busy
    await bench.thread.stop()


async def test_the_loop_goes_on_when_the_job_says_so():
    bench = _Bench()
    may_end = threading.Event()

    def job(leave: Leave) -> str:
        leave()
        may_end.wait()
        return "outcome"

    bench.start(job)
    assert bench.outcomes == []
    assert bench.thread.is_busy
    may_end.set()
    await bench.until_done()

    assert bench.outcomes == ["outcome"]
    await bench.thread.stop()


async def test_the_loop_waits_no_longer_than_its_head_start():
    bench = _Bench(head_start_s=0.001)
    may_end = threading.Event()

    bench.start(lambda leave: may_end.wait())
    assert bench.thread.is_busy
    may_end.set()
    await bench.until_done()

    assert bench.outcomes == [True]
    await bench.thread.stop()


async def test_a_thread_that_stops_finishes_its_job():
    bench = _Bench(head_start_s=0.001)

    bench.start(lambda leave: time.sleep(0.05))
    await bench.thread.stop()

    assert bench.outcomes == [None]


async def test_a_loop_that_never_rests_lends_the_thread_what_it_needs():
    bench = _Bench(head_start_s=0.0001, loan_after_s=0.001)

    bench.start(lambda leave: sum(range(200_000)))
    while bench.thread.is_busy:
        await asyncio.sleep(0)

    assert bench.outcomes == [sum(range(200_000))]
    await bench.thread.stop()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_every_job_comes_back_once_and_in_order(run: Callable[..., None]):
    """Whatever the moment at which the loop gives up waiting."""

    async def many() -> None:
        bench = _Bench(head_start_s=0.0001, loan_after_s=0.0001)
        for number in range(300):
            pause_s = (number % 7) * 0.00005

            def job(leave: Leave, number: int = number, pause_s: float = pause_s) -> int:
                time.sleep(pause_s)
                if number % 3:
                    leave()
                time.sleep(pause_s)
                return number

            bench.start(job)
            await bench.until_done()
        await bench.thread.stop()
        assert bench.outcomes == list(range(300))

    run(many())
