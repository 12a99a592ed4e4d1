"""A program that writes on a disk that strace makes fail, and says as JSON what it saw.

    python -m tests.storage.failing_child URL WRITES

It adds the notes 1, 2, ... and enqueues 1001, 1002, ... beside them.
"""

from __future__ import annotations

import asyncio
import json
import sys

from frontdesk.storage.database import StorageLimits, open_database
from frontdesk.storage.errors import StorageFailed
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Step
from tests.storage.notes import ADD, COUNT, note


async def main(url: str, writes: int) -> None:
    acknowledged: list[int] = []
    errors: list[tuple[int, str]] = []
    failures: list[str] = []
    # So that an enqueued entry goes along with the write behind it.
    database = await open_database(url, StorageLimits(linger_s=60))
    for n in range(1, writes + 1):
        database.enqueue(Step(ADD, note(1000 + n, "x" * 3000)), lane=Lane.EVENTS)
        try:
            await database.write(Step(ADD, note(n, "x" * 3000)))
            acknowledged.append(n)
        except StorageFailed as error:
            errors.append((n, type(error).__name__))
            failures.append(str(database.failure))
    can_read = bool(await database.read(COUNT))
    await database.close()
    seen = {
        "acknowledged": acknowledged,
        "errors": errors,
        "failures": failures,
        "failure": database.failure,
        "lost": database.lost_writes,
        "can_read": can_read,
    }
    print(json.dumps(seen))  # noqa: T201 - a program


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
