"""Rows of batches and of their lines.

A batch belongs to somebody (`BatchStore`), and is carried by one process at a time (`BatchWork`), which is written
into its row. Whatever a process does to one it does as its carrier: where another has taken it over, because this
process seemed dead, nothing happens. The row of a line is there before anybody is asked, so nobody asks it twice:

    (no row) ──claim──► running ──answer──► completed | failed
                           │  └──unclaim──► (no row)        refused, and nothing was spent
                           └──take, by another process──► interrupted
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Integer, Text, and_, bindparam, delete, func, or_, select, update

from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.processes import is_of_dead, of_dead
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import batch, batch_line, person
from frontdesk.turn.events import Usage

Status = Literal["validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"]
End = Literal["completed", "expired", "cancelled"]
LineStatus = Literal["running", "completed", "failed", "interrupted"]

_NUMBERS_AT_ONCE = 5_000
_ANSWERS_AT_ONCE = 4  # each may have many megabytes
_REMOVED_AT_ONCE = 100
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch. Times are milliseconds since 1970. `caller`, `metadata` and `errors` are JSON.

    `model` is the one that all its lines name. Tokens are those that its answers used.
    """

    tenant: str
    id: str
    person: str
    credential: str
    caller: str
    endpoint: str
    input_file: str
    completion_window: str
    feature: str | None
    address: str
    metadata: str | None
    output_expires_s: int | None
    status: Status
    errors: str | None
    total: int
    completed: int
    failed: int
    output_file: str | None
    error_file: str | None
    created_at_ms: int
    expires_at_ms: int
    in_progress_at_ms: int | None = None
    finalizing_at_ms: int | None = None
    completed_at_ms: int | None = None
    failed_at_ms: int | None = None
    expired_at_ms: int | None = None
    cancelling_at_ms: int | None = None
    cancelled_at_ms: int | None = None
    open_at_ms: int | None = None
    model: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return Owner(self.tenant, self.person, self.credential)


class LineRow(msgspec.Struct, frozen=True):
    """A line that was asked; `answer` is what `lines.response_of` made of its answer."""

    number: int
    id: str
    custom_id: str
    status: LineStatus
    answer: str | None


class Claim(NamedTuple):
    """The note that a line is being asked: its place, and an id of this note's own."""

    number: int
    line_id: str


class Made(NamedTuple):
    """A file that was written for a batch: its id, and the step that makes it one."""

    file_id: str
    step: Step


class BatchStore:
    """The batches of one owner."""

    def __init__(self, database: Database, owner: Owner) -> None:
        self._database = database
        self._owner = owner

    async def create(self, row: BatchRow, most_open: int | None) -> bool:
        """Keep a new batch; False where so many of a person's are open already."""
        values = {**msgspec.structs.asdict(row), "owner": None, "forget_at_ms": None}
        owned = self._owner._asdict()

        def keep() -> Generator[Step, list[Row], bool]:
            if most_open is not None:
                yield Step(_LOCK_PERSON, {"tenant": row.tenant, "person": row.person})
                ((are_open,),) = yield Step(_COUNT_OPEN, owned)
                if are_open >= most_open:
                    return False
            yield Step(_CREATE, values)
            return True

        return await self._database.transact(keep, Lane.EVENTS)

    async def find(self, batch_id: str) -> BatchRow | None:
        """The owner's batch of this id."""
        rows = await self._database.read(_FIND_OWN, {**self._owner._asdict(), "id": batch_id})
        return _read(rows[0]) if rows else None

    async def list(self, after: str, limit: int) -> list[BatchRow]:
        """The owner's batches, the latest first, from behind the id `after`, which may be ''."""
        page = {**self._owner._asdict(), "after": after or _BEHIND_ALL, "limit": limit}
        return [_read(row) for row in await self._database.read(_LIST, page)]

    async def cancel(self, batch_id: str, now_ms: int) -> BatchRow | None:
        """Ask for a batch's end; None where there is none that can be cancelled."""
        it = {f"of_{name}": value for name, value in self._owner._asdict().items()}
        (rows,) = await self._database.write(
            Step(_CANCEL, {**it, "of_id": batch_id, "now_ms": now_ms}), lane=Lane.EVENTS
        )
        return _read(rows[0]) if rows else None


