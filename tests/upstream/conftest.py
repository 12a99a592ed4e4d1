"""An upstream for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.upstreams import ScriptedUpstream, scripted_upstream


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The command runs on uvloop; the tests of hostile upstreams, which use it as well, on asyncio's own loop."""
    return {"uvloop": uvloop.new_event_loop}
