"""Slots: who gets one at once, who waits, who is refused and what they are told, and that none is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.config import Slots as SlotsConfig
from frontdesk.core.errors import ProviderFull
from frontdesk.scheduling.slots import Slots, Standing
from frontdesk.turn.turn import Attempt, Turn
from tests.fakes import HandClock
from tests.scheduling.simulated import turn_of


class Desk:
    """Turns at the slots of one provider."""

    def __init__(self, concurrent: int = 1, **settings: Any) -> None:
        self.clock = HandClock()
        self.slots = Slots("up", SlotsConfig(concurrent, **{"spare": 0, **settings}), self.clock)
        self.began: list[str] = []
        self.turns: dict[str, Turn] = {}
        self.waits: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, priority: Priority = "interactive", person: str = "", **fields: Any) -> None:
        turn = self.turns[name] = turn_of(self.clock, priority, person or name)
        for field, value in fields.items():
            setattr(turn, field, value)
        granted = self.slots.enter(turn)
        if granted is None:
            self.began.append(name)
        else:
            self.waits[name] = asyncio.ensure_future(self._wait(name, granted))
            await asyncio.sleep(0)

    async def go(self, name: str) -> None:
        self.slots.leave(self.turns[name])
        await settled()

    async def cancel(self, name: str) -> None:
        self.waits[name].cancel()
        await asyncio.gather(self.waits[name], return_exceptions=True)

    async def refusal(self, name: str) -> ProviderFull:
        with pytest.raises(ProviderFull) as refused:
            await self.waits[name]
        return refused.value

    async def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        self.slots.sweep()
        await settled()

    async def measure(self, seconds: float) -> None:
        """Let the mean time be known."""
        await self.come("measured")
        self.clock.move(seconds)
        await self.go("measured")
        self.began.clear()

    async def _wait(self, name: str, granted: Any) -> None:
        await granted
        self.began.append(name)


async def settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_a_free_slot_is_granted_at_once_and_a_freed_one_to_the_next() -> None:
    desk = Desk(2)
    for name in "abcd":
        await desk.come(name)
    assert desk.began == ["a", "b"]

    await desk.go("b")
    assert desk.began == ["a", "b", "c"]
    await desk.go("a")

    assert desk.began == ["a", "b", "c", "d"]
    assert (desk.slots.standing().in_use, len(desk.waits)) == (2, 2)


async def test_a_turn_with_two_attempts_holds_two_slots() -> None:
    desk = Desk(2)
    turn = turn_of(desk.clock)
    assert desk.slots.enter(turn) is None
    assert desk.slots.enter(turn) is None
    await desk.come("b")

    desk.slots.leave(turn)
    await settled()
    assert desk.began == ["b"]
    desk.slots.leave(turn)
    desk.slots.leave(turn)  # it has none any more

    assert desk.slots.standing().in_use == 1


async def test_spare_slots_are_for_the_interactive_alone() -> None:
    desk = Desk(4, spare=2)
    for name in ("b1", "b2", "b3"):
        await desk.come(name, "background")
    await desk.come("d", "draft")
    assert desk.began == ["b1", "b2"]

    await desk.come("i1")
    await desk.come("i2")
    await desk.come("i3")
    assert desk.began == ["b1", "b2", "i1", "i2"]

    await desk.go("b1")  # the interactive one goes first, then two slots are kept free again
    assert desk.began[4:] == ["i3"]
    await desk.go("i1")
    await desk.go("i2")
    assert desk.began[5:] == []
    await desk.go("i3")
    assert desk.began[5:] == ["d"]
    await desk.go("d")
    assert desk.began[6:] == ["b3"]


async def test_where_nobody_says_slots_are_kept_as_they_turn_out_to_be_needed() -> None:
    desk = Desk(16, spare=None)
    assert desk.slots.standing().spare == 4
    for number in range(16):
        await desk.come(f"b{number}", "background")
    assert len(desk.began) == 12
    for number in range(6):
        await desk.come(f"i{number}")

    assert desk.slots.standing().spare == 8  # two found none
    for number in range(12):
        await desk.go(f"b{number}")
    assert desk.began[12:18] == [f"i{number}" for number in range(6)]
    assert desk.slots.standing().in_use == 8  # two of the four others as well: eight slots are free


async def test_where_the_interactive_have_all_slots_no_more_are_kept() -> None:
    desk = Desk(4, spare=None)
    for number in range(6):
        await desk.come(f"i{number}")

    assert desk.slots.standing().spare == 1


# --- those who are refused ----------------------------------------------------------------------


async def test_who_would_wait_too_long_is_refused_at_once_and_told_for_how_long() -> None:
    desk = Desk(1, longest_wait_s=30)
    await desk.measure(12)
    await desk.come("a")
    await desk.come("b")
    await desk.come("c")

    with pytest.raises(ProviderFull) as refused:
        await desk.come("d")

    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (503, "server_overloaded", 36)
    assert refused.value.is_sent is False
    assert desk.slots.standing().shed == 1


async def test_who_has_less_time_than_the_wait_takes_is_refused_at_once() -> None:
    desk = Desk(2)
    await desk.measure(8)
    await desk.come("a")
    await desk.come("b")

    with pytest.raises(ProviderFull) as refused:
        await desk.come("c", deadline_at=desk.clock.monotonic() + 3.9)
    await desk.come("d", deadline_at=desk.clock.monotonic() + 4.1)

    assert refused.value.retry_after_s == 4
    assert desk.slots.standing().waiting["interactive"] == 1


async def test_what_background_work_waits_counts_only_the_slots_that_it_may_have() -> None:
    desk = Desk(4, spare=2)
    await desk.measure(10)
    for name in ("i", "b1"):
        await desk.come(name, "interactive" if name == "i" else "background")

    with pytest.raises(ProviderFull) as refused:
        await desk.come("b2", "background", deadline_at=desk.clock.monotonic() + 9.9)

    assert refused.value.retry_after_s == 10  # one slot of the four is theirs: two are kept, one is taken


async def test_a_provider_that_came_to_a_halt_is_seen_though_nothing_ends() -> None:
    desk = Desk(1, longest_wait_s=20)
    await desk.measure(1)
    await desk.come("a")
    desk.clock.move(25)

    with pytest.raises(ProviderFull) as refused:
        await desk.come("b")

    assert refused.value.retry_after_s == 25


async def test_who_waited_too_long_after_all_is_refused_then() -> None:
    desk = Desk(1, longest_wait_s=30)
    await desk.come("a")
    await desk.come("b")
    await desk.come("c", deadline_at=desk.clock.monotonic() + 5)

    await desk.pass_time(4.9)
    assert desk.slots.standing().waiting["interactive"] == 2
    await desk.pass_time(0.2)
    refusal = await desk.refusal("c")
    assert refusal.retry_after_s == pytest.approx(10.2)
    await desk.pass_time(25)
    await desk.refusal("b")

    assert desk.slots.standing() == Standing(1, 0, 1, dict.fromkeys(PRIORITIES, 0), 0.0, 2, None)


async def test_the_timer_refuses_without_being_asked() -> None:
    desk = Desk(1, longest_wait_s=0.01)
    await desk.come("a")
    await desk.come("b")
    desk.clock.move(0.01)

    await desk.refusal("b")


async def test_a_full_line_turns_the_newcomer_away_or_the_last_of_a_lower_class() -> None:
    desk = Desk(1, waiting=3)
    await desk.come("a")
    await desk.come("b1", "background")
    await desk.come("p", "prefetch")
    await desk.come("b2", "background")

    with pytest.raises(ProviderFull):
        await desk.come("b3", "background")
    await desk.come("d", "draft")
    pushed = await desk.refusal("b2")
    await desk.come("i")
    await desk.refusal("b1")

    assert pushed.retry_after_s == 1
    assert desk.slots.standing().waiting == {
        "interactive": 1,
        "draft": 1,
        "prefetch": 1,
        "background": 0,
        "batch": 0,
    }
    assert desk.slots.standing().shed == 3


@pytest.mark.parametrize("aged_s", [0.0, 25.0])
async def test_who_fills_the_line_alone_makes_room_for_the_others(aged_s: float) -> None:
    desk = Desk(1, waiting=5, longest_wait_s=600)
    await desk.come("a")
    for number in range(5):
        await desk.come(f"m{number}", "background", "many")
    await desk.pass_time(aged_s)

    await desk.come("o1", "background", "other")
    await desk.come("o2", "background", "other")
    with pytest.raises(ProviderFull):
        await desk.come("m5", "background", "many")
    with pytest.raises(ProviderFull):  # that is half of the line
        await desk.come("o3", "background", "other")

    assert [waiter.done() for waiter in desk.waits.values()] == [False, False, False, True, True, False, False]
    await desk.refusal("m4")
    await desk.refusal("m3")


async def test_who_fills_the_line_with_what_is_more_urgent_keeps_it() -> None:
    desk = Desk(1, waiting=2)
    await desk.come("a")
    await desk.come("d1", "draft", "many")
    await desk.come("d2", "draft", "many")

    with pytest.raises(ProviderFull):
        await desk.come("b", "background", "other")


async def test_who_comes_when_fewer_are_kept_does_not_go_before_who_waits() -> None:
    desk = Desk(16, spare=None, longest_wait_s=600)
    for number in range(12):
        await desk.come(f"b{number}", "background")
    await desk.come("waits", "background")
    assert "waits" not in desk.began

    desk.clock.move(61)
    await desk.come("comes", "background")
    await settled()

    assert desk.began[12:] == ["waits"]


async def test_without_a_line_whoever_finds_no_slot_is_refused() -> None:
    desk = Desk(1, waiting=0)
    await desk.come("a")

    with pytest.raises(ProviderFull):
        await desk.come("b")


async def test_slots_that_nobody_waited_for_are_measured_as_well() -> None:
    desk = Desk(1)
    for seconds in (1.0, 2.0, 6.0):
        await desk.measure(seconds)

    assert desk.slots.standing().service_s == pytest.approx(3)


# --- cancelled waits ----------------------------------------------------------------------------


async def test_a_cancelled_wait_frees_its_place() -> None:
    desk = Desk(1)
    for name in "abc":
        await desk.come(name)

    await desk.cancel("b")
    await desk.go("a")

    assert desk.began == ["a", "c"]
    assert desk.slots.standing().waiting["interactive"] == 0
    assert desk.turns["b"].slots_awaited == 0


async def test_a_slot_granted_to_a_wait_that_is_being_cancelled_goes_to_the_next() -> None:
    desk = Desk(1)
    for name in "abc":
        await desk.come(name)

    desk.waits["b"].cancel()  # it does not know yet
    await desk.go("a")

    assert desk.began == ["a", "c"]


async def test_a_wait_that_is_cancelled_just_when_it_was_granted_gives_the_slot_on() -> None:
    desk = Desk(1)
    for name in "abc":
        await desk.come(name)

    desk.slots.leave(desk.turns["a"])
    desk.waits["b"].cancel()  # granted, and did not go on yet
    await settled()

    assert desk.began == ["a", "c"]
    assert desk.slots.standing().in_use == 1
    await desk.go("c")
    assert desk.slots.standing().in_use == 0


async def test_a_refusal_that_meets_a_cancelled_wait_is_nobodys() -> None:
    desk = Desk(1, longest_wait_s=5)
    await desk.come("a")
    await desk.come("b")

    desk.waits["b"].cancel()
    await desk.pass_time(6)

    assert desk.waits["b"].cancelled()
    assert sum(desk.slots.standing().waiting.values()) == 0


async def test_a_turn_says_that_it_waits() -> None:
    desk = Desk(1)
    await desk.come("a")
    await desk.come("b")
    assert [desk.turns[name].slots_awaited for name in "ab"] == [0, 1]

    await desk.go("a")

    assert desk.turns["b"].slots_awaited == 0


# --- what is told -------------------------------------------------------------------------------


async def test_who_asked_is_told_where_they_stand_and_when_it_is_their_turn() -> None:
    desk = Desk(1)
    await desk.measure(4)
    told: list[Mapping[str, object]] = []
    await desk.come("a")
    await desk.come("b")
    await desk.come("c", "background", tell=told.append)
    waiting = {"type": "frontdesk.waiting", "priority": "background"}
    assert told == [{**waiting, "place": 2, "waiting": 2, "expected_s": 8.0}]

    await desk.pass_time(1)
    assert len(told) == 1  # it stands where it stood
    await desk.come("d")
    await desk.pass_time(1)
    assert told[1:] == [{**waiting, "place": 3, "waiting": 3, "expected_s": 12.0}]
    await desk.go("a")
    await desk.go("b")
    await desk.go("d")

    assert told[2:] == [{"type": "frontdesk.started", "waited_s": 2.0}]
    assert desk.began == ["a", "b", "d", "c"]


async def test_nobody_is_told_more_than_once_a_second() -> None:
    desk = Desk(1)
    told: list[Mapping[str, object]] = []
    await desk.come("a")
    await desk.come("b", "background", tell=told.append)
    for name, pause_s in (("c", 0.3), ("d", 0.6), ("e", 0.2), ("f", 0.9), ("g", 0.2)):
        await desk.come(name)
        await desk.pass_time(pause_s)

    assert [each["place"] for each in told] == [1, 4, 6]  # at 0, 1.1 and 2.2 s


async def test_a_client_that_cannot_be_told_keeps_no_place() -> None:
    """Whatever telling does, it must cost no slot."""
    desk = Desk(1)
    await desk.come("a")

    def broken(_: Mapping[str, object]) -> None:
        raise RuntimeError("no such connection")

    await desk.come("b", tell=broken)
    with pytest.raises(RuntimeError):
        await desk.waits["b"]
    await desk.come("c")
    await desk.go("a")

    assert desk.began == ["a", "c"]


async def test_nothing_is_expected_before_anything_was_measured() -> None:
    desk = Desk(1)
    told: list[Mapping[str, object]] = []
    await desk.come("a")
    await desk.come("b", tell=told.append)

    assert told[0]["expected_s"] is None


async def test_who_finds_a_slot_is_told_nothing() -> None:
    desk = Desk(1)
    told: list[Mapping[str, object]] = []

    await desk.come("a", tell=told.append)

    assert told == []


# --- nobody waits for ever ----------------------------------------------------------------------


@pytest.mark.parametrize("spare", [0, 1])
async def test_the_oldest_of_the_others_gets_one_of_so_many_grants_whatever_comes(spare: int) -> None:
    desk = Desk(2, spare=spare, ageing_s=10, longest_wait_s=10_000, waiting=1000)
    await desk.come("i0")
    await desk.come("i1")
    await desk.come("batch", "batch")
    for number in range(2, 80):
        await desk.come(f"i{number}")

    for number in range(40):
        desk.clock.move(1)
        await desk.go(f"i{number}")

    before = desk.began.index("batch")
    assert 10 <= before - 2 <= 10 + 17, "once it has waited ageing_s, at most 16 go before it"


async def test_background_work_does_not_age_into_interactive_requests() -> None:
    desk = Desk(1, ageing_s=1, longest_wait_s=10_000)
    await desk.come("a")
    await desk.come("old", "background")
    await desk.pass_time(1000)
    await desk.come("new")

    await desk.go("a")

    assert desk.began == ["a", "new"]


async def test_a_second_attempt_that_waits_beside_the_first_is_not_told() -> None:
    desk = Desk(1)
    told: list[Mapping[str, object]] = []
    await desk.come("a")
    running = Attempt("other", "m", 0.0)

    await desk.come("b", tell=told.append, attempts=[running])
    await desk.go("a")

    assert (desk.began, told) == (["a", "b"], [])
