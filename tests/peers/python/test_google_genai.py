"""Google's own client against the scripted upstream: every kind of part, checked against the package's types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import KEY, Upstream
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

PIXEL = b"no picture, but bytes"
Config = types.GenerateContentConfig


class Place(BaseModel):
    name: str
    rivers: list[str]


@pytest.fixture
def client(upstream: Upstream) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=upstream.url, timeout=30_000)
    with genai.Client(api_key=KEY, http_options=options) as opened:
        yield opened


def weather(city: str) -> str:
    """Tell the weather."""
    return f"Sun over {city}"


def both(client: genai.Client, model: str, contents: Any = "hello there", config: Any = None) -> Any:
    """Ask whole and streamed: both say the same, use the same and stop for the same reason."""
    whole = client.models.generate_content(model=model, contents=contents, config=config)
    chunks = list(client.models.generate_content_stream(model=model, contents=contents, config=config))
    assert whole.candidates
    assert chunks[-1].candidates
    last = chunks[-1].candidates[0]
    assert (whole.candidates[0].finish_reason, whole.usage_metadata) == (last.finish_reason, chunks[-1].usage_metadata)
    texts = [part.text or "" for chunk in chunks for part in parts_of(chunk) if not part.thought]
    assert "".join(texts) == "".join(part.text or "" for part in parts_of(whole) if not part.thought)
    return whole


def parts_of(answer: types.GenerateContentResponse) -> list[types.Part]:
    content = answer.candidates[0].content if answer.candidates else None
    return (content.parts or []) if content else []


# --- words --------------------------------------------------------------------------------------


def test_an_answer(client: genai.Client, upstream: Upstream) -> None:
    answer = both(client, "gemini-2.5-flash", config=Config(system_instruction="Be brief.", seed=1, top_k=3))

    assert (answer.text, answer.model_version) == ("hello there", "gemini-2.5-flash")
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (4, 2, 6)
    assert upstream.billed() == (4, 2)


async def test_an_answer_without_waiting(upstream: Upstream) -> None:
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=upstream.url, timeout=30_000))
    stream = await client.aio.models.generate_content_stream(model="words-3", contents="hi")

    assert [chunk.text async for chunk in stream] == ["word0 ", "word1 ", "word2 ", ""]


@pytest.mark.parametrize("alt", ["?alt=sse", ""])
def test_every_raw_response_is_of_the_packages_type(upstream: Upstream, alt: str) -> None:
    asked = {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": ""}}]}
        ],
        "tools": [{"googleSearch": {}}],
        "generationConfig": {
            "thinkingConfig": {"includeThoughts": True},
            "responseLogprobs": True,
            "logprobs": 2,
            "candidateCount": 2,
        },
    }
    path = f"/v1beta/models/thinking:streamGenerateContent{alt}"
    if alt:
        payloads = upstream.events(path, asked, x_goog_api_key=KEY)
    else:
        payloads = json.loads(upstream.send(path, asked, x_goog_api_key=KEY))
    # The package refuses what it does not know.
    seen = [types.GenerateContentResponse.model_validate(payload) for payload in payloads]

    assert {candidate.index for each in seen for candidate in each.candidates or ()} == {0, 1}
    assert any(part.thought for each in seen for part in parts_of(each))
    assert seen[-1].candidates
    assert seen[-1].candidates[0].grounding_metadata is not None
    assert seen[-1].candidates[0].avg_logprobs is not None
    assert any(candidate.logprobs_result for each in seen for candidate in each.candidates or ())


@pytest.mark.parametrize(
    ("model", "config", "reason"),
    [
        ("words-9", Config(max_output_tokens=3), "MAX_TOKENS"),
        ("echo", Config(stop_sequences=[" there"]), "STOP"),
        ("filtered", None, "SAFETY"),
        ("refusal", None, "STOP"),
        ("length", None, "MAX_TOKENS"),
    ],
)
def test_why_an_answer_stops(client: genai.Client, model: str, config: Any, reason: str) -> None:
    assert both(client, model, config=config).candidates[0].finish_reason.value == reason


def test_a_prompt_that_is_blocked(client: genai.Client) -> None:
    answer = client.models.generate_content(model="filtered-0", contents="hi")

    assert answer.candidates is None
    assert answer.prompt_feedback is not None
    assert answer.prompt_feedback.block_reason == types.BlockedReason.SAFETY


def test_pictures_and_files_are_taken(client: genai.Client) -> None:
    contents = [
        types.Part.from_bytes(data=PIXEL, mime_type="image/png"),
        types.Part.from_uri(file_uri="https://example.com/a.pdf", mime_type="application/pdf"),
        "What is this?",
    ]
    answer = both(client, "echo", contents)

    assert answer.text == "[image] [file] What is this?"
    details = answer.usage_metadata.prompt_tokens_details
    assert [(each.modality.value, each.token_count) for each in details] == [("TEXT", 4), ("IMAGE", 85)]


def test_several_candidates(client: genai.Client) -> None:
    answer = client.models.generate_content(model="varied-3:seed=4", contents="hi", config=Config(candidate_count=3))

    texts = ["".join(part.text or "" for part in each.content.parts) for each in answer.candidates or ()]
    assert len(set(texts)) == 3
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count == 9


# --- tools --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["echo", "thinking"])
def test_a_tool_is_run_and_its_result_used(client: genai.Client, model: str) -> None:
    """The script `thinking` refuses a call that comes back without its signature."""
    chat = client.chats.create(model=model, config=Config(tools=[weather]))

    first = chat.send_message("How is it? The city is Bergen.")
    second = chat.send_message("How is it? The city is Oslo.")

    assert (first.text, second.text) == ("Sun over Bergen", "Sun over Oslo")


def test_a_call_without_its_signature_is_refused(client: genai.Client) -> None:
    contents = [
        types.Content(role="user", parts=[types.Part(text="hi")]),
        types.Content(role="model", parts=[types.Part.from_function_call(name="weather", args={"city": "Oslo"})]),
        types.Content(role="user", parts=[types.Part.from_function_response(name="weather", response={"x": 1})]),
    ]
    assert client.models.generate_content(model="echo", contents=contents).text == '{"x":1}'
    with pytest.raises(errors.ClientError, match="thought_signature"):
        client.models.generate_content(model="thinking", contents=contents)


@pytest.mark.parametrize(
    ("mode", "allowed", "called"),
    [
        ("AUTO", None, ["weather", "time"]),
        ("ANY", None, ["weather", "time"]),
        ("ANY", ["time"], ["time"]),
        ("VALIDATED", None, ["weather", "time"]),
        ("NONE", None, []),
    ],
)
def test_tools_are_called_as_chosen(client: genai.Client, mode: Any, allowed: Any, called: list[str]) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    declared = [
        types.FunctionDeclaration(name="weather", description="Tells it.", parameters_json_schema=schema),
        types.FunctionDeclaration(name="time", description="Tells it."),
    ]
    calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=allowed)
    config = Config(
        tools=[types.Tool(function_declarations=declared)],
        tool_config=types.ToolConfig(function_calling_config=calling),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    chunks = list(client.models.generate_content_stream(model="tools-all", contents="hi", config=config))
    whole = client.models.generate_content(model="tools-all", contents="hi", config=config)

    assert [call.name for chunk in chunks for call in chunk.function_calls or ()] == called
    assert [call.name for call in whole.function_calls or ()] == called
    signed = [part.thought_signature is not None for part in parts_of(whole) if part.function_call]
    assert signed == [True, *[False] * (len(called) - 1)][: len(called)]


def test_an_answer_is_of_the_type_that_is_asked_for(client: genai.Client) -> None:
    config = Config(response_mime_type="application/json", response_schema=Place)

    assert both(client, "echo", "name: Oslo", config).parsed == Place(name="Oslo", rivers=["text"])


@pytest.mark.parametrize(("budget", "shown", "thought"), [(None, True, 3), (None, False, 3), (0, True, None)])
def test_thoughts_are_shown_and_told(client: genai.Client, budget: Any, shown: bool, thought: Any) -> None:
    thinking = types.ThinkingConfig(include_thoughts=shown, thinking_budget=budget)
    answer = both(client, "thinking", config=Config(thinking_config=thinking))

    texts = [part.text for part in parts_of(answer) if part.thought]
    assert texts == (["Let me think."] if shown and thought else [])
    assert answer.usage_metadata.thoughts_token_count == thought
    assert answer.usage_metadata.total_token_count == 4 + (thought or 0)


# --- counting, vectors, models, errors ----------------------------------------------------------


def test_tokens_are_counted_as_they_are_billed(client: genai.Client) -> None:
    assert client.models.count_tokens(model="echo", contents="one two three").total_tokens == 3


def test_vectors(client: genai.Client) -> None:
    config = types.EmbedContentConfig(output_dimensionality=16, task_type="RETRIEVAL_QUERY")
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["a b", "c"], config=config)

    assert [len(each.values or ()) for each in answer.embeddings or ()] == [16, 16]
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.prompt_token_count == 3


def test_models_are_listed_page_by_page(client: genai.Client) -> None:
    names = [model.name for model in client.models.list(config={"page_size": 5})]

    assert len(names) == len(set(names)) > 10
    assert client.models.get(model="words-5").name == "models/words-5"


@pytest.mark.parametrize(
    ("status", "kind", "named"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
        (503, errors.ServerError, "UNAVAILABLE"),
        (504, errors.ServerError, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_are_the_packages_own(
    client: genai.Client, status: int, kind: type[errors.APIError], named: str
) -> None:
    with pytest.raises(kind) as raised:
        client.models.generate_content(model=f"echo:fault={status}", contents="hi")

    assert (raised.value.code, raised.value.status) == (status, named)


def test_an_error_inside_a_stream(client: genai.Client) -> None:
    with pytest.raises(errors.ServerError, match="UNAVAILABLE"):
        list(client.models.generate_content_stream(model="words-5:fault=error@2", contents="hi"))


def test_a_wrong_key(upstream: Upstream) -> None:
    stranger = genai.Client(api_key="wrong", http_options=types.HttpOptions(base_url=upstream.url))
    with pytest.raises(errors.ClientError, match="API key not valid"):
        stranger.models.generate_content(model="echo", contents="hi")
