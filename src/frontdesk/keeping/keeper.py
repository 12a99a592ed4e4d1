"""Kept turns of one process: they are begun here, found by their keys, and read by whoever may.

A request with a key that was used before does not begin a turn; it is answered with what became of the first one:

    under way in this process     it reads the log of that turn, as any reader does
    under way in another one      a log that follows it (`following`)
    ended                         its entries, from the store

Whether the store knows a key is asked only where a turn does not get in: a first request never waits for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from weakref import WeakSet, WeakValueDictionary

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import Conflict, FrontdeskError, Unavailable, store_unavailable
from frontdesk.core.tasks import Tasks
from frontdesk.idempotency.refusals import key_reused
from frontdesk.idempotency.store import find
from frontdesk.keeping.kept import Home, KeptTurn, KeyTaken
from frontdesk.keeping.plan import ClaimedKey, Form, Plan
from frontdesk.keeping.rows import ResponseRow
from frontdesk.keeping.store.responses import Texts
from frontdesk.storage.errors import StorageError
from frontdesk.turn.facts import Facts, ToldTurn
from frontdesk.turn.live import LiveTurns, Receive, until_gone
from frontdesk.turn.log import Entry, Failure, Reader, TurnLog
from frontdesk.turn.sinks import Headers
from frontdesk.turn.turn import Interruption, Turn

_log = logging.getLogger("frontdesk.keeping")
_REPLAYED = (b"idempotent-replayed", b"true")

_KeyName = tuple[str, str, str, str, str]


class Follower(Protocol):
    """Knows the logs of turns that other processes carry."""

    async def follow(self, tenant: str, response_id: str) -> TurnLog:
        """The log of a turn that is under way elsewhere; it ends when that does."""
        ...


class Keeper:
    """The kept turns of one process."""

    def __init__(self, home: Home, live: LiveTurns, texts: Texts, follower: Follower) -> None:
        self._home = home
        self._live = live
        self._texts = texts
        self._follower = follower
        self._readers = Tasks("readers")
        self._ended = _Ended(texts, self._readers)
        self._under_way: dict[str, KeptTurn] = {}
        self._by_key: dict[_KeyName, KeptTurn] = {}
        self._again: dict[Reader, _Waiting] = {}

    async def carry(
        self, turn: Turn, plan: Plan, form: Form, receive: Receive, abort: Callable[[], None] | None = None
    ) -> None:
        """Carry a turn that is kept, or answer with the one of the same key.

        Returns when the answer was sent or its reader has gone; the turn goes on. Raises Unprocessable where the key
        is that of another body.
        """
        headers = turn.headers
        kept = self._holder(plan)
        if kept is not None:
            headers = replayed(kept.turn.id)
        else:
            kept = self._begin(turn, plan)
        reader = self._attach(kept, form, headers, abort)
        try:
            await until_gone(receive)
        finally:
            self._leave(reader)

    async def begin_in_background(self, turn: Turn, plan: Plan) -> KeptTurn:
        """Begin a turn that nobody waits for, or find the one of the same key; returns once it is on the disk.

        Raises what refuses it.
        """
        kept = self._holder(plan) or self._begin(turn, plan)
        await asyncio.shield(kept.entered)
        return kept

    def carry_on(self, turn: Turn, plan: Plan) -> None:
        """Carry a turn that entered the store with a process that has died since, before anything was done for it.

        Raises Unavailable where this process is going down.
        """
        kept = self._new(turn, plan)
        kept.adopt()
        self._start(kept)

    # --- reading ----------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """The clock by which what is kept expires."""
        return self._home.clock

    def find(self, response_id: str) -> KeptTurn | None:
        """The kept turn of this id, while it is under way here."""
        kept = self._under_way.get(response_id)
        return None if kept is None or kept.is_dropped else kept

    async def reading_of(self, row: ResponseRow) -> Reading | None:
        """A kept turn for who reads it, wherever it is or was carried; None where nothing of it was kept."""
        kept = self.find(row.id)
        if kept is not None:
            return Reading(kept.log, kept.plan.facts)
        asked = await self._texts.asked(row.tenant, row.id)
        if asked is None:
            return None
        facts = row.told(asked)
        if not row.has_ended:
            log = await self._follower.follow(row.tenant, row.id)
            return Reading(log, _FollowedFacts(facts, log))
        log = await self._ended.log_of(row)
        return Reading(log, facts, has_places=log not in self._ended.put_together) if log.has_ended else None

    async def facts_of(self, row: ResponseRow) -> Facts:
        """The facts of a kept turn."""
        kept = self.find(row.id)
        return row.told(await self._texts.asked(row.tenant, row.id)) if kept is None else kept.plan.facts

    async def read(
        self,
        row: ResponseRow,
        form: Form,
        headers: Headers,
        receive: Receive,
        abort: Callable[[], None] | None = None,
    ) -> None:
        """Answer a request with a kept turn. Returns when all was sent or its reader has gone. Raises Conflict where
        nothing of it was kept.
        """
        found = await self.reading_of(row)
        if found is None:
            raise _untold(row)
        reader = found.log.attach(form(found.facts, headers), abort)
        try:
            await until_gone(receive)
        finally:
            reader.leave()

    async def cancel(self, response_id: str) -> bool:
        """End a turn that is under way here, and wait until that is stored. False where it is not here."""
        kept = self.find(response_id)
        if kept is None:
            return False
        running = self._live.find(response_id)
        if running is not None:
            running.interrupt(Interruption.CANCEL)
            await asyncio.wait([running.task])
        return True

    async def close(self) -> None:
        """Let readers go."""
        await self._readers.close()

    # --- beginning --------------------------------------------------------------------------

    def _holder(self, plan: Plan) -> KeptTurn | None:
        """The turn under way here that holds the key of a request. Raises Unprocessable where it is of another body."""
        kept = None if plan.claim is None else self._by_key.get(_name(plan, plan.claim))
        if kept is None or plan.claim is None or kept.plan.claim is None or not kept.holds_key or kept.is_dropped:
            return None
        _check_body(plan.claim, kept.plan.claim.fingerprint)
        return kept

    def _begin(self, turn: Turn, plan: Plan) -> KeptTurn:
        kept = self._new(turn, plan)
        self._start(kept)
        if plan.claim is not None:
            self._by_key[_name(plan, plan.claim)] = kept
        return kept

    def _new(self, turn: Turn, plan: Plan) -> KeptTurn:
        return KeptTurn(turn, plan, TurnLog(turn.id, self._readers), self._home, self._refuse)

    def _start(self, kept: KeptTurn) -> None:
        kept.turn.entrance = kept
        running = self._live.start(kept.turn, kept)  # or it is refused, and nothing knows of it
        self._under_way[kept.turn.id] = kept
        running.task.add_done_callback(lambda _: self._has_ended(kept))

    def _has_ended(self, kept: KeptTurn) -> None:
        self._forget(kept)
        if not kept.entered.done():
            kept.entered.set_exception(_ended_before())
            kept.entered.exception()  # nobody need ask for it
        if not kept.is_complete:  # it was cut off: nobody tells its readers
            kept.log.abandon()
        kept.turn.entrance = None  # they hold each other: such rings stay until the collector looks for them

    def _forget(self, kept: KeptTurn) -> None:
        self._under_way.pop(kept.turn.id, None)
        if kept.plan.claim is not None:
            name = _name(kept.plan, kept.plan.claim)
            if self._by_key.get(name) is kept:
                del self._by_key[name]

    def drop_all(self, carrier: str) -> None:
        """Let go of the turns that were carried under this name: they are others' now."""
        self._home.journal.drop_all()
        for kept in list(self._under_way.values()):
            if kept.carrier == carrier:
                kept.drop()
                running = self._live.find(kept.turn.id)
                if running is not None:
                    running.interrupt(Interruption.HANGUP)

    # --- readers of a turn that may not get in ------------------------------------------------

    def _attach(self, kept: KeptTurn, form: Form, headers: Headers, abort: Callable[[], None] | None) -> Reader:
        reader = kept.log.attach(form(kept.plan.facts, headers), abort)
        if not kept.is_entered:
            self._again[reader] = _Waiting(form, abort)
        return reader

    def _leave(self, reader: Reader) -> None:
        waiting = self._again.pop(reader, None)
        if waiting is not None and waiting.instead is not None:
            waiting.instead.leave()
        reader.leave()

    async def _refuse(self, kept: KeptTurn, error: FrontdeskError) -> None:
        """Tell those who wait for a turn that did not get in; where its key is an earlier one's, with that."""
        self._forget(kept)
        row = found = None
        if kept.plan.claim is not None and not isinstance(error, Unavailable):
            try:
                row = await self._earlier(kept.plan, kept.plan.claim, error)
                found = None if row is None else await self.reading_of(row)
                if row is not None and found is None:
                    error = _untold(row)
            except FrontdeskError as wrong:
                error = wrong
            except StorageError:
                error = store_unavailable()
        if not kept.entered.done():
            kept.entered.set_exception(error if row is None else Earlier(row))
            kept.entered.exception()  # nobody need ask for it
        if found is not None and row is not None:
            for reader in kept.log.readers:
                waiting = self._again.get(reader)
                if waiting is not None:
                    kept.log.forget(reader)
                    waiting.instead = found.log.attach(waiting.form(found.facts, replayed(row.id)), waiting.abort)
        # As readers of a log: one that takes its time, or has gone, is no matter of the others.
        kept.log.entries.append(Failure.of(error))
        kept.log.show(1)

    async def _earlier(self, plan: Plan, claim: ClaimedKey, error: FrontdeskError) -> ResponseRow | None:
        """The turn that was begun under a key before. Raises Unprocessable, Conflict."""
        claimed = error.claimed if isinstance(error, KeyTaken) else None
        if claimed is None:
            database, now_ms = self._home.database, unix_ms(self._home.clock)
            claimed = await find(database, plan.owner, claim.route, claim.key, now_ms)
        if claimed is None or claimed.response is None:
            return None
        _check_body(claim, claimed.fingerprint)
        row = await self._texts.find(plan.owner.tenant, claimed.response)
        if row is not None and row.has_expired(unix_ms(self._home.clock)):
            raise not_kept(row.id)
        if row is None:
            now_ms = unix_ms(self._home.clock)
            still = await find(self._home.database, plan.owner, claim.route, claim.key, now_ms)
            # Deleted by its owner, or, where the key was given back just now, forgotten as if it had not been.
            raise _under_way_elsewhere() if still is None else not_kept(claimed.response)
        return row


