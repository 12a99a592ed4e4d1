"""An aside is asked for whoever may still ask, and put off while there is no room; then it is done without."""

from __future__ import annotations

import json
from typing import Any

import pytest

from frontdesk.accounts.absent import CallerThen
from frontdesk.asides.asking import Aside, Question, owner_then
from frontdesk.doors.absent import Answered, Interrupted, Outcome, Postponed, Unfunded
from frontdesk.files.owner import Owner
from frontdesk.jobs.plan import Retry
from tests.asides.asked import Asks, Callers, Limits, answer, job
from tests.fakes import HandClock

THEN = CallerThen("user", "sess_1")
QUESTION = Question("titles", "small", "Name it.", 300)


class Desk:
    def __init__(self, *outcomes: Outcome) -> None:
        self.asks, self.callers, self.limits, self.clock = Asks(*outcomes), Callers(), Limits(), HandClock()
        self.aside = Aside(self.asks, self.callers, self.limits, self.clock)

    async def ask(self, attempt: int = 1, **options: Any) -> str | None:
        return await self.aside.ask(job(self.clock, attempt=attempt, **options), THEN, QUESTION)


async def test_it_is_asked_as_its_person_and_its_feature() -> None:
    desk = Desk(answer("Blue sky"))

    assert await desk.ask() == "Blue sky"

    ((path, caller, feature, address, body),) = desk.asks.asked
    assert (path, feature, address) == ("/v1/chat/completions", "titles", "")
    assert (caller.role, caller.person, caller.credential_id, caller.tenant) == ("user", "u1", "sess_1", "default")
    assert json.loads(body) == {
        "model": "small",
        "messages": [{"role": "user", "content": "Name it."}],
        "max_completion_tokens": 300,
    }


@pytest.mark.parametrize(
    "outcome",
    [
        answer(""),
        answer(None),
        answer(None, refusal="I will not."),
        answer("Words", refusal="I will not."),
        Answered(403, "req_1", b'{"error": {"code": "feature_not_allowed"}}'),
        Answered(429, "req_1", b'{"error": {"code": "insufficient_quota"}}'),
        Unfunded(Answered(429, "req_1", b"{}"), None),
        Unfunded(Answered(429, "req_1", b"{}"), 3_600.0),
    ],
)
async def test_without_words_there_are_none(outcome: Outcome) -> None:
    assert await Desk(outcome).ask() is None


async def test_who_may_not_ask_any_more_is_not_asked_for() -> None:
    desk = Desk()
    desk.callers.are_gone = True

    assert await desk.ask() is None
    assert desk.asks.asked == []


@pytest.mark.parametrize(
    ("outcome", "after_s"),
    [(Postponed(7.0), 7.0), (Postponed(None), 15.0), (Unfunded(Answered(429, "req_1", b"{}"), 5.0), 5.0)],
)
async def test_without_room_it_is_put_off_and_in_the_end_done_without(outcome: Outcome, after_s: float) -> None:
    desk = Desk(outcome, outcome, outcome)
    begun = job(desk.clock, attempt=1)

    for moved_s in (0, 500):
        desk.clock.move(moved_s)
        with pytest.raises(Retry) as put_off:
            await desk.aside.ask(begun, THEN, QUESTION)
        assert (put_off.value.after_s, put_off.value.is_free) == (after_s, True)

    desk.clock.move(100)
    assert await desk.aside.ask(begun, THEN, QUESTION) is None


async def test_what_is_left_of_a_persons_limits_is_theirs_first() -> None:
    desk = Desk(answer("Blue sky"))
    desk.limits.is_full = True

    with pytest.raises(Retry) as put_off:
        await desk.ask()

    assert (put_off.value.after_s, put_off.value.is_free) == (15.0, True)
    assert desk.asks.asked == []


@pytest.mark.parametrize("outcome", [Answered(502, "req_1", b"{}"), Interrupted()])
async def test_what_failed_is_asked_again_three_times_at_most(outcome: Outcome) -> None:
    desk = Desk(outcome, outcome, outcome)

    for attempt in (1, 2):
        with pytest.raises(Retry) as again:
            await desk.ask(attempt)
        assert (again.value.after_s, again.value.is_free) == (None, False)

    assert await desk.ask(3) is None


def test_things_are_of_the_person_or_of_the_key() -> None:
    of_person = job(HandClock(), person="u1")
    of_key = job(HandClock(), person="")

    assert owner_then(of_person, THEN) == Owner("default", "u1", "")
    assert owner_then(of_key, CallerThen("server", "key_1")) == Owner("default", "", "key_1")
