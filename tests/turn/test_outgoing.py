"""Guards on the way out: nothing passes unseen, nothing is lost, however an answer is cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.guards.credentials import MASK, CredentialGuard
from frontdesk.guards.instructions import MASK as WITHHELD
from frontdesk.guards.instructions import InstructionsGuard
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import (
    EmbeddingRequest,
    Format,
    Image,
    Message,
    Prompt,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)
from frontdesk.turn.outgoing import Outgoing
from frontdesk.turn.run import Line, run_turn
from frontdesk.turn.turn import Turn
from tests.fakes import DiaryPolicy, ListSink, PlayedProvider, make_turn

KEY = "sk-proj-" + "Ab1_" * 10


async def sent(*batches: list[Event], action: Any = "mask") -> list[Event]:
    sink = ListSink()
    outgoing = Outgoing(make_turn(), [CredentialGuard(action)], sink, lambda: None)
    for batch in batches:
        await outgoing.push(batch)
    return sink.events


def _batch(*events: Event) -> list[Event]:
    return list(events)


def texts_of(events: list[Event]) -> dict[tuple[int, str], str]:
    texts: dict[tuple[int, str], str] = {}
    for event in events:
        if isinstance(event, TextDelta | RefusalDelta | ReasoningDelta | ToolArgumentsDelta):
            key = (event.output, type(event).__name__)
            texts[key] = texts.get(key, "") + event.text
    return texts


@given(st.lists(st.integers(0, 90), max_size=6))
async def test_a_key_is_masked_however_the_answer_is_cut(cuts: list[int]) -> None:
    text = f"Your key is {KEY}, s"
    pieces = [text[start:end] for start, end in pairwise([0, *sorted(cuts), len(text)])]

    events = await sent(
        [MessageStarted(0, "msg_1")],
        *(_batch(TextDelta(0, piece)) for piece in pieces),
        [ItemFinished(0), TurnCompleted()],
    )

    assert texts_of(events) == {(0, "TextDelta"): f"Your key is {MASK}, s"}
    assert isinstance(events[-1], TurnCompleted)
    assert isinstance(events[-2], ItemFinished)


@pytest.mark.parametrize(
    ("started", "delta"),
    [
        (MessageStarted(0, "msg_1"), TextDelta),
        (MessageStarted(0, "msg_1"), RefusalDelta),
        (ReasoningStarted(0, "rs_1"), ReasoningDelta),
        (ToolCallStarted(0, "fc_1", "call_1", "f"), ToolArgumentsDelta),
    ],
)
async def test_every_kind_of_text_is_guarded(started: Event, delta: Any) -> None:
    events = await sent([started], [delta(0, KEY[:20])], [delta(0, KEY[20:])], [ItemFinished(0), TurnCompleted()])

    assert texts_of(events) == {(0, delta.__name__): MASK}


async def test_texts_of_two_items_do_not_mix() -> None:
    events = await sent(
        [ToolCallStarted(0, "fc_1", "call_1", "f"), ToolCallStarted(1, "fc_2", "call_2", "f")],
        [ToolArgumentsDelta(0, "sk-"), ToolArgumentsDelta(1, KEY[3:]), ToolArgumentsDelta(0, "ate")],
        [TurnCompleted()],
    )

    assert texts_of(events) == {(0, "ToolArgumentsDelta"): "sk-ate", (1, "ToolArgumentsDelta"): KEY[3:]}


async def test_logprobs_of_guarded_text_are_not_sent() -> None:
    """They would spell what was masked."""
    events = await sent([MessageStarted(0, "m"), TextDelta(0, KEY, [{"token": KEY}])], [TurnCompleted()])

    assert [event.logprobs for event in events if isinstance(event, TextDelta)] == [None]


async def test_what_was_held_is_released_before_an_error() -> None:
    sink = ListSink()
    outgoing = Outgoing(make_turn(), [CredentialGuard("mask")], sink, lambda: None)
    await outgoing.push([MessageStarted(0, "m"), TextDelta(0, "half a s")])

    await outgoing.fail(ProviderError("down"), "failed")

    assert texts_of(sink.events) == {(0, "TextDelta"): "half a s"}
    assert sink.error is not None


async def test_a_guard_that_refuses_an_answer_ends_it_as_filtered() -> None:
    diary: list[str] = []
    provider = PlayedProvider([[MessageStarted(0, "m"), TextDelta(0, "Your key: ")], [TextDelta(0, KEY)]])
    router = FallbackRouter({"fast": [Route("p", provider, "m")]})
    turn, sink = make_turn(), ListSink()

    await run_turn(turn, Line([DiaryPolicy("x", diary)], [CredentialGuard("refuse")], router), sink)

    assert texts_of(sink.events) == {(0, "TextDelta"): "Your key: "}
    assert sink.events[-1] == TurnIncomplete("content_filter")
    assert sink.error is None
    assert (diary[-1], provider.open_answers) == ("settle x incomplete", 0)
    assert turn.error is not None
    assert turn.error.code == "credential_found"


def test_every_text_of_a_request_is_screened() -> None:
    raw = {"type": "odd", "deep": [{"text": KEY}], "data": f"data:image/png;base64,{KEY}"}
    prompt = Prompt(
        items=[
            Message("user", KEY, {"name": KEY}),
            Message("user", [Text(KEY, {"note": KEY}), Image(f"data:image/png;base64,{KEY}"), Unknown(raw, "chat")]),
            ToolCall("call_1", "f", KEY),
            ToolOutput("call_1", KEY),
            Unknown(raw, "responses"),
        ],
        instructions=KEY,
        tools=[Tool("function", {"name": "f", "description": KEY})],
        format=Format("json_schema", {"name": "x", "description": KEY}),
        parameters={"user": KEY, "temperature": 1},
    )
    outgoing = Outgoing(make_turn(), [CredentialGuard("mask")], ListSink(), lambda: None)

    screened = outgoing.screen_input(prompt)

    masked_raw = {"type": "odd", "deep": [{"text": MASK}], "data": f"data:image/png;base64,{KEY}"}
    assert screened == Prompt(
        items=[
            Message("user", MASK, {"name": MASK}),
            Message(
                "user", [Text(MASK, {"note": MASK}), Image(f"data:image/png;base64,{KEY}"), Unknown(masked_raw, "chat")]
            ),
            ToolCall("call_1", "f", MASK),
            ToolOutput("call_1", MASK),
            Unknown(masked_raw, "responses"),
        ],
        instructions=MASK,
        tools=[Tool("function", {"name": "f", "description": MASK})],
        format=Format("json_schema", {"name": "x", "description": MASK}),
        parameters={"user": MASK, "temperature": 1},
    )


def test_texts_to_embed_are_screened_and_token_ids_refused() -> None:
    outgoing = Outgoing(make_turn(), [CredentialGuard("mask")], ListSink(), lambda: None)

    assert outgoing.screen_input(EmbeddingRequest([KEY, "x"])) == EmbeddingRequest([MASK, "x"])
    with pytest.raises(BadRequest, match="Token ids"):
        outgoing.screen_input(EmbeddingRequest([[1, 2]]))


# --- guards of answers ----------------------------------------------------------------------------

INSTRUCTIONS = "You are the desk of ACME; the code word is swordfish."


async def answered(instructions: str | None, *batches: list[Event]) -> tuple[list[Event], Turn]:
    sink, turn = ListSink(), make_turn()
    turn.instructions = instructions
    outgoing = Outgoing(turn, [], sink, lambda: None, [InstructionsGuard()])
    for batch in batches:
        await outgoing.push(batch)
    return sink.events, turn


async def test_a_guard_of_answers_sees_no_input() -> None:
    turn = make_turn(text=INSTRUCTIONS)
    turn.instructions = INSTRUCTIONS
    outgoing = Outgoing(turn, [], ListSink(), lambda: None, [InstructionsGuard()])

    assert outgoing.screen_input(turn.request) is turn.request


async def test_a_guard_of_answers_comes_after_the_others() -> None:
    """What it leaves goes out, whatever they make of the text before it."""
    sink, turn = ListSink(), make_turn()
    turn.instructions = "Never say [credential removed] to a person."
    outgoing = Outgoing(turn, [CredentialGuard("mask")], sink, lambda: None, [InstructionsGuard()])
    await outgoing.push([MessageStarted(0, "m"), TextDelta(0, f"never say {KEY} to a person."), TurnCompleted()])

    assert texts_of(sink.events) == {(0, "TextDelta"): WITHHELD}


async def test_an_answer_that_no_guard_applies_to_goes_out_as_it_came() -> None:
    batch = _batch(MessageStarted(0, "m"), TextDelta(0, INSTRUCTIONS, [{"token": "You"}]), TurnCompleted())

    events, _ = await answered(None, batch)

    assert events == batch


async def test_whatever_a_provider_words_is_guarded() -> None:
    """Instructions in names, in ids, in what it says of itself: all that callers read and rows keep."""
    said = INSTRUCTIONS[:39]
    usage = Usage(input_tokens=1, output_tokens=1, raw={"note": said, "details": [{"of": said}], "cost": 1})

    events, turn = await answered(
        INSTRUCTIONS,
        [AnswerDescribed(said, said), MessageStarted(0, said, phase=said), ReasoningStarted(1, said)],
        [ToolCallStarted(2, said, said, said), TextDelta(0, said), ReasoningSummaryDelta(1, said)],
        [ToolArgumentsDelta(2, f'{{"text": "{said}"}}'), ReasoningEncrypted(1, said)],
        [AnnotationAdded(0, {"type": "file_citation", "file_id": said, "filename": said, "index": 3})],
        [UsageReported(usage), TurnCompleted()],
    )

    assert said not in repr(events)
    assert (
        AnnotationAdded(0, {"type": "file_citation", "file_id": WITHHELD, "filename": WITHHELD, "index": 3}) in events
    )
    assert events[0] == AnswerDescribed(WITHHELD, WITHHELD)
    assert events[3] == ToolCallStarted(2, WITHHELD, WITHHELD, WITHHELD)
    assert texts_of(events)[2, "ToolArgumentsDelta"] == f'{{"text": "{WITHHELD}"}}'
    assert turn.usage is not None
    assert turn.usage.raw == {"note": WITHHELD, "details": [{"of": WITHHELD}], "cost": 1}


async def test_what_a_provider_words_stays_where_it_is_no_secret() -> None:
    batch = _batch(AnswerDescribed("flex", "fp_1"), ToolCallStarted(0, "fc_1", "call_1", "f"), TurnCompleted())

    events, _ = await answered(INSTRUCTIONS, batch)

    assert [first is second for first, second in zip(events, batch, strict=True)] == [True, True, True]


async def test_a_tool_that_the_caller_offers_keeps_its_name() -> None:
    """Instructions name tools, and some names are long."""
    name = "look_up_the_orders_of_a_customer_by_number"
    sink, turn = ListSink(), make_turn()
    turn.instructions = f"Call {name} first, then answer."
    turn.request = Prompt([Message("user", "x")], tools=[Tool("function", {"name": name})])
    outgoing = Outgoing(turn, [], sink, lambda: None, [InstructionsGuard()])

    await outgoing.push([ToolCallStarted(0, "fc_1", "call_1", name), ToolArgumentsDelta(0, name), TurnCompleted()])

    assert sink.events[0] == ToolCallStarted(0, "fc_1", "call_1", name)
    assert texts_of(sink.events) == {(0, "ToolArgumentsDelta"): WITHHELD}


async def test_a_turn_keeps_the_service_tier_that_was_named_last() -> None:
    turn = make_turn()
    outgoing = Outgoing(turn, [], ListSink(), lambda: None)

    await outgoing.push([AnswerDescribed("auto"), AnswerDescribed("priority"), AnswerDescribed(None, "fp_1")])

    assert turn.served_tier == "priority"
