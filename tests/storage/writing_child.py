"""A program that writes without end and says what was acknowledged, to be killed.

    python -m tests.storage.writing_child URL

Each awaited write adds the notes n and -n and is then acknowledged as one line "n"; beside them,
enqueued entries add the notes 10_000_000 + n and 20_000_000 + n.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count

import uvloop

from frontdesk.storage.database import Database, open_database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Step
from tests.storage.notes import ADD, note

WRITERS = 4


async def main(url: str) -> None:
    database = await open_database(url)
    numbers = count(1)
    await asyncio.gather(*(_write(database, numbers) for _ in range(WRITERS)))


async def _write(database: Database, numbers: count[int]) -> None:
    for n in numbers:
        database.enqueue(Step(ADD, [note(10_000_000 + n, "a"), note(20_000_000 + n, "b")]), lane=Lane(n % 3))
        await database.write(Step(ADD, note(n, "a")), Step(ADD, note(-n, "b")))
        os.write(1, b"%d\n" % n)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
