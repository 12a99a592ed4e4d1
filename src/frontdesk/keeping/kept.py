"""A kept turn under way: it enters the store before anything is done for it, and its answer ends in its log.

entering ──► entered ──(dispatched)──► told, entry by entry ──► ended, with all that is kept of it
   │            └─ it failed before anything was sent: forgotten, its key given back
   └─ refused: nothing was stored, its key neither
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec

from frontdesk.accounts.absent import caller_then
from frontdesk.conversations.entering import ask, enter, leave, withdraw
from frontdesk.conversations.rows import ConversationRow
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import AskedBefore, FrontdeskError, ProviderError, Refused, Unavailable, store_unavailable
from frontdesk.core.tasks import finished
from frontdesk.idempotency.store import Claimed, claim, release
from frontdesk.keeping.journal import Journal, Writing
from frontdesk.keeping.lease import Lease
from frontdesk.keeping.plan import Plan
from frontdesk.keeping.retention import Retention
from frontdesk.keeping.rows import ResponseRow, Status, encode_asked, state_of
from frontdesk.keeping.store.responses import End, carried, dispatched, end, forget, give_key_back, hand_over, put
from frontdesk.storage.database import Database
from frontdesk.storage.errors import OutcomeUnknown, StorageError
from frontdesk.storage.query import Row, Step
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    Event,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
)
from frontdesk.turn.log import Entry, Failure, TurnLog, encode_entries, put_together
from frontdesk.turn.turn import Attempt, Interruption, Turn

_STATUS: dict[type[Entry], Status] = {
    TurnCompleted: "completed",
    TurnIncomplete: "incomplete",
    TurnCancelled: "cancelled",
    Failure: "failed",
}
_ANSWERED: frozenset[Status] = frozenset({"completed", "incomplete"})
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("frontdesk.keeping")


class KeyTaken(AskedBefore):
    """The key is that of an earlier request."""

    def __init__(self, claimed: Claimed) -> None:
        super().__init__("A request with this Idempotency-Key was made before.")
        self.claimed = claimed


class Beginning(Protocol):
    """What begins with the answer of one turn."""

    def begin(self, row: ConversationRow) -> Generator[Step, list[Row], None]:
        """See `conversations.entering.Begins`."""
        ...

    def begin_apart(self, tenant: str) -> Generator[Step, list[Row], None]:
        """Begin where the answer is stored in no conversation; part of the transaction that stores it."""
        ...

    def begun(self) -> None:
        """The transaction of that has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Home:
    """What kept turns of a process share.

    `beginning` is what begins with a turn's answer in its conversation, `beginning_apart` what does with one that is
    stored in none.
    """

    database: Database
    journal: Journal
    lease: Lease
    retention: Retention
    clock: Clock
    beginning: Callable[[Turn], Beginning | None] | None = None
    beginning_apart: Callable[[Turn], Beginning | None] | None = None


Refuse = Callable[["KeptTurn", FrontdeskError], Awaitable[None]]
"""Tells whoever waits for a turn that never entered."""


