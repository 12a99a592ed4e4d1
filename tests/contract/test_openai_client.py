"""The official OpenAI client, strict, finds nothing to object to."""

from __future__ import annotations

import base64
from array import array
from functools import partial
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.contract.conftest import begin_session, strict_client
from tests.serving import ADMIN_KEY, Served

MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße an die 世界 🛎️"}]
WORDS = "Grüße an die 世界 🛎️"
PICTURE = "data:image/png;base64,iVBORw0KGgo="
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
FLAT_WEATHER: Any = {"type": "function", **WEATHER["function"]}


class Place(BaseModel):
    name: str
    population: int
    rivers: list[str]


# --- chat completions ---------------------------------------------------------------------------


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="fast", messages=MESSAGES)

    assert answer.choices[0].message.content == WORDS
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "fast"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@pytest.mark.parametrize("includes_usage", [True, False])
def test_chat_streamed(client: OpenAI, includes_usage: bool) -> None:
    chunks = list(
        client.chat.completions.create(
            model="fast", messages=MESSAGES, stream=True, stream_options={"include_usage": includes_usage}
        )
    )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == WORDS
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert (chunks[-1].usage is not None) == includes_usage
    assert sum(chunk.usage is not None for chunk in chunks) == int(includes_usage)
    assert len({chunk.id for chunk in chunks}) == 1


def test_chat_without_a_model_takes_the_default(client: OpenAI) -> None:
    assert client.chat.completions.create(messages=MESSAGES, model="").model == "fast"


def test_chat_with_several_choices(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="fast", messages=MESSAGES, n=3)

    assert [(choice.index, choice.message.content) for choice in answer.choices] == [(n, WORDS) for n in range(3)]


def test_chat_with_a_picture(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="fast",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look here"},
                    {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                ],
            }
        ],
    )

    assert answer.choices[0].message.content == "Look here [image]"


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "weather"}}])
def test_chat_with_tools(client: OpenAI, choice: Any) -> None:
    answer = client.chat.completions.create(model="fast", messages=MESSAGES, tools=[WEATHER], tool_choice=choice)

    call = (answer.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "text", "days": 2}')
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None


def test_chat_with_tools_streamed(client: OpenAI) -> None:
    with client.chat.completions.stream(model="fast", messages=MESSAGES, tools=[WEATHER]) as stream:
        final = stream.get_final_completion()

    call = (final.choices[0].message.tool_calls or [])[0]
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "text", "days": 2}')


def test_a_tool_loop_ends_with_an_answer(client: OpenAI) -> None:
    first = client.chat.completions.create(model="fast", messages=MESSAGES, tools=[WEATHER])
    calls = first.choices[0].message.tool_calls or []
    told: Any = [
        *MESSAGES,
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
    ]
    second = client.chat.completions.create(model="fast", messages=told, tools=[WEATHER])

    assert second.choices[0].message.content == "sunny"


def test_chat_parsed_to_a_model(client: OpenAI) -> None:
    answer = client.chat.completions.parse(model="fast", messages=MESSAGES, response_format=Place)

    assert answer.choices[0].message.parsed == Place(name="text", population=1, rivers=["text"])


def test_chat_cut_short(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="fast", messages=MESSAGES, max_completion_tokens=2)

    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "Grüße an"


def test_chat_declined(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="declining", messages=MESSAGES)

    assert answer.choices[0].message.refusal == "I cannot help with that."
    assert answer.choices[0].message.content is None


# --- responses ----------------------------------------------------------------------------------


def test_responses(client: OpenAI) -> None:
    response = client.responses.create(
        model="fast", instructions="Be brief.", input=WORDS, metadata={"feature": "test"}
    )

    assert response.output_text == WORDS
    assert response.status == "completed"
    assert response.instructions == "Be brief."
    assert response.metadata == {"feature": "test"}
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_responses_stream_helper(client: OpenAI) -> None:
    with client.responses.stream(model="fast", input=WORDS) as stream:
        events: list[Any] = list(stream)
        final = stream.get_final_response()

    assert final.output_text == WORDS
    assert [event.type for event in events if "delta" not in event.type] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == WORDS


