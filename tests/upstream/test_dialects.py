"""Every directive and fault in every dialect, and who is answered in which."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.upstream.raw import CHAT, asking, control, exchange
from tests.upstream.speaking import (
    ANTHROPIC,
    ANTHROPIC_SPEECH,
    AZURE_SPEECH,
    CHAT_SPEECH,
    GEMINI_LIST_SPEECH,
    GEMINI_SPEECH,
    MESSAGES,
    Speech,
    contents,
    gemini_path,
    payloads,
    speak,
)
from tests.upstreams import ScriptedUpstream, scripted_upstream

SPEECHES = [ANTHROPIC_SPEECH, GEMINI_SPEECH, GEMINI_LIST_SPEECH, AZURE_SPEECH, CHAT_SPEECH]
EACH = pytest.mark.parametrize("speech", SPEECHES, ids=[speech.name for speech in SPEECHES])
EACH_WAY = pytest.mark.parametrize("stream", [True, False])
WORDS = "word0 word1 word2 word3 word4 "


# --- answers ------------------------------------------------------------------------------------


@EACH
@EACH_WAY
async def test_an_answer_is_whole_and_billed_as_told(upstream: ScriptedUpstream, speech: Speech, stream: bool) -> None:
    seen = await speak(upstream, speech, "words-5", stream=stream)

    (record,) = upstream.journal()
    assert (seen.status, speech.text(seen), speech.is_finished(seen)) == (200, WORDS, True)
    assert speech.usages(seen)[-1] == (record.billed.input_tokens, record.billed.output_tokens) == (2, 5)
    assert (record.model, record.stream, record.chunks, record.ended) == ("words-5", stream, 5, "whole")


@EACH
@pytest.mark.parametrize("directive", ["dribble", "cutsize=3", "crlf", "comments", "framing=close", "framing=length"])
async def test_bytes_in_any_pieces_are_the_same_answer(
    upstream: ScriptedUpstream, speech: Speech, directive: str
) -> None:
    seen = await speak(upstream, speech, f"words-5:{directive}")

    assert (speech.text(seen), speech.is_finished(seen)) == (WORDS, True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(str.strip),
    place=st.integers(0, len(SPEECHES) - 1),
    script=st.sampled_from(["echo", "thinking", "varied-4:seed=2", "length", "slow-0"]),
)
async def test_a_stream_says_and_bills_what_a_body_does(
    upstream: ScriptedUpstream, text: str, place: int, script: str
) -> None:
    speech = SPEECHES[place]
    whole = await speak(upstream, speech, script, stream=False, text=text)
    streamed = await speak(upstream, speech, script, text=text)

    first, second = upstream.journal()[-2:]
    assert speech.text(whole) == speech.text(streamed)
    assert speech.usages(whole)[-1] == speech.usages(streamed)[-1]
    assert first.billed == second.billed
    assert speech.usages(whole)[-1] == (first.billed.input_tokens, first.billed.output_tokens)


# --- usage --------------------------------------------------------------------------------------

_NATURAL = {
    "anthropic": [(2, 1), (2, 3)],
    "gemini": [(2, 1), (2, 2), (2, 3), (2, 3)],
    "gemini-list": [(2, 1), (2, 2), (2, 3), (2, 3)],
    "azure": [(2, 3)],
    "chat": [(2, 3)],
}


@EACH
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("missing", []),
        ("early", [(2, 1)]),
        ("negative", [(-7, -3)]),
        ("huge", [(2**63, 10**15)]),
        ("11/22/5/6", [(11, 22)]),
    ],
)
async def test_usage_that_is_told_otherwise(
    upstream: ScriptedUpstream, speech: Speech, told: str, expected: list[tuple[int, int]]
) -> None:
    seen = await speak(upstream, speech, f"words-3:usage={told}")

    usages = speech.usages(seen)
    assert (usages if len(expected) == 0 or told == "early" else sorted(set(usages))) == expected
    assert upstream.journal()[-1].billed.output_tokens == 3


@EACH
async def test_usage_is_told_where_this_provider_tells_it(upstream: ScriptedUpstream, speech: Speech) -> None:
    assert speech.usages(await speak(upstream, speech, "words-3")) == _NATURAL[speech.name]


@EACH
async def test_usage_in_every_event_counts_up(upstream: ScriptedUpstream, speech: Speech) -> None:
    usages = speech.usages(await speak(upstream, speech, "words-3:usage=each"))

    assert len(usages) >= 4
    assert usages == sorted(usages)
    assert usages[-1] == (2, 3)


# --- faults -------------------------------------------------------------------------------------

_ERRORS = {
    "anthropic": {401: "authentication_error", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"},
    "gemini": {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 529: "UNKNOWN"},
    "azure": {401: "401", 429: "429", 500: "InternalServerError", 529: "overloaded_error"},
    "chat": {401: "invalid_api_key", 429: "rate_limit_exceeded", 500: "None", 529: "overloaded_error"},
}


@EACH
@EACH_WAY
@pytest.mark.parametrize("status", [401, 429, 500, 529])
async def test_any_status_comes_in_the_providers_shape(
    upstream: ScriptedUpstream, speech: Speech, stream: bool, status: int
) -> None:
    seen = await speak(upstream, speech, f"echo:fault={status}", stream=stream)

    assert seen.status == status
    assert speech.error(seen) == _ERRORS[speech.name.removesuffix("-list")][status]


@EACH
@pytest.mark.parametrize(
    ("directive", "seconds"), [("", "1s"), (",retry-after=7", "7s"), (",retry-after-ms=1500", "1.5s")]
)
async def test_when_to_come_again_is_told_as_the_provider_tells_it(
    upstream: ScriptedUpstream, speech: Speech, directive: str, seconds: str
) -> None:
    seen = await speak(upstream, speech, f"echo:fault=429{directive}")

    headers = [name for name in seen.headers if name.startswith("retry-after")]
    if speech.name.startswith("gemini"):
        assert seen.json["error"]["details"][0]["retryDelay"] == seconds
        assert len(headers) == (1 if directive else 0)
    else:
        assert len(headers) == 1


@EACH
async def test_an_error_inside_a_stream(upstream: ScriptedUpstream, speech: Speech) -> None:
    for kind in ("error", "failed"):
        seen = await speak(upstream, speech, f"words-5:fault={kind}@2")

        last = payloads(seen)[-1]
        assert (seen.status, speech.text(seen)[:12]) == (200, "word0 word1 ")
        assert "error" in last or last["candidates"][0]["finishReason"] == "OTHER"


@EACH
async def test_an_error_instead_of_a_body(upstream: ScriptedUpstream, speech: Speech) -> None:
    seen = await speak(upstream, speech, "words-5:fault=error", stream=False)

    assert (seen.status, "error" in seen.json) == (200, True)


@EACH
async def test_an_answer_without_its_end(upstream: ScriptedUpstream, speech: Speech) -> None:
    seen = await speak(upstream, speech, "words-5:fault=end@3")
    assert (speech.text(seen), speech.is_finished(seen), seen.ended) == ("word0 word1 word2 ", False, "eof")

    seen = await speak(upstream, speech, "words-5:fault=end")
    assert (speech.text(seen), speech.is_finished(seen)) == (WORDS, False)

    seen = await speak(upstream, speech, "words-5:fault=no-finish")
    assert (speech.text(seen), speech.is_finished(seen)) == (WORDS, False)


@EACH
async def test_a_connection_that_breaks(upstream: ScriptedUpstream, speech: Speech) -> None:
    for fault, ended in (("cut", "eof"), ("reset", "reset")):
        seen = await speak(upstream, speech, f"words-5:fault={fault}@150")
        assert (len(seen.body), seen.ended) == (150, ended)

        seen = await speak(upstream, speech, f"words-5:fault={fault}")
        assert (seen.data, seen.ended) == (b"", ended)


@EACH
async def test_silence(upstream: ScriptedUpstream, speech: Speech) -> None:
    seen = await speak(upstream, speech, "words-5:fault=silence@2", patience_s=0.2)
    assert (speech.text(seen), seen.ended) == ("word0 word1 ", "open")

    seen = await speak(upstream, speech, "silent", patience_s=0.05)
    assert (seen.data, seen.ended) == (b"", "open")


@EACH
@EACH_WAY
async def test_broken_bytes(upstream: ScriptedUpstream, speech: Speech, stream: bool) -> None:
    seen = await speak(upstream, speech, "words-5:fault=bad-utf8@2", stream=stream)
    with pytest.raises(UnicodeDecodeError):
        seen.body.decode()

    good = await speak(upstream, speech, "words-5", stream=stream)
    seen = await speak(upstream, speech, "words-5:fault=bad-json@2", stream=stream)
    assert len(payloads(seen)) == len(payloads(good)) - 1

    seen = await speak(upstream, speech, "words-5:fault=garbage", stream=stream)
    assert seen.body.endswith(b"not for you -->\r\n{]")

    seen = await speak(upstream, speech, "words-5:fault=content-type", stream=stream)
    assert seen.headers["content-type"] == "text/html"


@EACH
async def test_a_script_that_breaks(upstream: ScriptedUpstream, speech: Speech) -> None:
    seen = await speak(upstream, speech, "break-3")

    assert (speech.text(seen), speech.is_finished(seen)) == ("word0 word1 word2 ", False)
    assert upstream.journal()[-1].ended == "fault"


@EACH
async def test_rules_hold_for_every_dialect(upstream: ScriptedUpstream, speech: Speech) -> None:
    upstream.play({"script": "words-2", "contains": "please"})

    assert speech.text(await speak(upstream, speech, "gpt-9", text="please")) == "word0 word1 "
    assert speech.text(await speak(upstream, speech, "gpt-9", text="other")) == "other"


# --- whatever comes -----------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_TOOL_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
_GOOD: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    (
        MESSAGES,
        ANTHROPIC,
        {
            "model": "thinking",
            "max_tokens": 3000,
            "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "weather", "input_schema": _TOOL_SCHEMA, "strict": True}],
            "tool_choice": {"type": "auto"},
            "thinking": {"type": "adaptive"},
            "stop_sequences": ["x"],
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": _TOOL_SCHEMA}},
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a/b"}}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]},
            ],
        },
    ),
    (
        gemini_path("thinking"),
        {},
        {
            "contents": [
                {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "AA=="}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]},
            ],
            "systemInstruction": {"parts": [{"text": "x"}]},
            "tools": [
                {"functionDeclarations": [{"name": "f", "parametersJsonSchema": _TOOL_SCHEMA}]},
                {"googleSearch": {}},
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            "generationConfig": {
                "stopSequences": ["x"],
                "responseMimeType": "application/json",
                "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}},
                "thinkingConfig": {"thinkingBudget": 9, "includeThoughts": True},
                "responseLogprobs": True,
                "logprobs": 2,
            },
        },
    ),
]


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside of one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, each in inner for place in places_in(each, (*path, name)))]


def with_changed(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """The same with something else at a path."""
    if not path:
        return change
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = with_changed(value[path[0]], path[1:], change)
    return copied


@pytest.mark.parametrize("good", _GOOD, ids=[path for path, _, _ in _GOOD])
async def test_what_the_fuzz_begins_with_is_good(upstream: ScriptedUpstream, good: Any) -> None:
    path, headers, body = good

    assert (await exchange(upstream, asking(path, body, **headers))).status == 200


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from(_GOOD), data=st.data())
async def test_a_request_with_anything_anywhere_is_answered_or_refused(
    upstream: ScriptedUpstream, which: Any, data: st.DataObject
) -> None:
    path, headers, body = which
    place = data.draw(st.sampled_from(places_in(body)[1:]))
    changed = with_changed(body, place, data.draw(_JSON))

    seen = await exchange(upstream, asking(path, changed, **headers))

    assert seen.status in (200, 400, 403, 404)
    assert seen.status == 200 or seen.json["error"]["message"]


# --- who is answered in which -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "shape"),
    [
        ("/v1/nothing", {}, {"message", "type", "param", "code"}),
        ("/v1/messages/nothing", {"anthropic-version": "2023-06-01"}, {"type", "message"}),
        ("/v1beta/nothing", {}, {"code", "message", "status"}),
        ("/v1beta/models/echo:nothing", {}, {"code", "message", "status"}),
        ("/openai/nothing", {}, {"code", "message"}),
        ("/openai/deployments/echo/chat/completions", {}, {"code", "message"}),
        ("/openai/deployments/echo/nothing?api-version=1", {}, {"code", "message"}),
    ],
)
async def test_a_path_that_is_not_there(
    upstream: ScriptedUpstream, path: str, headers: dict[str, str], shape: set[str]
) -> None:
    seen = await exchange(upstream, asking(path, {"model": "echo"}, **headers))

    assert (seen.status, set(seen.json["error"])) == (404, shape)


@EACH
async def test_a_key_is_wanted_where_one_is_set(speech: Speech) -> None:
    statuses = {"gemini": (403, 400)}.get(speech.name.removesuffix("-list"), (401, 401))
    name = {"anthropic": "x-api-key", "gemini": "x-goog-api-key", "azure": "api-key"}.get(
        speech.name.removesuffix("-list"), "authorization"
    )
    async with scripted_upstream(api_key="right") as upstream:

        async def status_with(key: str | None) -> int:
            value = f"Bearer {key}" if name == "authorization" else key
            line = f"{name}: {value}\r\n".encode() if key else b""
            head, blank, body = speech.request("echo", False, "hi").partition(b"\r\n\r\n")
            return (
                (await exchange(upstream, head + b"\r\n" + line + b"\r\n" + body)).status
                if key
                else (await exchange(upstream, head + blank + body)).status
            )

        assert (await status_with(None), await status_with("wrong")) == statuses
        assert await status_with("right") == 200
        assert "right" not in json.dumps([record.headers for record in upstream.journal()])


async def test_a_key_of_googles_may_stand_in_the_address() -> None:
    async with scripted_upstream(api_key="right") as upstream:
        seen = await exchange(upstream, asking(gemini_path("echo", query="?key=right"), contents()))
        assert seen.status == 200

        assert "right" not in (await control(upstream, "GET", "/upstream/journal")).body.decode()


@EACH
async def test_what_is_too_large_is_refused_in_the_dialect_of_its_path(
    upstream: ScriptedUpstream, speech: Speech
) -> None:
    head = speech.request("echo", False, "hi").partition(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    seen = await exchange(upstream, b"\r\n".join([*lines, b"content-length: 99999999999", b"", b""]))

    expected = {
        "anthropic": {"type": "request_too_large"},
        "gemini": {"status": "INVALID_ARGUMENT"},
    }.get(speech.name.removesuffix("-list"), {"type": "invalid_request_error"})
    assert seen.status == 413
    assert expected.items() <= seen.json["error"].items()


@pytest.mark.parametrize(
    ("headers", "query", "kind"),
    [
        ({}, "", "openai"),
        ({"authorization": "Bearer k"}, "", "openai"),
        ({"x-api-key": "k", "anthropic-version": "2023-06-01"}, "", "anthropic"),
        ({"x-goog-api-key": "k"}, "", "gemini"),
        ({}, "?key=k", "gemini"),
    ],
)
async def test_models_are_listed_as_who_asks_knows_them(
    upstream: ScriptedUpstream, headers: dict[str, str], query: str, kind: str
) -> None:
    async def told(path: str) -> Any:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {path}{query} HTTP/1.1\r\nhost: u\r\nconnection: close\r\n{lines}\r\n"
        return (await exchange(upstream, request.encode())).json

    listed, one = await told("/v1/models"), await told("/v1/models/words-5%3Apace=1")
    match kind:
        case "openai":
            assert (listed["object"], one["id"]) == ("list", "words-5:pace=1")
        case "anthropic":
            assert (listed["has_more"], one["type"], one["id"]) == (False, "model", "words-5:pace=1")
        case _:
            assert (listed["models"][0]["name"], one["name"]) == ("models/echo", "models/words-5:pace=1")


async def test_a_model_that_is_unknown_is_not_found_in_every_dialect() -> None:
    async with scripted_upstream(script=None) as upstream:
        for speech in SPEECHES:
            seen = await speak(upstream, speech, "gpt-9")
            assert seen.status == 404
        seen = await speak(upstream, AZURE_SPEECH, "gpt-9")
        assert AZURE_SPEECH.error(seen) == "DeploymentNotFound"


async def test_openais_own_paths_are_as_they_were(upstream: ScriptedUpstream) -> None:
    seen = await exchange(upstream, asking(CHAT, {"model": "echo"}))

    assert (seen.status, seen.json["error"]["param"]) == (400, "messages")
