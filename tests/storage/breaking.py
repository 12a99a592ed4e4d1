"""Connections to PostgreSQL that break once, at a statement of the test's choice."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import asyncpg

T = TypeVar("T")


class BreakingPool:
    """Breaks one connection at the first statement that begins with `statement`.

    Just before it, or, where `is_done`, when the server has done it but not yet said so.
    """

    def __init__(self, pool: Any, statement: str, *, is_done: bool) -> None:
        self._pool = pool
        self._statement = statement
        self._is_done = is_done
        self.has_broken = False

    @contextlib.asynccontextmanager
    async def acquire(self, *, timeout: float | None = None):  # noqa: ASYNC109 - asyncpg's
        async with self._pool.acquire(timeout=timeout) as connection:
            yield _BreakingConnection(connection, self)

    async def close(self) -> None:
        await self._pool.close()

    def terminate(self) -> None:
        self._pool.terminate()

    async def pass_on(self, connection: Any, query: str, run: Callable[[], Awaitable[T]]) -> T:
        if self.has_broken or not query.startswith(self._statement):
            return await run()
        self.has_broken = True
        if self._is_done:
            await run()
        await connection.close()
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


class _BreakingConnection:
    def __init__(self, connection: Any, pool: BreakingPool) -> None:
        self._connection = connection
        self._pool = pool

    async def execute(self, query: str, *values: object) -> str:
        return await self._pass_on(query, lambda: self._connection.execute(query, *values))

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        await self._pass_on(command, lambda: self._connection.executemany(command, args))

    async def fetch(self, query: str, *values: object) -> list[Iterable[Any]]:
        return await self._pass_on(query, lambda: self._connection.fetch(query, *values))

    async def fetchval(self, query: str, *values: object) -> Any:
        return await self._pass_on(query, lambda: self._connection.fetchval(query, *values))

    async def close(self) -> None:
        await self._connection.close()

    def _pass_on(self, query: str, run: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        return self._pool.pass_on(self._connection, query, run)