def test_responses_streamed_equals_unstreamed(client: OpenAI) -> None:
    for model in ("fast", "thinking", "declining", "short"):
        whole = client.responses.create(model=model, input=WORDS)
        last: Any = list(client.responses.create(model=model, input=WORDS, stream=True))[-1]

        assert last.type == ("response.incomplete" if model == "short" else "response.completed")
        assert _plain(last.response) == _plain(whole)


def _plain(response: Any) -> dict[str, Any]:
    fields = response.model_dump(exclude={"id", "created_at", "completed_at"})
    for item in fields["output"]:
        del item["id"]
    return fields


def test_responses_with_items_and_a_picture(client: OpenAI) -> None:
    response = client.responses.create(
        model="fast",
        input=[
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "well"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "second"},
                    {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
                ],
            },
        ],
    )

    assert response.output_text == "second [image]"


def test_responses_incomplete(client: OpenAI) -> None:
    response = client.responses.create(model="fast", input=WORDS, max_output_tokens=2)

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"  # type: ignore[union-attr]


def test_responses_thinking(client: OpenAI) -> None:
    response = client.responses.create(model="thinking", input="x")

    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text == "Let me think."  # type: ignore[union-attr,index]


def test_responses_with_tools(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "Weather?"}]
    first = client.responses.create(model="fast", input=asked, tools=[FLAT_WEATHER])
    call = first.output[0]
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("weather", '{"city": "text", "days": 2}')

    told: Any = [
        *asked,
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    second = client.responses.create(
        model="fast",
        input=told,
        tools=[FLAT_WEATHER],
    )
    assert second.output_text == "sunny"


def test_responses_tools_streamed(client: OpenAI) -> None:
    with client.responses.stream(model="fast", input="Weather?", tools=[FLAT_WEATHER]) as stream:
        names = [event.type for event in stream]
        final = stream.get_final_response()

    assert "response.function_call_arguments.delta" in names
    assert "response.function_call_arguments.done" in names
    assert final.output[0].arguments == '{"city": "text", "days": 2}'  # type: ignore[union-attr]


def test_responses_custom_tool(client: OpenAI) -> None:
    response = client.responses.create(
        model="fast", input="free words", tools=[{"type": "custom", "name": "note"}], tool_choice="required"
    )

    call = response.output[0]
    assert call.type == "custom_tool_call"
    assert (call.name, call.input) == ("note", "free words")


def test_responses_parsed_to_a_model(client: OpenAI) -> None:
    response = client.responses.parse(model="fast", input="x", text_format=Place)

    assert response.output_parsed == Place(name="text", population=1, rivers=["text"])


def test_responses_cancelled(client: OpenAI) -> None:
    stream = client.responses.create(model="crawling", input="one two three four five six", stream=True)
    events: list[Any] = []
    for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta" and event.delta == "one":
            cancelled = client.responses.cancel(events[0].response.id)
            assert cancelled.status == "cancelled"
            assert cancelled.output_text == "one"

    assert events[-1].type == "response.incomplete"
    assert events[-1].response.status == "cancelled"
    assert events[-1].response.output_text == "one"


def test_anothers_response_cannot_be_cancelled(client: OpenAI, served: Served) -> None:
    stranger = strict_client(served, begin_session(served, user="stranger")["token"])
    stream = client.responses.create(model="slow", input="one two three", stream=True)
    first: Any = next(iter(stream))

    with pytest.raises(openai.NotFoundError):
        stranger.responses.cancel(first.response.id)
    assert list(stream)[-1].type == "response.completed"


# --- embeddings, models -------------------------------------------------------------------------


def test_embeddings(client: OpenAI, served: Served) -> None:
    numbers = client.embeddings.create(model="embed", input=["one", "two"], encoding_format="float")
    # The strict client objects to base64, though it asks for it by itself: it checks its types before
    # it decodes. So base64 is read from the raw body, and numbers are asked for by name.
    encoded = httpx2.post(
        f"{served.url}/v1/embeddings",
        json={"model": "embed", "input": ["one", "two"], "encoding_format": "base64"},
        headers={"Authorization": f"Bearer {ADMIN_KEY}"},
    ).json()
    single = client.embeddings.create(model="embed", input="two", dimensions=8, encoding_format="float")

    assert [entry.index for entry in numbers.data] == [0, 1]
    assert len(numbers.data[0].embedding) == 64
    decoded = array("f", base64.b64decode(encoded["data"][1]["embedding"]))
    assert decoded.tolist() == numbers.data[1].embedding
    assert len(single.data[0].embedding) == 8
    assert numbers.usage.prompt_tokens == 2


def test_models(client: OpenAI, served: Served) -> None:
    assert "fast" in [model.id for model in client.models.list()]
    assert client.models.retrieve("fast").id == "fast"
    free = strict_client(served, begin_session(served, user="m1", tier="free")["token"])
    assert [model.id for model in free.models.list()] == ["fast", "slow", "embed"]
    with pytest.raises(openai.NotFoundError):
        free.models.retrieve("thinking")


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["chat", "responses"])
@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize(
    ("model", "status", "kind", "code"),
    [
        ("nonsense", 404, openai.NotFoundError, "model_not_found"),
        ("embed", 400, openai.BadRequestError, "wrong_model_kind"),
        ("broken", 502, openai.InternalServerError, "provider_error"),
        ("busy", 503, openai.InternalServerError, "provider_busy"),
        ("late", 504, openai.InternalServerError, "provider_timeout"),
    ],
)
def test_errors_before_the_first_word_keep_their_status(
    client: OpenAI, door: str, is_streaming: bool, model: str, status: int, kind: type[openai.APIStatusError], code: str
) -> None:
    doors: Any = {
        "chat": partial(client.chat.completions.create, messages=MESSAGES),
        "responses": partial(client.responses.create, input="x"),
    }
    with pytest.raises(kind) as caught:
        doors[door](model=model, stream=is_streaming)

    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert "scripted" not in caught.value.message


