"""Tasks: each has an owner and an end, and what must not be left half-way is not."""

from __future__ import annotations

import asyncio

import pytest

from frontdesk.core.tasks import Tasks


class Work:
    """Goes on when it is let to, and says that it has ended."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_end = asyncio.Event()
        self.has_ended = False
        self._error = error

    async def run(self) -> str:
        await self.may_end.wait()
        self.has_ended = True
        if self._error is not None:
            raise self._error
        return "done"


async def test_what_is_finished_returns_what_came_of_it_or_raises() -> None:
    tasks, well, broken = Tasks("test"), Work(), Work(ValueError("It broke."))
    well.may_end.set()
    broken.may_end.set()

    assert await tasks.finish("well", well.run()) == "done"
    with pytest.raises(ValueError, match="It broke"):
        await tasks.finish("broken", broken.run())

    await asyncio.sleep(0)
    assert len(tasks) == 0


@pytest.mark.parametrize("error", [None, ValueError("It broke.")])
async def test_who_is_cancelled_meanwhile_is_so_once_it_has_ended(error: Exception | None) -> None:
    tasks, work = Tasks("test"), Work(error)
    waiting = asyncio.ensure_future(tasks.finish("work", work.run()))
    await asyncio.sleep(0)

    waiting.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    work.may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.has_ended


async def test_who_is_cancelled_twice_waits_no_longer_and_it_goes_on() -> None:
    tasks, work = Tasks("test"), Work()
    waiting = asyncio.ensure_future(tasks.finish("work", work.run()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert (len(tasks), work.has_ended) == (1, False)
    work.may_end.set()
    assert await tasks.wait(5)
    assert work.has_ended


async def test_closing_ends_them_all() -> None:
    tasks, work = Tasks("test"), Work()
    waiting = asyncio.ensure_future(tasks.finish("work", work.run()))
    await asyncio.sleep(0)

    await tasks.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (len(tasks), work.has_ended) == (0, False)
