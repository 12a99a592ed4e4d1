"""Google's dialect: what it takes, what it refuses and in which words, and its two kinds of streams."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.upstream.gemini_forms import FORMS, GENERATE
from frontdesk.upstream.gemini_proto import read_form, snake
from frontdesk.upstream.gemini_request import json_schema
from tests.upstream.raw import Seen, asking, exchange
from tests.upstream.speaking import contents, gemini_path, payloads
from tests.upstreams import ScriptedUpstream

WEATHER: dict[str, Any] = {
    "name": "weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}
TOOLS = [{"functionDeclarations": [WEATHER, {"name": "time"}]}]
CALL: dict[str, Any] = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}
RESPONSE: dict[str, Any] = {"functionResponse": {"name": "weather", "response": {"result": "sunny"}}}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def model(*parts: Any) -> dict[str, Any]:
    return {**user(*parts), "role": "model"}


async def asked(
    upstream: ScriptedUpstream, name: str = "echo", body: dict[str, Any] | None = None, **more: Any
) -> Seen:
    """Ask for a body, with these fields besides or instead."""
    return await exchange(upstream, asking(gemini_path(name), {**contents(), **(body or {}), **more}))


async def streamed(upstream: ScriptedUpstream, name: str, query: str = "?alt=sse", **fields: Any) -> Seen:
    path = gemini_path(name, "streamGenerateContent", query)
    return await exchange(upstream, asking(path, {**contents(), **fields}))


# --- what is refused ----------------------------------------------------------------------------

_CONTENTS = "* GenerateContentRequest.contents"
_CONFIG = "* GenerateContentRequest.generation_config"
_CONVERSATION = [user("hi"), model(CALL), user(RESPONSE)]
_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"contents": []}, f"{_CONTENTS}: contents is not specified"),
    ({"contents": [{"parts": []}]}, f"{_CONTENTS}[0].parts: contents.parts must not be empty."),
    ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
    ({"contents": [user({})]}, f"{_CONTENTS}[0].parts[0].data: required oneof field 'data'"),
    ({"contents": [user("")]}, f"{_CONTENTS}[0].parts[0].data: required oneof field 'data'"),
    ({"contents": [user({"text": "x", **CALL})]}, "Invalid value at 'contents[0].parts[0]' (oneof)"),
    ({"contents": [user(CALL)]}, "Please ensure that function call turn comes immediately after a user turn"),
    ({"contents": [user("x"), model("y"), model(CALL)]}, "Please ensure that function call turn comes immediately"),
    ({"contents": _CONVERSATION[:2]}, "Please ensure that function response turn comes immediately after"),
    ({"contents": [user(RESPONSE)]}, "Please ensure that function response turn comes immediately after"),
    ({"contents": [*_CONVERSATION[:2], user("x")]}, "Please ensure that the number of function response parts"),
    ({"contents": [user("x"), model(CALL, CALL), user(RESPONSE)]}, "Please ensure that the number of function"),
    ({"contents": [user({"inlineData": {"data": "AA=="}})]}, f"{_CONTENTS}[0].parts[0].inline_data.mime_type"),
    ({"contents": [user({"inlineData": {"mimeType": "a/b", "data": "!"}})]}, "Invalid value at 'contents[0].parts[0]"),
    ({"contents": [user({"fileData": {"mimeType": "a/b"}})]}, f"{_CONTENTS}[0].parts[0].file_data.file_uri"),
    ({"contents": "hi"}, "Invalid value at 'contents[0]' (type.googleapis.com/google.ai.generativelanguage"),
    ({"messages": []}, 'Invalid JSON payload received. Unknown name "messages": Cannot find field.'),
    ({"generationConfig": {"max_tokens": 9}}, 'Invalid JSON payload received. Unknown name "max_tokens" at'),
    ({"generationConfig": {"maxOutputTokens": 1.5}}, "Invalid value at 'generation_config.max_output_tokens'"),
    ({"generationConfig": {"maxOutputTokens": 0}}, f"{_CONFIG}.max_output_tokens: max_output_tokens must be in"),
    ({"generationConfig": {"temperature": 2.5}}, f"{_CONFIG}.temperature: temperature must be in the range [0, 2]"),
    ({"generationConfig": {"candidateCount": 9}}, f"{_CONFIG}.candidate_count: "),
    ({"generationConfig": {"stopSequences": list("abcdef")}}, "At most 5 stop sequences are supported."),
    ({"generationConfig": {"logprobs": 2}}, "logprobs is only supported when response_logprobs is true."),
    ({"generationConfig": {"responseMimeType": "text/html"}}, f"{_CONFIG}.response_mime_type: allowed mimetypes"),
    ({"generationConfig": {"responseSchema": {"type": "STRING"}}}, f"{_CONFIG}.response_mime_type: must be"),
    (
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}},
        f"{_CONFIG}.response_schema.properties: should be non-empty for OBJECT type",
    ),
    (
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 9, "thinkingLevel": "LOW"}}},
        "You can only set only one of thinking budget and thinking level.",
    ),
    ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "WILD"}}}, "Invalid value at 'generation_config.think"),
    ({"safetySettings": [{"category": "X", "threshold": "OFF"}]}, "Invalid value at 'safety_settings[0].category'"),
    ({"cachedContent": "cachedContents/x"}, "CachedContent not found (or permission denied)"),
    ({"systemInstruction": {"parts": [{"text": ""}]}}, "* GenerateContentRequest.system_instruction.parts[0].data"),
    ({"tools": [{}]}, "* GenerateContentRequest.tools[0].tool_type: "),
    ({"tools": [{"function_declarations": [{"name": "1x"}]}]}, "* GenerateContentRequest.tools[0].function_declara"),
    ({"tools": [*TOOLS, *TOOLS]}, "Duplicate function declaration found: weather"),
    (
        {"tools": [{"functionDeclarations": [{"name": "x", "parameters": {"$schema": "x"}}]}]},
        'Invalid JSON payload received. Unknown name "$schema" at',
    ),
    (
        {"tools": [{"functionDeclarations": [{"name": "x", "parameters": {"type": ["string", "null"]}}]}]},
        "Invalid value at 'tools[0].function_declarations[0].parameters.type'",
    ),
    (
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "x", "parameters": {"type": "object", "properties": {"a": {"type": "array"}}}}
                    ]
                }
            ]
        },
        "* GenerateContentRequest.tools[0].function_declarations[0].parameters.properties[a].items: missing field.",
    ),
    ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "Function calling config is set without"),
    (
        {"tools": TOOLS, "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["time"]}}},
        "Please set allowed_function_names only when function calling mode is ANY.",
    ),
    (
        {"tools": TOOLS, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}}},
        "allowed_function_names contains 'x'",
    ),
]


@pytest.mark.parametrize(("fields", "message"), _REFUSED, ids=[message[:60] for _, message in _REFUSED])
async def test_what_is_refused_and_why(upstream: ScriptedUpstream, fields: dict[str, Any], message: str) -> None:
    seen = await asked(upstream, **fields)

    error = seen.json["error"]
    assert (seen.status, error["code"]) in ((400, 400), (403, 403))
    assert error["status"] == ("INVALID_ARGUMENT" if seen.status == 400 else "PERMISSION_DENIED")
    assert error["message"].startswith(message)


async def test_all_that_is_wrong_is_told_at_once(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, top=1, generationConfig={"seed": "x", "foo": 2})

    details = seen.json["error"]["details"][0]
    assert details["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert [violation["description"] for violation in details["fieldViolations"]] == [
        'Invalid JSON payload received. Unknown name "top": Cannot find field.',
        "Invalid value at 'generation_config.seed' (TYPE_INT32), \"x\"",
        "Invalid JSON payload received. Unknown name \"foo\" at 'generation_config': Cannot find field.",
    ]


def snaked(value: Any) -> Any:
    """The same with its names in the other spelling, but for those that are the caller's own."""
    if isinstance(value, dict):
        return {snake(name): inner if name in ("args", "response") else snaked(inner) for name, inner in value.items()}
    return [snaked(each) for each in value] if isinstance(value, list) else value


