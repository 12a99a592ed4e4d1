"""A ticker leaves no moment out."""

from __future__ import annotations

import asyncio

import pytest

from bench.ticker import Ticker


@pytest.mark.parametrize(("count", "every_s"), [(1, 0.5), (40, 0.0005), (5000, 1e-6)])
async def test_every_moment_is_called_with_its_due_time(count: int, every_s: float):
    dues: list[float] = []
    ended = asyncio.get_running_loop().create_future()

    def tick(due: float) -> None:
        dues.append(due)
        if len(dues) == count:
            ended.set_result(None)

    ticker = Ticker(count, every_s, tick)
    ticker.start()
    await ended
    ticker.stop()

    assert dues == pytest.approx([dues[0] + place * every_s for place in range(count)])


async def test_a_tick_may_stop_the_ticker_though_more_are_due():
    dues: list[float] = []
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tick(due: float) -> None:
        dues.append(due)
        ticker.stop()
        if not ended.done():
            loop.call_later(0.01, ended.set_result, None)

    ticker = Ticker(5000, 1e-6, tick)
    ticker.start()
    await ended

    assert len(dues) == 1
