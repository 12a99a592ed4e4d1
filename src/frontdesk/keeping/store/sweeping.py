"""What removes rows whose time is over, of all tenants: some of them in each transaction.

Nobody reads texts here. A row that something hangs on is locked first, and what another process has locked is passed
over: processes that sweep at the same time share the work, and none waits for another. What hangs on it goes before
it, in the same transaction or an earlier one, so that a crash leaves nothing that nobody finds.

    response      once it has ended, with its events, its texts and what a chain up to it was summed up to
    conversation  with its items, branches and summaries, unless a response is being made in it
    feedback      alone
    turn          with its attempts, unless it is under way

What has no index by time is read a page at a time, in the order of its key (`Place` is how far).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    update,
)

from frontdesk.changes.store import Change, note
from frontdesk.core.periods import Period, window_end_ms
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Row, Step
from frontdesk.storage.tables import (
    alert,
    attempt,
    budget_window,
    conversation,
    conversation_branch,
    conversation_item,
    feedback,
    idempotency_key,
    response,
    response_event,
    response_text,
    summary,
    turn,
)

# So many that a transaction takes some milliseconds on SQLite, where nobody else writes meanwhile.
_RESPONSES_AT_ONCE = 25
_EVENTS_AT_ONCE = 200
_KEYS_AT_ONCE = 250
_ITEMS_AT_ONCE = 200
_CONVERSATIONS_AT_ONCE = 20
_FEEDBACK_AT_ONCE = 250
_TURNS_AT_ONCE = 250
_PAGE = 1_000

Place = tuple[Any, ...]
"""The key behind which the next page begins."""


class Page(NamedTuple):
    """What came of a page: how many rows were changed or removed, and where the next one begins; None at the end."""

    changed: int
    next: Place | None


class SweepStore:
    """The rows of all tenants. Each of its methods does one slice of its work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- by the time that their rows say ----------------------------------------------------

    async def remove_events(self, now_ms: int) -> int:
        """Remove events that nobody may resume from any more; returns of how many responses it did."""
        return await self._transact(lambda: _remove_events(now_ms))

    async def remove_responses(self, now_ms: int) -> int:
        """Remove responses that have expired; returns of how many it removed something."""
        return await self._transact(lambda: _remove_responses(now_ms))

    async def remove_keys(self, now_ms: int) -> int:
        """Remove keys of requests that have expired; returns how many."""
        return await self._transact(lambda: _remove_each(_EXPIRED_KEYS, {"now_ms": now_ms}, [_REMOVE_KEY]))

    async def remove_conversations(self, now_ms: int) -> int:
        """Remove conversations that have expired; returns in how many it removed something."""
        return await self._transact(lambda: _remove_conversations(now_ms))

    async def remove_feedback(self, now_ms: int) -> int:
        """Remove feedback that has expired; returns how much."""
        return await self._transact(lambda: _remove_feedback(now_ms))

    # --- by an age --------------------------------------------------------------------------

    async def tenants_with_turns(self) -> list[str]:
        """In order: a look at an index for each."""
        found: list[str] = []
        while rows := await self._database.read(_NEXT_TENANT, {"after": found[-1] if found else ""}):
            found.append(rows[0][0])
        return found

    async def remove_turns(self, tenant: str, before_ms: int) -> int:
        """Remove a tenant's turns that began before this time, and their attempts; returns how many."""
        old = {"tenant": tenant, "before_ms": before_ms}
        return await self._transact(lambda: _remove_each(_OLD_TURNS, old, [_REMOVE_ATTEMPTS, _REMOVE_TURN]))

    # --- a page at a time -------------------------------------------------------------------

    async def remove_windows(self, before_ms: int, after: Place | None) -> Page:
        """Remove windows that were over before this time and in which nothing is put aside any more."""
        return await self._remove_over(_WINDOWS, after, _REMOVE_WINDOW, before_ms)

    async def remove_alerts(self, before_ms: int, after: Place | None) -> Page:
        """Remove what was told of windows that were over before this time."""
        return await self._remove_over(_ALERTS, after, _REMOVE_ALERT, before_ms)

    async def shorten_responses(self, kept_ms: int, after: Place | None) -> Page:
        """Let stored responses expire no later than so long after their end."""
        return await self._shorten(_RESPONSES, after, _SHORTEN_RESPONSE, kept_ms)

    async def shorten_conversations(self, kept_ms: int, after: Place | None) -> Page:
        """Let conversations expire no later than so long after their last change."""
        return await self._shorten(_CONVERSATIONS, after, _SHORTEN_CONVERSATION, kept_ms)

    async def shorten_feedback(self, kept_ms: int, after: Place | None) -> Page:
        """Let feedback that has texts expire no later than so long after its last change."""
        return await self._shorten(_FEEDBACK, after, _SHORTEN_FEEDBACK, kept_ms)

    async def _remove_over(self, pages: _Pages, after: Place | None, removal: Query, before_ms: int) -> Page:
        rows = await self._read(pages, after)
        over = [pages.named(row) for row in rows if _was_over(row, before_ms)]
        return await self._change(removal, over, pages.next_of(rows))

    async def _shorten(self, pages: _Pages, after: Place | None, change: Query, kept_ms: int) -> Page:
        rows = await self._read(pages, after)
        longer = [{**pages.named(row), "kept_ms": kept_ms} for row in rows if _is_longer(row, kept_ms)]
        return await self._change(change, longer, pages.next_of(rows))

    async def _read(self, pages: _Pages, after: Place | None) -> list[Row]:
        if after is None:
            return await self._database.read(pages.first)
        return await self._database.read(pages.behind, {f"after_{number}": key for number, key in enumerate(after)})

    async def _change(self, change: Query, of_rows: Sequence[dict[str, object]], then: Place | None) -> Page:
        if of_rows:
            await self._database.write(Step(change, of_rows), lane=Lane.BULK)
        return Page(len(of_rows), then)

    async def _transact(self, work: Callable[[], Generator[Step, list[Row], int]]) -> int:
        return await self._database.transact(work, Lane.BULK)