def test_both_spellings_are_one() -> None:
    raw = {
        "contents": _CONVERSATION,
        "systemInstruction": {"parts": [{"text": "x"}]},
        "tools": TOOLS,
        "toolConfig": {"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["time"]}},
        "generationConfig": {"maxOutputTokens": "12", "thinkingConfig": {"includeThoughts": True}, "topP": None},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    }
    read = read_form(raw, GENERATE, FORMS)

    assert read == read_form(snaked(raw), GENERATE, FORMS)
    assert read["generationConfig"] == {"maxOutputTokens": 12, "thinkingConfig": {"includeThoughts": True}}
    assert read["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"
    assert read["contents"][1]["parts"][0]["functionCall"]["args"] == {"city": "Oslo"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(list(GENERATE.fields)), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*GENERATE.fields, "strange"]), _JSON))
def test_whatever_comes_is_read_or_refused(raw: dict[str, Any]) -> None:
    with contextlib.suppress(BadRequest):
        assert set(read_form(raw, GENERATE, FORMS)) <= set(GENERATE.fields)


def test_a_schema_becomes_the_json_schema_that_says_the_same() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "n": {"type": "INTEGER", "minimum": 2, "nullable": True},
            "tags": {"type": "ARRAY", "items": {"type": "STRING", "enum": ["a"]}, "maxItems": 3},
            "either": {"anyOf": [{"type": "STRING"}, {"type": "NULL"}]},
        },
        "required": ["n"],
        "propertyOrdering": ["n", "tags"],
    }

    assert json_schema(schema) == {
        "type": "object",
        "properties": {
            "n": {"type": ["integer", "null"], "minimum": 2},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a"]}, "maxItems": 3},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["n"],
    }


# --- what is answered ---------------------------------------------------------------------------


async def test_a_model_may_hold_colons_and_be_written_either_way(upstream: ScriptedUpstream) -> None:
    for path in ("/v1beta/models/words-2:pace=1:generateContent", "/v1/models/words-2%3Apace%3D1%3AgenerateContent"):
        seen = await exchange(upstream, asking(path, contents()))

        assert (seen.status, seen.json["modelVersion"]) == (200, "words-2:pace=1")
        assert seen.json["candidates"][0]["content"]["parts"] == [{"text": "word0 word1 "}]


async def test_the_two_kinds_of_streams_say_the_same(upstream: ScriptedUpstream) -> None:
    events = await streamed(upstream, "words-3")
    listed = await streamed(upstream, "words-3", query="")

    assert events.headers["content-type"] == "text/event-stream"
    assert events.body.count(b"\r\n\r\n") == events.body.count(b"\n") / 2 == len(payloads(events))
    assert listed.headers["content-type"].startswith("application/json")
    assert [each["candidates"] for each in json.loads(listed.body)] == [each["candidates"] for each in payloads(events)]


@pytest.mark.parametrize("directive", ["crlf", "comments", "cutsize=2", "fault=no-finish"])
async def test_a_list_stays_a_list(upstream: ScriptedUpstream, directive: str) -> None:
    seen = await streamed(upstream, f"words-3:{directive}", query="")

    assert len(json.loads(seen.body)) == 4


async def test_a_list_without_its_end(upstream: ScriptedUpstream) -> None:
    seen = await streamed(upstream, "words-3:fault=end@2", query="")
    assert len(json.loads(seen.body + b"]")) == 2

    seen = await streamed(upstream, "words-3:fault=error@1", query="")
    assert json.loads(seen.body)[1]["error"]["status"] == "UNAVAILABLE"


async def test_a_call_leaves_whole_and_the_first_is_signed(upstream: ScriptedUpstream) -> None:
    seen = await streamed(upstream, "tools-all", tools=TOOLS)

    parts = [part for told in payloads(seen) for part in told["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["name"] for part in parts] == ["weather", "time"]
    assert [part["functionCall"]["args"] for part in parts] == [{"city": "text"}, {}]
    assert ["thoughtSignature" in part for part in parts] == [True, False]
    assert upstream.journal()[-1].chunks == upstream.journal()[-1].billed.output_tokens == 3


async def test_a_broken_call_is_a_broken_response(upstream: ScriptedUpstream) -> None:
    seen = await streamed(upstream, "echo:fault=bad-json", tools=TOOLS)

    assert (seen.body.count(b"data: "), payloads(seen)) == (1, [])
    failed = payloads(await streamed(upstream, "echo:fault=failed", tools=TOOLS))
    assert failed[0]["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


async def test_a_call_that_is_cut_does_not_leave(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, tools=TOOLS, generationConfig={"maxOutputTokens": 1})

    candidate = seen.json["candidates"][0]
    assert (candidate["content"], candidate["finishReason"]) == ({"role": "model"}, "MAX_TOKENS")
    assert seen.json["usageMetadata"]["candidatesTokenCount"] == 1


async def test_a_signature_goes_back_where_it_came_from(upstream: ScriptedUpstream) -> None:
    first = (await asked(upstream, "thinking", tools=TOOLS)).json["candidates"][0]["content"]
    call = first["parts"][0]
    response = {"functionResponse": {**RESPONSE["functionResponse"], "id": call["functionCall"]["id"]}}
    bare = {name: value for name, value in call.items() if name != "thoughtSignature"}
    strict = {"tools": TOOLS}

    good = await asked(upstream, "thinking", strict, contents=[user("hi"), first, user(response)])
    missing = await asked(upstream, "thinking", strict, contents=[user("hi"), model(bare), user(response)])
    lenient = await asked(upstream, "echo", strict, contents=[user("hi"), model(bare), user(response)])
    earlier = [user("hi"), model(bare), user(response), model("so"), user("and now?")]
    past = await asked(upstream, "thinking", contents=earlier)

    assert base64.b64decode(call["thoughtSignature"])
    assert (good.status, missing.status, lenient.status, past.status) == (200, 400, 200, 200)
    assert "thought_signature" in missing.json["error"]["message"]
    assert good.json["candidates"][0]["content"]["parts"][0]["text"] == "sunny"


async def test_thoughts_beside_the_output(upstream: ScriptedUpstream) -> None:
    thinking = {"thinkingConfig": {"include_thoughts": True, "thinking_level": "low"}}
    seen = await asked(upstream, "thinking", generation_config=thinking)

    parts = seen.json["candidates"][0]["content"]["parts"]
    assert parts[:2] == [{"text": "Let me think.", "thought": True}, {"text": "one two"}]
    usage = seen.json["usageMetadata"]
    assert (usage["candidatesTokenCount"], usage["thoughtsTokenCount"], usage["totalTokenCount"]) == (2, 3, 7)
    assert upstream.journal()[-1].billed.output_tokens == 5


async def test_one_of_several_values_is_no_json(upstream: ScriptedUpstream) -> None:
    schema = {"type": "STRING", "enum": ["very good", "bad"]}
    config = {"responseMimeType": "text/x.enum", "responseSchema": schema}
    seen = await asked(upstream, generationConfig=config)

    assert seen.json["candidates"][0]["content"]["parts"] == [{"text": "very good"}]


async def test_what_was_found_is_told(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, body=contents("Grüße an alle"), tools=[{"google_search": {}}])

    found = seen.json["candidates"][0]["groundingMetadata"]
    segment = found["groundingSupports"][0]["segment"]
    assert found["webSearchQueries"] == ["Grüße an alle"]
    assert "Grüße an alle".encode()[: segment["endIndex"]].decode() == segment["text"] == "Grüße an alle"
    assert found["groundingChunks"][0]["web"]["uri"].startswith("https://")


async def test_a_prompt_that_is_blocked_has_no_candidates(upstream: ScriptedUpstream) -> None:
    whole = (await asked(upstream, "filtered-0")).json
    told = payloads(await streamed(upstream, "filtered-0"))

    assert whole["promptFeedback"]["blockReason"] == told[0]["promptFeedback"]["blockReason"] == "SAFETY"
    assert ("candidates" in whole, len(told)) == (False, 1)
    assert whole["usageMetadata"]["promptTokenCount"] == 2
    after_words = (await asked(upstream, "filtered-2")).json["candidates"][0]
    assert (after_words["finishReason"], after_words["content"]["parts"][0]["text"]) == ("SAFETY", "word0 word1 ")


async def test_vectors_one_and_many(upstream: ScriptedUpstream) -> None:
    one = {"model": "models/e", "content": {"parts": [{"text": "a b"}]}, "outputDimensionality": 8}
    single = await exchange(upstream, asking(gemini_path("e", "embedContent"), one))
    batch = await exchange(upstream, asking(gemini_path("e", "batchEmbedContents"), {"requests": [one, one]}))

    assert (len(single.json["embedding"]["values"]), len(batch.json["embeddings"])) == (8, 2)
    assert single.json["embedding"] == batch.json["embeddings"][0]
    assert [record.billed.input_tokens for record in upstream.journal()] == [2, 4]
    refused = await exchange(upstream, asking(gemini_path("e", "embedContent"), {"content": {"parts": []}}))
    assert (refused.status, refused.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
    failed = await exchange(upstream, asking(gemini_path("e:fault=503", "embedContent"), one))
    assert failed.status == 503


async def test_tokens_are_counted_without_an_answer(upstream: ScriptedUpstream) -> None:
    path = gemini_path("echo", "countTokens")
    inner = {"generateContentRequest": {**contents("one two"), "systemInstruction": {"parts": {"text": "three"}}}}

    assert (await exchange(upstream, asking(path, contents("one two")))).json["totalTokens"] == 2
    assert (await exchange(upstream, asking(path, inner))).json["totalTokens"] == 3
    assert (await exchange(upstream, asking(path, {**inner, **contents()}))).status == 400
    assert upstream.stats.input_tokens == 0
