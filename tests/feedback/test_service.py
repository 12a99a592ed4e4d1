"""What is said of a response: once by each, by whom it belongs to, and as long as its terms say. On both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy import select

from frontdesk.core.clock import unix_ms
from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.feedback.question import Grouping, Question
from frontdesk.feedback.rows import FeedbackRow, Rated, Said
from frontdesk.feedback.service import MOST_GROUPS, Feedback, Sum, Terms
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import feedback, turn
from frontdesk.usage.arriving import Patience
from tests.accounts.opened import CountingDatabase
from tests.fakes import HandClock
from tests.feedback.desk import AT_ONCE, NOW_MS, a_feedback, for_ever, keep_feedback
from tests.reports.rows import a_turn, keep

U1 = Owner("default", "u1", "")
KEY = Owner("default", "", "key_1")
UP, DOWN = Said("up"), Said("down")
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def service(database: Database, clock: HandClock) -> Feedback:
    return Feedback(database, clock, for_ever, AT_ONCE)


async def code_of(work: Awaitable[object]) -> tuple[int, str]:
    with pytest.raises(FrontdeskError) as refusal:
        await work
    return refusal.value.status, refusal.value.code


# --- saying -------------------------------------------------------------------------------------


async def test_it_is_kept_with_what_is_known_of_the_turn(
    database: Database, service: Feedback, clock: HandClock
) -> None:
    await keep(database, [a_turn("resp_1", feature="summaries", model="best", prompt="0123456789ab")])
    said = Said("down", "wrong", "Pluto is none.", "There are eight planets.")

    kept = await service.say(U1, "resp_1", said)

    assert kept == FeedbackRow(
        tenant="default",
        person="u1",
        credential="",
        response="resp_1",
        id=kept.id,
        rating="down",
        reason="wrong",
        comment="Pluto is none.",
        correction="There are eight planets.",
        feature="summaries",
        model="best",
        prompt="0123456789ab",
        created_at_ms=unix_ms(clock),
        changed_at_ms=unix_ms(clock),
        expires_at_ms=None,
    )
    assert kept.id.startswith("fb_")
    assert await service.own(U1, "", 9) == await service.own_of(U1, "resp_1") == [kept]


async def test_it_is_replaced_whole_and_stays_the_same_one(
    database: Database, service: Feedback, clock: HandClock
) -> None:
    await keep(database, [a_turn("resp_1")])
    first = await service.say(U1, "resp_1", Said("down", "wrong", "No.", "Yes."))
    clock.move(60)

    second = await service.say(U1, "resp_1", UP)

    assert (second.id, second.created_at_ms) == (first.id, first.created_at_ms)
    assert second.changed_at_ms == first.changed_at_ms + 60_000
    assert (second.rating, second.reason, second.comment, second.correction) == ("up", None, None, None)
    assert await service.own(U1, "", 9) == [second]


async def test_two_who_say_it_at_once_leave_one(database: Database, service: Feedback) -> None:
    await keep(database, [a_turn("resp_1")])

    rows = await asyncio.gather(*(service.say(U1, "resp_1", said) for said in (UP, DOWN) * 5))

    assert len({row.id for row in rows}) == 1
    (kept,) = await service.own(U1, "", 9)
    assert kept in rows


@pytest.mark.parametrize("status", ["running", "completed", "failed"])
@pytest.mark.parametrize("door", ["chat", "responses", "speech"])
async def test_any_turn_will_do(database: Database, service: Feedback, status: str, door: str) -> None:
    await keep(database, [a_turn("turn_1", status=status, door=door)])

    assert (await service.say(U1, "turn_1", UP)).response == "turn_1"


@pytest.mark.parametrize(
    ("whose", "asks", "is_theirs"),
    [
        ({"person": "u1", "credential": "sess_1"}, U1, True),
        ({"person": "u2", "credential": "sess_1"}, U1, False),
        ({"person": "u1", "tenant": "acme"}, U1, False),
        ({"person": None, "credential": "key_1"}, U1, False),
        ({"person": None, "credential": None}, U1, False),
        ({"person": None, "credential": "key_1"}, KEY, True),
        ({"person": None, "credential": "key_2"}, KEY, False),
        ({"person": None, "credential": None}, KEY, False),
        ({"person": "u1", "credential": "key_1"}, KEY, False),
        ({"person": None, "credential": "key_1", "tenant": "acme"}, KEY, False),
    ],
    ids=str,
)
async def test_only_who_asked_may_say_something(
    database: Database, service: Feedback, whose: dict[str, Any], asks: Owner, is_theirs: bool
) -> None:
    await keep(database, [a_turn("resp_1", **whose)])

    if is_theirs:
        assert (await service.say(asks, "resp_1", UP)).person == asks.person
    else:
        assert await code_of(service.say(asks, "resp_1", UP)) == (404, "response_not_found")


@pytest.mark.parametrize("response_id", ["resp_unheard_of", "a\0b", "..", "x" * 129])
async def test_what_never_was_is_not_there(database: Database, service: Feedback, response_id: str) -> None:
    assert await code_of(service.say(U1, response_id, UP)) == (404, "response_not_found")
    assert await code_of(service.take_back(U1, response_id)) == (404, "feedback_not_found")
    assert await service.own_of(U1, response_id) == []


async def test_a_turn_whose_row_is_on_its_way_is_waited_for(database: Database, clock: HandClock) -> None:
    counting: Any = CountingDatabase(database)
    service = Feedback(counting, clock, for_ever, Patience(looks=3, every_s=0.0))
    new, another, older = (f"chatcmpl-{NOW_MS - age_ms:012x}7{'0' * 19}" for age_ms in (1, 2, 10_000))
    counting.meanwhile = lambda: keep(database, [a_turn(new)])

    kept = await service.say(U1, new, UP)

    assert (kept.response, counting.reads) == (new, 2)
    for response_id, looks in ((another, 3), (older, 1), ("resp_1", 1)):
        counting.reads = 0
        assert await code_of(service.say(U1, response_id, UP)) == (404, "response_not_found")
        assert counting.reads == looks


# --- terms --------------------------------------------------------------------------------------


async def test_it_expires_as_the_terms_of_its_turn_say(database: Database, clock: HandClock) -> None:
    await keep(database, [a_turn("resp_1", tier="gold", feature="summaries", model="best", prompt="abc")])
    asked: list[tuple[Rated, int]] = []

    def a_day(rated: Rated, now_ms: int) -> Terms:
        asked.append((rated, now_ms))
        return Terms(keeps_texts=True, until_ms=now_ms + DAY_MS)

    service = Feedback(database, clock, a_day, AT_ONCE)
    first = await service.say(U1, "resp_1", Said("down", comment="No."))
    clock.move(3_600)
    second = await service.say(U1, "resp_1", Said("down", comment="No!"))

    assert asked[0] == (Rated("gold", "summaries", "best", "abc"), first.changed_at_ms)
    assert first.expires_at_ms == first.created_at_ms + DAY_MS
    assert second.expires_at_ms == first.created_at_ms + DAY_MS + 3_600_000

    clock.move(86_400)
    question = Question(0, 2**50)
    assert await service.own(U1, "", 9) == await service.own_of(U1, "resp_1") == []
    assert await service.page("default", question, "", 9) == []
    assert await service.sums("default", question, "model") == []
    assert await code_of(service.take_back(U1, "resp_1")) == (404, "feedback_not_found")

    third = await service.say(U1, "resp_1", UP)
    assert third.id != first.id
    assert third.created_at_ms == third.changed_at_ms == unix_ms(clock)
    assert await service.own(U1, "", 9) == [third]


@pytest.mark.parametrize("text", ["comment", "correction"])
async def test_where_no_texts_are_kept_a_rating_is_all(database: Database, clock: HandClock, text: str) -> None:
    await keep(database, [a_turn("resp_1")])
    service = Feedback(database, clock, lambda *_: Terms(keeps_texts=False, until_ms=None), AT_ONCE)

    with pytest.raises(BadRequest) as refusal:
        await service.say(U1, "resp_1", msgspec.structs.replace(DOWN, **{text: "No."}))

    assert (refusal.value.code, refusal.value.param) == ("nothing_is_stored", text)
    # Its own may well be kept: conversations and responses have times of their own.
    assert refusal.value.message == (
        f"What is said of this response is kept without texts, so {text!r} cannot be. Send 'rating' and 'reason' alone."
    )
    assert await service.own(U1, "", 9) == []
    assert (await service.say(U1, "resp_1", Said("down", "wrong"))).reason == "wrong"


# --- taking back, and lists ---------------------------------------------------------------------


async def test_it_is_taken_back_once_by_who_said_it(database: Database, service: Feedback) -> None:
    await keep_feedback(database, a_feedback(1), a_feedback(2), a_feedback(1, tenant="acme"))
    strangers = [U1._replace(person="u2"), U1._replace(tenant="other"), KEY]

    for stranger in strangers:
        assert await code_of(service.take_back(stranger, "resp_0001")) == (404, "feedback_not_found")
    assert await service.take_back(U1, "resp_0001") == a_feedback(1).id
    assert await code_of(service.take_back(U1, "resp_0001")) == (404, "feedback_not_found")

    assert [row.id for row in await service.own(U1, "", 9)] == [a_feedback(2).id]
    assert len(await service.own(U1._replace(tenant="acme"), "", 9)) == 1


async def test_own_pages_hold_though_one_is_taken_back_meanwhile(database: Database, service: Feedback) -> None:
    mine = [a_feedback(number) for number in range(1, 8)]
    of_others = [a_feedback(8, person="u2"), a_feedback(9, person="", credential="key_1")]
    await keep_feedback(database, *mine, *of_others)

    first = await service.own(U1, "", 3)
    await service.take_back(U1, first[-1].response)
    second = await service.own(U1, first[-1].id, 9)

    assert first + second == mine[::-1]
    assert [row.credential for row in await service.own(KEY, "", 9)] == ["key_1"]


async def test_everybodys_pages_are_a_tenants(database: Database, service: Feedback) -> None:
    rows = [a_feedback(number, person=f"u{number % 3}") for number in range(1, 8)]
    await keep_feedback(database, *rows, a_feedback(9, tenant="acme"))
    everything = Question()

    first = await service.page("default", everything, "", 3)
    second = await service.page("default", everything, first[-1].id, 9)

    assert first + second == rows[::-1]
    assert await service.page("default", everything, rows[0].id, 9) == []
    assert len(await service.page("acme", everything, "", 9)) == 1


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"rating": "down"}, [4, 3, 2]),
        ({"reason": "slow"}, [3]),
        ({"feature": "summaries"}, [2]),
        ({"model": "best"}, [4]),
        ({"prompt": "new"}, [5]),
        ({"prompt": ""}, [4, 3, 2, 1]),
        ({"rating": "down", "prompt": "", "model": "fast", "feature": "chat", "reason": "slow"}, [3]),
    ],
    ids=str,
)
async def test_pages_and_sums_are_narrowed(
    database: Database, service: Feedback, asked: dict[Any, str], expected: list[int]
) -> None:
    rows = [
        a_feedback(1),
        a_feedback(2, rating="down", feature="summaries"),
        a_feedback(3, rating="down", reason="slow"),
        a_feedback(4, rating="down", model="best"),
        a_feedback(5, prompt="new"),
    ]
    await keep_feedback(database, *rows)
    question = Question(only=asked)

    page = await service.page("default", question, "", 9)
    sums = await service.sums("default", question, "day")

    assert [int(row.id.removeprefix("fb_"), 16) for row in page] == expected
    assert (sum(each.up for each in sums), sum(each.down for each in sums)) == (
        sum(row.rating == "up" for row in page),
        sum(row.rating == "down" for row in page),
    )


async def test_a_range_holds_its_beginning_and_not_its_end(database: Database, service: Feedback) -> None:
    await keep_feedback(database, *(a_feedback(number) for number in range(1, 6)))
    question = Question(NOW_MS + 2, NOW_MS + 4)

    page = await service.page("default", question, "", 9)

    assert [row.created_at_ms - NOW_MS for row in page] == [3, 2]
    assert await service.sums("default", question, "model") == [Sum("fast", 2, 0)]


# --- sums ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("feature", [Sum(None, 0, 1), Sum("chat", 2, 1), Sum("summaries", 1, 0)]),
        ("model", [Sum("best", 0, 1), Sum("fast", 3, 1)]),
        ("prompt", [Sum(None, 1, 0), Sum("", 1, 2), Sum("abc", 1, 0)]),
        ("reason", [Sum(None, 3, 1), Sum("wrong", 0, 1)]),
        ("day", [Sum("2027-01-15", 2, 1), Sum("2027-01-16", 1, 1)]),
    ],
)
async def test_groups_are_in_order_and_what_has_no_value_is_first(
    database: Database, service: Feedback, group_by: Grouping, expected: list[Sum]
) -> None:
    tomorrow = NOW_MS + DAY_MS
    await keep_feedback(
        database,
        a_feedback(1),
        a_feedback(2, prompt="abc"),
        a_feedback(3, rating="down", reason="wrong", model="best"),
        a_feedback(4, feature="summaries", prompt=None, created_at_ms=tomorrow),
        a_feedback(5, rating="down", feature=None, created_at_ms=tomorrow),
        a_feedback(6, tenant="acme"),
    )

    assert await service.sums("default", Question(), group_by) == expected


async def test_too_many_groups_are_refused(database: Database, service: Feedback) -> None:
    await keep_feedback(database, *(a_feedback(number, model=f"m{number}") for number in range(MOST_GROUPS)))
    assert len(await service.sums("default", Question(), "model")) == MOST_GROUPS

    await keep_feedback(database, a_feedback(MOST_GROUPS, model="one more"))
    assert await code_of(service.sums("default", Question(), "model")) == (400, "too_many_groups")


# --- what is not told of ------------------------------------------------------------------------


async def test_it_stays_when_the_turn_goes(database: Database, service: Feedback) -> None:
    await keep(database, [a_turn("resp_1")])
    kept = await service.say(U1, "resp_1", UP)

    await database.write(Step(Query(sa.delete(turn))))

    assert await service.own(U1, "", 9) == [kept]
    assert await code_of(service.say(U1, "resp_1", DOWN)) == (404, "response_not_found")
    assert await service.take_back(U1, "resp_1") == kept.id
    assert await database.read(Query(select(feedback.c.id))) == []
