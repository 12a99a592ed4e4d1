"""Follow-ups: questions behind the last answer, for as long as it is the last, and nothing else that a model says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.asides.follow_ups import MOST_CHARS, FollowUpWriter, follow_ups_job, last_said, question_of, questions_in
from frontdesk.conversations.rows import FollowUps
from frontdesk.conversations.service import Changes
from frontdesk.core.errors import NotFound
from frontdesk.doors.absent import Answered, Outcome
from frontdesk.storage.database import Database
from tests.asides.asked import Silent, answer
from tests.asides.desk import PERSON, SERVER, Desk, message
from tests.conversations.texts import OTHER, items_for

MARK = "0a1b2c3d"
THREE = '1. "Why is it red in the evening?"\n2. **Is it blue on Mars?**\n3. Warum nicht grün?'


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (THREE, ["Why is it red in the evening?", "Is it blue on Mars?", "Warum nicht grün?"]),
        ("Here are some:\n\n- What is light?\n- what is  LIGHT?\n", ["What is light?"]),
        ("a?\nb?\nc?\nd?", ["a?", "b?", "c?"]),
        ("空はなぜ青い\uff1f\nكيف\u061f", ["空はなぜ青い\uff1f", "كيف\u061f"]),
        ("Why is the sky blue?\nI can't help with that.", []),
        ("x" * MOST_CHARS + "?", []),
        (f"What is {MARK}?", []),
        ("", []),
    ],
)
def test_questions_are_found_in_what_a_model_says(said: str, expected: list[str]) -> None:
    assert questions_in(said, MARK, "why is the  sky blue?", 3) == expected


@given(st.text(max_size=400), st.integers(1, 5))
def test_questions_are_always_short_lines(said: str, count: int) -> None:
    found = questions_in(said + "?", MARK, "", count)

    assert len(found) <= count
    for each in found:
        assert len(each) <= MOST_CHARS
        assert each.isprintable()
        assert each[-1] in "?\uff1f\u061f"


def test_the_last_words_of_both_are_told() -> None:
    newest_first = [
        message("assistant", "a2"),
        {"type": "reasoning"},
        message("user", "q2"),
        message("assistant", "a1"),
    ]

    assert last_said(newest_first) == {"person": "q2", "answer": "a2"}
    assert last_said([message("user", "q2"), message("assistant", "a1")]) == {"answer": "a1"}
    assert last_said([message("user", "q2")]) == {}
    text, mark = question_of({"person": "q2", "answer": "a2"}, 2)
    assert "Write 2 short questions" in text
    assert f"<person {mark}>\nq2\n</person {mark}>\n<answer {mark}>\na2\n</answer {mark}>" in text


# --- in conversations ---------------------------------------------------------------------------


@pytest.fixture(params=[PERSON, SERVER], ids=["person", "key"])
def desk(database: Database, request: pytest.FixtureRequest) -> Desk:
    made = Desk(database, request.param)
    made.jobs_of = [follow_ups_job]
    return made


async def told(desk: Desk, conversation: str) -> FollowUps | None:
    return await desk.conversations.follow_ups(desk.owner, conversation)


async def answered(desk: Desk, conversation: str, question: str = "Why?") -> str:
    """A turn; returns its response."""
    await desk.say(conversation, question, message("assistant", "Air scatters light."))
    return desk.response


async def test_questions_stand_behind_the_last_answer(desk: Desk) -> None:
    conversation = await desk.begin()
    response = await answered(desk, conversation)
    assert await told(desk, conversation) is None
    (job,) = await desk.jobs()
    before = await desk.conversations.find(desk.owner, conversation)

    desk.clock.move(5)
    await desk.do(job, answer(THREE))

    questions = ("Why is it red in the evening?", "Is it blue on Mars?", "Warum nicht grün?")
    assert await told(desk, conversation) == FollowUps(response, questions)
    assert await desk.conversations.find(desk.owner, conversation) == before
    with pytest.raises(NotFound):
        await desk.conversations.follow_ups(OTHER, conversation)


@pytest.mark.parametrize("outcome", [answer("I would not know."), Answered(403, "req_1", b"{}")])
async def test_that_there_are_none_is_known_as_well(desk: Desk, outcome: Outcome) -> None:
    conversation = await desk.begin()
    response = await answered(desk, conversation)
    (job,) = await desk.jobs()

    await desk.do(job, outcome)

    assert await told(desk, conversation) == FollowUps(response, ())


async def test_each_answer_has_its_own_and_takes_the_others_away(desk: Desk) -> None:
    conversation = await desk.begin()
    await answered(desk, conversation)
    (first,) = await desk.jobs()
    await desk.do(first, answer("What is air?"))

    response = await answered(desk, conversation, "And now?")

    assert await told(desk, conversation) is None
    (second,) = [each for each in await desk.jobs() if each.id != first.id]
    await desk.do(second, answer("What is light?"))
    assert await told(desk, conversation) == FollowUps(response, ("What is light?",))


async def test_what_comes_too_late_is_neither_asked_nor_kept(desk: Desk) -> None:
    conversation = await desk.begin()
    await answered(desk, conversation)
    (job,) = await desk.jobs()
    desk.asks.outcomes = [answer("What is air?")]
    done = await desk.follow_ups.run(job, Silent())
    assert done is not None
    item = (await items_for(desk.conversations, desk.owner, desk.named(conversation)))[1][-1]

    await desk.conversations.delete_item(desk.owner, conversation, item["id"])

    await desk.database.transact(done)
    assert await told(desk, conversation) is None
    await desk.do(job)
    assert len(desk.asks.asked) == 1


async def test_an_item_that_is_deleted_takes_what_was_made_of_it_along(desk: Desk) -> None:
    conversation = await desk.begin()
    await answered(desk, conversation)
    (job,) = await desk.jobs()
    await desk.do(job, answer("What is air?"))
    await desk.conversations.change(desk.owner, conversation, Changes(title="Air", is_pinned=True))
    assert await told(desk, conversation) is not None

    item = (await items_for(desk.conversations, desk.owner, desk.named(conversation)))[1][0]
    await desk.conversations.delete_item(desk.owner, conversation, item["id"])

    assert await told(desk, conversation) is None


async def test_without_a_model_what_was_left_comes_to_nothing(desk: Desk) -> None:
    conversation = await desk.begin()
    await answered(desk, conversation)
    (job,) = await desk.jobs()
    desk.follow_ups = FollowUpWriter(desk.conversations, desk.aside, None, 3, desk.clock)

    await desk.do(job)
    await desk.conversations.delete(desk.owner, conversation)
    await desk.do(job)

    assert not desk.asks.asked
