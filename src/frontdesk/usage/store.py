"""Rows of turns and attempts, and of the processes that carry them.

A process carries the turns of all tenants and writes each row under its own (`TurnStore`); who reads
them reads those of one tenant (`TurnReader`). Writing costs the line nothing to wait for: rows are
gathered for some milliseconds and enqueued together. A turn that settles within that time is one
insert; a longer one is there while it runs, so that a crash leaves a row that `sweep_orphans` can end.

The final rows of turns that money was put aside for are written with what they cost, by the ledger. So
there is no order between a turn's rows: one that says "running" changes none that is there already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table, Text, and_, bindparam, delete, exists, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import Insert

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.money import Micros
from frontdesk.ledger.holds import Facts
from frontdesk.storage.database import Database
from frontdesk.storage.processes import CRASHED, is_of_dead, of_dead
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import attempt, process, turn
from frontdesk.usage.rows import AttemptRow, TurnRow, values_of

_LINGER_S = 0.02


class TurnStore:
    """The turns that one process carries, of all tenants. `close` before the database."""

    def __init__(self, database: Database, *, owner: str, clock: Clock) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock
        self._begun: dict[tuple[str, str], Callable[[], TurnRow]] = {}
        self._begun_attempts: dict[tuple[str, str], list[AttemptRow]] = {}
        self._ended: list[TurnRow] = []
        self._ended_attempts: list[AttemptRow] = []
        self._timer: asyncio.TimerHandle | None = None

    # --- writing ----------------------------------------------------------------------------

    def started(self, tenant: str, turn_id: str, row: Callable[[], TurnRow]) -> None:
        """A turn begins. Only enqueues; most have settled before anybody needs to make their row."""
        self._begun[tenant, turn_id] = row
        self._arm()

    def attempted(self, row: AttemptRow) -> None:  # noqa: V105 - for turns that outlive their request
        """A provider is called for a turn that may take long. Only enqueues."""
        self._begun_attempts.setdefault((row.tenant, row.turn), []).append(row)
        self._arm()

    def settled(self, row: TurnRow, attempts: Sequence[AttemptRow]) -> None:
        """A turn has ended; the rows are final. Only enqueues."""
        self._forget(row)
        self._ended.append(row)
        self._ended_attempts.extend(attempts)
        self._arm()

    def dropped(self, tenant: str, turn_id: str) -> None:
        """A turn that began was none. Only enqueues, and only where its row was written meanwhile."""
        if self._begun.pop((tenant, turn_id), None) is None:
            self._database.enqueue(Step(_DROP_TURN, {"of_tenant": tenant, "of_id": turn_id}))

    def final_steps(self, row: TurnRow, attempts: Sequence[AttemptRow]) -> tuple[Step, ...]:
        """The steps that write the final rows of a turn, for who writes them with something else; it is settled."""
        self._forget(row)
        put_turn = Step(_PUT_TURN, self._turn_values(row))
        if not attempts:
            return (put_turn,)
        return put_turn, Step(_PUT_ATTEMPT, [values_of(each) for each in attempts])

    def close(self) -> None:
        """Enqueue what was gathered. The database writes it when it closes."""
        if self._timer is not None:
            self._timer.cancel()
            self._enqueue()

    def _forget(self, row: TurnRow) -> None:
        key = row.tenant, row.id
        self._begun.pop(key, None)
        if self._begun_attempts:
            self._begun_attempts.pop(key, None)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self._enqueue)

    def _enqueue(self) -> None:
        self._timer = None
        # Sorted: the ledger writes rows of the same turns, and two who lock them crosswise make one of them start anew.
        begun = [self._begun[key]() for key in sorted(self._begun)]
        begun_attempts = [row for key in sorted(self._begun_attempts) for row in self._begun_attempts[key]]
        self._enqueue_rows(_BEGIN_TURN, [self._turn_values(row) for row in begun])
        self._enqueue_rows(_PUT_TURN, [self._turn_values(row) for row in self._ended])
        self._enqueue_rows(_BEGIN_ATTEMPT, [values_of(row) for row in begun_attempts])
        self._enqueue_rows(_PUT_ATTEMPT, [values_of(row) for row in self._ended_attempts])
        for gathered in (self._begun, self._begun_attempts, self._ended, self._ended_attempts):
            gathered.clear()

    def _enqueue_rows(self, query: Query, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._database.enqueue_rows(query, rows)

    def _turn_values(self, row: TurnRow) -> dict[str, Any]:
        values = values_of(row)
        values["owner"] = self._owner
        return values

    # --- processes --------------------------------------------------------------------------

    async def register_process(self) -> None:
        """Say that this process lives. The same as `heartbeat`, for the first time."""
        await self.heartbeat()

    async def heartbeat(self) -> None:
        """Say that this process still lives."""
        now_ms = unix_ms(self._clock)
        values = {"id": self._owner, "started_at_ms": now_ms, "heartbeat_at_ms": now_ms, "fenced_at_ms": None}
        await self._database.write(Step(_BEAT, values))

    async def sweep_orphans(self, dead_after_s: float) -> int:
        """End the running turns of dead processes, of all tenants, and their attempts; returns how many turns.

        Dead is whose last heartbeat is older than `dead_after_s`; where no other process can
        serve, every other one. One that comes back and settles its turns has the last word.
        """
        now_ms = unix_ms(self._clock)
        dead = of_dead(self._database, self._owner, now_ms, dead_after_s)
        _, turns, _ = await self._database.write(
            Step(_ABANDON_ATTEMPTS, {**dead, "now_ms": now_ms}),
            Step(_FAIL_TURNS, {**dead, "now_ms": now_ms}),
            Step(_FORGET_PROCESSES, dead),
        )
        return len(turns)


class TurnReader:
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

    async def attempts_of(self, turn_id: str) -> list[AttemptRow]:
        """A turn's attempts in order; a thousand at most."""
        rows = await self._database.read(_FIND_ATTEMPTS, {"tenant": self._tenant, "turn": turn_id})
        return [AttemptRow(**dict(zip(_ATTEMPT_FIELDS, row, strict=True))) for row in rows]