class Reading(NamedTuple):
    """A kept turn as it is read. Without `has_places` its entries are put together: no cursor fits them."""

    log: TurnLog
    facts: Facts
    has_places: bool = True


class _Ended:
    """The logs of turns that have ended, from the store: one of each for all who read it, as long as somebody does.

    A long answer is some megabytes of entries; who reads it slowly, on a hundred connections, must not hold it a
    hundred times. Those in `put_together` have fewer entries than came.
    """

    def __init__(self, texts: Texts, readers: Tasks) -> None:
        self._texts = texts
        self._readers = readers
        self._logs: WeakValueDictionary[tuple[str, str], TurnLog] = WeakValueDictionary()
        self._reading: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self.put_together: WeakSet[TurnLog] = WeakSet()

    async def log_of(self, row: ResponseRow) -> TurnLog:
        """The log of a turn; empty where nothing is kept of it."""
        place = row.tenant, row.id
        lock = self._reading.setdefault(place, asyncio.Lock())
        async with lock:
            log = self._logs.get(place)
            if log is None:
                log = self._logs[place] = await self._read(row)
            return log

    async def _read(self, row: ResponseRow) -> TurnLog:
        log = TurnLog(row.id, self._readers)
        log.entries = _as_they_came(await self._texts.entries_from(row.tenant, row.id, 0))
        if not log.has_ended:
            log.entries = await self._texts.answer(row.tenant, row.id) or []
            self.put_together.add(log)
        log.finished_at = None if row.finished_at_ms is None else row.finished_at_ms / 1000
        log.show(len(log.entries))
        return log


