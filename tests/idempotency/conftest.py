"""Both engines by name, for what is true of one of them alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from frontdesk.storage.database import Database, open_database


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    opened = await open_database(sqlite_url)
    yield opened
    await opened.close()


@pytest.fixture
async def postgresql_database(postgresql_url: str) -> AsyncIterator[Database]:
    opened = await open_database(postgresql_url)
    yield opened
    await opened.close()
