"""Rows of turns and attempts, and of the processes that carry them.

A process carries the turns of all tenants and writes each row under its own (`TurnStore`); who reads
them reads those of one tenant (`TurnReader`). Writing costs the line nothing to wait for: rows are
gathered for some milliseconds and enqueued together. A turn that settles within that time is one
insert; a longer one is there while it runs, so that a crash leaves a row that `sweep_orphans` can end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from sqlalchemy import Table, Text, and_, bindparam, delete, exists, literal_column, select, update
from sqlalchemy.dialects.postgresql import Insert

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import attempt, process, turn

Status = Literal["running", "completed", "incomplete", "failed", "cancelled", "refused", "abandoned"]
UsageSource = Literal["reported", "counted"]

_LINGER_S = 0.02
# A name that a client made up may be anything; what is kept of it is enough to recognise it.
_MOST_CHARS = 200
_MOST_TOKENS = 2**63 - 1


class TurnRow(msgspec.Struct, frozen=True, kw_only=True):
    """A turn. Times are milliseconds since 1970; tokens are None where they are not known."""

    tenant: str
    id: str
    door: str
    caller: str
    is_streaming: bool
    started_at_ms: int
    status: Status = "running"
    person: str | None = None
    credential: str | None = None
    feature: str | None = None
    model: str | None = None
    error_code: str | None = None
    http_status: int | None = None
    first_event_at_ms: int | None = None
    finished_at_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource | None = None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a provider. `number` counts from 1 within the turn; `raw_usage` is the provider's JSON."""

    tenant: str
    turn: str
    number: int
    provider: str
    model: str
    started_at_ms: int
    status: Status = "running"
    error_code: str | None = None
    http_status: int | None = None
    first_event_at_ms: int | None = None
    finished_at_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource | None = None
    raw_usage: str | None = None


class TurnStore:
    """The turns that one process carries, of all tenants. `close` before the database."""

    def __init__(self, database: Database, *, owner: str, clock: Clock) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock
        self._turns: dict[tuple[str, str], TurnRow] = {}
        self._attempts: dict[tuple[str, str, int], AttemptRow] = {}
        self._timer: asyncio.TimerHandle | None = None

    # --- writing ----------------------------------------------------------------------------

    def started(self, row: TurnRow) -> None:
        """A turn begins. Only enqueues."""
        self._turns[row.tenant, row.id] = row
        self._arm()

    def attempted(self, row: AttemptRow) -> None:  # noqa: V105 - for turns that outlive their request
        """A provider is called for a turn that may take long. Only enqueues."""
        self._attempts[row.tenant, row.turn, row.number] = row
        self._arm()

    def settled(self, row: TurnRow, attempts: Iterable[AttemptRow]) -> None:
        """A turn has ended; the rows are final. Only enqueues."""
        self._turns[row.tenant, row.id] = row
        for each in attempts:
            self._attempts[each.tenant, each.turn, each.number] = each
        self._arm()

    def close(self) -> None:
        """Enqueue what was gathered. The database writes it when it closes."""
        if self._timer is not None:
            self._timer.cancel()
            self._enqueue()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self._enqueue)

    def _enqueue(self) -> None:
        self._timer = None
        if self._turns:
            self._database.enqueue_rows(_PUT_TURN, [self._turn_values(row) for row in self._turns.values()])
        if self._attempts:
            rows = [_storable(msgspec.structs.asdict(row)) for row in self._attempts.values()]
            self._database.enqueue_rows(_PUT_ATTEMPT, rows)
        self._turns.clear()
        self._attempts.clear()

    def _turn_values(self, row: TurnRow) -> dict[str, object]:
        values = _storable(msgspec.structs.asdict(row))
        values["owner"] = self._owner
        return values

    # --- processes --------------------------------------------------------------------------

    async def register_process(self) -> None:
        """Say that this process lives. The same as `heartbeat`, for the first time."""
        await self.heartbeat()

    async def heartbeat(self) -> None:
        """Say that this process still lives."""
        now_ms = unix_ms(self._clock)
        values = {"id": self._owner, "started_at_ms": now_ms, "heartbeat_at_ms": now_ms}
        await self._database.write(Step(_BEAT, values))

    async def sweep_orphans(self, dead_after_s: float) -> int:
        """End the running turns of dead processes, of all tenants, and their attempts; returns how many turns.

        Dead is whose last heartbeat is older than `dead_after_s`; where no other process can
        serve, every other one. One that comes back and settles its turns has the last word.
        """
        now_ms = unix_ms(self._clock)
        alive_since_ms = _FOR_EVER_MS if self._database.is_alone else now_ms - round(dead_after_s * 1000)
        of_dead = {"me": self._owner, "alive_since_ms": alive_since_ms}
        _, turns, _ = await self._database.write(
            Step(_ABANDON_ATTEMPTS, {**of_dead, "now_ms": now_ms}),
            Step(_FAIL_TURNS, {**of_dead, "now_ms": now_ms}),
            Step(_FORGET_PROCESSES, of_dead),
        )
        return len(turns)


