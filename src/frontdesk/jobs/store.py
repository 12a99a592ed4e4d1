"""Rows of jobs.

A job waits, is claimed by one process, and ends. Whatever a process does to one it does as who claimed it, in this
attempt: where another has taken it over, because this process seemed dead, nothing happens. What a job changes is part
of the transaction that ends it, so it is changed once, however often it was begun:

    waiting ──claim──► running ──end, with what it changes──► completed | failed | cancelled
       ▲                  │
       └──again, recover──┘
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, get_args

import msgspec
from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal_column,
    or_,
    select,
    update,
)

from frontdesk.core.ids import new_id
from frontdesk.jobs.endings import Again, End, after_crash
from frontdesk.jobs.plan import DEFAULT_KEEP_DAYS, Job, Kind, NewJob
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.processes import is_of_dead, of_dead
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import job

JobStatus = Literal["waiting", "running", "completed", "failed", "cancelled"]
STATUSES = get_args(JobStatus)
Progressed = tuple[int | None, int | None]
"""How much is done, of how much; None is not known."""

JOB_PREFIX = "job_"
_RECOVERED_AT_ONCE = 20
_REMOVED_AT_ONCE = 200
_MOST_KINDS = 100
_DAY_MS = 86_400_000


def enqueue(tenant: str, new: NewJob, job_id: str, now_ms: int) -> Step:
    """Keep a new job; part of the transaction that causes it, after which the runner wants to be woken.

    Brings a row with its id. It brings none, and nothing changes, where one of its kind with its `dedupe` is open.
    """
    values = {
        "tenant": tenant,
        "id": job_id,
        "kind": new.kind,
        "person": new.person,
        "payload": new.payload,
        "priority": new.priority,
        "dedupe": new.dedupe,
        "status": "waiting",
        "run_at_ms": now_ms if new.run_at_ms is None else new.run_at_ms,
        "attempts": 0,
        "owner": None,
        "wants_cancel": False,
        "done": None,
        "total": None,
        "error_code": None,
        "error": None,
        "created_at_ms": now_ms,
        "started_at_ms": None,
        "finished_at_ms": None,
    }
    return Step(_ENQUEUE, values)


def hasten(tenant: str, new: NewJob, latest_ms: int) -> Step:
    """Have the job of this kind and `dedupe` that waits for its first attempt run when this one would.

    Nothing changes unless it would run later than at `latest_ms`.
    """
    it = {"of_tenant": tenant, "of_kind": new.kind, "of_dedupe": new.dedupe, "latest_ms": latest_ms}
    return Step(_HASTEN, {**it, "new_run_at_ms": new.run_at_ms})


class JobRow(msgspec.Struct, frozen=True):
    """A job as operators see it: all but what is to be done. Times are milliseconds since 1970."""

    id: str
    kind: str
    person: str
    priority: int
    status: JobStatus
    run_at_ms: int
    attempts: int
    wants_cancel: bool
    done: int | None
    total: int | None
    error_code: str | None
    error: str | None
    created_at_ms: int
    started_at_ms: int | None
    finished_at_ms: int | None


class ClaimKey(NamedTuple):
    """Which claim of a job: no other one has its attempt and its time."""

    tenant: str
    id: str
    attempt: int
    started_at_ms: int


class Claim(NamedTuple):
    """A job that this process does, and when it began."""

    job: Job
    started_at_ms: int

    @property
    def key(self) -> ClaimKey:
        """Which claim it is."""
        return ClaimKey(self.job.tenant, self.job.id, self.job.attempt, self.started_at_ms)


class Mine(NamedTuple):
    """A job that is this process's by its row."""

    key: ClaimKey
    wants_cancel: bool


class Ended(NamedTuple):
    """A job that has just ended: what its successor is told by."""

    tenant: str
    kind: str
    dedupe: str | None
    run_at_ms: int


class Successors(Protocol):
    """What comes after jobs that recur."""

    def after(self, ended: Ended, job_id: str, now_ms: int) -> Step | None:
        """The step that keeps the next one, under this id; None where there is none. Runs on any thread."""
        ...


