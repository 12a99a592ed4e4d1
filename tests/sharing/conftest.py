"""A real Valkey, which tests start, stop, slow down and empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
