"""Connections to Valkey: how they are made, asked and ended. What is sent over them is their users' matter."""

from __future__ import annotations

import asyncio
from typing import Any

from valkey.asyncio.connection import AbstractConnection, ConnectionPool
from valkey.exceptions import ValkeyError

Word = str | bytes | int | float
CONNECT_S = 1.0
UNREACHABLE = (ValkeyError, OSError, TimeoutError, EOFError)
"""What is raised where Valkey cannot be asked."""


def connections(url: str) -> ConnectionPool:
    """What makes connections: by this address, without a time-out of their own, without word of their library."""
    is_encrypted = url.startswith(("valkeys://", "rediss://"))
    return ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - its keywords have no types
        url,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_S,
        lib_name=None,
        lib_version=None,
        **({"ssl_check_hostname": True} if is_encrypted else {}),
    )


async def answer_to(connection: AbstractConnection, *command: Word) -> Any:
    """Send one command and return its answer. Raises what `UNREACHABLE` names."""
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    return await next_answer(connection)


async def next_answer(connection: AbstractConnection) -> Any:
    """The answer to the oldest command that has none yet; words are bytes. Raises what `UNREACHABLE` names."""
    untyped: Any = connection
    return await untyped.read_response(disable_decoding=True)


async def hang_up(connection: AbstractConnection) -> None:
    """End a connection; it may be opened again."""
    await connection.disconnect(nowait=True)


def has_ended(connection: AbstractConnection) -> bool:
    """Whether the other side has ended an open connection."""
    reader: asyncio.StreamReader | None = connection._reader  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return reader is None or reader.at_eof()


def reason_of(error: Exception) -> str:
    """An error, for the log: addresses at most, and never a password."""
    return f"{type(error).__name__}: {error}"[:200]
