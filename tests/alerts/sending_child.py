"""A program that raises alerts and sends them, to be killed.

python -m tests.alerts.sending_child DATABASE WEBHOOK
"""

from __future__ import annotations

import sys

import uvloop

from frontdesk.storage.database import open_database
from tests.alerts.desk import alert_desk
from tests.alerts.test_deliveries import BUDGET, deliveries, raised


async def main() -> None:
    database = await open_database(sys.argv[1])
    async with alert_desk(database, BUDGET) as desk:
        await raised(desk, 10)
        await deliveries(desk, sys.argv[2], timeout_s=60).deliver()


if __name__ == "__main__":
    uvloop.run(main())
