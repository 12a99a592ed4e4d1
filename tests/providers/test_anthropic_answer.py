"""Messages bytes, whole and cut at every position, become the same events."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.anthropic_answer import MessagesStreamDecoder, Reading, decode_message
from frontdesk.providers.seals import opened
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from tests.providers import recorded_anthropic as recorded

READING = Reading("m")
SHOWN = Reading("m", shows_thinking=True)
RAW = {**recorded.USAGE, **recorded.LAST_USAGE}
USAGE = UsageReported(
    Usage(2125, 15, cached_tokens=2000, cache_write_tokens=100, cache_write_hour_tokens=0, reasoning_tokens=7, raw=RAW)
)
DESCRIBED = AnswerDescribed("default")


def decode(reading: Reading, *pieces: bytes) -> tuple[list[Event], FrontdeskError | None]:
    decoder = MessagesStreamDecoder(reading)
    events: list[Event] = []
    for piece in pieces:
        events.extend(decoder.feed(piece))
    if not decoder.is_done and decoder.error is None:
        events.extend(decoder.finish())
    return plain(events), decoder.error


def plain(events: list[Event]) -> list[Event]:
    """Item ids are made here and differ each time; seals are opened."""
    found: list[Event] = []
    for event in events:
        match event:
            case MessageStarted():
                found.append(MessageStarted(event.output, ""))
            case ReasoningStarted():
                found.append(ReasoningStarted(event.output, ""))
            case ToolCallStarted():
                found.append(ToolCallStarted(event.output, "", event.call_id, event.name, event.kind))
            case ReasoningEncrypted():
                found.append(ReasoningEncrypted(event.output, repr(opened("anthropic.1:", event.content))))
            case _:
                found.append(event)
    return found


def joined(events: list[Event]) -> list[Event]:
    """Neighbouring deltas as one: a body has whole texts."""
    found: list[Event] = []
    for event in events:
        last = found[-1] if found else None
        match last, event:
            case TextDelta(), TextDelta() if last.output == event.output:
                found[-1] = TextDelta(event.output, last.text + event.text)
            case ToolArgumentsDelta(), ToolArgumentsDelta() if last.output == event.output:
                found[-1] = ToolArgumentsDelta(event.output, last.text + event.text)
            case ReasoningSummaryDelta(), ReasoningSummaryDelta() if last.output == event.output:
                found[-1] = ReasoningSummaryDelta(event.output, last.text + event.text)
            case _:
                found.append(event)
    return found


def message(output: int, *words: str) -> list[Event]:
    return [MessageStarted(output, ""), *(TextDelta(output, each) for each in words)]


def call(output: int, name: str, call_id: str, *pieces: str) -> list[Event]:
    return [
        ToolCallStarted(output, "", call_id, name),
        *(ToolArgumentsDelta(output, each) for each in pieces),
        ItemFinished(output),
    ]


def seal(output: int, block: dict[str, Any]) -> ReasoningEncrypted:
    return ReasoningEncrypted(output, repr({"model": "m", "block": block}))


COMPLETED = [ChoiceFinished(0, "stop"), USAGE, TurnCompleted()]
CALLED = [ChoiceFinished(0, "tool_calls"), USAGE, TurnCompleted()]
LONG = [ChoiceFinished(0, "length"), USAGE, TurnIncomplete("max_output_tokens")]
FILTERED = [ChoiceFinished(0, "content_filter"), USAGE, TurnIncomplete("content_filter")]
THOUGHT = {"type": "thinking", "thinking": "Hm… so.", "signature": "c2lnbmVk"}

WHOLE: dict[str, tuple[Reading, bytes, list[Event]]] = {
    "text": (READING, recorded.TEXT, [*message(0, "Grüße", ", 世界 ", "🛎️\n"), ItemFinished(0), *COMPLETED]),
    "tools": (
        READING,
        recorded.TOOLS,
        [
            *message(0, "Let me see."),
            ItemFinished(0),
            *call(1, "weather", "toolu_a", '{"city":', ' "Kö', 'ln"}'),
            *call(2, "time", "toolu_b", "{}"),
            *CALLED,
        ],
    ),
    "thinking, shown": (
        SHOWN,
        recorded.THINKING,
        [
            ReasoningStarted(0, ""),
            ReasoningSummaryStarted(0),
            ReasoningSummaryDelta(0, "Hm… "),
            ReasoningSummaryDelta(0, "so."),
            seal(0, THOUGHT),
            ItemFinished(0),
            *message(1, "42"),
            ItemFinished(1),
            *COMPLETED,
        ],
    ),
    "thinking, hidden": (
        READING,
        recorded.THINKING,
        [ReasoningStarted(0, ""), seal(0, THOUGHT), ItemFinished(0), *message(1, "42"), ItemFinished(1), *COMPLETED],
    ),
    "redacted": (
        SHOWN,
        recorded.REDACTED,
        [
            ReasoningStarted(0, ""),
            seal(0, {"type": "redacted_thinking", "data": "b3BhcXVl"}),
            ItemFinished(0),
            ReasoningStarted(1, ""),
            seal(1, {"type": "thinking", "thinking": "", "signature": "c2ln"}),
            ItemFinished(1),
            *message(2, "42"),
            ItemFinished(2),
            *COMPLETED,
        ],
    ),
    "cut": (
        READING,
        recorded.CUT,
        [
            *message(0, "One, two"),
            ItemFinished(0),
            ToolCallStarted(1, "", "toolu_a", "weather"),
            ToolArgumentsDelta(1, '{"ci'),
            *LONG,
        ],
    ),
    "custom": (
        Reading("m", custom_tools=frozenset({"shell"})),
        recorded.CUSTOM,
        [
            ToolCallStarted(0, "", "toolu_a", "shell", "custom"),
            ToolArgumentsDelta(0, "ls\né 🛎"),
            ItemFinished(0),
            *CALLED,
        ],
    ),
    "a format's answer": (
        Reading("m", answer_tool="person"),
        recorded.ANSWER,
        [*message(0, '{"name":', ' "Ada"}'), ItemFinished(0), *COMPLETED],
    ),
    "cited": (
        READING,
        recorded.CITED,
        [
            *message(0, "It says ", "so"),
            AnnotationAdded(
                0,
                {
                    "type": "url_citation",
                    "url": "https://example.com/a",
                    "title": "A",
                    "start_index": 8,
                    "end_index": 10,
                },
            ),
            AnnotationAdded(0, {"type": "file_citation", "file_id": "", "filename": "report.pdf", "index": 1}),
            TextDelta(0, " and so."),
            AnnotationAdded(0, {"type": "file_citation", "file_id": "", "filename": "shelf 4", "index": 3}),
            ItemFinished(0),
            *COMPLETED,
        ],
    ),
    "hosted tools": (READING, recorded.HOSTED, [*message(0, "I look. ", "Found."), *LONG]),
    "strange": (READING, recorded.STRANGE, [*message(0, "calm"), ItemFinished(0), *COMPLETED]),
    "declined": (
        READING,
        recorded.DECLINED,
        [*message(0, "Sure, first"), RefusalDelta(0, "This is not for us."), *FILTERED],
    ),
    "declined at once": (READING, recorded.EARLY_DECLINED, FILTERED),
    "window": (READING, recorded.WINDOW, [*message(0, "long"), *LONG]),
    "stopped": (READING, recorded.STOPPED, [*message(0, "one"), ItemFinished(0), *COMPLETED]),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_is_told_whole(name: str) -> None:
    reading, data, expected = WHOLE[name]

    assert decode(reading, data) == ([DESCRIBED, *expected], None)


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_cut_anywhere_is_the_same(name: str) -> None:
    reading, data, expected = WHOLE[name]

    for cut in range(1, len(data)):
        assert decode(reading, data[:cut], data[cut:]) == ([DESCRIBED, *expected], None), cut


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_byte_by_byte_is_the_same(name: str) -> None:
    reading, data, expected = WHOLE[name]

    assert decode(reading, *(data[at : at + 1] for at in range(len(data)))) == ([DESCRIBED, *expected], None)


@pytest.mark.parametrize("name", WHOLE)
def test_without_its_last_event_no_stream_is_an_answer(name: str) -> None:
    reading, data, _ = WHOLE[name]

    for end in range(0, data.rindex(b"event: message_stop"), 7):
        events, error = decode(reading, data[:end])

        assert isinstance(error, ProviderError)
        assert not any(isinstance(event, TurnCompleted | TurnIncomplete | UsageReported) for event in events)


@pytest.mark.parametrize("name", WHOLE)
def test_items_begin_and_end_once_in_order(name: str) -> None:
    reading, data, _ = WHOLE[name]
    events, _ = decode(reading, data)

    outputs = [e.output for e in events if isinstance(e, MessageStarted | ReasoningStarted | ToolCallStarted)]
    ended = [event.output for event in events if isinstance(event, ItemFinished)]

    assert outputs == list(range(len(outputs)))
    assert all(one < other for one, other in pairwise(ended))


def test_a_body_is_told_as_its_stream() -> None:
    body = recorded.body(
        {"type": "thinking", "thinking": "Hm… so.", "signature": "c2lnbmVk"},
        {"type": "text", "text": "It says "},
        {"type": "text", "text": "so", "citations": [recorded.WEB]},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Köln"}},
        {"type": "tool_use", "id": "toolu_b", "name": "time", "input": {}},
        reason="tool_use",
    )
    stream = (
        recorded.started()
        + recorded.thinking(0, "c2lnbmVk", "Hm… ", "so.")
        + recorded.text(1, "It says ")
        + recorded.block(
            2,
            {"type": "text", "text": ""},
            {"type": "citations_delta", "citation": recorded.WEB},
            {"type": "text_delta", "text": "so"},
        )
        + recorded.call(3, "weather", "toolu_a", '{"city":', '"Köln"}')
        + recorded.call(4, "time", "toolu_b")
        + recorded.ended("tool_use")
    )
    streamed, _ = decode(SHOWN, stream)

    assert joined(plain(decode_message(body, SHOWN))) == joined(streamed)


def test_words_beside_a_formats_answer_do_not_spoil_it() -> None:
    reading = Reading("m", answer_tool="person")
    data = (
        recorded.started()
        + recorded.text(0, "Here it is:")
        + recorded.call(1, "person", "toolu_a", '{"name": "Ada"}')
        + recorded.ended("tool_use")
    )

    events, _ = decode(reading, data)

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == '{"name": "Ada"}'


def test_where_a_formats_tool_was_not_called_its_words_are_told() -> None:
    data = recorded.started() + recorded.text(0, "I ", "cannot.") + recorded.ended("end_turn")

    assert decode(Reading("m", answer_tool="person"), data) == (
        [DESCRIBED, *message(0, "I cannot."), ItemFinished(0), *COMPLETED],
        None,
    )


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (['{"input": "ls', " -l"], "ls -l"),
        (['{"input": "a\\n', "b\\"], "a\nb"),
        (['{"input": "a\\u00'], "a"),
        (['{"input": "a\\ud83d'], "a"),
        (['{"inp'], ""),
    ],
)
def test_a_free_text_that_was_cut_off_is_told_as_far_as_it_came(pieces: list[str], text: str) -> None:
    data = recorded.started() + recorded.call(0, "shell", "toolu_a", *pieces) + recorded.ended("max_tokens")

    events, _ = decode(Reading("m", custom_tools=frozenset({"shell"})), data)

    assert "".join(event.text for event in events if isinstance(event, ToolArgumentsDelta)) == text
    assert not any(isinstance(event, ItemFinished) for event in events)


@pytest.mark.parametrize("given", ['{"text": "x"}', '["x"]', '{"input": 3}'])
def test_what_is_no_free_text_is_told_as_it_came(given: str) -> None:
    data = recorded.started() + recorded.call(0, "shell", "toolu_a", given) + recorded.ended("tool_use")

    events, _ = decode(Reading("m", custom_tools=frozenset({"shell"})), data)

    assert [event.text for event in events if isinstance(event, ToolArgumentsDelta)] == [given]


@pytest.mark.parametrize(
    ("kind", "status", "code", "upstream"),
    [
        ("overloaded_error", 503, "provider_busy", 529),
        ("rate_limit_error", 503, "provider_busy", 429),
        ("api_error", 502, None, None),
        ("timeout_error", 502, None, None),
        ("unheard_of", 502, None, None),
    ],
)
def test_an_error_inside_an_answer_breaks_it_off(
    kind: str, status: int, code: str | None, upstream: int | None
) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "Words."}}
    events, found = decode(READING, recorded.BROKEN_OFF + recorded.event(error))

    assert events == [DESCRIBED, *message(0, "One")]
    assert isinstance(found, ProviderError)
    assert (found.status, found.upstream_status) == (status, upstream)
    assert code is None or found.code == code


def test_an_error_that_blames_the_prompt_is_the_callers() -> None:
    said = "prompt is too long: 300000 tokens > 200000 maximum"
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    _, found = decode(READING, recorded.event(error))

    assert isinstance(found, BadRequest)
    assert (found.message, found.code) == (said, "context_length_exceeded")


def test_an_error_that_blames_the_account_is_for_whoever_runs_the_server() -> None:
    error = {"type": "invalid_request_error", "message": "Your credit balance is low"}
    _, found = decode(READING, recorded.event({"type": "error", "error": error}))

    assert isinstance(found, ProviderError)
    assert (found.status, found.upstream_status, found.should_retry) == (502, 400, False)


@pytest.mark.parametrize("error", [None, "words", {"type": 3}, {"type": "invalid_request_error"}])
def test_any_other_error_is_the_providers(error: Any) -> None:
    _, found = decode(READING, recorded.event({"type": "error", "error": error}))

    assert isinstance(found, ProviderError)
    assert found.should_retry is None


@pytest.mark.parametrize(
    "data",
    [
        recorded.BROKEN_OFF,
        recorded.started() + recorded.text(0, "x") + recorded.ended(None),
        recorded.started() + b'data: {"type": "message_delta", "delta": 3}\n\n',
        recorded.started() + b"data: {not json\n\n",
        recorded.started() + b'data: {"type": "message_stop", "x": "\xff"}\n\n',
        recorded.started() + b"data: " + b"[" * 100_000 + b"\n\n",
        recorded.started()
        + recorded.block(0, {"type": "tool_use", "id": "a", "input": {}})
        + recorded.ended("tool_use"),
        b"",
    ],
)
def test_a_broken_stream_is_the_providers_failure(data: bytes) -> None:
    _, error = decode(READING, data)

    assert isinstance(error, ProviderError)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"type": "message"}', recorded.body(reason=None), b"\xff", b"[" * 9999]
)
def test_a_broken_body_is_the_providers_failure(body: bytes) -> None:
    with pytest.raises(ProviderError):
        decode_message(body, READING)


def test_a_body_that_is_an_error_is_one() -> None:
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'

    with pytest.raises(ProviderError) as caught:
        decode_message(body, READING)

    assert caught.value.upstream_status == 529


def test_nothing_is_told_behind_the_end() -> None:
    events, error = decode(READING, recorded.TEXT + recorded.text(9, "more"), recorded.text(10, "and more"))

    assert (events[-1], error) == (TurnCompleted(), None)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 4, raw={"input_tokens": 3, "output_tokens": 4})),
        ({"output_tokens": 4}, None),
        ({"input_tokens": -1, "output_tokens": 4}, None),
        ({"input_tokens": 3, "output_tokens": 2**40}, None),
    ],
)
def test_usage_that_is_not_told_is_none(raw: dict[str, Any], expected: Usage | None) -> None:
    data = recorded.started(raw) + recorded.text(0, "x") + recorded.ended("end_turn", {})
    events, _ = decode(READING, data)

    assert [event.usage for event in events if isinstance(event, UsageReported)] == ([expected] if expected else [])


# --- events in another order -----------------------------------------------------------------------


def started(index: int | None, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int | None, **said: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": said}


def stream(*events: dict[str, Any]) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    begins = {"type": "message_start", "message": {"usage": usage}}
    ends = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    return b"".join(recorded.event(each) for each in (begins, *events, *ends))


def test_pieces_of_calls_that_overlap_are_never_put_together_wrongly() -> None:
    events, error = decode(
        READING,
        stream(
            started(0, {"type": "tool_use", "id": "a", "name": "pay", "input": {}}),
            started(1, {"type": "tool_use", "id": "b", "name": "look", "input": {}}),
            delta(0, type="input_json_delta", partial_json='{"amount":1}'),
            {"type": "content_block_stop", "index": 0},
        ),
    )

    assert isinstance(error, ProviderError)
    assert not any(isinstance(each, ToolArgumentsDelta) and "amount" in each.text for each in events)


@pytest.mark.parametrize("index", [0, None])
def test_words_without_a_block_break_the_answer_off(index: int | None) -> None:
    events, error = decode(READING, stream(delta(index, type="text_delta", text="Lost")))

    assert (events, type(error)) == ([], ProviderError)


def test_deltas_that_nobody_knows_mean_nothing_wherever_they_stand() -> None:
    events, error = decode(
        READING,
        stream(
            delta(0, type="mood_delta", mood="calm"),
            started(0, {"type": "mood", "mood": "calm"}),
            delta(0, type="text_delta", text="of another kind of block"),
            {"type": "content_block_stop", "index": 0},
            started(1, {"type": "text", "text": ""}),
            delta(1, type="text_delta", text="Hi"),
        ),
    )

    assert error is None
    assert events[:3] == [MessageStarted(0, ""), TextDelta(0, "Hi"), ItemFinished(0)]


def test_a_block_that_nobody_ended_loses_neither_seal_nor_text() -> None:
    events, error = decode(
        Reading("m", frozenset({"shell"})),
        stream(
            started(0, {"type": "thinking", "thinking": "", "signature": ""}),
            delta(0, type="thinking_delta", thinking="Hm"),
            delta(0, type="signature_delta", signature="c2ln"),
            started(1, {"type": "tool_use", "id": "a", "name": "shell", "input": {}}),
            delta(1, type="input_json_delta", partial_json='{"input": "ls"}'),
        ),
    )

    assert error is None
    assert [type(each) for each in events[:3]] == [ReasoningStarted, ReasoningEncrypted, ItemFinished]
    assert "c2ln" in repr(events[1])
    assert events[3:6] == [
        ToolCallStarted(1, "", "a", "shell", "custom"),
        ToolArgumentsDelta(1, "ls"),
        ItemFinished(1),
    ]


# --- any answer at all ------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PIECES = st.lists(WORDS, max_size=3)
BLOCKS = st.one_of(
    st.tuples(st.just("text"), PIECES),
    st.tuples(st.just("thinking"), PIECES),
    st.tuples(st.just("tool_use"), WORDS.map(lambda words: list(json.dumps({"for": words})))),
    st.tuples(st.just("mood"), PIECES),
)
BEGUN: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
    "tool_use": {"type": "tool_use", "id": "a", "name": "look", "input": {}},
    "mood": {"type": "mood"},
}
FIELDS = {"text": "text", "thinking": "thinking", "tool_use": "partial_json", "mood": "text"}
DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta", "mood": "text_delta"}


@given(st.lists(BLOCKS, max_size=6), st.booleans(), st.integers(0, 3000), st.integers(0, 3000))
def test_any_answer_is_told_whole_and_in_order(
    blocks: list[tuple[str, list[str]]], has_ends: bool, first: int, second: int
) -> None:
    events: list[dict[str, Any]] = []
    for index, (kind, pieces) in enumerate(blocks):
        events.append(started(index, BEGUN[kind]))
        events += [delta(index, type=DELTAS[kind], **{FIELDS[kind]: piece}) for piece in pieces]
        if kind == "thinking":
            events.append(delta(index, type="signature_delta", signature="c2ln"))
        if has_ends:
            events.append({"type": "content_block_stop", "index": index})
    data = stream(*events)
    start, end = sorted((first, second))

    told, error = decode(SHOWN, data[:start], data[start:end], data[end:])

    said = {name: "".join(piece for kind, pieces in blocks if kind == name for piece in pieces) for name in BEGUN}
    assert error is None
    assert "".join(each.text for each in told if isinstance(each, TextDelta)) == said["text"]
    assert "".join(each.text for each in told if isinstance(each, ReasoningSummaryDelta)) == said["thinking"]
    assert "".join(each.text for each in told if isinstance(each, ToolArgumentsDelta)) == said["tool_use"]
    seals = sum(isinstance(each, ReasoningEncrypted) for each in told)
    assert seals == sum(kind == "thinking" for kind, _ in blocks)
    begun = [each.output for each in told if isinstance(each, MessageStarted | ReasoningStarted | ToolCallStarted)]
    assert begun == [each.output for each in told if isinstance(each, ItemFinished)] == list(range(len(begun)))


NAMES = re.findall(
    r"\w+",
    """type index message content_block delta usage error content text thinking signature partial_json citation
    citations stop_reason stop_details explanation input_tokens output_tokens name id input data url title service_tier
    document_index output_tokens_details thinking_tokens""",
)
KINDS = re.findall(
    r"\w+",
    """message_start content_block_start content_block_delta content_block_stop message_delta message_stop error ping
    text thinking redacted_thinking tool_use text_delta thinking_delta signature_delta input_json_delta citations_delta
    end_turn refusal overloaded_error invalid_request_error""",
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", *KINDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
ANY_EVENT = JSON | st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        "content_block": st.fixed_dictionaries(
            {"type": st.sampled_from(KINDS)}, optional={name: JSON for name in NAMES if name != "type"}
        ),
        "delta": st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4),
        "usage": JSON,
        "error": JSON,
    },
)


@given(st.lists(ANY_EVENT, max_size=4), st.sampled_from([READING, Reading("m", frozenset({"x"}), "text", True)]))
def test_nonsense_is_a_broken_answer_and_nothing_worse(said: list[Any], reading: Reading) -> None:
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in said)

    events, error = decode(reading, data)

    assert error is None or isinstance(error, ProviderError | BadRequest)
    assert (error is None) == (bool(events) and isinstance(events[-1], TurnCompleted | TurnIncomplete))


@given(JSON | st.fixed_dictionaries({"content": st.lists(ANY_EVENT, max_size=3)}, optional={"stop_reason": JSON}))
def test_a_body_of_nonsense_is_a_broken_answer_and_nothing_worse(said: Any) -> None:
    try:
        events = decode_message(json.dumps(said).encode(), READING)
    except (ProviderError, BadRequest):
        return

    assert isinstance(events[-1], TurnCompleted | TurnIncomplete)