class BatchWork:
    """The batches that one process carries, of all tenants."""

    def __init__(self, database: Database, process: str, dead_after_s: float) -> None:
        self._database = database
        self._process = process
        self._dead_after_s = dead_after_s

    async def take(self, now_ms: int, most_of_one: int) -> BatchRow | None:
        """Take over a batch that nobody carries; None where there is none.

        Those come first whose owner has the fewest here, the oldest of them first; who has `most_of_one` has no more.

        Lines that were under way with who carried it are said to be interrupted.
        """
        dead = of_dead(self._database, self._process, now_ms, self._dead_after_s)

        def take_over() -> Generator[Step, list[Row], BatchRow | None]:
            found = yield Step(_FREE, {**dead, "me": self._process, "most_of_one": most_of_one})
            if not found:
                return None
            tenant, batch_id = found[0]
            it = {"of_tenant": tenant, "of_id": batch_id}
            interrupted = yield Step(_INTERRUPT, it)
            ((*taken,),) = yield Step(_TAKE, {**it, "me": self._process, "interrupted": len(interrupted)})
            return _read(tuple(taken))

        return await self._database.transact(take_over, Lane.EVENTS)

    async def leave_all(self) -> None:
        """Let others take the batches of this process."""
        await self._database.write(Step(_LEAVE_ALL, {"me": self._process}), lane=Lane.EVENTS)

    async def find(self, tenant: str, batch_id: str) -> BatchRow | None:
        """A batch as it is by now; None where this process does not carry it any more."""
        rows = await self._database.read(_FIND, {"tenant": tenant, "id": batch_id, "me": self._process})
        return _read(rows[0]) if rows else None

    # --- states -----------------------------------------------------------------------------

    async def begin(self, row: BatchRow, total: int, model: str | None, now_ms: int) -> None:
        """Its lines are good: they may be asked."""
        await self._change(row, _BEGIN, now_ms=now_ms, lines=total, new_model=model)

    async def fail(self, row: BatchRow, errors: str, now_ms: int, forget_at_ms: int) -> None:
        """Its lines are not good: it has ended."""
        await self._change(row, _FAIL, now_ms=now_ms, new_errors=errors, forget_ms=forget_at_ms)

    async def end(self, row: BatchRow, errors: str, now_ms: int) -> None:
        """Ask for its end as its owner could, and say why."""
        await self._change(row, _END, now_ms=now_ms, new_errors=errors)

    async def finalize(self, row: BatchRow, now_ms: int) -> None:
        """No more of its lines are asked."""
        await self._change(row, _FINALIZE, now_ms=now_ms)

    async def close(
        self,
        row: BatchRow,
        end: End,
        output_file: Made | None,
        error_file: Made | None,
        now_ms: int,
        forget_at_ms: int,
    ) -> bool:
        """Give it its files and end it.

        False where it is not this process's to end, or a file was given up.
        """
        ended = {
            "new_output": output_file and output_file.file_id,
            "new_error": error_file and error_file.file_id,
            "forget_ms": forget_at_ms,
            "now_ms": now_ms,
            "new_status": end,
            **{f"{each}_ms": now_ms if each == end else None for each in ("completed", "expired", "cancelled")},
        }

        def finish() -> Generator[Step, list[Row], bool]:
            if not (yield Step(_LOCK_ENDING, self._it(row))):
                return False
            for made in (output_file, error_file):
                if made is not None and not (yield made.step):
                    return False
            return bool((yield Step(_CLOSE, {**self._it(row), **ended})))

        return await self._database.transact(finish, Lane.BULK)

    async def clear(self, row: BatchRow) -> None:
        """Remove the lines of a batch that has ended: nothing is left to do then."""
        while (await self._database.write(Step(_REMOVE_LINES, self._of_lines(row)), lane=Lane.BULK))[0]:
            pass
        await self._database.write(Step(_SHUT, self._it(row)), lane=Lane.BULK)

    # --- lines ------------------------------------------------------------------------------

    async def asked_numbers(self, row: BatchRow) -> set[int]:
        """The places of the lines that were asked."""
        numbers: set[int] = set()
        after = 0
        while True:
            page = {"tenant": row.tenant, "batch": row.id, "after": after}
            found = [number for (number,) in await self._database.read(_NUMBERS, page)]
            numbers.update(found)
            if len(found) < _NUMBERS_AT_ONCE:
                return numbers
            after = found[-1]

    async def claim(self, row: BatchRow, claim: Claim, custom_id: str) -> bool:
        """Note durably that a line is being asked; False where it must not be."""
        line = {**claim._asdict(), "new_custom_id": custom_id}
        (claimed,) = await self._database.write(Step(_CLAIM, {**self._it(row), **line}), lane=Lane.BULK)
        return bool(claimed)

    async def unclaim(self, row: BatchRow, claim: Claim) -> None:
        """A line was not asked after all. The same again is harmless, though the line be claimed anew meanwhile."""
        await self._database.write(Step(_UNCLAIM, self._of_claim(row, claim)), lane=Lane.BULK)

    async def answer(
        self, row: BatchRow, claim: Claim, status: LineStatus, answer: str | None, usage: Usage | None
    ) -> None:
        """Keep what came of a line. The same again is harmless."""
        is_completed = status == "completed"
        used = {name: (getattr(usage, name, None) or 0) for name in _TOKENS}
        counted = {**self._of_lines(row), **used, "done": int(is_completed), "wrong": int(not is_completed)}
        told = {**self._of_claim(row, claim), "new_status": status, "new_answer": answer}

        def keep() -> Generator[Step, list[Row], None]:
            yield Step(_LOCK, self._of_lines(row))  # before its line, as who takes it over does
            if (yield Step(_ANSWER, told)):
                yield Step(_COUNT, counted)

        await self._database.transact(keep, Lane.BULK)

    async def lines(self, row: BatchRow, after: int) -> list[LineRow]:
        """The next lines that were asked, from behind this place; none where there are no more."""
        page = {"tenant": row.tenant, "batch": row.id, "after": after}
        return [LineRow(*found) for found in await self._database.read(_LINES, page)]

    def _it(self, row: BatchRow) -> dict[str, object]:
        return {"of_tenant": row.tenant, "of_id": row.id, "me": self._process}

    def _of_lines(self, row: BatchRow) -> dict[str, object]:
        return {"of_tenant": row.tenant, "of_id": row.id}

    def _of_claim(self, row: BatchRow, claim: Claim) -> dict[str, object]:
        return {**self._of_lines(row), "of_number": claim.number, "of_line": claim.line_id}

    async def _change(self, row: BatchRow, query: Query, **values: object) -> None:
        await self._database.write(Step(query, {**self._it(row), **values}), lane=Lane.EVENTS)


