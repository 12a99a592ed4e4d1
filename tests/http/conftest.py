"""What is served over real connections runs on the loop that the command runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The other tests of this folder have no connections; asyncio's own loop does."""
    return (
        {"uvloop": uvloop.new_event_loop} if item.path.stem == "test_sockets" else {"asyncio": asyncio.new_event_loop}
    )
