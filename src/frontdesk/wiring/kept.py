"""The doors and routes of what is kept, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from frontdesk.doors.desk import Desk, Visit
from frontdesk.doors.kept.chats import KeptChatRoutes
from frontdesk.doors.kept.compact import CompactDoor
from frontdesk.doors.kept.ending import Ending
from frontdesk.doors.kept.input_tokens import InputTokensDoor, Tokens
from frontdesk.doors.kept.responses import KeptResponseRoutes
from frontdesk.doors.kept.turns import KeptTurns
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.keeping.history import OwnHistory
from frontdesk.keeping.keeper import Keeper
from frontdesk.storage.database import Database
from frontdesk.turn.live import LiveTurns
from frontdesk.turn.seams import Policy
from frontdesk.wiring.keeping import Keeping

LISTED = frozenset({"/v1/chat/completions"})
"""The paths of doors at which a GET is for a route."""


class KeptDoors:
    """The doors and routes of what is kept by one process."""

    def __init__(self, database: Database, keeping: Keeping, keeper: Keeper, history: OwnHistory) -> None:
        self._keeping = keeping
        self._history = history
        self.kept = KeptTurns(database, keeper, keeping.texts, keeping.following, history.forget)

    def serving(
        self, desk: Desk, policies: Sequence[Policy], tokens: Tokens
    ) -> dict[str, Callable[[Visit], Awaitable[None]]]:
        """What serves visits, by path. `policies` are those that make of a request what is sent of it."""
        return {
            "/v1/responses/compact": CompactDoor(desk, self._keeping.compactions, self._history).serve,
            "/v1/responses/input_tokens": InputTokensDoor(desk, policies, tokens).serve,
        }

    def ending(self, live: LiveTurns) -> Ending:
        """What ends responses, stored or not."""
        return Ending(self.kept, live)

    def routes(self, callers: Callers, live: LiveTurns) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            *KeptResponseRoutes(self.kept, self.ending(live), callers).routes(),
            *KeptChatRoutes(self.kept, callers).routes(),
        ]
