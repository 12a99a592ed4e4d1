"""Conversations, chains and requests that are sent twice, by the official OpenAI client, strict."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.contract.conftest import begin_session, strict_client
from tests.serving import ADMIN_KEY, Served

WORDS = "Grüße an die 世界 🛎️"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}


def said(item: Any) -> tuple[str, str]:
    return item.role, item.content[0].text


# --- conversations ------------------------------------------------------------------------------


def test_a_conversation_takes_items_and_responses_and_lists_them_all(client: OpenAI) -> None:
    conversation = client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "My name is Ada."}], metadata={"topic": "names"}
    )
    answer = client.responses.create(model="fast", conversation=conversation.id, input=WORDS)
    client.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "user", "content": "Goodbye."}]
    )
    items = list(client.conversations.items.list(conversation.id, order="asc", limit=2))

    assert answer.conversation is not None
    assert answer.conversation.id == conversation.id
    assert [said(each) for each in items] == [
        ("user", "My name is Ada."),
        ("user", WORDS),
        ("assistant", WORDS),
        ("user", "Goodbye."),
    ]
    answered = client.conversations.items.retrieve(answer.output[0].id or "", conversation_id=conversation.id)
    assert answered == items[2]


def test_a_conversation_that_is_deleted_leaves_its_responses(client: OpenAI) -> None:
    conversation = client.conversations.create()
    answer = client.responses.create(model="fast", conversation=conversation.id, input=WORDS)

    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)
    with pytest.raises(openai.NotFoundError) as refused:
        client.responses.create(model="fast", conversation=conversation.id, input=WORDS)
    assert refused.value.code == "conversation_not_found"
    assert client.responses.retrieve(answer.id).output_text == WORDS


def test_a_response_behind_an_earlier_item_begins_a_branch_that_is_chosen(client: OpenAI) -> None:
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "one"}])
    client.responses.create(model="fast", conversation=conversation.id, input="two")
    (first,) = client.conversations.items.list(conversation.id, order="asc", limit=1).data
    named: Any = {"id": conversation.id, "after": first.id}
    client.responses.create(model="fast", conversation=named, input="another two")

    assert [said(each)[1] for each in client.conversations.items.list(conversation.id, order="asc")] == [
        "one",
        "another two",
        "another two",
    ]


def test_a_conversation_is_locked_while_it_is_answered(client: OpenAI) -> None:
    conversation = client.conversations.create()
    begun = client.responses.create(model="crawling", conversation=conversation.id, input=WORDS, background=True)

    with pytest.raises(openai.ConflictError) as refused:
        client.responses.create(model="fast", conversation=conversation.id, input=WORDS)
    client.responses.cancel(begun.id)

    assert refused.value.code == "conversation_locked"
    assert refused.value.response.headers["retry-after"] == "1"
    assert client.responses.create(model="fast", conversation=conversation.id, input="And now?").output_text


def test_another_s_conversation_is_not_there(client: OpenAI, served: Served) -> None:
    conversation = client.conversations.create()
    token = begin_session(served, user="a stranger of conversations")["token"]

    with strict_client(served, token) as stranger:
        for ask in (
            lambda: stranger.conversations.retrieve(conversation.id),
            lambda: stranger.conversations.items.list(conversation.id),
            lambda: stranger.conversations.delete(conversation.id),
            lambda: stranger.responses.create(model="fast", conversation=conversation.id, input=WORDS),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()


# --- chains -------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [True, False])
def test_the_output_of_a_tool_is_all_that_a_chain_needs(client: OpenAI, is_streamed: bool) -> None:
    def ask(**fields: Any) -> Any:
        if not is_streamed:
            return client.responses.create(model="fast", tools=[WEATHER], **fields)
        events: list[Any] = list(client.responses.create(model="fast", tools=[WEATHER], stream=True, **fields))
        return events[-1].response

    first = ask(input=WORDS)
    (call,) = (item for item in first.output if item.type == "function_call")
    city = json.loads(call.arguments)["city"]
    second = ask(
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": f"sunny in {city}"}],
    )

    assert second.output_text == "sunny in text"
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens


def test_what_is_gone_cannot_be_gone_on_with(client: OpenAI) -> None:
    gone = client.responses.create(model="fast", input=WORDS)
    client.responses.delete(gone.id)

    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="fast", input=WORDS, previous_response_id=gone.id)
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


# --- once ---------------------------------------------------------------------------------------


class Losing(httpx2.HTTPTransport):
    """A network that loses the first reply, after the server has sent all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[tuple[str, str, str | None]] = []  # the id, the key, whether it was told again

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        reply = super().handle_request(request)
        id_told = json.loads(reply.read())["id"]
        self.replies.append((id_told, request.headers["idempotency-key"], reply.headers.get("idempotent-replayed")))
        if len(self.replies) == 1:
            raise httpx2.ReadError("the network is gone", request=request)
        return reply


ASKED_ONCE: dict[str, Callable[[OpenAI, dict[str, str]], Any]] = {
    "response": lambda client, key: client.responses.create(model="fast", input=WORDS, extra_headers=key),
    "background": lambda client, key: client.responses.create(
        model="fast", input=WORDS, background=True, extra_headers=key
    ),
    "chat": lambda client, key: client.chat.completions.create(
        model="fast", messages=[{"role": "user", "content": WORDS}], extra_headers=key
    ),
    "conversation": lambda client, key: client.conversations.create(metadata={"topic": "lost"}, extra_headers=key),
}


@pytest.mark.parametrize("what", ASKED_ONCE)
def test_what_is_asked_again_because_its_reply_was_lost_is_made_once(served: Served, what: str) -> None:
    network, key = Losing(), str(uuid.uuid4())
    with OpenAI(
        base_url=f"{served.url}/v1",
        api_key=ADMIN_KEY,
        max_retries=1,
        _strict_response_validation=True,
        http_client=openai.DefaultHttpxClient(transport=network),
    ) as client:
        made = ASKED_ONCE[what](client, {"Idempotency-Key": key})

    assert network.replies == [(made.id, key, None), (made.id, key, "true")]


def test_a_key_is_of_one_request(client: OpenAI) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    client.responses.create(model="fast", input=WORDS, extra_headers=key)

    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.responses.create(model="fast", input="Something else", extra_headers=key)
    assert refused.value.code == "idempotency_key_reused"


def test_what_was_not_stored_is_not_told_again(client: OpenAI) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    client.responses.create(model="fast", input=WORDS, store=False, extra_headers=key)

    with pytest.raises(openai.ConflictError) as refused:
        client.responses.create(model="fast", input=WORDS, store=False, extra_headers=key)
    assert refused.value.code == "idempotency_answer_not_kept"
    assert refused.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(("model", "is_asked_again"), [("nowhere", True), ("busy", True), ("broken", False)])
def test_a_key_is_given_back_unless_a_provider_was_asked(client: OpenAI, model: str, is_asked_again: bool) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    refusals: list[httpx2.Headers] = []
    for _ in range(2):
        with pytest.raises(openai.APIStatusError) as refused:
            client.responses.create(model=model, input=WORDS, extra_headers=key)
        refusals.append(refused.value.response.headers)

    assert [each.get("idempotent-replayed") for each in refusals] == [None, None if is_asked_again else "true"]
    assert [each.get("x-should-retry") for each in refusals] == [None if is_asked_again else "false"] * 2
