"""Gemini's bytes, whole and cut at every position, become the same events."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.gemini_answer import Asked, GeminiStreamDecoder, decode_gemini
from frontdesk.providers.gemini_seals import Signature, sealed, unsealed
from frontdesk.turn.events import (
    AnnotationAdded,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from tests.providers import recorded_gemini as recorded
from tests.providers.recorded_gemini import answer, body, call, chunk, event

MODEL = "gemini-3.8-flash"
PLAIN = Asked(MODEL)
SEALED = Asked(MODEL, seals=True)
USED = UsageReported(Usage(19, 13, cached_tokens=4, reasoning_tokens=5, image_input_tokens=3, raw=recorded.USAGE))
TOTALS = UsageReported(Usage(5, 2, raw=recorded.TOTALS))


def decode(asked: Asked, *pieces: bytes) -> tuple[list[Event], FrontdeskError | None]:
    decoder = GeminiStreamDecoder(asked)
    events: list[Event] = []
    for piece in pieces:
        events.extend(decoder.feed(piece))
    if decoder.error is None:
        events.extend(decoder.finish())
    assert decoder.is_done == (decoder.error is None)
    return without_ids(events), decoder.error


def without_ids(events: list[Event]) -> list[Event]:
    """Ids that are made here differ each time."""
    plain: list[Event] = []
    for each in events:
        match each:
            case MessageStarted():
                plain.append(MessageStarted(each.output, "", each.choice))
            case ReasoningStarted():
                plain.append(ReasoningStarted(each.output, "", each.choice))
            case ToolCallStarted():
                call_id = "made" if each.call_id.startswith("call_") else each.call_id
                plain.append(ToolCallStarted(each.output, "", call_id, each.name, each.kind, each.choice))
            case _:
                plain.append(each)
    return plain


def decode_whole(fields: dict[str, Any], asked: Asked = PLAIN) -> list[Event]:
    return without_ids(decode_gemini(body(fields), asked))


def message(output: int, *texts: str, choice: int = 0) -> list[Event]:
    return [MessageStarted(output, "", choice), *(TextDelta(output, text) for text in texts), ItemFinished(output)]


def called(output: int, call_id: str, name: str, arguments: str, kind: Any = "function") -> list[Event]:
    started = ToolCallStarted(output, "", call_id, name, kind)
    return [started, ToolArgumentsDelta(output, arguments), ItemFinished(output)]


def seal(output: int, signature: Signature) -> list[Event]:
    return [ReasoningStarted(output, ""), ReasoningEncrypted(output, sealed(signature)), ItemFinished(output)]


def ended(reason: Any = "stop", usage: Event = TOTALS) -> list[Event]:
    ends: dict[str, Event] = {
        "length": TurnIncomplete("max_output_tokens"),
        "content_filter": TurnIncomplete("content_filter"),
    }
    return [ChoiceFinished(0, reason), usage, ends.get(reason, TurnCompleted())]


THOUGHTS: list[Event] = [
    ReasoningStarted(0, ""),
    ReasoningSummaryStarted(0),
    ReasoningSummaryDelta(0, "**Weighing it**\n\nTwo "),
    ReasoningSummaryDelta(0, "answers fit."),
    ItemFinished(0),
]
WEATHER = '{"city":"Köln","days":2}'
LOGPROBS = {
    "chosenCandidates": [{"token": "Ja", "tokenId": 7, "logProbability": -0.25}],
    "topCandidates": [{"candidates": [{"token": "Ja", "logProbability": -0.25}, {"token": "ü", "logProbability": -2}]}],
}
TOLD_LOGPROBS = [
    {
        "token": "Ja",
        "logprob": -0.25,
        "bytes": [74, 97],
        "top_logprobs": [
            {"token": "Ja", "logprob": -0.25, "bytes": [74, 97]},
            {"token": "ü", "logprob": -2.0, "bytes": [195, 188]},
        ],
    }
]

WHOLE: dict[str, tuple[Asked, bytes, list[Event]]] = {
    "text": (PLAIN, recorded.TEXT, [*message(0, "Grüße", ", 世界 ", "🛎️\n"), *ended(usage=USED)]),
    "thoughts": (PLAIN, recorded.THINKING, [*THOUGHTS, *message(1, "It is ", "42."), *ended(usage=USED)]),
    "sealed thoughts": (
        SEALED,
        recorded.THINKING,
        [
            *THOUGHTS,
            *message(1, "It is ", "42."),
            *seal(2, Signature(recorded.SIGNATURE, MODEL, "text", 0)),
            *ended(usage=USED),
        ],
    ),
    "tools": (
        PLAIN,
        recorded.TOOLS,
        [
            *message(0, "Let me look.\n"),
            *called(1, "c1a2", "weather", WEATHER),
            *called(2, "c1a3", "time", "{}"),
            *ended("tool_calls", USED),
        ],
    ),
    "sealed tools": (
        SEALED,
        recorded.TOOLS,
        [
            *message(0, "Let me look.\n"),
            *seal(1, Signature(recorded.SIGNATURE, MODEL)),
            *called(2, "c1a2", "weather", WEATHER),
            *called(3, "c1a3", "time", "{}"),
            *ended("tool_calls", USED),
        ],
    ),
    "custom tools": (
        Asked(MODEL, custom=frozenset({"sql", "note"})),
        chunk(call("sql", {"input": "select 1"}), call("note", {"other": "x"}, "n"), reason="STOP"),
        [
            *called(0, "made", "sql", "select 1", "custom"),
            *called(1, "n", "note", '{"other":"x"}', "custom"),
            *ended("tool_calls"),
        ],
    ),
    "a reason with every chunk": (PLAIN, recorded.EVERY_CHUNK_ENDS, [*message(0, "One", ", two", "."), *ended()]),
    "logprobs": (
        PLAIN,
        chunk({"text": "Ja"}, reason="STOP", logprobsResult=LOGPROBS),
        [MessageStarted(0, ""), TextDelta(0, "Ja", TOLD_LOGPROBS), ItemFinished(0), *ended()],
    ),
    "sources": (
        PLAIN,
        chunk({"text": recorded.GROUNDED_TEXT[:20]})
        + chunk({"text": recorded.GROUNDED_TEXT[20:]}, groundingMetadata=recorded.GROUNDING)
        + chunk(reason="STOP"),
        [
            MessageStarted(0, ""),
            TextDelta(0, recorded.GROUNDED_TEXT[:20]),
            TextDelta(0, recorded.GROUNDED_TEXT[20:]),
            *(
                AnnotationAdded(
                    0, {"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end}
                )
                for url, title, start, end in (
                    ("https://stadt.example/zahlen", "stadt.example", 0, 28),
                    ("https://stadt.example/zahlen", "stadt.example", 29, 52),
                    ("https://dom.example/hoehe", "dom.example", 29, 52),
                )
            ),
            ItemFinished(0),
            *ended(),
        ],
    ),
    "cut short": (
        PLAIN,
        chunk({"text": "It goes"}) + chunk(reason="MAX_TOKENS"),
        [MessageStarted(0, ""), TextDelta(0, "It goes"), *ended("length")],
    ),
    "filtered": (
        PLAIN,
        chunk({"text": "Take "}) + chunk(reason="SAFETY"),
        [MessageStarted(0, ""), TextDelta(0, "Take "), *ended("content_filter")],
    ),
    "blocked": (
        PLAIN,
        event(recorded.BLOCKED),
        ended("content_filter", UsageReported(Usage(5, 0, raw=recorded.BLOCKED["usageMetadata"]))),
    ),
    "nothing to say": (PLAIN, chunk(reason="STOP"), ended()),
    "two candidates": (
        Asked(MODEL, choices=2),
        chunk({"text": "A"}, index=1)
        + chunk({"text": "B"})
        + chunk({"text": "a"}, index=1, reason="STOP")
        + chunk(reason="STOP"),
        [
            MessageStarted(0, "", 1),
            TextDelta(0, "A"),
            MessageStarted(1, "", 0),
            TextDelta(1, "B"),
            TextDelta(0, "a"),
            ItemFinished(1),
            ChoiceFinished(0, "stop"),
            ItemFinished(0),
            ChoiceFinished(1, "stop"),
            TOTALS,
            TurnCompleted(),
        ],
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_means_the_same_however_it_is_cut(name: str) -> None:
    asked, data, expected = WHOLE[name]

    assert decode(asked, data) == (expected, None)
    for at in range(len(data) + 1):
        assert decode(asked, data[:at], data[at:]) == (expected, None)
    assert decode(asked, *(data[at : at + 1] for at in range(len(data)))) == (expected, None)


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_that_breaks_off_is_never_whole(name: str) -> None:
    """But for its last line ends, and for models that say with every chunk that it is the last."""
    asked, data, expected = WHOLE[name]
    if name == "a reason with every chunk":
        return
    ends = data.rstrip(b"\r\n")

    for at in range(len(ends)):
        events, error = decode(asked, data[:at])

        assert isinstance(error, ProviderError), data[:at]
        assert not any(isinstance(each, TurnCompleted | TurnIncomplete) for each in events)
    assert decode(asked, ends) == (expected, None)


@pytest.mark.parametrize(
    ("fields", "asked", "expected"),
    [
        (answer({"text": "Ja."}, reason="STOP"), PLAIN, [*message(0, "Ja."), *ended()]),
        (
            answer({"text": "Ja.", "thoughtSignature": "c2ln"}, reason="STOP"),
            SEALED,
            [*message(0, "Ja."), *seal(1, Signature("c2ln", MODEL, "text", 3)), *ended()],
        ),
        (
            answer({**call("now", None), "thoughtSignature": "c2ln"}, reason="STOP"),
            SEALED,
            [*seal(0, Signature("c2ln", MODEL)), *called(1, "made", "now", "{}"), *ended("tool_calls")],
        ),
        (
            answer({"text": "Hm.", "thought": True}, {**call("now", {}), "thoughtSignature": "c2ln"}, reason="STOP"),
            SEALED,
            [
                ReasoningStarted(0, ""),
                ReasoningSummaryStarted(0),
                ReasoningSummaryDelta(0, "Hm."),
                ReasoningEncrypted(0, sealed(Signature("c2ln", MODEL))),
                ItemFinished(0),
                *called(1, "made", "now", "{}"),
                *ended("tool_calls"),
            ],
        ),
        (recorded.BLOCKED, Asked(MODEL, choices=2), None),
    ],
)
def test_a_body_is_an_answer_of_one_chunk(fields: dict[str, Any], asked: Asked, expected: list[Event] | None) -> None:
    expected = expected or [
        ChoiceFinished(0, "content_filter"),
        ChoiceFinished(1, "content_filter"),
        UsageReported(Usage(5, 0, raw=recorded.BLOCKED["usageMetadata"])),
        TurnIncomplete("content_filter"),
    ]

    assert decode_whole(fields, asked) == expected


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        *((reason, "content_filter") for reason in ("RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")),
        *((reason, "content_filter") for reason in ("LANGUAGE", "IMAGE_SAFETY", "MODEL_ARMOR")),
        ("CONTINUATION", "length"),
    ],
)
def test_a_reason_to_stop_is_told_in_openais_words(reason: str, told: str) -> None:
    assert decode_whole(answer(reason=reason)) == ended(told)


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE", "OTHER", "NO_IMAGE", "NEW_REASON"],
)
def test_a_model_that_failed_is_a_providers_failure(reason: str) -> None:
    events, error = decode(PLAIN, chunk({"text": "So"}) + chunk(reason=reason))

    assert events == [MessageStarted(0, ""), TextDelta(0, "So")]
    assert isinstance(error, ProviderError)
    assert reason in error.reason


def test_an_unspecified_reason_is_no_end() -> None:
    assert isinstance(decode(PLAIN, chunk({"text": "So"}, reason="FINISH_REASON_UNSPECIFIED"))[1], ProviderError)


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}},
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH"}},
        {"somethingNew": {"words": "not to be lost"}},
        {"functionCall": {"args": {}}},
        {"functionCall": {"name": "weather", "willContinue": True}},
        {"functionCall": {"name": "weather", "partialArgs": [{"jsonPath": "$.city"}]}},
        {"functionCall": "weather"},
        {"text": 5},
        {"text": "both", **call("weather", {})},
    ],
)
def test_a_part_that_cannot_be_told_is_an_error_and_not_lost(part: dict[str, Any]) -> None:
    events, error = decode(PLAIN, chunk({"text": "So"}) + chunk(part, reason="STOP"))

    assert events == [MessageStarted(0, ""), TextDelta(0, "So")]
    assert isinstance(error, ProviderError)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"data: {}\r\n\r\n",
        event({"usageMetadata": recorded.TOTALS}),
        b"data: nonsense\r\n\r\n",
        b'data: {"candidates": 5}\r\n\r\n',
        b'data: {"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}\r\n\r\n',
        b"[" + body(answer({"text": "no event"}, reason="STOP")) + b"]",
        chunk({"text": "one"}, reason="STOP", index=1),
    ],
)
def test_what_is_no_answer_is_a_broken_one(data: bytes) -> None:
    events, error = decode(Asked(MODEL, choices=2), data)

    assert isinstance(error, ProviderError)
    assert not any(isinstance(each, TurnCompleted | TurnIncomplete) for each in events)


@pytest.mark.parametrize("data", [b"", b"{}", b"nonsense", b"[1]", body({"usageMetadata": recorded.TOTALS})])
def test_a_body_without_a_candidate_is_a_broken_answer(data: bytes) -> None:
    with pytest.raises(ProviderError):
        decode_gemini(data, PLAIN)


def test_an_error_inside_an_answer_is_the_providers() -> None:
    busy = recorded.error(503, "The model is overloaded. Please try again later.", "UNAVAILABLE")

    events, error = decode(PLAIN, chunk({"text": "So"}) + event(busy))

    assert events == [MessageStarted(0, ""), TextDelta(0, "So")]
    assert isinstance(error, ProviderError)
    assert (error.status, error.upstream_status) == (502, 503)


def test_a_quota_that_ends_inside_an_answer_says_when_to_come_back() -> None:
    _, error = decode(PLAIN, event(recorded.TOO_MANY))

    assert isinstance(error, ProviderError)
    assert (error.code, error.upstream_status, error.retry_after_s) == ("provider_busy", 429, 17.5)


def test_an_error_inside_an_answer_that_blames_the_prompt_is_the_callers() -> None:
    _, error = decode(PLAIN, event(recorded.TOO_LONG))

    assert isinstance(error, BadRequest)
    assert error.code == "context_length_exceeded"


def test_a_wrong_key_inside_an_answer_is_not_the_callers() -> None:
    _, error = decode(PLAIN, event(recorded.WRONG_KEY))

    assert isinstance(error, ProviderError)
    assert (error.status, error.upstream_status, error.should_retry) == (502, 400, False)


def test_a_seal_is_read_by_its_maker() -> None:
    signature = Signature(recorded.SIGNATURE, MODEL, "text", 12)

    assert unsealed(sealed(signature)) == signature


@pytest.mark.parametrize(
    "text", ["", "gAAAAABo", "anthropic.1:e30=", "gemini.1:", "gemini.1:e30=", "gemini.1:ü", "gemini.2:e30="]
)
def test_no_seal_of_gemini_is_none(text: str) -> None:
    assert unsealed(text) is None


def test_a_number_of_a_call_stays_as_long_as_it_is() -> None:
    long = 10**25

    events = decode_whole(answer(call("count", {"upto": long}, "c"), reason="STOP"))

    assert events[:3] == called(0, "c", "count", json.dumps({"upto": long}, separators=(",", ":")))


# --- any answer at all ------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PARTS = st.one_of(
    st.builds(lambda words: {"text": words}, WORDS),
    st.builds(lambda words: {"text": words, "thought": True}, WORDS),
    st.builds(lambda words: {"text": words, "thoughtSignature": "c2ln"}, WORDS),
    st.builds(lambda words: call("look", {"for": words}), WORDS),
    st.builds(lambda words: {**call("look", {"for": words}, "c"), "thoughtSignature": "c2ln"}, WORDS),
    st.just({"thoughtSignature": "c2ln"}),
    st.just({}),
)


@given(st.lists(st.lists(PARTS, max_size=4), max_size=6), st.booleans(), st.integers(0, 2000), st.integers(0, 2000))
def test_any_answer_is_told_whole_and_in_order(
    chunks: list[list[dict[str, Any]]], seals: bool, first: int, second: int
) -> None:
    data = b"".join(chunk(*parts) for parts in chunks) + chunk(reason="STOP")
    start, end = sorted((first, second))

    events, error = decode(Asked(MODEL, seals=seals), data[:start], data[start:end], data[end:])

    parts = [part for each in chunks for part in each]
    assert error is None
    assert texts_of(events, TextDelta) == "".join(
        part.get("text", "") for part in parts if "thought" not in part and "functionCall" not in part
    )
    assert texts_of(events, ReasoningSummaryDelta) == "".join(part["text"] for part in parts if "thought" in part)
    arguments = [json.loads(each.text)["for"] for each in events if isinstance(each, ToolArgumentsDelta)]
    assert arguments == [part["functionCall"]["args"]["for"] for part in parts if "functionCall" in part]
    sealed_count = sum("thoughtSignature" in part for part in parts) if seals else 0
    assert sum(isinstance(each, ReasoningEncrypted) for each in events) == sealed_count
    opened: list[int] = []
    for each in events:
        match each:
            case MessageStarted() | ReasoningStarted() | ToolCallStarted():
                assert opened == []
                opened.append(each.output)
            case ItemFinished():
                assert opened.pop() == each.output
            case TextDelta() | ToolArgumentsDelta() | ReasoningSummaryDelta() | ReasoningEncrypted():
                assert opened == [each.output]
            case _:
                pass
    assert opened == []
    outputs = [each.output for each in events if isinstance(each, ItemFinished)]
    assert outputs == list(range(len(outputs)))


NAMES = re.findall(
    r"\w+",
    """candidates content parts text thought thoughtSignature functionCall name args id index finishReason error code
    message status details retryDelay fieldViolations field usageMetadata promptTokenCount promptTokensDetails modality
    tokenCount promptFeedback blockReason groundingMetadata groundingChunks groundingSupports groundingChunkIndices
    segment startIndex endIndex web uri title citationMetadata citationSources urlContextMetadata urlMetadata
    retrievedUrl logprobsResult chosenCandidates topCandidates token logProbability""",
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "STOP", "x", "7s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
CANDIDATE = st.fixed_dictionaries(
    {},
    optional={
        "content": st.fixed_dictionaries(
            {"parts": st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=2), max_size=2)}
        ),
        "finishReason": st.just("STOP"),
        "groundingMetadata": st.dictionaries(st.sampled_from(NAMES), JSON),
        "citationMetadata": st.dictionaries(st.sampled_from(NAMES), JSON),
        "urlContextMetadata": st.dictionaries(st.sampled_from(NAMES), JSON),
        "logprobsResult": JSON,
    },
)


@given(
    JSON
    | st.fixed_dictionaries({"candidates": st.lists(CANDIDATE, max_size=2)}, optional={"usageMetadata": JSON})
    | st.fixed_dictionaries({"error": JSON})
)
def test_nonsense_is_a_broken_answer_and_nothing_worse(said: Any) -> None:
    events, error = decode(SEALED, chunk({"text": "So"}) + event(said))

    assert events[:2] == [MessageStarted(0, ""), TextDelta(0, "So")]
    assert error is None or isinstance(error, ProviderError | BadRequest)
    assert (error is None) == isinstance(events[-1], TurnCompleted | TurnIncomplete)


def texts_of(events: list[Event], kind: type[TextDelta | ReasoningSummaryDelta]) -> str:
    return "".join(each.text for each in events if isinstance(each, kind))


def test_a_call_has_the_name_that_its_caller_gave_the_tool() -> None:
    asked = Asked(MODEL, custom=frozenset({"-shell"}), names={"_3d": "3d", "_-shell": "-shell"})
    parts = [call("_3d", {}, "a"), call("_-shell", {"input": "ls"}, "b"), call("_other", {}, "c")]

    events, error = decode(asked, chunk(*parts, reason="STOP"))

    assert error is None
    assert [(each.name, each.kind) for each in events if isinstance(each, ToolCallStarted)] == [
        ("3d", "function"),
        ("-shell", "custom"),
        ("_other", "function"),
    ]
