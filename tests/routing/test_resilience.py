"""The router with all that watches over it: again, elsewhere, never more than was allowed."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Retries
from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError, ProviderFull, ProviderResting
from frontdesk.providers.refusals import account_refused
from frontdesk.routing.retries import RetryBudget
from frontdesk.routing.route import Route
from frontdesk.routing.router import FallbackRouter
from frontdesk.turn.events import Event, MessageStarted, TextDelta, Usage, UsageReported
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock, make_turn
from tests.funds import PlayedFunds
from tests.routing.plays import WHO, CountedSlots, Play, Plays, Step, answer, route

ONCE = Retries(most=0)


def down() -> ProviderError:
    return ProviderError("status 503", upstream_status=503)


def cut() -> ProviderError:
    return ProviderError("cut")


def key_refused() -> ProviderError:
    return ProviderError("status 401", upstream_status=401)


def unpaid() -> ProviderError:
    return account_refused("status 429, code 'insufficient_quota'", 429)


def missing() -> ProviderError:
    return ProviderError("status 404", upstream_status=404)


def forbidden() -> ProviderError:
    return ProviderError("status 403", upstream_status=403)


def account_at_fault() -> ProviderError:
    return account_refused("status 400, for the account that asks", 400)


def request_at_fault() -> ProviderError:
    return ProviderError("status 400, code 'model_not_found'", upstream_status=400)


def slow() -> ProviderError:
    return ProviderError("silent", status=504, code="provider_timeout")


def cannot() -> BadRequest:
    return BadRequest("No 'seed' here.", code="unsupported_parameter", param="seed")


def nonsense() -> BadRequest:
    return BadRequest("No.", code="invalid_value")


def busy(seconds: float | None = None) -> Callable[[], ProviderError]:
    return lambda: ProviderError("429", status=503, code="provider_busy", upstream_status=429, retry_after_s=seconds)


class Desk:
    """Routes "r0/m", "r1/m" ... to providers, and a clock that pauses move."""

    def __init__(self, *providers: Plays, draw: float = 0.5, **more: object) -> None:
        self.clock = HandClock()
        self.pauses: list[float] = []
        self.providers = list(providers)
        self.routes = [
            route(f"r{number}", provider, self.clock, **more) for number, provider in enumerate(self.providers)
        ]
        self.router = FallbackRouter({"fast": self.routes}, chance=lambda: draw, sleep=self._sleep)
        self.pushed: list[Event] = []
        self.turn = self.new_turn()

    def new_turn(self) -> Turn:
        return make_turn(self.clock)

    async def carry(self, turn: Turn | None = None) -> str:
        """The text that is told, or the code of the error."""
        self.turn = turn or self.new_turn()
        self.pushed = []
        try:
            await self.router.carry(self.turn, self._push)
        except FrontdeskError as error:
            self.error = error
            return error.code
        return "".join(event.text for event in self.pushed if isinstance(event, TextDelta))

    @property
    def attempts(self) -> list[tuple[str, str, str]]:
        return [(attempt.provider, attempt.purpose, attempt.status) for attempt in self.turn.attempts]

    @property
    def asked(self) -> list[int]:
        return [provider.asked for provider in self.providers]

    async def _push(self, events: list[Event]) -> None:
        self.pushed.extend(events)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.move(seconds)


# --- again --------------------------------------------------------------------------------------


async def test_the_same_route_is_asked_again_before_the_next_one_is() -> None:
    desk = Desk(Plays([down], [cut], whole("third")), Plays(whole("other")))

    assert await desk.carry() == "third"
    assert desk.attempts == [("r0", "first", "failed"), ("r0", "retry", "failed"), ("r0", "retry", "completed")]
    assert desk.pauses == [0.5, 1.0]


async def test_after_its_retries_the_next_route_answers() -> None:
    desk = Desk(Plays([down]), Plays(whole("other")))

    assert await desk.carry() == "other"
    assert [purpose for _, purpose, _ in desk.attempts] == ["first", "retry", "retry", "fallback"]


@pytest.mark.parametrize("error", [key_refused, missing, busy(1), busy(), slow])
async def test_what_another_route_does_better_is_not_waited_for(error: Callable[[], ProviderError]) -> None:
    desk = Desk(Plays([error]), Plays(whole("other")))

    assert await desk.carry() == "other"
    assert desk.asked == [1, 1]
    assert desk.pauses == []


async def test_where_there_is_no_other_route_a_busy_one_is_waited_for() -> None:
    desk = Desk(Plays([busy(2)], whole("late")))

    assert await desk.carry() == "late"
    assert desk.pauses == [2.5]


async def test_who_says_to_come_back_much_later_is_believed() -> None:
    desk = Desk(Plays([busy(9)]))

    assert await desk.carry() == "provider_busy"
    assert (desk.error.status, desk.error.retry_after_s, desk.asked) == (503, 9, [1])


async def test_no_pause_goes_beyond_the_turns_deadline() -> None:
    desk = Desk(Plays([down]))
    turn = desk.new_turn()
    turn.deadline_at = desk.clock.monotonic() + 1.4

    assert await desk.carry(turn) == "provider_error"
    assert desk.pauses == [0.5]


async def test_the_retry_budget_is_the_providers() -> None:
    desk = Desk(Plays([down]), breaker=None, budget=RetryBudget(0.1))
    for _ in range(20):
        await desk.carry()

    assert 20 + 10 <= desk.asked[0] <= 20 + 12


async def test_what_was_told_is_never_told_again() -> None:
    desk = Desk(Plays([[TextDelta(0, "half")], cut]), Plays(whole("other")))

    assert await desk.carry() == "provider_error"
    assert desk.pushed == [TextDelta(0, "half")]
    assert desk.asked == [1, 0]


async def test_who_left_during_a_pause_is_not_asked_for_again() -> None:
    desk = Desk(Plays([down], whole("late")), Plays(whole("other")))

    async def leave(_: float) -> None:
        desk.turn.has_reader = False

    desk.router = FallbackRouter({"fast": desk.routes}, sleep=leave)

    assert await desk.carry() == "provider_error"
    assert desk.asked == [1, 0]


# --- elsewhere ----------------------------------------------------------------------------------


async def test_a_route_that_cannot_is_no_reason_to_refuse() -> None:
    desk = Desk(Plays([cannot]), Plays(whole("other")))

    assert await desk.carry() == "other"
    assert desk.attempts == [("r0", "first", "failed"), ("r1", "fallback", "completed")]


async def test_where_every_route_refuses_the_first_refusal_is_told() -> None:
    desk = Desk(Plays([cannot]), Plays([nonsense]), Plays([lambda: BadRequest("Nor here.", code="unsupported_tool")]))

    assert await desk.carry() == "unsupported_parameter"
    assert desk.asked == [1, 1, 1]


async def test_what_is_the_callers_matter_is_told_at_once() -> None:
    desk = Desk(Plays([nonsense]), Plays(whole("other")))

    assert await desk.carry() == "invalid_value"
    assert desk.asked == [1, 0]


@pytest.mark.parametrize("errors", [(key_refused, nonsense), (cannot, key_refused), (key_refused, nonsense, cannot)])
async def test_where_a_provider_failed_that_is_told(errors: tuple[Callable[[], FrontdeskError], ...]) -> None:
    desk = Desk(*[Plays([error]) for error in errors])

    assert await desk.carry() == "provider_error"
    assert desk.asked == [1] * len(errors)


# --- left alone ---------------------------------------------------------------------------------


async def test_a_route_that_rests_is_not_asked() -> None:
    desk = Desk(Plays([down]), Plays(whole("other")), retries=ONCE)
    assert [await desk.carry() for _ in range(4)] == ["other"] * 4

    assert desk.asked == [3, 4]
    assert desk.attempts == [("r1", "fallback", "completed")]
    assert [each.health for each in desk.routes] == ["resting", "ok"]


async def test_where_all_rest_the_caller_hears_when_to_come_back() -> None:
    desk = Desk(Plays([down]), Plays([missing], [down]), retries=ONCE)
    for _ in range(4):  # the other one rests a second later
        assert await desk.carry() == "provider_error"
        desk.clock.move(1)

    assert await desk.carry() == "provider_unavailable"
    assert isinstance(desk.error, ProviderResting)
    assert (desk.error.status, desk.error.retry_after_s) == (503, pytest.approx(5 - 2))
    assert desk.turn.attempts == []


async def test_one_tries_it_again_and_its_first_word_lets_the_others_come() -> None:
    let_go = asyncio.Event()
    desk = Desk(Plays([down], [down], [down], [let_go, *whole("back")], whole("again")), retries=ONCE)
    for _ in range(3):
        await desk.carry()
    desk.clock.move(5)
    probe = asyncio.ensure_future(desk.router.carry(desk.new_turn(), nothing))
    while desk.asked != [4]:
        await asyncio.sleep(0)

    assert await desk.carry() == "provider_unavailable"
    let_go.set()
    await probe
    assert await desk.carry() == "again"


@pytest.mark.parametrize("has_hung_up", [True, False])
async def test_a_probe_that_is_given_up_leaves_its_right_to_the_next(has_hung_up: bool) -> None:
    never = asyncio.Event()
    tried = [never] if has_hung_up else [nonsense]
    desk = Desk(Plays([down], [down], [down], tried, whole("back")), retries=ONCE)
    for _ in range(3):
        await desk.carry()
    assert desk.routes[0].is_resting
    desk.clock.move(5)
    probe = asyncio.ensure_future(desk.router.carry(desk.new_turn(), nothing))
    while desk.asked != [4]:
        await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)

    assert await desk.carry() == "back"


async def test_a_turn_counts_against_a_route_once_however_often_it_asks_it() -> None:
    """Else whoever knows a request that a provider fails at outweighs three people whom it answers."""
    desk = Desk(Plays([down]))
    await desk.carry()

    assert desk.asked == [3]
    assert desk.routes[0].breaker is not None
    assert desk.routes[0].breaker.counts() == (1, 1)


@pytest.mark.parametrize("others_are_answered", [True, False])
async def test_one_person_alone_makes_no_route_rest_that_answers_others(others_are_answered: bool) -> None:
    desk = Desk(Plays(*[[down], whole("well") if others_are_answered else [down]] * 20), retries=ONCE)

    async def ask(person: str) -> str:
        turn = desk.new_turn()
        turn.caller = Caller("user", "sess_test", person)
        return await desk.carry(turn)

    told = [await ask(person) for _ in range(6) for person in ("one", "other")]

    assert told[1::2] == (["well"] * 6 if others_are_answered else ["provider_error"] + ["provider_unavailable"] * 5)
    assert desk.routes[0].is_resting is not others_are_answered


@pytest.mark.parametrize("error", [nonsense, cannot, forbidden, missing])
async def test_no_caller_can_make_a_route_rest(error: Callable[[], FrontdeskError]) -> None:
    desk = Desk(Plays([error]))
    for _ in range(20):
        await desk.carry()

    assert desk.routes[0].breaker is not None
    assert desk.routes[0].breaker.counts() == (0, 0)


async def test_readers_who_leave_say_nothing_of_a_provider() -> None:
    desk = Desk(Plays([[TextDelta(0, "x")], asyncio.Event()]))
    for _ in range(9):
        task = asyncio.ensure_future(desk.carry())
        while not desk.pushed:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert desk.routes[0].breaker is not None
    assert desk.routes[0].breaker.counts() == (0, 0)
    assert desk.providers[0].open_answers == 0


async def test_an_answer_that_breaks_off_counts_though_it_had_begun() -> None:
    desk = Desk(Plays([[TextDelta(0, "half")], cut]))
    for _ in range(3):
        await desk.carry()

    assert desk.routes[0].health == "resting"


async def test_a_busy_route_rests_for_as_long_as_it_says() -> None:
    desk = Desk(Plays([busy(20)], whole("back")))
    await desk.carry()
    first = desk.error
    desk.clock.move(5)

    assert await desk.carry() == "provider_busy"
    assert (desk.error.status, desk.error.message, desk.error.retry_after_s) == (503, first.message, 15)
    desk.clock.move(15)
    assert await desk.carry() == "back"


async def test_a_route_that_failed_is_not_called_busy_where_it_rests_for_longer() -> None:
    desk = Desk(Plays([busy(2)], [down]), retries=ONCE)
    await desk.carry()
    desk.clock.move(2)
    for _ in range(3):
        await desk.carry()

    assert await desk.carry() == "provider_unavailable"


async def test_a_route_without_money_is_left_at_once_and_says_no_better_while_it_rests() -> None:
    desk = Desk(Plays([unpaid]))
    for _ in range(3):
        assert await desk.carry() == "provider_error"
        assert desk.attempts == [("r0", "first", "failed")]

    assert await desk.carry() == "provider_unavailable"
    assert desk.attempts == []
    assert (desk.error.message, desk.error.should_retry) == (unpaid().message, False)


@pytest.mark.parametrize("order", [(unpaid, down), (down, unpaid)])
async def test_of_two_failures_the_one_that_may_pass_is_told(order: tuple[Callable[[], ProviderError], ...]) -> None:
    desk = Desk(*(Plays([each]) for each in order), retries=ONCE)

    await desk.carry()

    assert (desk.error.message, desk.error.should_retry) == (down().message, None)


async def test_a_route_that_comes_back_is_told_rather_than_one_that_does_not() -> None:
    desk = Desk(Plays([unpaid]), Plays([busy(20)]), retries=ONCE)
    await desk.carry()

    assert await desk.carry() == "provider_busy"
    assert (desk.error.retry_after_s, desk.error.should_retry) == (20, None)


# --- the probe ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first_words_s", "first_event_s", "usual_s"),
    [([2.0, 4.0, 9.0], 60.0, 4.0), ([], 0.5, 0.5), ([], 60.0, 1.0), ([], math.inf, 1.0)],
)
async def test_a_turn_that_would_not_hear_the_first_word_is_no_probe(
    first_words_s: list[float], first_event_s: float, usual_s: float
) -> None:
    desk = Desk(Plays([down], [down], [down], whole("back")), retries=ONCE, first_event_s=first_event_s)
    for seconds in first_words_s:
        desk.routes[0].latencies.note(seconds)
    for _ in range(3):
        await desk.carry()
    desk.clock.move(5)
    hasty, patient = desk.new_turn(), desk.new_turn()
    hasty.deadline_at = desk.clock.monotonic() + usual_s - 0.125
    patient.deadline_at = desk.clock.monotonic() + usual_s

    assert await desk.carry(hasty) == "provider_unavailable"
    assert (hasty.attempts, desk.asked) == ([], [3])
    assert await desk.carry(patient) == "back"


async def test_a_short_deadline_keeps_no_turn_from_a_route_that_is_well() -> None:
    desk = Desk(Plays(whole("quick")))
    desk.routes[0].latencies.note(9.0)
    turn = desk.new_turn()
    turn.deadline_at = desk.clock.monotonic() + 0.1

    assert await desk.carry(turn) == "quick"


# --- the log ------------------------------------------------------------------------------------


async def test_a_failure_says_what_it_was_for_and_its_status(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(Plays([down]), Plays([cut]), retries=Retries(most=1))

    await desk.carry()

    said = [record.getMessage() for record in caplog.records if "provider_failed" in record.getMessage()]
    assert [line.split(" ", 2)[2] for line in said] == [
        "provider=r0 model=m purpose=first status=503 reason=status 503",
        "provider=r0 model=m purpose=retry status=503 reason=status 503",
        "provider=r1 model=m purpose=fallback status=None reason=cut",
        "provider=r1 model=m purpose=retry status=None reason=cut",
    ]


async def test_a_refused_key_is_one_line_until_it_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(Plays([key_refused], [key_refused], whole("mended"), [key_refused]), retries=ONCE)

    for _ in range(4):
        await desk.carry()

    said = [record.getMessage() for record in caplog.records if "provider_key" in record.getMessage()]
    assert said == [
        "provider_key_refused provider=r0 model=m status=401 reason=status 401",
        "provider_key_taken provider=r0 model=m",
        "provider_key_refused provider=r0 model=m status=401 reason=status 401",
    ]


@pytest.mark.parametrize(("refused", "status"), [(forbidden, 403), (account_at_fault, 400)])
async def test_what_a_request_may_bring_about_is_no_matter_of_a_key_that_was_taken(
    refused: Callable[[], ProviderError], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(Plays(whole("a"), [refused], [refused], whole("b"), [refused]), retries=ONCE)
    for _ in range(4):
        await desk.carry()
    assert "provider_key_refused" not in caplog.text

    for _ in range(4):
        await desk.carry()

    assert caplog.text.count(f"provider_key_refused provider=r0 model=m status={status}") == 1


@pytest.mark.parametrize(("refused", "status"), [(forbidden, 403), (account_at_fault, 400)])
async def test_a_key_that_was_never_taken_is_refused_by_the_first_of_them(
    refused: Callable[[], ProviderError], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    await Desk(Plays([refused]), retries=ONCE).carry()

    assert f"provider_key_refused provider=r0 model=m status={status}" in caplog.text


async def test_a_400_for_anything_else_is_no_matter_of_a_key(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(Plays([request_at_fault]), retries=ONCE)

    for _ in range(4):
        await desk.carry()

    assert "provider_key_refused" not in caplog.text


# --- slots --------------------------------------------------------------------------------------


async def test_a_slot_is_held_from_the_asking_to_the_end_and_never_in_a_pause() -> None:
    slots = CountedSlots(1)
    desk = Desk(Plays([down], whole("x")), slots=slots)
    held: list[int] = []

    async def push(_: list[Event]) -> None:
        held.append(slots.in_use)

    async def sleep(_: float) -> None:
        held.append(slots.in_use)

    await FallbackRouter({"fast": desk.routes}, sleep=sleep).carry(desk.new_turn(), push)

    assert held == [0, 1]
    assert (slots.in_use, slots.most) == (0, 1)


async def test_a_full_provider_is_passed_over_and_not_blamed() -> None:
    desk = Desk(Plays(whole("mine")), Plays(whole("other")))
    full = route("r0", desk.providers[0], desk.clock, slots=CountedSlots(0))
    router = FallbackRouter({"fast": [full, desk.routes[1]], "alone": [full]})

    await router.carry(desk.new_turn(), nothing)
    alone = make_turn(desk.clock, model="alone")
    with pytest.raises(ProviderFull) as caught:
        await router.carry(alone, nothing)

    assert desk.asked == [0, 1]
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (503, "server_overloaded", 7)
    assert alone.attempts == []
    assert full.breaker is not None
    assert full.breaker.counts() == (0, 0)


async def test_a_route_that_begins_to_rest_while_its_slot_is_waited_for_is_not_asked() -> None:
    class Waited(CountedSlots):
        def enter(self, turn: Turn) -> Awaitable[None]:  # type: ignore[override]
            return self._wait(turn)

        async def _wait(self, turn: Turn) -> None:
            for _ in range(3):
                rested.failed(rested.begin(), WHO)
            super().enter(turn)

    slots = Waited(1)
    desk = Desk(Plays(whole("mine")), Plays(whole("other")))
    waited = route("r0", desk.providers[0], desk.clock, slots=slots)
    assert waited.breaker is not None
    rested = waited.breaker

    await FallbackRouter({"fast": [waited, desk.routes[1]]}).carry(desk.new_turn(), nothing)

    assert desk.asked == [0, 1]
    assert slots.in_use == 0


async def test_whatever_happens_all_slots_come_back() -> None:
    plays: list[Play] = [whole("x"), [down], [nonsense], [[TextDelta(0, "x")], cut], [lambda: RuntimeError("a bug")]]
    for play in plays:
        slots = CountedSlots(2)
        desk = Desk(Plays(play), slots=slots)
        with contextlib.suppress(RuntimeError):
            await desk.carry()
        assert slots.in_use == 0


# --- all of it ----------------------------------------------------------------------------------

STEPS = st.sampled_from(
    [
        ("begin", "down"),
        ("down",),
        ("key",),
        ("busy",),
        ("slow",),
        ("cannot",),
        ("nonsense",),
        ("begin", "usage", "cut"),
        ("word", "cut"),
        ("whole",),
    ]
)


def played(steps: tuple[str, ...], name: str) -> Play:
    made: dict[str, Step] = {
        "begin": [MessageStarted(0, f"msg_{name}")],
        "usage": [UsageReported(Usage(3, 0))],
        "word": [TextDelta(0, name)],
        "whole": answer(name),
        "down": down,
        "key": key_refused,
        "busy": busy(1),
        "slow": slow,
        "cannot": cannot,
        "nonsense": nonsense,
        "cut": cut,
    }
    return [made[step] for step in steps]


@given(
    st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=4),
    st.sets(st.integers(0, 3)),
    st.booleans(),
    st.integers(1, 4),
)
def test_a_turn_is_told_one_attempt_whole_or_one_error(
    routes: list[list[tuple[str, ...]]], uncovered: set[int], has_funds: bool, turns: int
) -> None:
    """Whatever providers do: one attempt's words, once and in order, and nothing of any other."""
    asyncio.run(_check(routes, uncovered if has_funds else set(), turns))


