"""Fixtures of modules whose tests all ask the same servers, once with SQLite and once with PostgreSQL.

A module says in `MODELS` what its servers have other than usual.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.edges.kept_serving import Site, alone, pair
from tests.edges.raw import RawConnection
from tests.engines import PostgresqlServer, schema_of


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def single(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> AsyncIterator[Site]:
    """One server on SQLite."""
    async with alone(tmp_path_factory.mktemp("site"), sqlite_template, **getattr(request.module, "MODELS", {})) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def double(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> AsyncIterator[Site]:
    """Two servers on one PostgreSQL."""
    url = await schema_of(postgresql_server)
    async with pair(tmp_path_factory.mktemp("site"), url, **getattr(request.module, "MODELS", {})) as site:
        yield site


@pytest.fixture(params=["single", "double"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each of them."""
    return request.getfixturevalue(request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def close_connections() -> AsyncIterator[None]:
    """Close what the test leaves open."""
    yield
    await RawConnection.close_all()