class KeptTurn:
    """One of them. It is its turn's sink, and its entrance (see `turn.seams`)."""

    __slots__ = (
        "_dispatching",
        "_home",
        "_is_adopted",
        "_is_asked",
        "_is_promised",
        "_refuse",
        "carrier",
        "entered",
        "has_written",
        "holds_key",
        "is_complete",
        "is_dispatched",
        "is_dropped",
        "is_entered",
        "log",
        "plan",
        "turn",
        "writing",
    )

    def __init__(self, turn: Turn, plan: Plan, log: TurnLog, home: Home, refuse: Refuse) -> None:
        self.turn = turn
        self.plan = plan
        self.log = log
        self._home = home
        self._refuse = refuse
        self.writing = Writing(plan.owner.tenant, log, keeps_entries=plan.keeps_texts and turn.request.stream)
        self.entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.carrier = home.lease.carrier
        self.is_entered = False
        self.is_dispatched = False
        self.is_dropped = False
        self._dispatching = asyncio.Lock()
        self._is_promised = plan.is_promised
        self._is_adopted = False
        self._is_asked = not plan.is_promised  # as its row says when it enters
        self.holds_key = plan.claim is not None  # until it is given back
        self.has_written = False
        self.is_complete = False

    # --- entering ---------------------------------------------------------------------------

    def enter(self, most_tokens: int | None = None) -> Generator[Step, list[Row], FrontdeskError | None]:
        """Keep the turn, before anything is done for it; part of a transaction that may run twice."""
        plan, turn, now_ms = self.plan, self.turn, unix_ms(self._home.clock)
        check = self._home.lease.check
        if self.is_dropped or (check is not None and not (yield check)):
            return _lost_its_place()
        owner = plan.owner
        if plan.claim is not None:
            route, key, fingerprint = plan.claim
            until_ms = self._home.retention.key_until_ms(now_ms)
            claimed = yield from claim(owner, route, key, fingerprint, turn.id, self.carrier, now_ms, until_ms)
            if claimed is not None:
                return KeyTaken(claimed)
        if plan.conversation is not None:
            seen = turn.seen_version
            kept = self._home.retention.of(turn.tier, turn.feature)
            until_ms = kept.conversation_until_ms(now_ms)
            refusal = yield from enter(
                owner,
                plan.conversation,
                seen,
                turn.id,
                plan.brings,
                now_ms,
                until_ms,
                is_waiting=plan.is_background and not self._is_asked,
            )
            if refusal is not None:
                if plan.claim is not None:
                    yield release(owner, plan.claim.route, plan.claim.key, turn.id, self.carrier)
                return refusal
        yield from put(self._row(), self._asked(most_tokens))
        return None

    def has_entered(self) -> None:
        """It is on the disk."""
        self.is_entered = True
        if not self.entered.done():
            self.entered.set_result(None)

    def may_have_entered(self) -> None:
        """Nobody knows whether it is: it must not stay."""
        self.writing.ending, self.writing.keeps_entries = self._forgotten, False
        self._home.journal.grew(self.writing)

    def adopt(self) -> None:
        """It has entered with a process that died before anything was done for it."""
        self._is_adopted, self._is_promised, self._is_asked = True, True, False
        self.has_entered()

    async def dispatch(self) -> None:
        """Note that a provider is asked from now on, and enter with that, where it has not yet."""
        async with self._dispatching:
            if self.is_dispatched:
                return
            if not self.is_entered:
                self._is_asked = True
                await self.enter_alone()
            elif self._is_promised:
                await self._note_dispatch()
            self.is_dispatched = True

    async def enter_alone(self) -> None:
        """Enter, and with that do nothing else. Raises what refuses it, and Unavailable where nothing can be stored.

        Who is cancelled meanwhile has it known first whether it has entered: it must be ended then.
        """
        try:
            entering = self._home.database.transact(self.enter)
            entering.add_done_callback(self._note_entering)
            refusal = await finished(entering)
        except StorageError:
            raise store_unavailable() from None
        if refusal is not None:
            raise refusal

    def _note_entering(self, entering: asyncio.Future[FrontdeskError | None]) -> None:
        if entering.cancelled():  # the loop itself ends
            return
        error = entering.exception()
        if isinstance(error, OutcomeUnknown):
            self.may_have_entered()
        elif error is None and entering.result() is None:
            self.has_entered()

    async def _note_dispatch(self) -> None:
        try:
            is_ours = await self._home.database.transact(self._dispatched)
        except StorageError:
            raise store_unavailable() from None
        if not is_ours:
            raise _lost_its_place()

    def _dispatched(self) -> Generator[Step, list[Row], bool]:
        tenant, conversation = self.plan.owner.tenant, self.plan.conversation
        if not (yield dispatched(tenant, self.turn.id, self.carrier)):
            return False
        if conversation is not None and self.plan.is_background:
            yield from ask(tenant, conversation.id, self.turn.id, unix_ms(self._home.clock))
        return True

    # --- the answer -------------------------------------------------------------------------

    @property
    def renderer(self) -> None:
        """None: each reader has its own."""
        return

    async def write(self, events: list[Event]) -> None:
        """Take more of the answer. Returns at once, unless it has ended, or too much waits to be stored."""
        log = self.log
        if not self.is_entered:  # it was cancelled before: nothing of it is there, and nothing is to be
            log.entries += events
            self._tell_the_end()
            return
        # Of what is shown at the end alone nobody sees anything by now: silence is broken for them.
        self.has_written = self.writing.keeps_entries or not self.plan.keeps_texts
        log.entries += events
        if type(events[-1]) in TERMINAL_TYPES:
            await self._end()
        elif self.writing.keeps_entries:
            self._home.journal.grew(self.writing)
            await self._home.journal.room(self.writing)
        elif not self.plan.keeps_texts:
            log.show(len(log.entries))

    async def fail(self, error: FrontdeskError) -> None:
        """End it with an error."""
        if not self.is_entered:
            await self._refuse(self, error)
            self.is_complete = True
            return
        turn = self.turn
        was_sent = any(_was_done(attempt) for attempt in turn.attempts)
        if turn.interruption is Interruption.SHUTDOWN and not turn.attempts and self._is_promised:
            await self._hand_over()
            return
        if was_sent and self.plan.claim is not None:
            error.should_retry = False  # under this key it would be told the same again
        self.log.entries.append(Failure.of(error))
        if was_sent or self.log.shown or self.plan.is_background or self._is_adopted:
            await self._end(keeps_key=was_sent)
        else:
            await self._home.journal.end(self.writing, self._forgotten)
            self._tell_the_end()

    def keep_alive(self) -> None:
        """Keep its readers' connections open."""
        self.log.keep_alive()

    def leave(self) -> None:
        """Nothing: it has no reader of its own."""

    def drop(self) -> None:
        """It is another process's now: tell nobody anything more of it."""
        self.is_dropped = True
        self._home.journal.drop(self.writing)
        self.log.abandon()

    async def _hand_over(self) -> None:
        try:
            await self._home.database.write(hand_over(self.plan.owner.tenant, self.turn.id, self.carrier))
        except StorageError as error:  # others find it as what a dead process has left
            _log.warning("response_not_handed_over turn_id=%s reason=%s", self.turn.id, error)
        self.drop()
        self.is_complete = True

    async def _end(self, *, keeps_key: bool = True) -> None:
        self.log.finished_at = self.turn.finished_at
        whole = put_together(self.log.entries)
        answer = encode_entries(whole) if self.plan.keeps_texts else None
        ended = self._ended(whole, answer)
        plan, response_id = self.plan, self.turn.id
        beginning = self._beginning()
        begins = None if beginning is None else beginning.begin

        def ending(*, is_told: bool = True) -> Generator[Step, list[Row], None]:
            if not (yield from end(plan.owner.tenant, response_id, self.carrier, ended)):
                return
            if not keeps_key:
                yield from self._without_key()
            if plan.conversation is not None:
                said = plan.says(plan.facts, whole) if plan.says is not None and is_told else []
                held_by = plan.conversation.id, response_id
                yield from leave(
                    plan.owner.tenant, *held_by, said, ended.finished_at_ms, state_of(whole[-1], said), begins
                )
            elif beginning is not None and is_told and ended.status in _ANSWERED:
                yield from beginning.begin_apart(plan.owner.tenant)

        # A conversation that cannot take the answer must not stay closed for all others.
        await self._home.journal.end(self.writing, ending, partial(ending, is_told=False))
        self._tell_the_end()
        if beginning is not None:
            beginning.begun()

    def _beginning(self) -> Beginning | None:
        home, plan = self._home, self.plan
        if plan.conversation is not None:
            return None if home.beginning is None else home.beginning(self.turn)
        if not plan.stores or home.beginning_apart is None:
            return None
        return home.beginning_apart(self.turn)

    def _without_key(self) -> Generator[Step, list[Row], None]:
        plan, response_id = self.plan, self.turn.id
        if plan.claim is not None:
            yield release(plan.owner, plan.claim.route, plan.claim.key, response_id, self.carrier)
            self.holds_key = False
        elif self._is_adopted:
            yield give_key_back(plan.owner, response_id)

    def _tell_the_end(self) -> None:
        """Show what is left, where nothing of it was to be stored."""
        self.log.show(len(self.log.entries))
        self.is_complete = True

    def _forgotten(self) -> Generator[Step, list[Row], None]:
        plan, response_id = self.plan, self.turn.id
        if not (yield carried(plan.owner.tenant, response_id, self.carrier)):
            return
        yield from self._without_key()
        if plan.conversation is not None:
            now_ms = unix_ms(self._home.clock)
            yield from withdraw(plan.owner.tenant, plan.conversation.id, response_id, now_ms)
        yield from forget(plan.owner.tenant, response_id)

    # --- what is kept -----------------------------------------------------------------------

    def _row(self) -> ResponseRow:
        turn, plan = self.turn, self.plan
        owner = plan.owner
        return ResponseRow(
            tenant=owner.tenant,
            id=turn.id,
            person=owner.person,
            credential=owner.credential,
            caller=_encode(msgspec.structs.replace(caller_then(turn.caller), tier=turn.tier)).decode(),
            door=turn.door,
            carrier=self.carrier,
            status="in_progress",
            is_stored=plan.stores,
            is_background=plan.is_background,
            is_dispatched=self._is_asked,
            wants_cancel=False,
            conversation=None if plan.conversation is None else plan.conversation.id,
            previous=plan.previous,
            model=turn.model,
            feature=turn.feature,
            metadata=plan.metadata if plan.stores else None,
            created_at_ms=int(turn.started_at * 1000),  # never rounded up: its seconds are told live as well
            finished_at_ms=None,
            events_until_ms=None,
            expires_at_ms=None,
        )

    def _asked(self, most_tokens: int | None) -> bytes | None:
        plan = self.plan
        if not plan.keeps_texts:
            return None
        asked = plan.asked
        if plan.response_facts is not None:
            facts = plan.response_facts
            said = facts.said if most_tokens is None else {**facts.said, "max_output_tokens": most_tokens}
            asked = msgspec.structs.replace(asked, said=_encode(said), include=facts.include)
        return encode_asked(asked)

    def _ended(self, whole: Sequence[Entry], answer: bytes | None) -> End:
        turn, plan = self.turn, self.plan
        now_ms = int((turn.finished_at or self._home.clock.now()) * 1000)
        kept = self._home.retention.of(turn.tier, turn.feature)
        has_key = plan.claim is not None or (self._is_adopted and not plan.stores)
        expires_at_ms, events_until_ms = kept_until_ms(
            self._home.retention,
            now_ms,
            kept.response_until_ms(now_ms) if plan.keeps_texts else None,
            stores=plan.stores,
            has_key=has_key,
        )
        return End(
            _STATUS[type(whole[-1])],
            now_ms,
            events_until_ms if self.writing.keeps_entries else None,
            expires_at_ms,
            answer,
        )


def kept_until_ms(
    retention: Retention, ended_at_ms: int, texts_until_ms: int | None, *, stores: bool, has_key: bool
) -> tuple[int | None, int]:
    """When a turn goes that has ended, None for never, and when its events do.

    No text outlives `texts_until_ms`, whatever asks for it: a key that is kept for longer is answered with that. What
    is not stored is kept for its key alone.
    """
    key_until_ms = retention.key_until_ms(ended_at_ms) if has_key else ended_at_ms
    until_ms = texts_until_ms
    if not stores and (until_ms is None or until_ms > key_until_ms):
        until_ms = key_until_ms
    events_until_ms = max(key_until_ms, retention.events_until_ms(ended_at_ms, until_ms))
    return until_ms, events_until_ms if until_ms is None else min(events_until_ms, until_ms)


def _lost_its_place() -> Unavailable:
    return Unavailable("This server has lost its place. Try again.", code="server_overloaded", retry_after_s=1)


def _was_done(attempt: Attempt) -> bool:
    """Whether a provider may have done something: it neither refused, nor was busy, nor never reached."""
    error = attempt.error
    if isinstance(error, Refused):
        return False
    return not isinstance(error, ProviderError) or (error.is_sent and error.status != _BUSY)


_BUSY = 503
