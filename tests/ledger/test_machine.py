"""Any story of turns, failures, crashes, sweeps and periods ends as a simple model says, to the micro-dollar.

The model knows no transactions: it is a dictionary of windows and one of holds, and does one thing after the other.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from frontdesk.core.clock import unix_ms
from frontdesk.core.periods import PERIODS, Period, window_end_ms
from frontdesk.ledger.holds import Balance, Reservation, Window
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageError
from frontdesk.storage.query import Step
from tests.fakes import HandClock
from tests.ledger.books import CLEAR, Choice, Desk, Take, books, reservation, window
from tests.ledger.failing import FailingDatabase, Failure

NEW_YEARS_EVE = datetime(2027, 12, 31, 20, tzinfo=UTC).timestamp()
BEFORE_LEAP_DAY = datetime(2028, 2, 28, 20, tzinfo=UTC).timestamp()
DEAD_AFTER_S = 60
DAY_S = 86_400
TENANTS = ("default", "other")
CAP = 3_000
ALL_TIME = Window("app", "total", 0)


@dataclass
class Process:
    """One that serves, or has died."""

    desk: Desk
    failing: FailingDatabase
    beat_at_ms: int = 0
    is_dead: bool = False


@dataclass
class Turn:
    """A turn as the model knows it. `held` is None where it put nothing aside."""

    process: Process
    reservation: Reservation
    held: int | None
    swept_at_ms: int | None = None
    is_forgotten: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.reservation.tenant, self.reservation.turn


@dataclass
class Model:
    """What should be stored."""

    windows: dict[tuple[str, Window], list[int]] = field(default_factory=dict)
    costs: dict[tuple[str, str], tuple[Reservation, int, str]] = field(default_factory=dict)

    def look(self, reserved: Reservation) -> list[Balance]:
        """What the windows say; those that nobody has looked at so far begin with what was spent in them."""
        for each in reserved.windows:
            self.windows.setdefault((reserved.tenant, each), [self._spent_before(reserved.tenant, each), 0])
        return [Balance(*self.windows[reserved.tenant, each]) for each in reserved.windows]

    def change(self, reserved: Reservation, spent: int, held: int) -> None:
        for each in dict.fromkeys(reserved.windows):
            amounts = self.windows[reserved.tenant, each]
            amounts[0] += spent
            amounts[1] += held

    def _spent_before(self, tenant: str, key: Window) -> int:
        end_ms = window_end_ms(key.period, key.starts_at_ms) or float("inf")
        return sum(
            cost
            for turn, cost, _ in self.costs.values()
            if turn.tenant == tenant
            and key.starts_at_ms <= turn.facts.started_at_ms < end_ms
            and _is_of(turn, key.scope)
        )


def _is_of(turn: Reservation, scope: str) -> bool:
    facts = turn.facts
    return scope in ("app", f"user:{facts.person}", f"tier:{facts.tier}", f"feature:{facts.feature}")


FAILURE = st.one_of(st.none(), st.none(), st.sampled_from(Failure))
IS_STORED = (Failure.STORED, Failure.STORED_UNSEEN)
MICROS = st.one_of(st.just(0), st.integers(1, 1_200))


class Story(RuleBasedStateMachine):
    """Two processes at a time. A dead one is followed by another."""

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, Database]], begins_at: float) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = self.runner.run(opening())
        self.clock = HandClock(begins_at)
        self.model = Model()
        self.numbers = itertools.count(1)
        self.turns: list[Turn] = []
        self.processes = [self.new_process(), self.new_process()]

    def new_process(self) -> Process:
        failing: Any = FailingDatabase(self.database)
        process = Process(Desk(failing, self.clock), failing)
        self.beat_of(process)
        return process

    def beat_of(self, process: Process) -> None:
        self.runner.run(process.desk.beat())
        process.beat_at_ms = unix_ms(self.clock)

    def teardown(self) -> None:
        for process in self.processes:
            self.runner.run(process.desk.ledger.close())
        self.runner.run(self.database.close())
        self.runner.close()

    def a_living_turn(self, which: int) -> Turn | None:
        living = [turn for turn in self.turns if not turn.process.is_dead]
        return living[which % len(living)] if living else None

    # --- rules ----------------------------------------------------------------------------------

    @rule(
        number=st.integers(0, 1),
        tenant=st.sampled_from(TENANTS),
        person=st.sampled_from(["u1", "u2"]),
        tier=st.sampled_from(["free", "premium"]),
        kinds=st.lists(
            st.tuples(st.sampled_from(["app", "user", "tier", "feature"]), st.sampled_from(PERIODS)), max_size=4
        ),
        micros=MICROS,
        failure=FAILURE,
        pauses=st.one_of(st.none(), st.none(), st.integers(0, 20)),
    )
    def reserve(
        self,
        number: int,
        tenant: str,
        person: str,
        tier: str,
        kinds: Sequence[tuple[str, Period]],
        micros: int,
        failure: Failure | None,
        pauses: int | None,
    ) -> None:
        """Any windows, the same one twice too, and the app's all time always. After `pauses` it is cancelled."""
        names = {"app": "app", "user": f"user:{person}", "tier": f"tier:{tier}", "feature": "feature:chat"}
        now_ms = unix_ms(self.clock)
        windows = [ALL_TIME, *(window(names[kind], period, now_ms) for kind, period in kinds)]
        turn_id = f"turn_{next(self.numbers):04}"
        reserved = reservation(
            self.clock, *windows, person=person, tier=tier, tenant=tenant, turn_id=turn_id, lasts_ms=7_200_000
        )
        process = self.processes[number]
        process.failing.next(failure)
        take = Take(micros, CAP)

        choice, has_looked = self.runner.run(_reserve(process.desk, reserved, take, pauses))

        if has_looked:
            saw = self.model.look(reserved)
            if choice is not None:
                assert choice == take(saw)
                self.model.change(reserved, 0, choice.micros)
                self.turns.append(Turn(process, reserved, choice.micros or None))

    @rule(which=st.integers(0), micros=st.integers(0, 600), failure=FAILURE)
    def extend(self, which: int, micros: int, failure: Failure | None) -> None:
        turn = self.a_living_turn(which)
        if turn is None:
            return
        take, desk = Take(micros, CAP), turn.process.desk
        turn.process.failing.next(failure)

        choice = self.runner.run(_extend(desk, turn.reservation, take))

        is_lost = turn.swept_at_ms is not None
        assert (choice is None) == (is_lost or failure is not None)
        saw = self.model.look(turn.reservation)
        assert choice in (None, take(saw))
        added = take(saw).micros
        # Where nobody heard of it and it is stored, it goes back: with what its turn has, or at once where that is all.
        is_stored = choice is not None or (failure in IS_STORED and turn.held is not None)
        if added and is_stored and not is_lost:
            self.model.change(turn.reservation, 0, added)
            turn.held = (turn.held or 0) + added

    @rule(which=st.integers(0), cost=MICROS, failures=st.lists(st.sampled_from(Failure), max_size=2))
    def settle(self, which: int, cost: int, failures: Sequence[Failure]) -> None:
        turn = self.a_living_turn(which)
        if turn is None:
            return
        self.turns.remove(turn)
        turn.process.failing.next(*failures)

        self.runner.run(_settle(turn.process.desk, turn.reservation, cost))

        if turn.is_forgotten:
            return
        held = turn.held or 0
        if turn.swept_at_ms is not None:
            self.model.change(turn.reservation, cost - held, 0)
        else:
            self.model.change(turn.reservation, cost, -held)
        self.model.costs[turn.key] = (turn.reservation, cost, "usage")

    @rule(number=st.integers(0, 1), settled=st.integers(0, 3), cost=MICROS)
    def crash(self, number: int, settled: int, cost: int) -> None:
        """A process dies while storage is away, with settlements that nobody has stored."""
        process = self.processes[number]
        process.failing.is_away = True
        unstored = [turn.reservation for turn in self.turns if turn.process is process][:settled]
        self.runner.run(_die(process.desk, unstored, cost))
        process.is_dead = True
        # A turn without a hold leaves nothing behind.
        self.turns = [turn for turn in self.turns if turn.process is not process or turn.held is not None]
        self.processes[number] = self.new_process()

    @rule(number=st.integers(0, 1))
    def beat(self, number: int) -> None:
        self.beat_of(self.processes[number])

    @rule(number=st.integers(0, 1))
    def sweep(self, number: int) -> None:
        sweeper = self.processes[number]
        now_ms = unix_ms(self.clock)
        sweeper.failing.next()
        self.runner.run(sweeper.desk.ledger.sweep(DEAD_AFTER_S))

        for turn in self.turns:
            if turn.swept_at_ms is not None:
                turn.is_forgotten = turn.is_forgotten or turn.swept_at_ms < now_ms - DAY_S * 1000
            elif turn.held is not None and self._is_orphan(turn, sweeper, now_ms):
                turn.swept_at_ms = now_ms
                self.model.change(turn.reservation, turn.held, -turn.held)
                self.model.costs[turn.key] = (turn.reservation, turn.held, "crash")
        self.turns = [turn for turn in self.turns if not (turn.process.is_dead and turn.is_forgotten)]

    def _is_orphan(self, turn: Turn, sweeper: Process, now_ms: int) -> bool:
        if turn.reservation.expires_at_ms <= now_ms:
            return True
        is_quiet = turn.process.beat_at_ms < now_ms - DEAD_AFTER_S * 1000
        return turn.process is not sweeper and (self.database.is_alone or is_quiet)

    @rule(seconds=st.sampled_from([0.001, 1, 30, DEAD_AFTER_S + 1, 3_600, 4 * 3_600, DAY_S, DAY_S + 1, 29 * DAY_S]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move(seconds)

    # --- what must hold -------------------------------------------------------------------------

    @invariant()
    def the_books_are_right(self) -> None:
        stored = self.runner.run(books(self.database))

        assert {key: list(balance) for key, balance in stored.windows.items()} == self.model.windows
        held = {turn.key: turn.held for turn in self.turns if turn.held is not None and turn.swept_at_ms is None}
        assert stored.holds == held
        swept = {turn.key: turn.held for turn in self.turns if turn.swept_at_ms is not None and not turn.is_forgotten}
        assert stored.swept == swept
        assert stored.costs == {key: [(cost, source)] for key, (_, cost, source) in self.model.costs.items()}

    @invariant()
    def what_was_spent_is_what_all_attempts_cost(self) -> None:
        """Not by the model: by what is stored. Every turn counts in the app's all time."""
        stored = self.runner.run(books(self.database))
        for tenant in TENANTS:
            spent = sum(micros or 0 for (its, _), costs in stored.costs.items() if its == tenant for micros, _ in costs)
            held = sum(micros for (its, _), micros in stored.holds.items() if its == tenant)
            assert stored.windows.get((tenant, ALL_TIME), Balance(0, 0)) == Balance(spent, held)

    @invariant()
    def nothing_is_kept_that_has_ended(self) -> None:
        for process in self.processes:
            mine = [turn for turn in self.turns if turn.process is process and turn.held is not None]
            assert process.desk.ledger.open_holds == len(mine)
            assert process.desk.ledger.waiting_settlements == 0


async def _reserve(desk: Desk, reserved: Reservation, take: Take, pauses: int | None) -> tuple[Choice | None, bool]:
    """Returns the choice, where somebody got it, and whether the windows were looked at."""
    looks: list[object] = []

    def choose(balances: Sequence[Balance]) -> Choice:
        looks.append(balances)
        return take(balances)

    waiting = asyncio.create_task(desk.ledger.reserve(reserved, choose))
    if pauses is not None:
        for _ in range(pauses):
            await asyncio.sleep(0)
        waiting.cancel()
    (choice,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(choice, Choice | StorageError | asyncio.CancelledError)
    await desk.ledger.flush()
    return choice if isinstance(choice, Choice) else None, bool(looks)


async def _extend(desk: Desk, reserved: Reservation, take: Take) -> Choice | None:
    try:
        return await desk.ledger.extend(reserved, take)
    except StorageError:
        return None
    finally:
        await desk.ledger.flush()


async def _settle(desk: Desk, reserved: Reservation, cost: int) -> None:
    desk.settle(reserved, cost)
    await desk.ledger.flush()


async def _die(desk: Desk, unstored: Sequence[Reservation], cost: int) -> None:
    for each in unstored:
        desk.settle(each, cost)
    await desk.ledger.close(timeout_s=0)


def _tell(opening: Callable[[], Coroutine[Any, Any, Database]], begins_at: float, examples: int, steps: int) -> None:
    every_check: Any = list(HealthCheck)

    def machine() -> Any:
        return Story(opening, begins_at)

    begin: Any = machine
    run_state_machine_as_test(
        begin,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=every_check,
        ),
    )


@pytest.mark.parametrize("begins_at", [BEFORE_LEAP_DAY, NEW_YEARS_EVE])
def test_any_story_on_sqlite_ends_as_the_model_says(sqlite_template: Path, tmp_path: Path, begins_at: float) -> None:
    numbers = itertools.count()

    async def opening() -> Database:
        path = tmp_path / f"{next(numbers)}.db"
        shutil.copy(sqlite_template, path)
        return await open_database(f"sqlite:///{path}")

    _tell(opening, begins_at, examples=100, steps=40)


def test_any_story_on_postgresql_ends_as_the_model_says(postgresql_url: str) -> None:
    async def opening() -> Database:
        database = await open_database(postgresql_url)
        await database.write(*(Step(query) for query in CLEAR))
        return database

    _tell(opening, BEFORE_LEAP_DAY, examples=25, steps=30)