# --- transactions -------------------------------------------------------------------------------


def _remove_events(now_ms: int) -> Generator[Step, list[Row], int]:
    found = yield Step(_EVENTS_ARE_OVER, {"now_ms": now_ms})
    bare = yield from _without_events(found)
    if bare:
        yield Step(_HAS_NO_EVENTS, bare)
    return len(found)


def _remove_responses(now_ms: int) -> Generator[Step, list[Row], int]:
    found = yield Step(_EXPIRED_RESPONSES, {"now_ms": now_ms})
    bare = yield from _without_events(found)
    for removal in (_REMOVE_TEXTS, _REMOVE_CHAINS_SUMMARY, _REMOVE_RESPONSE) if bare else ():
        yield Step(removal, bare)
    return len(found)


def _without_events(found: Sequence[Row]) -> Generator[Step, list[Row], list[dict[str, object]]]:
    """Remove events of responses, the first ones first; returns those that have none any more."""
    bare: list[dict[str, object]] = []
    left = _EVENTS_AT_ONCE
    for row in found:
        it = _numbered(row)
        left -= len((yield Step(_REMOVE_EVENTS, {**it, "most": left})))
        if left == 0:  # there may be more of this one
            break
        bare.append(it)
    return bare


def _remove_conversations(now_ms: int) -> Generator[Step, list[Row], int]:
    found = yield Step(_EXPIRED_CONVERSATIONS, {"now_ms": now_ms})
    left = _ITEMS_AT_ONCE
    for tenant, conversation_id in found:
        of_it = _numbered((tenant, conversation_id))
        left -= len((yield Step(_REMOVE_ITEMS, {**of_it, "most": left})))
        if left == 0:
            break
        yield Step(_REMOVE_BRANCHES, of_it)
        yield Step(_REMOVE_SUMMARIES, of_it)
        for (person,) in (yield Step(_REMOVE_CONVERSATION, of_it)):
            yield note(Change(tenant, person, conversation_id, "conversation", "", now_ms, is_deleted=True))
    return len(found)


def _remove_feedback(now_ms: int) -> Generator[Step, list[Row], int]:
    found = yield Step(_EXPIRED_FEEDBACK, {"now_ms": now_ms})
    if found:
        yield Step(_REMOVE_FEEDBACK, [_numbered(row) for row in found])
        gone = [
            Change(tenant, person, "", "feedback", response_id, now_ms, is_deleted=True)
            for tenant, person, _, response_id in found
        ]
        yield note(*gone)
    return len(found)