class JobWork:
    """The jobs that one process does, of all tenants."""

    def __init__(
        self,
        database: Database,
        process: str,
        kinds: Mapping[str, Kind],
        successors: Successors,
        dead_after_s: float,
    ) -> None:
        self._database = database
        self._process = process
        self._kinds = kinds
        self._successors = successors
        self._dead_after_s = dead_after_s
        self._next_due = Query(_due_of(kinds))

    async def next_due_ms(self) -> int | None:
        """When the first job that waits may be done; None where none waits that is known here."""
        ((run_at_ms,),) = await self._database.read(self._next_due)
        return run_at_ms

    async def claim(self, rooms: Mapping[str, int], most: int, now_ms: int) -> list[Claim]:
        """Begin some jobs that are due: the highest priority first, then the longest due.

        `rooms` says for how many of each kind there is room, `most` for how many of all.
        """

        def begin() -> Generator[Step, list[Row], list[Claim]]:
            left = {kind: room for kind, room in sorted(rooms.items()) if room > 0}
            heads: dict[str, Row] = {}
            claims: list[Claim] = []
            wanted = list(left)
            while len(claims) < most:
                for kind in wanted:
                    found = yield Step(_HEAD, {"kind": kind, "now_ms": now_ms})
                    if found:
                        heads[kind] = found[0]
                if not heads:
                    break
                kind = min(heads, key=lambda each: _order(heads[each]))
                tenant, job_id, *_ = heads.pop(kind)
                it = {"of_tenant": tenant, "of_id": job_id, "me": self._process, "now_ms": now_ms}
                ((*begun, started_at_ms),) = yield Step(_BEGIN, it)
                claims.append(Claim(Job(*begun), started_at_ms))
                left[kind] -= 1
                wanted = [kind] if left[kind] else []
            return claims

        return await self._database.transact(begin, Lane.EVENTS, rows=most)

    async def end(self, claim: Claim, end: End, progress: Progressed, now_ms: int) -> bool:
        """End a job, with what it changes; False where it is not this process's any more, and nothing changes then.

        Raises what `transact` raises; the same again is harmless.
        """
        successor_id = new_id(JOB_PREFIX)

        def finish() -> Generator[Step, list[Row], bool]:
            return (yield from self._end(self._mine(claim), end, progress, successor_id, now_ms))

        return await self._database.transact(finish, Lane.EVENTS)

    async def again(self, claim: Claim, again: Again, now_ms: int) -> bool:
        """Put a job back; it ends where somebody wants that. False where it is not this process's any more."""
        return await self._put_back(claim.key, again, now_ms)

    def tell(self, claim: Claim, progress: Progressed) -> None:
        """Note how far a job has come."""
        done, total = progress
        step = Step(_TELL, {**self._mine(claim), "new_done": done, "new_total": total})
        self._database.enqueue(step, lane=Lane.BULK)

    async def mine(self) -> list[Mine]:
        """The jobs that are this process's by their rows."""
        rows = await self._database.read(_MINE, {"me": self._process})
        return [Mine(ClaimKey(*key), wants_cancel) for *key, wants_cancel in rows]

    async def leave(self, left: Mine, now_ms: int) -> None:
        """Put back a job that was claimed for this process though nobody here does it; its attempt does not count."""
        await self._put_back(left.key, Again(0.0, is_free=True), now_ms)

    async def recover(self, now_ms: int, jitter: float) -> int:
        """Put back some jobs of dead processes, or end those whose attempts are used up; returns how many there were.

        `jitter` is from 0 to 1. Who dies in a job's hands counts an attempt: it may be the job that kills.
        """
        dead = of_dead(self._database, self._process, now_ms, self._dead_after_s)
        successor_ids = [new_id(JOB_PREFIX) for _ in range(_RECOVERED_AT_ONCE)]

        def take_back() -> Generator[Step, list[Row], int]:
            found = yield Step(_LEFT, dead)
            for (*key, kind, owner, wants_cancel), successor_id in zip(found, successor_ids, strict=False):
                claim = ClaimKey(*key)
                left = _as(owner, claim)  # who cannot write any more: its row is locked
                known = self._kinds.get(kind)
                then = End("cancelled") if wants_cancel else after_crash(known, claim.attempt, jitter)
                if isinstance(then, End):
                    yield from self._end(left, then, (None, None), successor_id, now_ms)
                else:
                    yield Step(_AGAIN, {**left, **_put_back(then, now_ms)})
            return len(found)

        return await self._database.transact(take_back, Lane.EVENTS, rows=_RECOVERED_AT_ONCE)

    async def kinds_that_wait(self) -> list[str]:
        """The kinds of which some wait, whether they are known here or not."""
        return [kind for (kind,) in await self._database.read(_KINDS)]

    async def _put_back(self, key: ClaimKey, again: Again, now_ms: int) -> bool:
        successor_id = new_id(JOB_PREFIX)
        mine = _as(self._process, key)
        values = _put_back(again, now_ms)

        def put_back() -> Generator[Step, list[Row], bool]:
            found = yield Step(_LOCK_MINE, mine)
            if not found:
                return False
            ((wants_cancel,),) = found
            if wants_cancel:
                return (yield from self._end(mine, End("cancelled"), (None, None), successor_id, now_ms))
            yield Step(_AGAIN, {**mine, **values})
            return True

        return await self._database.transact(put_back, Lane.EVENTS)

    def _end(
        self,
        mine: Mapping[str, object],
        end: End,
        progress: Progressed,
        successor_id: str,
        now_ms: int,
    ) -> Generator[Step, list[Row], bool]:
        if end.done is not None:
            # Its own row is changed last. Who holds what it changes, and keeps its like meanwhile, finds it open;
            # had its row changed by then, PostgreSQL would have each wait for the other.
            if not (yield Step(_LOCK_MINE, mine)):
                return False
            yield from end.done()
        ended = yield Step(_END, {**mine, **_ending(end, progress, now_ms)})
        if not ended:
            return False
        yield from _followed(self._successors, ended[0], successor_id, now_ms)
        return True

    def _mine(self, claim: Claim) -> dict[str, object]:
        return _as(self._process, claim.key)