async def _check(routes: list[list[tuple[str, ...]]], uncovered: set[int], turns: int) -> None:
    desk = Desk()
    slots = CountedSlots(1)
    desk.providers = [
        Plays(*[played(steps, f"{number}.{place}") for place, steps in enumerate(plays)])
        for number, plays in enumerate(routes)
    ]
    desk.routes = [
        route(f"r{number}", provider, desk.clock, slots=slots, retries=Retries(2, 0.1, 2))
        for number, provider in enumerate(desk.providers)
    ]
    desk.router = FallbackRouter({"fast": desk.routes}, chance=lambda: 0.5, sleep=desk._sleep)
    for _ in range(turns):
        before = desk.asked
        turn = desk.new_turn()
        if uncovered:
            turn.funds = PlayedFunds(turn, [f"r{number}/m" for number in uncovered])
        said = await desk.carry(turn)
        attempts = turn.attempts
        answering = turn.answering
        assert len(attempts) == sum(desk.asked) - sum(before)
        assert [attempt.status for attempt in attempts if attempt is not answering] == ["failed"] * (
            len(attempts) - (answering is not None)
        )
        assert not {int(attempt.provider[1:]) for attempt in attempts} & uncovered
        if answering is None:
            assert desk.pushed == []
        else:
            assert answering is attempts[-1]
            words = [event.text for event in desk.pushed if isinstance(event, TextDelta)]
            assert len(words) == 1
            assert words[0].startswith(answering.provider[1:] + ".")
            assert (said == words[0]) is (answering.status == "completed")
        assert slots.in_use == 0
        assert all(provider.open_answers == 0 for provider in desk.providers)
        retries = [attempt for attempt in attempts if attempt.purpose == "retry"]
        assert len(retries) <= 2 * len(routes)


def whole(text: str) -> Play:
    return [answer(text)]


async def nothing(_: list[Event]) -> None:
    """Take what comes."""


def test_routes_without_care_are_untimed() -> None:
    assert Route("one", Plays(), "m").first_event_s == math.inf