def _remove_each(
    found_by: Query, parameters: Mapping[str, object], removals: Sequence[Query]
) -> Generator[Step, list[Row], int]:
    """Lock some rows, and run statements for all of them, whose columns are the statements' `of_0`, `of_1`..."""
    found = yield Step(found_by, parameters)
    if found:
        keys = [_numbered(row) for row in found]
        for removal in removals:
            yield Step(removal, keys)
    return len(found)


def _numbered(row: Row) -> dict[str, object]:
    return {f"of_{number}": value for number, value in enumerate(row)}


# --- what is over -------------------------------------------------------------------------------


def _was_over(row: Row, before_ms: int) -> bool:
    """Whether the window of a row (its period and its start are the third and fourth column) ended before a time."""
    ended_at_ms = window_end_ms(cast("Period", row[2]), row[3])
    return ended_at_ms is not None and ended_at_ms <= before_ms


def _is_longer(row: Row, kept_ms: int) -> bool:
    """Whether a row is kept for longer than this: since when it is, and until when, are its last columns."""
    *_, since_ms, expires_at_ms = row
    return since_ms is not None and (expires_at_ms is None or expires_at_ms > since_ms + kept_ms)


# --- statements ---------------------------------------------------------------------------------

_NOW = bindparam("now_ms", type_=BigInteger)


def _is_row(*columns: Column[Any]) -> ColumnElement[bool]:
    """That these columns are the parameters `of_0`, `of_1`..."""
    return and_(*(column == bindparam(f"of_{number}") for number, column in enumerate(columns)))


def _of(table: Table, parent: str) -> ColumnElement[bool]:
    """That a row hangs on the parent whose tenant and id are `of_0` and `of_1`."""
    return _is_row(table.c.tenant, table.c[parent])


def _locked(table: Table, by: Column[Any], most: int, *wanted: ColumnElement[bool]) -> Query:
    """Locks some rows, the first `by` a time, and returns their keys; passes over those that others have locked."""
    found = select(*table.primary_key.columns).where(*wanted).order_by(by).limit(most)
    return Query(found.with_for_update(of=table, skip_locked=True))


def _past(table: Table, until: Column[Any], most: int, *wanted: ColumnElement[bool]) -> Query:
    """Locks some of the rows that are kept no longer than `until`; one without a time is kept for ever."""
    return _locked(table, until, most, until.is_not(None), until <= _NOW, *wanted)


def _some(table: Table, is_wanted: ColumnElement[bool], *key: Column[Any]) -> Query:
    """Removes `most` rows, and returns something of each; `key` tells them apart."""
    some = select(*key).where(is_wanted).order_by(*key).limit(bindparam("most", type_=Integer))
    row = key[0] if len(key) == 1 else tuple_(*key)
    return Query(delete(table).where(is_wanted, row.in_(some)).returning(key[0]))


_HAS_ENDED = response.c.finished_at_ms.is_not(None)
_EVENTS_ARE_OVER = _past(response, response.c.events_until_ms, _RESPONSES_AT_ONCE, _HAS_ENDED)
_REMOVE_EVENTS = _some(response_event, _of(response_event, "response"), response_event.c.first)
_HAS_NO_EVENTS = Query(update(response).where(_of(response, "id")).values(events_until_ms=null()))
_EXPIRED_RESPONSES = _past(response, response.c.expires_at_ms, _RESPONSES_AT_ONCE, _HAS_ENDED)
_REMOVE_TEXTS = Query(delete(response_text).where(_of(response_text, "response")))
_REMOVE_RESPONSE = Query(delete(response).where(_of(response, "id")))
_REMOVE_CHAINS_SUMMARY = Query(
    delete(summary).where(_of(summary, "anchor"), summary.c.conversation == literal_column("''"))
)

_EXPIRED_KEYS = _locked(
    idempotency_key, idempotency_key.c.expires_at_ms, _KEYS_AT_ONCE, idempotency_key.c.expires_at_ms <= _NOW
)
_REMOVE_KEY = Query(delete(idempotency_key).where(_is_row(*idempotency_key.primary_key.columns)))