class JobStore:
    """The jobs of tenants, for their operators."""

    def __init__(self, database: Database, successors: Successors) -> None:
        self._database = database
        self._successors = successors

    async def list_of(
        self, tenant: str, status: JobStatus | None, kind: str | None, after: str, limit: int
    ) -> list[JobRow]:
        """A tenant's jobs, the latest first, from behind the id `after`, which may be ''."""
        page = {"tenant": tenant, "status": status, "kind": kind, "after": after or _BEHIND_ALL, "limit": limit}
        return [_read(row) for row in await self._database.read(_LIST, page)]

    async def find(self, tenant: str, job_id: str) -> JobRow | None:
        """The tenant's job of this id."""
        rows = await self._database.read(_FIND, {"tenant": tenant, "id": job_id})
        return _read(rows[0]) if rows else None

    async def cancel(self, tenant: str, job_id: str, now_ms: int) -> JobStatus | None:
        """End a job: at once where it waits, else who does it is asked to. Returns how it was; None if it is not there.

        Nothing happens to one that has ended.
        """
        it = {"of_tenant": tenant, "of_id": job_id}
        successor_id = new_id(JOB_PREFIX)

        def end() -> Generator[Step, list[Row], JobStatus | None]:
            found = yield Step(_LOCK, it)
            if not found:
                return None
            ((status,),) = found
            if status == "waiting":
                ((*ended,),) = yield Step(_CANCEL, {**it, "now_ms": now_ms})
                yield from _followed(self._successors, tuple(ended), successor_id, now_ms)
            elif status == "running":
                yield Step(_WANT_CANCEL, it)
            return status

        return await self._database.transact(end, Lane.EVENTS)

    async def retry(self, tenant: str, job_id: str, now_ms: int) -> JobStatus | None:
        """Let a failed or cancelled job wait again, as if it were new. Returns how it was; None if it is not there.

        Nothing happens to any other. Raises ConstraintViolated where another with its `dedupe` is open.
        """
        it = {"of_tenant": tenant, "of_id": job_id}

        def renew() -> Generator[Step, list[Row], JobStatus | None]:
            found = yield Step(_LOCK, it)
            if not found:
                return None
            ((status,),) = found
            if status in ("failed", "cancelled"):
                yield Step(_RENEW, {**it, "now_ms": now_ms})
            return status

        return await self._database.transact(renew, Lane.EVENTS)


