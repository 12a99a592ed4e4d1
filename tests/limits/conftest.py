"""Both kinds of counters: a test that takes `desk` runs on each, with time that is turned by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.limits.desks import Desk, InProcessDesk, ValkeyDesk
from tests.limits.valkey_server import Server, started_server


@pytest.fixture(scope="session")
def valkey_session() -> Iterator[Server]:
    with started_server() as server:
        yield server


@pytest.fixture
def valkey(valkey_session: Server) -> Server:
    """A running, empty server; a test may stop and kill it."""
    valkey_session.start()
    valkey_session.empty()
    return valkey_session


@pytest.fixture(params=["in_process", "valkey"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    opened = (
        InProcessDesk() if request.param == "in_process" else await ValkeyDesk.open(request.getfixturevalue("valkey"))
    )
    yield opened
    await opened.close()
