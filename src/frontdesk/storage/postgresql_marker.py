"""How far a lane has come with what it delivers: a number in a row of its own.

Each transaction of a lane first moves the row to the transaction's number, so that the two are committed
together or not at all. Where a connection breaks in a COMMIT, the row tells afterwards whether it happened;
whoever asks waits, by the row's lock, until the server has ended what the broken connection left open.
What was committed survives a crash of the server, and the row with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from frontdesk.core.ids import new_id
from frontdesk.storage.postgresql_connection import Connection


class Marker:
    """The row of one lane of one open database, in the table `delivery`."""

    def __init__(self, lane: str) -> None:
        self.owner = new_id(f"{lane}_")

    def begin(self, number: int) -> str:
        """The statements that begin a transaction of this number. Numbers grow."""
        # Several statements in one round trip take no bound values; these are our own id and a number.
        return _BEGIN.format(owner=self.owner, number=number)

    async def has(self, connection: Connection, number: int) -> bool:
        """Whether the transaction of this number, the last one that began, was committed."""
        return number == await connection.fetchval(_ASK, self.owner)


async def delete_markers(connection: Connection, markers: Iterable[Marker]) -> None:
    """Delete the rows of those that deliver no more."""
    await connection.execute("DELETE FROM delivery WHERE owner = ANY($1)", [marker.owner for marker in markers])


async def delete_stale_markers(connection: Connection) -> None:
    """Delete the rows of databases that were never closed. One that is in doubt is never a day old."""
    await connection.execute(_DELETE_STALE)


# Times are the server's: those of two processes are compared.
_BEGIN = """\
BEGIN;
INSERT INTO delivery (owner, number, at_ms)
VALUES ('{owner}', {number:d}, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (owner) DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms
"""
# It writes, so that it waits for the row of another transaction even where that is the first of its owner,
# which a select would not see.
_ASK = """\
INSERT INTO delivery (owner, number, at_ms)
VALUES ($1, -1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (owner) DO UPDATE SET at_ms = excluded.at_ms
RETURNING number
"""
_DELETE_STALE = """\
DELETE FROM delivery WHERE at_ms < (extract(epoch FROM clock_timestamp() - interval '1 day') * 1000)::bigint
"""
