"""Answers held to a schema: put right where one thing is meant, failed where not, told as they came where cut short."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.structured import fitted, held_to, schema_of_format, told_format, told_prompt
from frontdesk.providers.structured_schema import Schema
from frontdesk.turn.events import (
    AnswerDescribed,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Format, Message, Prompt

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "nights": {"type": "integer"}},
    "required": ["city", "nights"],
    "additionalProperties": False,
}
STAY = Format("json_schema", {"name": "stay", "schema": SCHEMA})
GOOD = '{"city": "Bergen", "nights": 2}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, GOOD),
        (f"\n {GOOD}\n", GOOD),
        (f"```json\n{GOOD}\n```", GOOD),
        (f"Here you are:\n```\n{GOOD}\n```\nAnything else?", GOOD),
        (f"[As you asked] {GOOD} (see [1])", GOOD),
        (f"<think>\nMaybe {{'nights': 3}}?\n</think>\n{GOOD}", GOOD),
        ('{"city": "Bergen", "nights": 2,}', GOOD),
        ('{"city": "Bergen", "nights": 2 , \n}', '{"city": "Bergen", "nights": 2 }'),
        ('{"nights": 2, "city": "Bergen"', '{"nights": 2, "city": "Bergen"}'),
        ('{"nights": 2, "city": "Ber\ngen\t"}', '{"nights": 2, "city": "Ber\\ngen\\t"}'),
        ('{"nights": 2, "city": "a \\"b\\" {c"}', '{"nights": 2, "city": "a \\"b\\" {c"}'),
        (f"{GOOD}\n{GOOD}", GOOD),
    ],
)
def test_what_is_meant_is_found(text: str, expected: str) -> None:
    assert fitted(text, Schema(SCHEMA)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bergen, two nights.",
        '{"city": "Bergen"}',
        '{"city": "Bergen", "nights": "2"}',
        '{"city": "Bergen", "nights": 2',  # or 21
        '{"city": "Bergen", "nights": 2,',  # something was to follow
        '{"nights": 2, "city": "Ber',
        '{"nights": 2, "city"',
        '{"nights": 2, "city": "Bergen"]',
        f'{GOOD} or {{"city": "Oslo", "nights": 2}}',
        f'{{"answer": {GOOD}}}',  # what fits inside of what does not may be a part of it
        f"[{GOOD}]",
        "[" * 5_000,
        '{"a":' * 5_000,
    ],
)
def test_what_may_be_meant_otherwise_is_not_guessed(text: str) -> None:
    assert fitted(text, Schema(SCHEMA)) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, dict | list)),
    st.sampled_from(["", "Sure: ", "```json\n", "(a 'b') "]),
    st.sampled_from(["", "\n```", " That is all.", "\n\n"]),
)
def test_any_json_is_found_among_words(value: Any, before: str, after: str) -> None:
    text = before + json.dumps(value, ensure_ascii=False) + after

    found = fitted(text, Schema(True))

    assert found is not None
    assert json.loads(found) == value


@given(st.text(alphabet='{}[]",:\\ \n1a`', max_size=40))
def test_what_is_found_is_json(text: str) -> None:
    found = fitted(text, Schema({"type": ["object", "array"]}))

    assert found is None or isinstance(json.loads(found), dict | list)


# --- held answers -------------------------------------------------------------------------------

USAGE = UsageReported(Usage(10, 5))


async def held(*batches: list[Event]) -> tuple[list[list[Event]], ProviderError | None]:
    async def answer() -> AsyncGenerator[list[Event], None]:
        for batch in batches:
            yield batch

    told: list[list[Event]] = []
    try:
        async for events in held_to(schema_of_format(STAY), answer()):
            told.append(events)  # noqa: PERF401 - what was told before an error counts
    except ProviderError as error:
        return told, error
    return told, None


async def test_an_answer_that_fits_is_told_when_it_is_whole() -> None:
    words: list[Event] = [TextDelta(0, piece) for piece in (GOOD[:5], GOOD[5:])]

    told, error = await held(
        [AnswerDescribed("default"), MessageStarted(0, "msg_1")],
        [words[0]],
        [words[1]],
        [ItemFinished(0), ChoiceFinished(0, "stop")],
        [USAGE, TurnCompleted()],
    )

    assert error is None
    assert told == [
        [AnswerDescribed("default"), MessageStarted(0, "msg_1")],
        [*words, ItemFinished(0), ChoiceFinished(0, "stop"), USAGE, TurnCompleted()],
    ]


async def test_an_answer_that_was_put_right_is_told_in_one_piece() -> None:
    told, error = await held(
        [MessageStarted(0, "msg_1"), TextDelta(0, "```json\n"), TextDelta(0, GOOD), TextDelta(0, "\n```")],
        [ItemFinished(0), ChoiceFinished(0, "stop"), TurnCompleted()],
    )

    assert error is None
    assert told[1:] == [[TextDelta(0, GOOD), ItemFinished(0), ChoiceFinished(0, "stop"), TurnCompleted()]]


@pytest.mark.parametrize("text", ["Bergen.", '{"city": "Bergen"}', ""])
async def test_an_answer_that_does_not_fit_is_the_providers_failure_and_paid_for(text: str) -> None:
    words: list[Event] = [TextDelta(0, text)] if text else []

    told, error = await held(
        [MessageStarted(0, "msg_1"), *words, ItemFinished(0), ChoiceFinished(0, "stop"), USAGE, TurnCompleted()]
    )

    assert told == [[MessageStarted(0, "msg_1"), USAGE]]
    assert error is not None
    assert error.code == "invalid_structured_output"


async def test_what_it_thinks_waits_so_that_another_can_be_asked() -> None:
    told, _ = await held(
        [ReasoningStarted(0, "rs_1"), ReasoningDelta(0, "Hm.")],
        [ItemFinished(0), MessageStarted(1, "msg_1"), TextDelta(1, GOOD)],
        [ItemFinished(1), ChoiceFinished(0, "stop"), TurnCompleted()],
    )

    assert told[0] == [ReasoningStarted(0, "rs_1")]
    assert told[1] == [MessageStarted(1, "msg_1")]
    assert told[2][0] == ReasoningDelta(0, "Hm.")


@pytest.mark.parametrize(
    "ending",
    [
        [ChoiceFinished(0, "length"), TurnIncomplete("max_output_tokens")],
        [ChoiceFinished(0, "content_filter"), TurnIncomplete("content_filter")],
        [ItemFinished(0), ChoiceFinished(0, "tool_calls"), TurnCompleted()],
    ],
)
async def test_what_was_cut_short_or_comments_on_calls_is_told_as_it_came(ending: list[Event]) -> None:
    told, error = await held([MessageStarted(0, "msg_1"), TextDelta(0, '{"city": "Ber'), *ending])

    assert error is None
    assert told == [[MessageStarted(0, "msg_1"), TextDelta(0, '{"city": "Ber'), *ending]]


async def test_calls_are_told_with_what_they_ask() -> None:
    call = ToolCallStarted(0, "fc_1", "call_1", "weather")
    rest: list[Event] = [ToolArgumentsDelta(0, "{}"), ItemFinished(0), ChoiceFinished(0, "tool_calls"), TurnCompleted()]

    assert await held([call, *rest]) == ([[call, *rest]], None)


async def test_a_refusal_need_not_fit() -> None:
    rest: list[Event] = [RefusalDelta(0, "No."), ItemFinished(0), ChoiceFinished(0, "stop"), TurnCompleted()]

    assert await held([MessageStarted(0, "msg_1"), *rest]) == ([[MessageStarted(0, "msg_1"), *rest]], None)


async def test_only_the_last_message_is_the_answer() -> None:
    events: list[Event] = [
        MessageStarted(0, "msg_1", phase="commentary"),
        TextDelta(0, "I look it up."),
        ItemFinished(0),
        MessageStarted(1, "msg_2"),
        TextDelta(1, f"{GOOD}."),
        ItemFinished(1),
        ChoiceFinished(0, "stop"),
        TurnCompleted(),
    ]

    told, error = await held(events)

    assert error is None
    assert [each for batch in told for each in batch if isinstance(each, TextDelta)] == [
        TextDelta(0, "I look it up."),
        TextDelta(1, GOOD),
    ]


async def test_each_of_several_answers_must_fit() -> None:
    def choice(output: int, text: str) -> list[Event]:
        started = MessageStarted(output, f"msg_{output}", output)
        return [started, TextDelta(output, text), ItemFinished(output), ChoiceFinished(output, "stop")]

    _, error = await held([*choice(0, GOOD), *choice(1, GOOD), TurnCompleted()])
    assert error is None

    _, error = await held([*choice(0, GOOD), *choice(1, "{}"), TurnCompleted()])
    assert error is not None


async def test_an_answer_without_an_end_is_nothing() -> None:
    assert await held([MessageStarted(0, "msg_1"), TextDelta(0, GOOD)]) == ([[MessageStarted(0, "msg_1")]], None)


async def test_an_answer_without_bounds_is_not_held() -> None:
    piece = "x" * 1_000_000

    told, error = await held([MessageStarted(0, "msg_1")], *(list[Event]([TextDelta(0, piece)]) for _ in range(5)))

    assert told == [[MessageStarted(0, "msg_1")]]
    assert error is not None


# --- asking -------------------------------------------------------------------------------------


def test_a_format_is_told_behind_the_instructions() -> None:
    prompt = Prompt([Message("user", "x")], instructions="Be brief.", format=STAY)

    told = told_prompt(prompt, STAY, native=Format("json_object", {}))

    assert told.format == Format("json_object", {})
    assert told.instructions is not None
    assert told.instructions.startswith("Be brief.\n\n")
    assert msgspec.json.encode(SCHEMA).decode() in told.instructions
    assert told.items == prompt.items


def test_a_format_says_what_it_is_for() -> None:
    described = Format("json_schema", {"name": "stay", "schema": SCHEMA, "description": "a stay at a hotel."})

    assert "a stay at a hotel." in told_format(described)
    assert "JSON" in told_format(Format("json_object", {}))


def test_any_object_fits_where_no_schema_is_asked_for() -> None:
    schema = schema_of_format(Format("json_object", {}))

    assert schema.fits({})
    assert not schema.fits([])


def test_what_is_no_schema_is_refused_before_it_is_asked_for() -> None:
    with pytest.raises(BadRequest, match="type 'text'"):
        schema_of_format(Format("json_schema", {"name": "a", "schema": {"type": "text"}}))
