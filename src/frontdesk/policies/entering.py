"""Entering: a turn that is kept is on the disk before anything is done for it.

Last of the policies, for turns that may have to wait for a place at their provider: what waits must be stored. Where
money was put aside for a turn it has entered with that already, in one transaction. All others enter as they are
dispatched: one transaction says both.
"""

from __future__ import annotations

from collections.abc import Awaitable

from frontdesk.core.config import Config
from frontdesk.turn.turn import Turn


class Entering:
    """Lets turns enter the store that are kept, and may wait."""

    def __init__(self, config: Config) -> None:
        full = {name for name, provider in config.providers.items() if provider.slots is not None}
        self._may_wait = {
            name for name, model in config.models.items() if any(way.partition("/")[0] in full for way in model.routes)
        }

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Store it. Raises what refuses it, and Unavailable where nothing can be stored."""
        entrance = turn.entrance
        if entrance is None or entrance.is_entered or turn.model not in self._may_wait:
            return None
        return entrance.enter_alone()

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""
