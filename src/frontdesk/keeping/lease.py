"""The right of this process to carry kept turns: it holds while its heartbeat is stored in time.

Where others take this process for dead, they fence it and end its turns. It finds out with its next write or beat: its
turns here are dropped then (`lost`), and it goes on under another name. A process that serves alone cannot be fenced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.ids import new_id
from frontdesk.keeping.store.carriers import beat, begin, may_go_on
from frontdesk.storage.database import Database
from frontdesk.storage.query import Step

_log = logging.getLogger("frontdesk.keeping")


class Lease:
    """One process's, under one name at a time, first under `carrier`. `lost` is called with the name that was lost."""

    def __init__(self, database: Database, carrier: str, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.carrier = carrier
        self.lost: Callable[[str], None] = _nothing

    @property
    def check(self) -> Step | None:
        """A step that brings a row while it holds; None where nobody could end it."""
        return None if self._database.is_alone else may_go_on(self.carrier)

    async def begin(self) -> None:
        """Begin to hold it."""
        await self._database.write(begin(self.carrier, unix_ms(self._clock)))

    async def beat(self) -> None:
        """Say that this process lives. Raises StorageError."""
        carrier = self.carrier
        (rows,) = await self._database.write(beat(carrier, unix_ms(self._clock)))
        if not rows:
            await self.lose(carrier)

    async def lose(self, carrier: str) -> None:
        """It was ended by others: drop what is carried under this name, and begin again under another.

        Nothing happens where that was noticed before: a beat and a write may both find it. Raises StorageError where
        it cannot begin; the next beat tries again.
        """
        if carrier != self.carrier:
            return
        self.carrier = new_id("carrier_")
        _log.error("carrier_fenced carrier=%s", carrier)
        self.lost(carrier)
        await self.begin()


def _nothing(_: str) -> None:
    pass
