"""Stored turns of whoever asks: found, told as they are now, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

from frontdesk.accounts.people import is_name
from frontdesk.core.errors import Conflict, NotFound
from frontdesk.files.owner import Owner, owner_of
from frontdesk.keeping.following import Following
from frontdesk.keeping.keeper import Keeper
from frontdesk.keeping.rows import ResponseRow
from frontdesk.keeping.store.responses import ResponseStore, Texts
from frontdesk.storage.database import Database
from frontdesk.turn.facts import ResponseFacts
from frontdesk.turn.log import Entry, TurnLog
from frontdesk.turn.turn import Caller, Door
from frontdesk.wire.openai_responses_render import ResponsesBody

_LOOK_EVERY_S = 0.1
_ENDED_WITHIN_S = 10.0
_ASK_AGAIN_S = 1.0


class KeptTurns:
    """What is kept of turns, for the doors: the stores of owners, the turns that are under way here or elsewhere.

    `deleted` is told the tenant and the id of what was.
    """

    def __init__(
        self,
        database: Database,
        keeper: Keeper,
        texts: Texts,
        following: Following,
        deleted: Callable[[str, str], None],
    ) -> None:
        self._database = database
        self._deleted = deleted
        self.keeper = keeper
        self.texts = texts
        self._following = following

    def store_of(self, caller: Caller, door: Door) -> ResponseStore:
        """The stored turns of whoever asks, of one door."""
        return self.store_of_owner(owner_of(caller), door)

    def store_of_owner(self, owner: Owner, door: Door) -> ResponseStore:
        """The stored turns of an owner, of one door."""
        return ResponseStore(self._database, owner, door, self.keeper.clock)

    async def response(self, caller: Caller, response_id: str) -> ResponseRow:
        """The caller's own stored response of this id. Raises NotFound."""
        row = await self.store_of(caller, "responses").find(response_id) if is_name(response_id) else None
        if row is None:
            raise no_response(response_id)
        return row

    async def told(self, row: ResponseRow, include: Iterable[str] = ()) -> bytes:
        """A Response as JSON, as far as it came. Raises NotFound where it was removed just now."""
        kept = self.keeper.find(row.id)
        if kept is not None and kept.plan.response_facts is not None:
            body = ResponsesBody.of(including(kept.plan.response_facts, include), kept.log.entries[: kept.log.shown])
            is_queued = row.is_background and not kept.is_dispatched and not kept.log.shown
            return body.accepted() if is_queued else body.body()
        asked = await self.texts.asked(row.tenant, row.id)
        if asked is None:
            raise no_response(row.id)
        entries: list[Entry] | None
        if row.has_ended:
            entries = await self.texts.answer(row.tenant, row.id)
        else:
            batches = await self.texts.entries_from(row.tenant, row.id, 0)
            entries = [entry for _, batch in batches for entry in batch]
        body = ResponsesBody.of(including(row.told(asked), include), entries or [])
        is_queued = row.is_background and not row.is_dispatched and not row.has_ended and not entries
        return body.accepted() if is_queued else body.body()

    async def reading(self, row: ResponseRow, include: Iterable[str] = ()) -> ResponseReading:
        """A stored response for who reads its events, wherever it is or was made. Raises NotFound where it was removed
        just now.
        """
        reading = await self.keeper.reading_of(row)
        if reading is None:
            raise no_response(row.id)
        # Stored turns of this door tell what a Response says.
        facts = including(cast("ResponseFacts", reading.facts), include)
        return ResponseReading(reading.log, facts, reading.has_places)

    async def end(self, row: ResponseRow) -> ResponseRow | None:
        """End a turn that may be under way, whoever carries it, and return it as it is then: ended, unless its carrier
        does not say so in time. None where nothing is left of it.
        """
        if row.has_ended:
            return row
        store = self.store_of_owner(row.owner, row.door)
        await self._tell_carrier(row)
        loop = asyncio.get_running_loop()
        until = loop.time() + _ENDED_WITHIN_S
        while True:
            found = await store.find(row.id)
            if found is None or found.has_ended or loop.time() >= until:
                return found
            await asyncio.sleep(_LOOK_EVERY_S)

    async def want_end(self, caller: Caller, response_id: str) -> None:
        """Have a response of the caller's ended, whoever carries it, and do not wait for that. Raises NotFound."""
        row = await self.response(caller, response_id)
        if not row.has_ended:
            await self._tell_carrier(row)

    async def _tell_carrier(self, row: ResponseRow) -> None:
        """End a turn that is carried here, or tell who carries it to end it."""
        if not await self.keeper.cancel(row.id):
            # Where it is not told by post, its carrier finds it there.
            await self.store_of_owner(row.owner, row.door).want_cancel(row.id)
            self._following.cancel(row)

    async def delete(self, row: ResponseRow) -> None:
        """Remove a stored turn, which is ended first. Raises Conflict where it cannot be ended in time."""
        ended = await self.end(row)
        if ended is None:
            return
        if not ended.has_ended:
            raise Conflict(
                f"{row.id} is under way, and does not end at once. Delete it again in a moment.",
                code="response_under_way",
                retry_after_s=_ASK_AGAIN_S,
            )
        await self.store_of_owner(row.owner, row.door).delete(row.id)
        self._deleted(row.tenant, row.id)


class ResponseReading(NamedTuple):
    """A stored response as it is read. Without `has_places` no number of an event fits its entries."""

    log: TurnLog
    facts: ResponseFacts
    has_places: bool


def including(facts: ResponseFacts, include: Iterable[str]) -> ResponseFacts:
    """Facts of a turn that is told with what a later request wants to be told besides."""
    wanted = facts.include | frozenset(include)
    return facts if wanted == facts.include else _Including(facts, wanted)


class _Including:
    """The same facts, which may still change, and another `include`."""

    __slots__ = ("_facts", "include")

    def __init__(self, facts: ResponseFacts, include: frozenset[str]) -> None:
        self._facts = facts
        self.include = include

    @property
    def id(self) -> str:
        """The turn's."""
        return self._facts.id

    @property
    def model(self) -> str:
        """The name that the app used."""
        return self._facts.model

    @property
    def started_at(self) -> float:
        """When it began, in seconds since 1970."""
        return self._facts.started_at

    @property
    def finished_at(self) -> float | None:
        """When it ended; None until then."""
        return self._facts.finished_at

    @property
    def said(self) -> dict[str, Any]:
        """What a Response repeats."""
        return self._facts.said


def no_response(response_id: str) -> NotFound:
    """The error for an id of no response, or of another's."""
    return NotFound(f"There is no response {response_id[:_MAX_TOLD_CHARS]!r}.", code="response_not_found")


_MAX_TOLD_CHARS = 128
