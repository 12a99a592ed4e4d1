"""Hypothesis' state machines on one database of a test's own, in one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from frontdesk.storage.database import Database, open_database

Make = Callable[[asyncio.AbstractEventLoop, Database], RuleBasedStateMachine]


def check_machine(make: Make, url: str, examples: int, steps: int) -> None:
    """Run machines of up to so many steps, each made for the same loop and the same database."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        database = loop.run_until_complete(open_database(url))
        try:
            run_state_machine_as_test(
                cast("Any", lambda: make(loop, database)),  # what makes one is as good as its type
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            loop.run_until_complete(database.close())