def test_a_broken_stream_says_so(client: OpenAI) -> None:
    events: list[Any] = list(client.responses.create(model="cut", input="x", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "failed"
    assert events[-1].response.output_text == "word0 word1 word2 "

    texts: list[str | None] = []
    with pytest.raises(openai.APIError, match="did not answer properly"):
        texts.extend(
            chunk.choices[0].delta.content
            for chunk in client.chat.completions.create(model="cut", messages=MESSAGES, stream=True)
        )
    assert "".join(text or "" for text in texts) == "word0 word1 word2 "


def test_the_next_route_answers(client: OpenAI, served: Served) -> None:
    answer = client.chat.completions.create(model="rescued", messages=MESSAGES)

    assert answer.choices[0].message.content == WORDS
    served.wait_for_rows(
        f"select provider, model, status from attempt where turn = '{answer.id}' order by number",
        [("scripted", "error-500", "failed"), ("scripted", "echo", "completed")],
    )


def test_requests_a_minute(served: Served) -> None:
    free = strict_client(served, begin_session(served, user="hasty", tier="free")["token"])
    for _ in range(3):
        free.chat.completions.create(model="fast", messages=MESSAGES)

    with pytest.raises(openai.RateLimitError) as caught:
        free.chat.completions.create(model="fast", messages=MESSAGES)

    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 20


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("fd_st_forged.token", "invalid_token"),
        ("fd_sk_unknown", "invalid_api_key"),
        ("sk-proj-some-provider-key", "invalid_api_key"),
    ],
)
def test_forged_credentials(served: Served, token: str, code: str) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        strict_client(served, token).chat.completions.create(model="fast", messages=MESSAGES)

    assert caught.value.code == code
    assert token not in caught.value.message
