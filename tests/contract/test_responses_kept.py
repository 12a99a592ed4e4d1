"""Stored responses and chat completions, by the official OpenAI client, strict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.contract.conftest import begin_session, strict_client
from tests.serving import ADMIN_KEY, Served

WORDS = "one two three four five six"


def events_of(stream: Any) -> list[Any]:
    return list(stream)


@pytest.fixture
def lenient(served: Served) -> Iterator[OpenAI]:
    """A client for the messages of users, which the types of the SDK's answers say are all the assistant's."""
    with OpenAI(base_url=f"{served.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30) as opened:
        yield opened


def until(read: Callable[[], Response], is_so: Callable[[Response], bool], timeout_s: float = 15) -> Response:
    """Ask again until what is read is so."""
    deadline = time.monotonic() + timeout_s
    while not is_so(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


# --- retrieving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["fast", "thinking", "short", "declining"])
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_response_is_retrieved_as_it_was_answered(client: OpenAI, model: str, is_streamed: bool) -> None:
    asked: dict[str, Any] = {"model": model, "input": WORDS, "metadata": {"of": "a test"}}
    answered = (
        events_of(client.responses.create(**asked, stream=True))[-1].response
        if is_streamed
        else client.responses.create(**asked)
    )

    assert client.responses.retrieve(answered.id) == answered


def test_a_stream_is_told_again_from_any_place(client: OpenAI) -> None:
    told = events_of(client.responses.create(model="thinking", input=WORDS, stream=True))
    response_id = told[0].response.id

    for after in (None, *range(len(told))):
        cursor: dict[str, Any] = {} if after is None else {"starting_after": after}
        again = events_of(client.responses.retrieve(response_id, stream=True, **cursor))
        assert again == told[0 if after is None else after + 1 :]


def test_each_event_has_an_id_that_goes_on_from_it(client: OpenAI, served: Served) -> None:
    response_id = client.responses.create(model="fast", input=WORDS, stream=True).response.headers["x-request-id"]
    url = f"{served.url}/v1/responses/{response_id}?stream=true"
    secret = {"Authorization": f"Bearer {ADMIN_KEY}"}

    whole = httpx2.get(url, headers=secret).text
    rest = httpx2.get(url, headers={**secret, "Last-Event-ID": "4"}).text
    both = httpx2.get(f"{url}&starting_after=4", headers={**secret, "Last-Event-ID": "4"}).text
    neither = httpx2.get(f"{url}&starting_after=5", headers={**secret, "Last-Event-ID": "4"})

    frames = [block for block in whole.split("\n\n") if block.startswith("id: ")]
    assert [block.split("\n")[0] for block in frames] == [f"id: {place}" for place in range(len(frames))]
    assert [block for block in rest.split("\n\n") if block.startswith("id: ")] == frames[5:]
    assert both == rest
    assert (neither.status_code, neither.json()["error"]["param"]) == (400, "starting_after")


def test_of_an_answer_that_was_not_streamed_a_cursor_gets_the_last_word(client: OpenAI) -> None:
    answered = client.responses.create(model="fast", input=WORDS)

    whole = events_of(client.responses.retrieve(answered.id, stream=True))
    rest = events_of(client.responses.retrieve(answered.id, stream=True, starting_after=2))

    assert [event.sequence_number for event in whole] == list(range(len(whole)))
    assert "".join(event.delta for event in whole if event.type == "response.output_text.delta") == WORDS
    assert whole[-1].response == answered
    assert [(event.type, event.sequence_number, event.response) for event in rest] == [
        ("response.completed", 3, answered)
    ]


def test_a_stream_that_failed_is_told_with_its_failure(client: OpenAI) -> None:
    told = events_of(client.responses.create(model="cut", input=WORDS, stream=True))

    again = events_of(client.responses.retrieve(told[0].response.id, stream=True))
    retrieved = client.responses.retrieve(told[0].response.id)

    assert again == told
    assert (retrieved.status, retrieved.error) == ("failed", told[-1].response.error)


def test_obfuscation_and_includes_are_a_reader_s_own(client: OpenAI) -> None:
    response_id = events_of(client.responses.create(model="fast", input=WORDS, stream=True))[0].response.id
    retrieve: Any = client.responses.retrieve

    hidden = events_of(
        retrieve(response_id, stream=True, include_obfuscation=True, include=["message.output_text.logprobs"])
    )

    deltas = [event for event in hidden if event.type == "response.output_text.delta"]
    assert all(event.model_extra["obfuscation"] for event in deltas)
    assert "".join(event.delta for event in deltas) == WORDS


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("include=nothing", "include"),
        ("stream=yes", "stream"),
        ("starting_after=-1", "starting_after"),
        ("starting_after=1.5", "starting_after"),
        ("starting_after=%D9%A3", "starting_after"),
        ("include_obfuscation=1", "include_obfuscation"),
        ("foo=1", "foo"),
    ],
)
def test_what_a_retrieval_cannot_say_is_refused(client: OpenAI, served: Served, query: str, param: str) -> None:
    response_id = client.responses.create(model="fast", input=WORDS).id

    answer = httpx2.get(
        f"{served.url}/v1/responses/{response_id}?{query}", headers={"Authorization": f"Bearer {ADMIN_KEY}"}
    )

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


# --- in the background --------------------------------------------------------------------------


def test_a_response_in_the_background_is_waited_for(client: OpenAI) -> None:
    begun = client.responses.create(model="slow", input=WORDS, background=True)
    seen = events_of(client.responses.retrieve(begun.id, stream=True))
    ended = until(lambda: client.responses.retrieve(begun.id), lambda found: found.status == "completed")

    assert begun.status == "queued"
    assert [event.type for event in seen[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert (seen[-1].type, seen[-1].response) == ("response.completed", ended)
    assert ended.output_text == WORDS


def test_a_stream_in_the_background_is_gone_on_with(client: OpenAI) -> None:
    told = []
    with client.responses.create(model="slow", input=WORDS, background=True, stream=True) as stream:
        for event in stream:
            told.append(event)
            if event.type == "response.output_text.delta":
                break
    rest = events_of(client.responses.retrieve(
        told[0].response.id, stream=True, starting_after=told[-1].sequence_number
    ))  # fmt: skip

    assert [event.sequence_number for event in (*told, *rest)] == list(range(len(told) + len(rest)))
    assert rest[-1].response.output_text == WORDS


# --- cancelling and deleting --------------------------------------------------------------------


def test_cancelling_twice_is_as_good_as_once(client: OpenAI) -> None:
    begun = client.responses.create(model="crawling", input=WORDS, background=True)

    first = client.responses.cancel(begun.id)
    second = client.responses.cancel(begun.id)

    assert (first.status, second) == ("cancelled", first)
    assert client.responses.retrieve(begun.id) == first


def test_cancelling_what_has_ended_returns_it(client: OpenAI) -> None:
    answered = client.responses.create(model="fast", input=WORDS)

    assert client.responses.cancel(answered.id) == answered


def test_a_response_that_is_not_stored_is_cancelled_while_it_is_made(client: OpenAI) -> None:
    with client.responses.create(model="crawling", input=WORDS, stream=True, store=False) as stream:
        response_id = next(iter(stream)).response.id  # type: ignore[union-attr]

        assert client.responses.cancel(response_id).status == "cancelled"
        for again in (client.responses.cancel, client.responses.retrieve):
            with pytest.raises(openai.NotFoundError):
                until(lambda: again(response_id), lambda _: False, 2)  # noqa: B023 - called at once


def test_a_deleted_response_is_gone_with_all_that_is_told_of_it(client: OpenAI, served: Served) -> None:
    response_id = events_of(client.responses.create(model="fast", input=WORDS, stream=True))[0].response.id

    assert client.responses.delete(response_id) is None
    for ask in (
        client.responses.retrieve,
        client.responses.delete,
        client.responses.cancel,
        client.responses.input_items.list,
    ):
        with pytest.raises(openai.NotFoundError) as failure:
            ask(response_id)
        assert failure.value.code == "response_not_found"
    for table, column in (("response", "id"), ("response_text", "response"), ("response_event", "response")):
        assert served.rows(f"select count(*) from {table} where {column} = '{response_id}'") == [(0,)]


def test_a_response_that_is_being_made_is_ended_and_deleted(client: OpenAI, served: Served) -> None:
    begun = client.responses.create(model="crawling", input=WORDS, background=True)

    answer = httpx2.delete(
        f"{served.url}/v1/responses/{begun.id}", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30
    )

    assert answer.json() == {"id": begun.id, "object": "response", "deleted": True}
    served.wait_for_rows(f"select status from turn where id = '{begun.id}'", [("cancelled",)])
    for table, column in (("response", "id"), ("response_text", "response"), ("response_event", "response")):
        assert served.rows(f"select count(*) from {table} where {column} = '{begun.id}'") == [(0,)]


# --- what was asked -----------------------------------------------------------------------------


def test_the_input_of_a_response_is_listed_page_by_page(client: OpenAI) -> None:
    given: Any = [{"role": "user", "content": f"message {number}"} for number in range(45)]
    given.append({"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"})
    given.append({"type": "function_call_output", "call_id": "c1", "output": "found"})
    response_id = client.responses.create(model="fast", input=given).id
    list_all = client.responses.input_items.list

    first = list_all(response_id)
    down = [item.id for item in list_all(response_id, limit=7)]
    up = [item.id for item in list_all(response_id, limit=100, order="asc")]
    again = [item.id for item in list_all(response_id, limit=100, order="asc")]

    assert len(first.data) == 20
    assert len(set(up)) == 47
    assert (down[::-1], again) == (up, up)
    assert [item.type for item in first.data[:3]] == ["function_call_output", "function_call", "message"]
    with pytest.raises(openai.BadRequestError):
        list_all(response_id, after="msg_of_another")


def test_a_text_is_listed_as_a_message(client: OpenAI) -> None:
    response_id = client.responses.create(model="fast", input=WORDS).id

    (item,) = client.responses.input_items.list(response_id).data

    assert item.type == "message"
    assert item.role == "user"
    assert item.content[0].text == WORDS  # type: ignore[union-attr]


# --- counting and compacting --------------------------------------------------------------------


def test_the_tokens_of_an_input_are_counted(client: OpenAI, served: Served) -> None:
    count, labelled = client.responses.input_tokens.count, {"Frontdesk-Feature": "counted"}

    few = count(model="fast", input=WORDS, extra_headers=labelled)
    more = count(model="fast", input=WORDS, instructions="Answer in rhymes, always.", extra_headers=labelled)
    behind = client.responses.create(model="fast", input=WORDS).id  # its row is written behind any of theirs

    assert 0 < few.input_tokens < more.input_tokens
    served.wait_for_rows(f"select status from turn where id = '{behind}'", [("completed",)])
    assert served.rows("select count(*) from turn where feature = 'counted'") == [(0,)]


def test_a_count_asks_for_what_its_caller_may_use(client: OpenAI, served: Served) -> None:
    with pytest.raises(openai.NotFoundError) as failure:
        client.responses.input_tokens.count(model="none", input=WORDS)
    assert failure.value.code == "model_not_found"
    session = begin_session(served, user="counting", tier="free")
    with strict_client(served, session["token"]) as theirs, pytest.raises(openai.NotFoundError):
        theirs.responses.input_tokens.count(model="thinking", input=WORDS)


def test_a_conversation_is_compacted(lenient: OpenAI) -> None:
    given: Any = [
        {"role": "user", "content": "My cat is called Ada."},
        {"role": "assistant", "content": "A fine name."},
        {"role": "user", "content": "She is seven."},
    ]

    compacted = lenient.responses.compact(model="fast", input=given)

    *said, compaction = compacted.output
    assert compacted.object == "response.compaction"
    assert [item.content[0].text for item in said] == ["My cat is called Ada.", "She is seven."]  # type: ignore[union-attr]
    assert compaction.type == "compaction"
    assert "Ada" not in compaction.encrypted_content
    assert compacted.usage.total_tokens > 0


def test_a_chain_of_responses_is_compacted(lenient: OpenAI) -> None:
    first = lenient.responses.create(model="fast", input="My cat is called Ada.")
    second = lenient.responses.create(model="fast", input="She is seven.", previous_response_id=first.id)

    compacted = lenient.responses.compact(model="fast", previous_response_id=second.id, input="And grey.")

    *said, _ = compacted.output
    assert [item.content[0].text for item in said] == ["My cat is called Ada.", "She is seven.", "And grey."]  # type: ignore[union-attr]


def test_a_compaction_takes_the_place_of_what_it_stands_for(client: OpenAI, served: Served) -> None:
    url, secret = f"{served.url}/v1/responses", {"Authorization": f"Bearer {ADMIN_KEY}"}
    compacted = httpx2.post(f"{url}/compact", headers=secret, json={"model": "fast", "input": WORDS}).json()
    given: Any = [*compacted["output"], {"role": "user", "content": "and on"}]

    answered = client.responses.create(model="fast", input=given)
    few = client.responses.input_tokens.count(model="fast", input=[given[0], given[-1]])
    all_of_it = client.responses.input_tokens.count(model="fast", input=given)

    assert answered.output_text == "and on"
    assert all_of_it.input_tokens > few.input_tokens + 100  # the summary, which repeats the wish for it
    session = begin_session(served, user="thief", tier="paid")
    with strict_client(served, session["token"]) as theirs, pytest.raises(openai.BadRequestError) as failure:
        theirs.responses.create(model="fast", input=given)
    assert failure.value.code == "invalid_encrypted_content"


def test_a_named_message_is_kept_as_well(client: OpenAI, lenient: OpenAI) -> None:
    first = client.responses.create(model="fast", input="My cat is called Ada.")
    (asked,) = client.responses.input_items.list(first.id).data

    compacted = lenient.responses.compact(
        model="fast", input=[{"type": "item_reference", "id": asked.id}, {"role": "user", "content": "She is seven."}]
    )

    *said, _ = compacted.output
    assert [item.content[0].text for item in said] == ["My cat is called Ada.", "She is seven."]  # type: ignore[union-attr]


def test_nothing_is_compacted_without_a_model(served: Served) -> None:
    answer = httpx2.post(
        f"{served.url}/v1/responses/compact", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, json={"input": WORDS}
    )

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


def test_a_model_that_writes_no_summary_is_told_of(client: OpenAI) -> None:
    for model in ("declining", "short"):
        with pytest.raises(openai.InternalServerError) as failure:
            client.responses.compact(model=model, input=WORDS)
        assert (failure.value.status_code, failure.value.code) == (502, "no_summary")


def test_a_compaction_is_made_once_under_a_key(lenient: OpenAI, served: Served) -> None:
    asked: Any = {"model": "fast", "input": WORDS, "extra_headers": {"Idempotency-Key": "compact-once"}}

    first = lenient.responses.compact(**asked)
    second = lenient.responses.compact(**asked)

    assert second == first
    served.wait_for_rows(f"select count(*) from turn where id = '{first.id}'", [(1,)])


# --- chat completions ---------------------------------------------------------------------------


def stored_chats(client: OpenAI, group: str, count: int, **fields: Any) -> list[Any]:
    return [
        client.chat.completions.create(
            **{"model": "fast", **fields},
            store=True,
            metadata={"group": group, "number": str(number % 3)},
            messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"{WORDS} {number}"}],
        )
        for number in range(count)
    ]


def test_stored_chats_are_listed_page_by_page(client: OpenAI) -> None:
    made = [chat.id for chat in stored_chats(client, "50% \\ _off", 7)]
    list_all = client.chat.completions.list

    up = [chat.id for chat in list_all(metadata={"group": "50% \\ _off"}, limit=2)]
    down = [chat.id for chat in list_all(metadata={"group": "50% \\ _off"}, limit=3, order="desc")]
    some = [chat.id for chat in list_all(metadata={"group": "50% \\ _off", "number": "1"})]

    assert (up, down[::-1], some) == (made, made, [made[1], made[4]])
    assert list_all(metadata={"group": "50% \\ _OFF"}).data == []
    assert list_all(metadata={"group": "50% \\ _off"}, model="thinking").data == []
    assert len(list_all(metadata={"group": "50% \\ _off"}, model="fast").data) == 7


def test_a_stored_chat_is_retrieved_changed_and_deleted(client: OpenAI) -> None:
    (made,) = stored_chats(client, "one", 1, model="thinking")

    found = client.chat.completions.retrieve(made.id)
    changed = client.chat.completions.update(made.id, metadata={"group": "two"})
    bare = client.chat.completions.update(made.id, metadata=None)
    deleted = client.chat.completions.delete(made.id)

    assert (found.choices, found.usage, found.model) == (made.choices, made.usage, "thinking")
    assert [chat.metadata for chat in (found, changed, bare)] == [{"group": "one", "number": "0"}, {"group": "two"}, {}]
    assert (deleted.id, deleted.deleted) == (made.id, True)
    for ask in (
        client.chat.completions.retrieve,
        client.chat.completions.delete,
        client.chat.completions.messages.list,
    ):
        with pytest.raises(openai.NotFoundError) as failure:
            ask(made.id)
        assert failure.value.code == "chat_completion_not_found"


def test_the_messages_of_a_stored_chat_are_listed(lenient: OpenAI) -> None:
    (made,) = stored_chats(lenient, "told", 1)

    messages = list(lenient.chat.completions.messages.list(made.id, limit=1))
    last = lenient.chat.completions.messages.list(made.id, order="desc").data[0]

    assert [(each.role, each.content) for each in messages] == [("system", "Be brief."), ("user", f"{WORDS} 0")]
    assert last == messages[-1]


def test_what_was_not_stored_is_no_stored_chat(client: OpenAI) -> None:
    asked: Any = {"model": "fast", "messages": [{"role": "user", "content": WORDS}]}

    for made in (client.chat.completions.create(**asked), client.chat.completions.create(**asked, store=False)):
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.retrieve(made.id)


def test_another_s_are_not_listed(client: OpenAI, served: Served) -> None:
    stored_chats(client, "mine", 1)
    session = begin_session(served, user="nobody-yet", tier="paid")

    with strict_client(served, session["token"]) as theirs:
        assert theirs.chat.completions.list().data == []
