"""Whatever processes, operators and clocks do in whatever order, rows are as a plain model of them, and what a job
changes is changed once.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from frontdesk.core.clock import unix_ms
from frontdesk.jobs.endings import Again, End, after_crash
from frontdesk.jobs.plan import Kind, NewJob
from frontdesk.jobs.schedules import Schedules
from frontdesk.jobs.store import Claim, JobStore, JobWork, enqueue
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import ConstraintViolated
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import job, process
from tests.fakes import HandClock
from tests.jobs.desk import BEAT, DEAD_AFTER_S, TENANT, Worker, make_effects
from tests.jobs.effects import effect, effect_of, effects

PROCESSES = ("proc_a", "proc_b")
KIND = Kind("work", Worker(), most_attempts=3)
_CLEAR = [Query(delete(table)) for table in (job, process, effect)]

WHO = st.sampled_from(PROCESSES)
PLACES = st.integers(0, 3)
_KEEP = st.tuples(st.just("keep"), st.sampled_from([None, "d1"]), st.integers(0, 2), st.sampled_from([0, 0, 10]))
_CLAIM = st.tuples(st.just("claim"), WHO, st.integers(1, 3), st.integers(1, 3))
ACTS = st.one_of(
    _KEEP,
    _KEEP,
    _CLAIM,
    _CLAIM,
    st.tuples(st.just("end"), WHO, PLACES, st.sampled_from(["completed", "completed", "failed"])),
    st.tuples(st.just("again"), WHO, PLACES, st.booleans(), st.sampled_from([0.0, 5.0])),
    st.tuples(st.just("cancel"), PLACES),
    st.tuples(st.just("retry"), PLACES),
    st.tuples(st.just("recover"), WHO),
    st.tuples(st.just("beat"), WHO),
    st.tuples(st.just("move"), st.sampled_from([0.001, 6.0, 31.0])),
)


class Shared:
    """A database that other processes serve from as well, as far as anybody asks."""

    is_alone = False

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@dataclass
class ModelJob:
    """A job as it must be. `claim` is the one that counts, of this `owner`."""

    dedupe: str | None
    priority: int
    run_at_ms: int
    status: str = "waiting"
    attempts: int = 0
    wants_cancel: bool = False
    claim: Claim | None = None
    owner: str = ""
    changes: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in ("waiting", "running")

    def wait(self, run_at_ms: int, attempts: int) -> None:
        self.status, self.claim, self.run_at_ms, self.attempts = "waiting", None, run_at_ms, attempts

    def end(self, status: str) -> None:
        self.status, self.claim = status, None


class Play:
    """Some processes that do jobs, and the model of what comes of it."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self._clock = HandClock()
        schedules = Schedules(TENANT, [])
        self._works = {name: JobWork(database, name, {"work": KIND}, schedules, DEAD_AFTER_S) for name in PROCESSES}
        self._store = JobStore(database, schedules)
        self._numbers = itertools.count()
        self._jobs: dict[str, ModelJob] = {}
        self._held: dict[str, list[Claim]] = {name: [] for name in PROCESSES}
        self._beats: dict[str, int] = {}

    @property
    def _now_ms(self) -> int:
        return unix_ms(self._clock)

    async def act(self, name: str, *what: Any) -> None:
        await getattr(self, name)(*what)

    async def keep(self, dedupe: str | None, priority: int, later_s: int) -> None:
        job_id = f"job_{next(self._numbers):03}"
        run_at_ms = self._now_ms + later_s * 1000
        new = NewJob("work", job_id.encode(), priority=priority, dedupe=dedupe, run_at_ms=run_at_ms)
        (kept,) = await self._database.write(enqueue(TENANT, new, job_id, self._now_ms))
        is_there = any(each.is_open and each.dedupe == dedupe for each in self._jobs.values() if dedupe is not None)
        assert bool(kept) is not is_there
        if kept:
            self._jobs[job_id] = ModelJob(dedupe, priority, run_at_ms)

    async def claim(self, who: str, most: int, room: int) -> None:
        await self.beat(who)
        claims = await self._works[who].claim({"work": room, "other": 9}, most, self._now_ms)
        due = [each for each in self._jobs.values() if each.status == "waiting" and each.run_at_ms <= self._now_ms]
        order = sorted((-each.priority, each.run_at_ms) for each in due)
        claimed = [self._jobs[claim.job.id] for claim in claims]
        assert [(-each.priority, each.run_at_ms) for each in claimed] == order[: min(most, room)]
        for claim, model in zip(claims, claimed, strict=True):
            assert model.status == "waiting"
            model.status, model.claim, model.owner = "running", claim, who
            model.attempts += 1
            assert claim.job.attempt == model.attempts
            self._held[who].append(claim)

    async def end(self, who: str, place: int, status: Any) -> None:
        claim = self._pick(who, place)
        if claim is None:
            return
        done = effect_of(claim.job.id) if status == "completed" else None
        is_ours = await self._works[who].end(claim, End(status, done), (None, None), self._now_ms)
        model = self._jobs[claim.job.id]
        assert is_ours is (model.claim is claim)
        if is_ours:
            model.end(status)
            model.changes += status == "completed"

    async def again(self, who: str, place: int, is_free: bool, after_s: float) -> None:
        claim = self._pick(who, place)
        if claim is None:
            return
        is_ours = await self._works[who].again(claim, Again(after_s, is_free), self._now_ms)
        model = self._jobs[claim.job.id]
        assert is_ours is (model.claim is claim)
        if is_ours and model.wants_cancel:
            model.end("cancelled")
        elif is_ours:
            model.wait(self._now_ms + round(after_s * 1000), model.attempts - is_free)

    async def cancel(self, place: int) -> None:
        job_id, model = self._any(place)
        if model is None:
            return
        assert await self._store.cancel(TENANT, job_id, self._now_ms) == model.status
        if model.status == "waiting":
            model.end("cancelled")
        elif model.status == "running":
            model.wants_cancel = True

    async def retry(self, place: int) -> None:
        job_id, model = self._any(place)
        if model is None:
            return
        rivals = [each for each in self._jobs.values() if each is not model and each.is_open]
        if (
            not model.is_open
            and model.status != "completed"
            and model.dedupe in {each.dedupe for each in rivals} - {None}
        ):
            with pytest.raises(ConstraintViolated):
                await self._store.retry(TENANT, job_id, self._now_ms)
            return
        assert await self._store.retry(TENANT, job_id, self._now_ms) == model.status
        if model.status in ("failed", "cancelled"):
            model.wait(self._now_ms, 0)
            model.wants_cancel = False

    async def recover(self, who: str) -> None:
        await self.beat(who)
        recovered = await self._works[who].recover(self._now_ms, 0.0)
        left = [each for each in self._jobs.values() if each.status == "running" and self._is_dead(each.owner, who)]
        assert recovered == len(left)
        for model in left:
            then = after_crash(KIND, model.attempts, 0.0)
            if model.wants_cancel:
                model.end("cancelled")
            elif isinstance(then, End):
                model.end(then.status)
            else:
                model.wait(self._now_ms + round(then.after_s * 1000), model.attempts)

    async def beat(self, who: str) -> None:
        self._beats[who] = self._now_ms
        beat = {"id": who, "started_at_ms": 0, "heartbeat_at_ms": self._now_ms, "fenced_at_ms": None}
        await self._database.write(Step(BEAT, beat))

    async def move(self, seconds: float) -> None:
        self._clock.move(seconds)

    async def check(self) -> None:
        rows = {row.id: row for row in await self._store.list_of(TENANT, None, None, "", 1000)}
        told = {
            job_id: (row.status, row.attempts, row.run_at_ms, row.wants_cancel, row.finished_at_ms is None)
            for job_id, row in rows.items()
        }
        assert told == {
            job_id: (each.status, each.attempts, each.run_at_ms, each.wants_cancel, each.is_open)
            for job_id, each in self._jobs.items()
        }
        changes = {job_id: each.changes for job_id, each in self._jobs.items() if each.changes}
        assert await effects(self._database) == Counter(changes)
        assert {job_id for job_id, each in self._jobs.items() if each.status == "completed"} == set(changes)
        assert set(changes.values()) <= {1}
        for who, work in self._works.items():
            mine = {each.claim.key for each in self._jobs.values() if each.claim is not None and each.owner == who}
            assert {each.key for each in await work.mine()} == mine

    def _pick(self, who: str, place: int) -> Claim | None:
        held = self._held[who]
        return held[place % len(held)] if held else None

    def _any(self, place: int) -> tuple[str, ModelJob | None]:
        names = sorted(self._jobs)
        return (names[place % len(names)], self._jobs[names[place % len(names)]]) if names else ("", None)

    def _is_dead(self, owner: str, who: str) -> bool:
        return owner != who and self._now_ms - self._beats[owner] > DEAD_AFTER_S * 1000


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[Any]:
    opened = await open_database(database_url)
    await make_effects(opened)
    yield Shared(opened)
    await opened.close()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ACTS, min_size=40, max_size=80))
async def test_rows_are_as_a_plain_model_of_them(shared: Any, acts: list[tuple[Any, ...]]) -> None:
    await shared.write(*(Step(query) for query in _CLEAR))
    play = Play(shared)
    for name, *what in acts:
        await play.act(name, *what)
        await play.check()