def _turn_row(row: Row) -> TurnRow:
    values: dict[str, Any] = dict(zip(_TURN_FIELDS, row, strict=True))
    values["is_streaming"] = bool(values["is_streaming"])  # SQLite has no booleans of its own
    return TurnRow(**values)


def crash_rows(tenant: str, turn_id: str, facts: Facts, micros: Micros, now_ms: int) -> Sequence[Step]:
    """The steps that end a turn whose process died, at what was put aside for it: as its first attempt's cost.

    They write no row of a turn that has another end, so they may run twice, before `sweep_orphans` and after it.
    """
    provider, _, model = facts.route.partition("/")
    ended: dict[str, Any] = {
        "started_at_ms": facts.started_at_ms,
        "error_code": CRASHED,
        "finished_at_ms": now_ms,
        "cost_micros": micros,
    }
    row = TurnRow(
        tenant=tenant,
        id=turn_id,
        door=facts.door,
        caller=facts.caller,
        credential=facts.credential,
        person=facts.person,
        feature=facts.feature,
        tier=facts.tier,
        model=facts.model,
        is_streaming=facts.is_streaming,
        status="failed",
        **ended,
    )
    attempt_row = AttemptRow(
        tenant=tenant,
        turn=turn_id,
        number=1,
        provider=provider,
        model=model,
        status="abandoned",
        cost_source="crash",
        **ended,
    )
    return Step(_CRASH_TURN, {**values_of(row), "owner": _NOBODY}), Step(_CRASH_ATTEMPT, values_of(attempt_row))


_TURN_FIELDS = TurnRow.__struct_fields__
_ATTEMPT_FIELDS = AttemptRow.__struct_fields__

# --- statements ---------------------------------------------------------------------------------

_MOST_ATTEMPTS = 1_000
# Written out, because a partial index is used only where its condition is seen.
_RUNNING = literal_column("'running'", Text)
_CRASHED_TEXT = literal_column(f"'{CRASHED}'", Text)
_NOBODY = ""  # owns a turn that left no row of its own


def _put(table: Table) -> Insert:
    """Insert a row or, where its key is there, replace its values: all but whose it is.

    That is settled by its first writing. Whoever began the turn may be known by another name since
    (accounts' upgrades), and then the row has been given to that one.
    """
    statement = insert(table)
    kept = {*table.primary_key.columns.keys(), "person"}
    values = {column.name: statement.excluded[column.name] for column in table.c if column.name not in kept}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)


def _begin(table: Table) -> Insert:
    """Insert a row; one that is there knows more."""
    return insert(table).on_conflict_do_nothing(index_elements=list(table.primary_key))


def _crash(table: Table, *changes: str) -> Insert:
    """Insert a row or, where its key is there and says that it runs or was swept, change it."""
    statement = insert(table)
    values: dict[str, Any] = {name: statement.excluded[name] for name in ("status", "error_code", *changes)}
    values["finished_at_ms"] = func.coalesce(table.c.finished_at_ms, statement.excluded.finished_at_ms)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_=values,
        where=or_(table.c.status == _RUNNING, table.c.error_code == _CRASHED_TEXT),
    )


_DROP_TURN = Query(
    delete(turn).where(
        turn.c.tenant == bindparam("of_tenant"), turn.c.id == bindparam("of_id"), turn.c.status == "running"
    )
)
_BEGIN_TURN = Query(_begin(turn))
_BEGIN_ATTEMPT = Query(_begin(attempt))
_PUT_TURN = Query(_put(turn))
_PUT_ATTEMPT = Query(_put(attempt))
_CRASH_TURN = Query(_crash(turn, "tier", "cost_micros"))
_CRASH_ATTEMPT = Query(_crash(attempt, "cost_micros", "cost_source"))

_beat = insert(process)
_BEAT = Query(
    _beat.on_conflict_do_update(index_elements=[process.c.id], set_={"heartbeat_at_ms": _beat.excluded.heartbeat_at_ms})
)
_of_dead_owner = and_(turn.c.status == _RUNNING, is_of_dead(turn.c.owner))
_FAIL_TURNS = Query(
    update(turn)
    .where(_of_dead_owner)
    .values(status="failed", error_code=CRASHED, finished_at_ms=bindparam("now_ms"))
    .returning(turn.c.id)
)
_ABANDON_ATTEMPTS = Query(
    update(attempt)
    .where(
        attempt.c.status == _RUNNING,
        exists().where(turn.c.tenant == attempt.c.tenant, turn.c.id == attempt.c.turn, _of_dead_owner),
    )
    .values(status="abandoned", error_code=CRASHED, finished_at_ms=bindparam("now_ms"), cost_source="crash")
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