class AllBatches:
    """The batches of all tenants, for who removes what is old."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self, now_ms: int) -> int:
        """Remove some batches that ended long ago; returns how many."""
        found: Sequence[Row] = await self._database.read(_OLD, {"now_ms": now_ms})
        if found:
            ids = [{"of_tenant": tenant, "of_id": batch_id} for tenant, batch_id in sorted(found)]
            await self._database.write(Step(_FORGET, ids), lane=Lane.BULK)
        return len(found)


def _read(row: Row) -> BatchRow:
    return BatchRow(**dict(zip(BatchRow.__struct_fields__, row, strict=True)))


# --- statements ---------------------------------------------------------------------------------

_COLUMNS = [batch.c[name] for name in BatchRow.__struct_fields__]
_BEHIND_ALL = "batch_" + "g" * 32
_IS_OWNERS = and_(*(batch.c[name] == bindparam(name) for name in Owner._fields))
_IS_IT = and_(batch.c.tenant == bindparam("of_tenant"), batch.c.id == bindparam("of_id"))
_IS_MINE = and_(_IS_IT, batch.c.owner == bindparam("me"))
_IS_OPEN = batch.c.open_at_ms.is_not(None)
_NOW = bindparam("now_ms", type_=BigInteger)
_CANCELLABLE = or_(batch.c.status == "validating", batch.c.status == "in_progress")

_LOCK_PERSON = Query(
    select(person.c.id)
    .where(person.c.tenant == bindparam("tenant"), person.c.id == bindparam("person"))
    .with_for_update()
)
_COUNT_OPEN = Query(select(func.count()).where(_IS_OWNERS, _IS_OPEN))
_CREATE = Query(insert(batch))
_FIND_OWN = Query(select(*_COLUMNS).where(_IS_OWNERS, batch.c.id == bindparam("id")))
_LIST = Query(
    select(*_COLUMNS)
    .where(_IS_OWNERS, batch.c.id < bindparam("after"))
    .order_by(batch.c.id.desc())
    .limit(bindparam("limit"))
)
_CANCEL = Query(
    update(batch)
    .where(
        *(batch.c[name] == bindparam(f"of_{name}") for name in Owner._fields),
        batch.c.id == bindparam("of_id"),
        or_(_CANCELLABLE, batch.c.status == "cancelling"),
    )
    .values(status="cancelling", cancelling_at_ms=func.coalesce(batch.c.cancelling_at_ms, _NOW))
    .returning(*_COLUMNS)
)

_CARRIED = (
    select(*(batch.c[name] for name in Owner._fields), func.count().label("batches"))
    .where(_IS_OPEN, batch.c.owner == bindparam("me"))
    .group_by(*(batch.c[name] for name in Owner._fields))
    .subquery("carried")
)
_CARRIED_OF_ONE = func.coalesce(_CARRIED.c.batches, 0)
_FREE = Query(
    select(batch.c.tenant, batch.c.id)
    .outerjoin_from(batch, _CARRIED, and_(*(batch.c[name] == _CARRIED.c[name] for name in Owner._fields)))
    .where(
        _IS_OPEN,
        or_(batch.c.owner.is_(None), is_of_dead(batch.c.owner)),
        bindparam("most_of_one", type_=Integer) > _CARRIED_OF_ONE,
    )
    .order_by(_CARRIED_OF_ONE, batch.c.open_at_ms)
    .limit(1)
    .with_for_update(of=batch, skip_locked=True)
)
_TAKE = Query(
    update(batch)
    .where(_IS_IT)
    .values(owner=bindparam("me"), failed=batch.c.failed + bindparam("interrupted", type_=Integer))
    .returning(*_COLUMNS)
)
_LEAVE_ALL = Query(update(batch).where(_IS_OPEN, batch.c.owner == bindparam("me")).values(owner=None))
_FIND = Query(
    select(*_COLUMNS).where(
        batch.c.tenant == bindparam("tenant"), batch.c.id == bindparam("id"), batch.c.owner == bindparam("me")
    )
)
_BEGIN = Query(
    update(batch)
    .where(_IS_MINE, batch.c.status == "validating")
    .values(status="in_progress", in_progress_at_ms=_NOW, total=bindparam("lines"), model=bindparam("new_model"))
)
_FAIL = Query(
    update(batch)
    .where(_IS_MINE, batch.c.status == "validating")
    .values(
        status="failed",
        failed_at_ms=_NOW,
        errors=bindparam("new_errors"),
        open_at_ms=None,
        forget_at_ms=bindparam("forget_ms"),
    )
)
_END = Query(
    update(batch)
    .where(_IS_MINE, _CANCELLABLE)
    .values(status="cancelling", cancelling_at_ms=_NOW, errors=bindparam("new_errors"))
)
_FINALIZE = Query(
    update(batch).where(_IS_MINE, batch.c.status == "in_progress").values(status="finalizing", finalizing_at_ms=_NOW)
)
_LOCK = Query(select(batch.c.id).where(_IS_IT).with_for_update())
_IS_ENDING = and_(_IS_MINE, or_(batch.c.status == "finalizing", batch.c.status == "cancelling"))
_LOCK_ENDING = Query(select(batch.c.id).where(_IS_ENDING).with_for_update())
_CLOSE = Query(
    update(batch)
    .where(_IS_ENDING)
    .values(
        status=bindparam("new_status"),
        failed=batch.c.total - batch.c.completed,
        output_file=bindparam("new_output"),
        error_file=bindparam("new_error"),
        finalizing_at_ms=func.coalesce(batch.c.finalizing_at_ms, _NOW),
        completed_at_ms=bindparam("completed_ms"),
        expired_at_ms=bindparam("expired_ms"),
        cancelled_at_ms=bindparam("cancelled_ms"),
        forget_at_ms=bindparam("forget_ms"),
    )
    .returning(batch.c.id)
)
_SHUT = Query(update(batch).where(_IS_MINE).values(open_at_ms=None, owner=None))

_OF_BATCH = and_(batch_line.c.tenant == bindparam("of_tenant"), batch_line.c.batch == bindparam("of_id"))
_IS_RUNNING = batch_line.c.status == "running"
_IS_CLAIM = and_(
    _OF_BATCH, batch_line.c.number == bindparam("of_number"), batch_line.c.id == bindparam("of_line"), _IS_RUNNING
)
_INTERRUPT = Query(
    update(batch_line).where(_OF_BATCH, _IS_RUNNING).values(status="interrupted").returning(batch_line.c.number)
)
_BEHIND = and_(
    batch_line.c.tenant == bindparam("tenant"),
    batch_line.c.batch == bindparam("batch"),
    batch_line.c.number > bindparam("after", type_=Integer),
)
_NUMBERS = Query(select(batch_line.c.number).where(_BEHIND).order_by(batch_line.c.number).limit(_NUMBERS_AT_ONCE))
_LINES = Query(
    select(*(batch_line.c[name] for name in LineRow.__struct_fields__))
    .where(_BEHIND)
    .order_by(batch_line.c.number)
    .limit(_ANSWERS_AT_ONCE)
)
_CLAIM = Query(
    insert(batch_line)
    .from_select(
        ["tenant", "batch", "number", "id", "custom_id", "status"],
        select(
            batch.c.tenant,
            batch.c.id,
            bindparam("number", type_=Integer),
            bindparam("line_id", type_=Text),
            bindparam("new_custom_id", type_=Text),
            bindparam("claimed", "running", type_=Text),
        )
        .where(_IS_MINE, batch.c.status == "in_progress")
        .with_for_update(),  # or it would be claimed behind the back of who is just taking the batch over
    )
    .on_conflict_do_nothing()
    .returning(batch_line.c.number)
)
_UNCLAIM = Query(delete(batch_line).where(_IS_CLAIM))
_ANSWER = Query(
    update(batch_line)
    .where(_IS_CLAIM)
    .values(status=bindparam("new_status"), answer=bindparam("new_answer"))
    .returning(batch_line.c.number)
)
_COUNT = Query(
    update(batch)
    .where(_IS_IT)
    .values(
        completed=batch.c.completed + bindparam("done", type_=Integer),
        failed=batch.c.failed + bindparam("wrong", type_=Integer),
        **{name: batch.c[name] + bindparam(name, type_=BigInteger) for name in _TOKENS},
    )
)
_SOME_LINES = select(batch_line.c.number).where(_OF_BATCH).order_by(batch_line.c.number).limit(_REMOVED_AT_ONCE)
_REMOVE_LINES = Query(
    delete(batch_line).where(_OF_BATCH, batch_line.c.number.in_(_SOME_LINES)).returning(batch_line.c.number)
)
_OLD = Query(
    select(batch.c.tenant, batch.c.id)
    .where(batch.c.forget_at_ms.is_not(None), batch.c.forget_at_ms <= _NOW, batch.c.open_at_ms.is_(None))
    .order_by(batch.c.forget_at_ms)
    .limit(_REMOVED_AT_ONCE)
)
_FORGET = Query(delete(batch).where(_IS_IT))