class AllJobs:
    """The jobs of all tenants, for who removes what is old and who begins what recurs."""

    def __init__(self, database: Database, kinds: Iterable[Kind]) -> None:
        self._database = database
        self._old = Query(_old_of(kinds))

    async def keep(self, steps: Sequence[Step]) -> None:
        """Keep jobs that nothing else causes."""
        await self._database.write(*steps, lane=Lane.EVENTS)

    async def sweep(self, now_ms: int) -> int:
        """Remove some jobs that ended longer ago than their kind is kept; returns how many."""
        found = await self._database.read(self._old, {"now_ms": now_ms})
        if found:
            ids = [{"of_tenant": tenant, "of_id": job_id} for tenant, job_id in sorted(found)]
            await self._database.write(Step(_FORGET, ids), lane=Lane.BULK)
        return len(found)


def _followed(successors: Successors, ended: Row, successor_id: str, now_ms: int) -> Generator[Step, list[Row], None]:
    step = successors.after(Ended(*ended), successor_id, now_ms)
    if step is not None:
        yield step


def _read(row: Row) -> JobRow:
    read = JobRow(*row)
    return msgspec.structs.replace(read, wants_cancel=bool(read.wants_cancel))  # SQLite has a number for that


def _as(owner: str, claim: ClaimKey) -> dict[str, object]:
    return {
        "of_tenant": claim.tenant,
        "of_id": claim.id,
        "me": owner,
        "of_attempt": claim.attempt,
        "of_started": claim.started_at_ms,
    }


def _order(head: Row) -> tuple[int, int]:
    *_, priority, run_at_ms = head
    return -priority, run_at_ms


def _ending(end: End, progress: Progressed, now_ms: int) -> dict[str, object]:
    done, total = progress
    return {
        "new_status": end.status,
        "new_code": end.error_code,
        "new_error": end.error,
        "new_done": done,
        "new_total": total,
        "now_ms": now_ms,
    }


def _put_back(again: Again, now_ms: int) -> dict[str, object]:
    return {
        "new_run_at_ms": now_ms + round(again.after_s * 1000),
        "counted": 0 if again.is_free else 1,
        "new_code": again.error_code,
        "new_error": again.error,
    }


# --- statements ---------------------------------------------------------------------------------

_BEHIND_ALL = f"{JOB_PREFIX}{'g' * 32}"
_COLUMNS = [job.c[name] for name in JobRow.__struct_fields__]
# As constants, not as values: only so SQLite and PostgreSQL's kept plans use the indexes of such rows.
_IS_WAITING = job.c.status == literal_column("'waiting'", Text)
_IS_RUNNING = job.c.status == literal_column("'running'", Text)
_IS_IT = and_(job.c.tenant == bindparam("of_tenant"), job.c.id == bindparam("of_id"))
_IS_MINE = and_(
    _IS_IT,
    _IS_RUNNING,
    job.c.owner == bindparam("me"),
    job.c.attempts == bindparam("of_attempt"),
    job.c.started_at_ms == bindparam("of_started"),
)
_NOW = bindparam("now_ms", type_=BigInteger)
_ENDED = [job.c[name] for name in Ended._fields]

