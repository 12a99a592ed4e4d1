"""Whatever comes, goes, is cancelled and waits too long: no slot is lost or doubled, and none is idle for long."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.config import Slots as SlotsConfig
from frontdesk.core.errors import ProviderFull
from frontdesk.scheduling.slots import Slots
from frontdesk.turn.turn import Turn
from tests.fakes import HandClock
from tests.scheduling.simulated import turn_of

CONCURRENT, SPARE, WAITING, LONGEST_WAIT_S, AGEING_S = 4, 2, 6, 20.0, 5.0


class Machine(RuleBasedStateMachine):
    """The slots, and who holds and awaits them as the turns themselves know it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = HandClock()
        self.slots = Slots("up", SlotsConfig(CONCURRENT, WAITING, LONGEST_WAIT_S, AGEING_S, SPARE), self.clock)
        self.holding: list[Turn] = []
        self.waits: dict[asyncio.Task[bool], Turn] = {}
        self.refused = 0

    @rule(
        priority=st.sampled_from(PRIORITIES),
        person=st.sampled_from("abc"),
        within_s=st.sampled_from([0.5, 3.0, float("inf")]),
    )
    def enter(self, priority: Priority, person: str, within_s: float) -> None:
        turn = turn_of(self.clock, priority, person)
        turn.deadline_at = self.clock.monotonic() + within_s
        self._enter(turn)

    @precondition(lambda self: self.holding)
    @rule(which=st.integers(0, CONCURRENT - 1))
    def enter_again(self, which: int) -> None:
        """A second attempt, beside the first."""
        self._enter(self.holding[which % len(self.holding)])

    @precondition(lambda self: self.holding)
    @rule(which=st.integers(0, CONCURRENT - 1), then_cancel=st.booleans(), cancelled=st.integers(0, WAITING))
    def leave(self, which: int, then_cancel: bool, cancelled: int) -> None:
        self.slots.leave(self.holding.pop(which % len(self.holding)))
        if then_cancel and self.waits:  # before whoever was granted the slot goes on
            list(self.waits)[cancelled % len(self.waits)].cancel()
        self._settle()

    @precondition(lambda self: self.waits)
    @rule(which=st.integers(0, WAITING - 1), then_leave=st.booleans())
    def cancel(self, which: int, then_leave: bool) -> None:
        list(self.waits)[which % len(self.waits)].cancel()
        if then_leave and self.holding:  # before it knows of its end
            self.slots.leave(self.holding.pop())
        self._settle()

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.9, 12.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        self.slots.sweep()
        self._settle()

    @invariant()
    def no_slot_is_lost_or_doubled(self) -> None:
        standing = self.slots.standing()
        assert standing.in_use == len(self.holding) <= CONCURRENT
        assert standing.waiting == {
            priority: sum(turn.priority == priority for turn in self.waits.values()) for priority in PRIORITIES
        }
        assert sum(standing.waiting.values()) <= WAITING
        assert standing.shed == self.refused

    @invariant()
    def nobody_waits_for_a_slot_that_is_there(self) -> None:
        free = CONCURRENT - len(self.holding)
        assert free == 0 or all(turn.priority != "interactive" for turn in self.waits.values())
        assert free <= SPARE or not self.waits

    @invariant()
    def nobody_waits_longer_than_they_may(self) -> None:
        assert self.slots.standing().oldest_wait_s < LONGEST_WAIT_S
        now = self.clock.monotonic()
        assert all(turn.deadline_at > now for turn in self.waits.values())

    def teardown(self) -> None:
        for _ in range(100):
            if not self.holding:
                break
            self.slots.leave(self.holding.pop())
            self._settle()
        assert not self.waits
        assert self.slots.standing().in_use == 0
        assert sum(self.slots.standing().waiting.values()) == 0
        self.loop.close()

    def _enter(self, turn: Turn) -> None:
        self.loop.run_until_complete(self._entered(turn))
        self._settle()

    async def _entered(self, turn: Turn) -> None:
        try:
            granted = self.slots.enter(turn)
        except ProviderFull as refusal:
            self._note(refusal)
            return
        if granted is None:
            self.holding.append(turn)
            return
        task = asyncio.ensure_future(self._wait(granted))
        self.waits[task] = turn
        await asyncio.sleep(0)

    async def _wait(self, granted: Any) -> bool:
        try:
            await granted
        except ProviderFull as refusal:
            self._note(refusal)
            return False
        return True

    def _note(self, refusal: ProviderFull) -> None:
        assert refusal.retry_after_s is not None
        assert refusal.retry_after_s >= 1
        self.refused += 1

    def _settle(self) -> None:
        for _ in range(4):
            self.loop.run_until_complete(asyncio.sleep(0))
        for task, turn in list(self.waits.items()):
            if task.done():
                del self.waits[task]
                if not task.cancelled() and task.result():
                    self.holding.append(turn)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