class TurnReader:  # noqa: V102 - for what shows turns; tests look at it
    """The turns of one tenant."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def find(self, turn_id: str) -> TurnRow | None:
        """The turn of this id, once it was written."""
        rows = await self._database.read(_FIND_TURN, {"tenant": self._tenant, "id": turn_id})
        return _turn_row(rows[0]) if rows else None

    async def recent(self, limit: int) -> list[TurnRow]:  # noqa: V105 - what tests look at
        """The turns that started last, newest first."""
        rows = await self._database.read(_RECENT_TURNS, {"tenant": self._tenant, "limit": limit})
        return [_turn_row(row) for row in rows]

    async def attempts_of(self, turn_id: str) -> list[AttemptRow]:  # noqa: V105 - what tests look at
        """A turn's attempts in order; a thousand at most."""
        rows = await self._database.read(_FIND_ATTEMPTS, {"tenant": self._tenant, "turn": turn_id})
        return [AttemptRow(**dict(zip(_ATTEMPT_FIELDS, row, strict=True))) for row in rows]


def _turn_row(row: Row) -> TurnRow:
    values: dict[str, Any] = dict(zip(_TURN_FIELDS, row, strict=True))
    values["is_streaming"] = bool(values["is_streaming"])  # SQLite has no booleans of its own
    return TurnRow(**values)


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    """Change what an engine would refuse: a strange name must not cost the row."""
    for name in _NAMES:
        text = values.get(name)
        if text is not None and (len(text) > _MOST_CHARS or not text.isprintable()):
            values[name] = text[:_MOST_CHARS].encode("utf-8", "replace").decode().replace("\0", "?")
    for name in _COUNTS:
        count = values[name]
        if count is not None and count > _MOST_TOKENS:
            values[name] = _MOST_TOKENS
    return values


_NAMES = ("model", "person", "feature", "error_code")
_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_TURN_FIELDS = TurnRow.__struct_fields__
_ATTEMPT_FIELDS = AttemptRow.__struct_fields__

# --- statements ---------------------------------------------------------------------------------

_FOR_EVER_MS = 2**62
_MOST_ATTEMPTS = 1_000
# Written out, because a partial index is used only where its condition is seen.
_RUNNING = literal_column("'running'", Text)
_CRASHED = "server_crashed"


def _put(table: Table) -> Insert:
    """Insert a row or, where its key is there, replace its values: all but whose it is.

    That is settled by its first writing. Whoever began the turn may be known by another name since
    (accounts' upgrades), and then the row has been given to that one.
    """
    statement = insert(table)
    kept = {*table.primary_key.columns.keys(), "person"}
    values = {column.name: statement.excluded[column.name] for column in table.c if column.name not in kept}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)


_PUT_TURN = Query(_put(turn))
_PUT_ATTEMPT = Query(_put(attempt))

_beat = insert(process)
_BEAT = Query(
    _beat.on_conflict_do_update(index_elements=[process.c.id], set_={"heartbeat_at_ms": _beat.excluded.heartbeat_at_ms})
)
_of_dead_owner = and_(
    turn.c.status == _RUNNING,
    turn.c.owner != bindparam("me"),
    ~exists().where(process.c.id == turn.c.owner, process.c.heartbeat_at_ms >= bindparam("alive_since_ms")),
)
_FAIL_TURNS = Query(
    update(turn)
    .where(_of_dead_owner)
    .values(status="failed", error_code=_CRASHED, finished_at_ms=bindparam("now_ms"))
    .returning(turn.c.id)
)
_ABANDON_ATTEMPTS = Query(
    update(attempt)
    .where(
        attempt.c.status == _RUNNING,
        exists().where(turn.c.tenant == attempt.c.tenant, turn.c.id == attempt.c.turn, _of_dead_owner),
    )
    .values(status="abandoned", error_code=_CRASHED, finished_at_ms=bindparam("now_ms"))
)
_FORGET_PROCESSES = Query(
    delete(process).where(process.c.id != bindparam("me"), process.c.heartbeat_at_ms < bindparam("alive_since_ms"))
)

_turn_columns = [turn.c[name] for name in _TURN_FIELDS]
_FIND_TURN = Query(select(*_turn_columns).where(turn.c.tenant == bindparam("tenant"), turn.c.id == bindparam("id")))
_RECENT_TURNS = Query(
    select(*_turn_columns)
    .where(turn.c.tenant == bindparam("tenant"))
    .order_by(turn.c.started_at_ms.desc(), turn.c.id.desc())
    .limit(bindparam("limit"))
)
_FIND_ATTEMPTS = Query(
    select(*(attempt.c[name] for name in _ATTEMPT_FIELDS))
    .where(attempt.c.tenant == bindparam("tenant"), attempt.c.turn == bindparam("turn"))
    .order_by(attempt.c.number)
    .limit(_MOST_ATTEMPTS)
)
