"""A program that does jobs, to be killed.

    python -m tests.jobs.doing_child URL

It says its name once it looks for jobs.
"""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop

from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.jobs.plan import Done, Job, Kind, Progress
from frontdesk.jobs.runner import JobRunner
from frontdesk.jobs.schedules import Schedules
from frontdesk.storage.database import open_database
from frontdesk.usage.store import TurnStore
from tests.jobs.desk import TENANT
from tests.jobs.effects import effect_of

DEAD_AFTER_S = 0.6
_BEAT_EVERY_S = 0.1


class Slow:
    """Does what its job says, in some milliseconds."""

    async def run(self, job: Job, progress: Progress) -> Done | None:
        progress.tell(0, 1)
        await asyncio.sleep(0.05)
        return effect_of(job.payload.decode())


async def main(url: str) -> None:
    clock = SystemClock()
    database = await open_database(url)
    owner = new_id("proc_")
    turns = TurnStore(database, owner=owner, clock=clock)
    await turns.register_process()
    runner = JobRunner(
        database, owner, clock, [Kind("work", Slow(), most_attempts=1000, together=16)], Schedules(TENANT, []),
        at_once=16, every_s=0.05, dead_after_s=DEAD_AFTER_S,
    )  # fmt: skip
    runner.start()
    os.write(1, f"{owner}\n".encode())
    while True:
        await turns.heartbeat()
        await asyncio.sleep(_BEAT_EVERY_S)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
