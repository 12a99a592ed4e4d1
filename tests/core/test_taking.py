"""What is taken is given back where what it was taken for fails, and only there."""

from __future__ import annotations

import asyncio

import pytest

from frontdesk.core.taking import given_back


@pytest.mark.parametrize("failure", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
def test_what_fails_gives_back_once_and_is_raised(failure: type[BaseException]):
    given: list[str] = []

    with pytest.raises(failure), given_back(lambda: given.append("place")):
        raise failure

    assert given == ["place"]


def test_what_is_done_keeps_it():
    given: list[str] = []

    with given_back(lambda: given.append("place")):
        pass

    assert given == []


async def test_who_is_cancelled_while_it_waits_gives_back():
    given: list[str] = []

    async def wait() -> None:
        with given_back(lambda: given.append("place")):
            await asyncio.Event().wait()

    waiting = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert (given, waiting.cancelled()) == (["place"], True)