_IS_BEING_MADE = exists().where(
    response.c.tenant == conversation.c.tenant,
    response.c.id == conversation.c.response,
    response.c.finished_at_ms.is_(None),
)
_EXPIRED_CONVERSATIONS = _past(conversation, conversation.c.expires_at_ms, _CONVERSATIONS_AT_ONCE, ~_IS_BEING_MADE)
_REMOVE_ITEMS = _some(
    conversation_item,
    _of(conversation_item, "conversation"),
    conversation_item.c.branch,
    conversation_item.c.position,
)
_REMOVE_BRANCHES = Query(delete(conversation_branch).where(_of(conversation_branch, "conversation")))
_REMOVE_SUMMARIES = Query(delete(summary).where(_of(summary, "conversation")))
_REMOVE_CONVERSATION = Query(delete(conversation).where(_of(conversation, "id")).returning(conversation.c.person))

_EXPIRED_FEEDBACK = _past(feedback, feedback.c.expires_at_ms, _FEEDBACK_AT_ONCE)
_REMOVE_FEEDBACK = Query(delete(feedback).where(_is_row(*feedback.primary_key.columns)))

_NEXT_TENANT = Query(select(turn.c.tenant).where(turn.c.tenant > bindparam("after")).order_by(turn.c.tenant).limit(1))
_OLD_TURNS = _locked(
    turn,
    turn.c.started_at_ms,
    _TURNS_AT_ONCE,
    turn.c.tenant == bindparam("tenant"),
    turn.c.started_at_ms < bindparam("before_ms"),
    turn.c.status != "running",
)
_REMOVE_ATTEMPTS = Query(delete(attempt).where(_of(attempt, "turn")))
_REMOVE_TURN = Query(delete(turn).where(_of(turn, "id")))


class _Pages:
    """A table that is read from one end of its key to the other, with some columns more."""

    def __init__(self, table: Table, *more: ColumnElement[Any]) -> None:
        key = tuple(table.primary_key.columns)
        self._size = len(key)
        page = select(*key, *more).order_by(*key).limit(_PAGE)
        after = (bindparam(f"after_{number}", type_=column.type) for number, column in enumerate(key))
        self.first = Query(page)
        self.behind = Query(page.where(tuple_(*key) > tuple_(*after)))

    def named(self, row: Row) -> dict[str, object]:
        """A row's key, as parameters."""
        return _numbered(row[: self._size])

    def next_of(self, rows: Sequence[Row]) -> Place | None:
        """Where the page behind this one begins; None where it was the last."""
        return rows[-1][: self._size] if len(rows) == _PAGE else None


_WINDOWS = _Pages(budget_window)
_REMOVE_WINDOW = Query(
    delete(budget_window).where(_is_row(*budget_window.primary_key.columns), budget_window.c.held_micros == 0)
)
_ALERTS = _Pages(alert)
_REMOVE_ALERT = Query(delete(alert).where(_is_row(*alert.primary_key.columns)))


def _shorten(table: Table, since: Column[Any], *wanted: ColumnElement[bool]) -> Query:
    until_ms = since + bindparam("kept_ms", type_=BigInteger)
    is_longer = or_(table.c.expires_at_ms.is_(None), table.c.expires_at_ms > until_ms)
    is_it = and_(_is_row(*table.primary_key.columns), is_longer, *wanted)
    return Query(update(table).where(is_it).values(expires_at_ms=until_ms))


# Those that are not stored are kept for the key of their request, as long as that is.
_stored_since_ms = case((response.c.is_stored, response.c.finished_at_ms))
_RESPONSES = _Pages(response, _stored_since_ms, response.c.expires_at_ms)
_SHORTEN_RESPONSE = _shorten(response, response.c.finished_at_ms)
_CONVERSATIONS = _Pages(conversation, conversation.c.changed_at_ms, conversation.c.expires_at_ms)
_SHORTEN_CONVERSATION = _shorten(conversation, conversation.c.changed_at_ms)

_has_texts = or_(feedback.c.comment.is_not(None), feedback.c.correction.is_not(None))
_FEEDBACK = _Pages(feedback, case((_has_texts, feedback.c.changed_at_ms)), feedback.c.expires_at_ms)
# Its texts may have been taken out since the page was read.
_SHORTEN_FEEDBACK = _shorten(feedback, feedback.c.changed_at_ms, _has_texts)
