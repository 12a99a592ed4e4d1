"""Receipts are a turn's own row and those of its attempts, as they are at the moment.

Another's turn is as good as one that never was.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import NotFound
from frontdesk.files.owner import owner_of
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller
from frontdesk.usage.arriving import Patience, arrived
from frontdesk.usage.rows import AttemptRow, TurnRow
from frontdesk.usage.store import TurnReader

_MAX_TOLD_CHARS = 128


class Receipt(NamedTuple):
    """A turn, and the calls of providers that were made for it: None for whom they are not to see."""

    turn: TurnRow
    attempts: list[AttemptRow] | None


class Receipts:
    """The receipts of everybody."""

    def __init__(self, database: Database, clock: Clock, patience: Patience | None = None) -> None:
        self._database = database
        self._clock = clock
        self._patience = patience or Patience()

    async def of(self, caller: Caller, response_id: str) -> Receipt:
        """The receipt of a turn: of their own, and of any of their tenant to an operator. Raises NotFound."""
        reader = TurnReader(self._database, caller.tenant)
        find = partial(_find, reader, caller, response_id)
        row = await arrived(response_id, unix_ms(self._clock), self._patience, find)
        if row is None:
            raise NotFound(
                f"There is no response {response_id[:_MAX_TOLD_CHARS]!r}.",
                code="response_not_found",
                param="response_id",
            )
        return Receipt(row, None if caller.role == "user" else await reader.attempts_of(response_id))


async def _find(reader: TurnReader, caller: Caller, response_id: str) -> TurnRow | None:
    """The turn, for whom it may be told. Another's is waited for as one that never was: no time tells them apart."""
    row = await reader.find(response_id)
    return row if row is not None and _may_see(caller, row) else None


def _may_see(caller: Caller, row: TurnRow) -> bool:
    """Of a person's turns the credential is a session, and theirs whichever it was."""
    if caller.role == "operator":
        return True
    owner = owner_of(caller)
    if owner.person:
        return row.person == owner.person
    return row.person is None and row.credential == owner.credential