class Earlier(Exception):
    """A turn in the background was begun before, under the same key."""

    def __init__(self, row: ResponseRow) -> None:
        super().__init__(row.id)
        self.row = row


class _Waiting:
    """What a reader needs to be answered with another turn. `instead` reads that one."""

    __slots__ = ("abort", "form", "instead")

    def __init__(self, form: Form, abort: Callable[[], None] | None) -> None:
        self.form = form
        self.abort = abort
        self.instead: Reader | None = None


class _FollowedFacts:
    """Facts of a turn that ends while it is told."""

    __slots__ = ("_log", "id", "include", "model", "said", "started_at")

    def __init__(self, told: ToldTurn, log: TurnLog) -> None:
        self.id = told.id
        self.model = told.model
        self.started_at = told.started_at
        self.said = told.said
        self.include = told.include
        self._log = log

    @property
    def finished_at(self) -> float | None:
        """When it ended, in seconds since 1970; None until then."""
        return self._log.finished_at


def _as_they_came(batches: Sequence[tuple[int, list[Entry]]]) -> list[Entry]:
    """All entries of some batches; none where one is missing: they are removed piece by piece."""
    entries: list[Entry] = []
    for first, batch in batches:
        if first != len(entries):
            return []
        entries += batch
    return entries


def _untold(row: ResponseRow) -> Conflict:
    return not_kept(row.id) if row.has_ended else _under_way_elsewhere()


def _under_way_elsewhere() -> Conflict:
    return Conflict(
        "The first request with this Idempotency-Key is being answered by another process, and nothing is stored that "
        "could be read here. Wait for its answer.",
        code="idempotency_key_in_use",
        retry_after_s=1,
    )


def not_kept(response_id: str) -> Conflict:
    """The error for who asks again for what was answered once, and not kept."""
    return Conflict(
        f"This request was answered before, as {response_id}, and nothing of the answer was kept. If it was lost on "
        "its way, send the request again under a new key.",
        code="idempotency_answer_not_kept",
        should_retry=False,
    )


def _ended_before() -> Unavailable:
    return Unavailable("This ended before it had begun. Send it again.", code="server_shutting_down", retry_after_s=1)


def _check_body(claim: ClaimedKey, fingerprint: bytes) -> None:
    if claim.fingerprint != fingerprint:
        raise key_reused(claim.key)


def _name(plan: Plan, claim: ClaimedKey) -> _KeyName:
    owner = plan.owner
    return owner.tenant, owner.person, owner.credential, claim.route, claim.key


def replayed(response_id: str) -> Headers:
    """The headers of an answer that is told again."""
    return [(b"x-request-id", response_id.encode()), _REPLAYED]