_ENQUEUE = Query(insert(job).on_conflict_do_nothing().returning(job.c.id))
_HASTEN = Query(
    update(job)
    .where(
        _IS_WAITING,
        job.c.tenant == bindparam("of_tenant"),
        job.c.kind == bindparam("of_kind"),
        job.c.dedupe == bindparam("of_dedupe"),
        job.c.finished_at_ms.is_(None),
        job.c.attempts == 0,
        job.c.run_at_ms > bindparam("latest_ms", type_=BigInteger),
    )
    .values(run_at_ms=bindparam("new_run_at_ms"))
)
_HEAD = Query(
    select(job.c.tenant, job.c.id, job.c.priority, job.c.run_at_ms)
    .where(_IS_WAITING, job.c.kind == bindparam("kind"), job.c.run_at_ms <= _NOW)
    .order_by(job.c.priority.desc(), job.c.run_at_ms)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_BEGIN = Query(
    update(job)
    .where(_IS_IT)
    .values(
        status="running",
        owner=bindparam("me"),
        attempts=job.c.attempts + 1,
        # Later each time, though the clock stands still or goes back: a claim is known by it.
        started_at_ms=case((job.c.started_at_ms >= _NOW, job.c.started_at_ms + 1), else_=_NOW),
        done=None,
        total=None,
    )
    .returning(
        job.c.tenant,
        job.c.id,
        job.c.kind,
        job.c.person,
        job.c.payload,
        job.c.priority,
        job.c.attempts,
        job.c.created_at_ms,
        job.c.started_at_ms,
    )
)
_END = Query(
    update(job)
    .where(_IS_MINE)
    .values(
        status=bindparam("new_status"),
        owner=None,
        error_code=bindparam("new_code"),
        error=bindparam("new_error"),
        done=func.coalesce(bindparam("new_done", type_=BigInteger), job.c.done),
        total=func.coalesce(bindparam("new_total", type_=BigInteger), job.c.total),
        finished_at_ms=_NOW,
    )
    .returning(*_ENDED)
)
_LOCK_MINE = Query(select(job.c.wants_cancel).where(_IS_MINE).with_for_update())
_AGAIN = Query(
    update(job)
    .where(_IS_MINE)
    .values(
        status="waiting",
        owner=None,
        run_at_ms=bindparam("new_run_at_ms"),
        attempts=job.c.attempts - 1 + bindparam("counted", type_=Integer),
        error_code=bindparam("new_code"),
        error=bindparam("new_error"),
    )
)
_TELL = Query(update(job).where(_IS_MINE).values(done=bindparam("new_done"), total=bindparam("new_total")))
_MINE = Query(
    select(job.c.tenant, job.c.id, job.c.attempts, job.c.started_at_ms, job.c.wants_cancel).where(
        _IS_RUNNING, job.c.owner == bindparam("me")
    )
)
_LEFT = Query(
    select(job.c.tenant, job.c.id, job.c.attempts, job.c.started_at_ms, job.c.kind, job.c.owner, job.c.wants_cancel)
    .where(_IS_RUNNING, is_of_dead(job.c.owner))
    .order_by(job.c.tenant, job.c.id)
    .limit(_RECOVERED_AT_ONCE)
    .with_for_update(of=job, skip_locked=True)
)
_KINDS = Query(select(job.c.kind).where(_IS_WAITING).distinct().limit(_MOST_KINDS))

_LOCK = Query(select(job.c.status).where(_IS_IT).with_for_update())
_CANCEL = Query(update(job).where(_IS_IT).values(status="cancelled", finished_at_ms=_NOW).returning(*_ENDED))
_WANT_CANCEL = Query(update(job).where(_IS_IT).values(wants_cancel=True))
_RENEW = Query(
    update(job)
    .where(_IS_IT)
    .values(
        status="waiting",
        run_at_ms=_NOW,
        attempts=0,
        wants_cancel=False,
        done=None,
        total=None,
        error_code=None,
        error=None,
        finished_at_ms=None,
    )
)
_FIND = Query(select(*_COLUMNS).where(job.c.tenant == bindparam("tenant"), job.c.id == bindparam("id")))
_LIST = Query(
    select(*_COLUMNS)
    .where(
        job.c.tenant == bindparam("tenant"),
        job.c.id < bindparam("after"),
        job.c.status == func.coalesce(bindparam("status", type_=Text), job.c.status),
        job.c.kind == func.coalesce(bindparam("kind", type_=Text), job.c.kind),
    )
    .order_by(job.c.id.desc())
    .limit(bindparam("limit"))
)
_FORGET = Query(delete(job).where(_IS_IT, job.c.finished_at_ms.is_not(None)))


def _due_of(kinds: Iterable[str]) -> Select[tuple[int]]:
    return select(func.min(job.c.run_at_ms)).where(_IS_WAITING, or_(false(), *(job.c.kind == kind for kind in kinds)))


def _old_of(kinds: Iterable[Kind]) -> Select[Any, Any]:
    """Those of unknown kinds are kept as those are that say nothing."""
    kept_ms = case(
        *((job.c.kind == kind.name, round(kind.keep_days * _DAY_MS)) for kind in kinds),
        else_=round(DEFAULT_KEEP_DAYS * _DAY_MS),
    )
    return (
        select(job.c.tenant, job.c.id)
        .where(job.c.finished_at_ms.is_not(None), job.c.finished_at_ms <= _NOW - kept_ms)
        .order_by(job.c.finished_at_ms)
        .limit(_REMOVED_AT_ONCE)
    )
