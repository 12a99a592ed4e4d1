"""Requests that go on with what was said before, on a real server: what reaches the provider, and what nobody gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from frontdesk.turn.items import SUMMARY_OPENS
from tests.serving import ADMIN_KEY, Served, serving
from tests.upstreams import ScriptedUpstream, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESPONSES = "/v1/responses"
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(up: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    settings = {
        "providers": {"up": {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-upstream"}},
        "models": {
            "fast": {"route": ["up/echo"]},
            "slow": {"route": ["up/slow-300"]},
            "small": {"route": ["up/echo"], "context_tokens": 200},
            "broken": {"route": ["up/break-3"]},
        },
        "default_model": "fast",
        "features": {"plain": {}, "tools": {"client_may": ["tools", "parameters"]}, "private": {"keep_days": 0}},
        "tiers": {"free": {}},
        "default_tier": "free",
    }
    with serving(tmp_path_factory.mktemp("history"), settings) as running:
        yield running
        assert await asyncio.to_thread(running.stop) == 0
        assert "Traceback" not in running.log


class Client:
    """Somebody who asks, and what their provider was asked for it."""

    def __init__(self, served: Served, up: ScriptedUpstream, token: str = ADMIN_KEY) -> None:
        self._served = served
        self._up = up
        self._token = token

    async def person(self, name: str) -> Client:
        session = await self.call("POST", "/api/sessions", json={"user": name, "tier": "free"})
        return Client(self._served, self._up, session.json()["token"])

    async def call(self, method: str, path: str, feature: str | None = None, **options: Any) -> httpx2.Response:
        headers = {
            "Authorization": f"Bearer {self._token}",
            **({} if feature is None else {"Frontdesk-Feature": feature}),
        }
        url = self._served.url + path
        return await asyncio.to_thread(httpx2.request, method, url, headers=headers, timeout=30, **options)

    async def ask(self, given: Any = None, feature: str | None = None, **fields: Any) -> dict[str, Any]:
        body = fields if given is None else {"input": given, **fields}
        answer = await self.call("POST", RESPONSES, feature, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refusal(self, given: Any, feature: str | None = None, **fields: Any) -> tuple[int, str, str | None]:
        answer = await self.call("POST", RESPONSES, feature, json={"input": given, **fields})
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["param"]

    def told(self) -> list[dict[str, Any]]:
        """The messages that the provider was told last."""
        last = [record for record in self._up.journal() if record.body][-1]
        return json.loads(bytes(last.body))["messages"]  # type: ignore[arg-type]


@pytest.fixture
def key(served: Served, up: ScriptedUpstream) -> Client:
    return Client(served, up)


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


async def test_a_chain_reaches_the_provider_without_its_instructions(key: Client) -> None:
    first = await key.ask("one", instructions="Old ones.")
    second = await key.ask("two", previous_response_id=first["id"], instructions="New ones.")
    third = await key.ask([said("user", "three")], previous_response_id=second["id"])

    assert key.told() == [
        said("user", "one"), said("assistant", "one"), said("user", "two"), said("assistant", "two"),
        said("user", "three"),
    ]  # fmt: skip
    assert third["previous_response_id"] == second["id"]
    await key.ask("aside", previous_response_id=first["id"], stream=False, store=False, instructions="Aside.")
    assert key.told() == [
        said("system", "Aside."), said("user", "one"), said("assistant", "one"), said("user", "aside"),
    ]  # fmt: skip


async def test_calls_and_their_outputs_go_on(key: Client) -> None:
    first = await key.ask("look", tools=[TOOL])
    (call,) = first["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "a bee"}

    await key.ask([output], previous_response_id=first["id"])

    question, made, found = key.told()
    assert question == said("user", "look")
    assert made["tool_calls"][0]["id"] == call["call_id"]
    assert found == {"role": "tool", "tool_call_id": call["call_id"], "content": "a bee"}
    await key.ask([{"type": "item_reference", "id": call["id"]}, output])
    assert [each["role"] for each in key.told()] == ["assistant", "tool"]


async def test_what_is_gone_or_anothers_is_not_found(key: Client) -> None:
    ann, bob = await key.person("ann"), await key.person("bob")
    mine = await ann.ask("mine", "plain")
    unkept = await ann.ask("unkept", "plain", store=False)
    item = {"type": "item_reference", "id": mine["output"][0]["id"]}
    before = (400, "previous_response_not_found", "previous_response_id")
    nothing = (404, "item_not_found", "input[1]")

    assert await bob.refusal("mine?", "plain", previous_response_id=mine["id"]) == before
    assert await key.refusal("mine?", previous_response_id=mine["id"]) == before
    assert await ann.refusal("mine?", "plain", previous_response_id=unkept["id"]) == before
    assert await ann.refusal("mine?", "plain", previous_response_id="resp_none") == before
    assert await bob.refusal([said("user", "x"), item], "plain") == nothing
    await ann.ask([said("user", "x"), item, said("user", "y")], "plain", previous_response_id=mine["id"])
    assert [each["content"] for each in ann.told()] == ["mine", "mine", "x", "mine", "y"]
    assert (await ann.call("DELETE", f"{RESPONSES}/{mine['id']}")).status_code == 200
    assert await ann.refusal("mine?", "plain", previous_response_id=mine["id"]) == before
    assert await ann.refusal([said("user", "x"), item], "plain") == nothing


async def test_one_that_is_being_made_is_waited_for_by_its_client(key: Client) -> None:
    running = await key.ask("one two three four five six seven", model="slow", background=True)

    early = await key.refusal("and?", previous_response_id=running["id"])
    await key.call("POST", f"{RESPONSES}/{running['id']}/cancel")
    await key.ask("and?", previous_response_id=running["id"])

    assert early == (400, "previous_response_in_progress", "previous_response_id")
    assert key.told()[0] == said("user", "one two three four five six seven")
    assert key.told()[-1] == said("user", "and?")


async def test_a_broken_answer_counts_as_far_as_it_came(key: Client, served: Served) -> None:
    body = {"input": "begin", "model": "broken", "stream": True}
    stream = await key.call("POST", RESPONSES, json=body)
    events = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
    assert events[-1]["type"] == "response.failed"
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert text

    await key.ask("go on", previous_response_id=events[0]["response"]["id"])

    assert key.told() == [said("user", "begin"), said("assistant", text), said("user", "go on")]


async def test_a_conversation_reaches_the_provider(key: Client) -> None:
    items = [{"type": "message", "role": "user", "content": "hello"}]
    made = await key.call("POST", "/v1/conversations", json={"items": items})
    conversation = made.json()["id"]

    await key.ask("one", conversation=conversation)
    second = await key.ask("two", conversation={"id": conversation})

    assert [each["content"] for each in key.told()] == ["hello", "one", "one", "two"]
    assert second["conversation"] == {"id": conversation}
    await key.ask("after all", previous_response_id=second["id"])
    assert [each["content"] for each in key.told()] == ["hello", "one", "one", "two", "two", "after all"]
    bob = await key.person("bob")
    assert await bob.refusal("mine?", "plain", conversation=conversation) == (404, "conversation_not_found", None)


async def test_features_see_what_comes_from_anothers_history(key: Client) -> None:
    ann = await key.person("ann")
    first = await ann.ask("look", "tools", tools=[TOOL])
    output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "a bee"}
    second = await ann.ask([output], "tools", previous_response_id=first["id"])

    refused = await ann.refusal("and?", "plain", previous_response_id=second["id"])
    await ann.ask("and?", "plain", previous_response_id=first["id"])

    assert refused == (403, "not_allowed_by_feature", "input")
    assert [each["role"] for each in ann.told()] == ["user", "assistant", "user"]


async def test_a_summary_goes_on_where_its_owner_sends_it(key: Client) -> None:
    ann = await key.person("ann")
    first = await ann.ask("Remember the bee.", "plain")
    compacted = await ann.call(
        "POST", f"{RESPONSES}/compact", "plain", json={"model": "fast", "previous_response_id": first["id"]}
    )
    output = compacted.json()["output"]

    await ann.ask([*output, said("user", "Which one?")], "plain")

    told = ann.told()
    assert told[-1] == said("user", "Which one?")
    (summary,) = [each for each in told if SUMMARY_OPENS in str(each["content"])]
    assert summary["role"] == "user"
    assert "summary of what was said" in summary["content"]
    bob = await key.person("bob")
    place = f"input[{len(output) - 1}].encrypted_content"
    assert await bob.refusal(output, "plain") == (400, "invalid_encrypted_content", place)


async def test_what_a_model_cannot_read_at_once_is_left_out_or_refused(key: Client) -> None:
    last = None
    for number in range(6):
        last = (await key.ask(f"{number} " + "word " * 12, previous_response_id=last))["id"]
    fields = {"model": "small", "max_output_tokens": 50, "previous_response_id": last}

    assert await key.refusal("and?", **fields) == (400, "context_length_exceeded", "input")
    answer = await key.ask("and?", **fields, truncation="auto")

    assert answer["truncation"] == "auto"
    told = key.told()
    assert told[-1] == said("user", "and?")
    assert 1 < len(told) < 13
    assert [each["role"] for each in told] == [("user", "assistant")[place % 2] for place in range(len(told))]
    assert told[-2]["content"].startswith("5 ")


async def test_lines_of_a_batch_go_on_as_well(key: Client) -> None:
    first = await key.ask("one")
    body = {"input": "two", "previous_response_id": first["id"]}
    line = json.dumps({"custom_id": "a", "method": "POST", "url": RESPONSES, "body": body})
    files = {"file": ("lines.jsonl", line.encode())}
    file = (await key.call("POST", "/v1/files", data={"purpose": "batch"}, files=files)).json()["id"]
    asked = {"input_file_id": file, "endpoint": RESPONSES, "completion_window": "24h"}
    batch = (await key.call("POST", "/v1/batches", json=asked)).json()
    async with asyncio.timeout(30):
        while batch["status"] != "completed":
            await asyncio.sleep(0.02)
            batch = (await key.call("GET", f"/v1/batches/{batch['id']}")).json()

    assert batch["request_counts"]["completed"] == 1
    assert key.told() == [said("user", "one"), said("assistant", "one"), said("user", "two")]


async def test_what_is_not_stored_can_be_in_no_conversation(key: Client) -> None:
    """Nobody is told that it is in one, and finds nothing there."""
    ann = await key.person("private-ann")
    conversation = (await ann.call("POST", "/v1/conversations", json={})).json()["id"]

    for who in (ann, key):
        assert await who.refusal("hush", "private", conversation=conversation) == (
            400, "nothing_is_stored", "conversation",
        )  # fmt: skip
    counted = await ann.call(
        "POST", f"{RESPONSES}/input_tokens", "private", json={"input": "hush", "conversation": conversation}
    )
    assert (counted.status_code, counted.json()["error"]["param"]) == (400, "conversation")
    assert (await ann.call("GET", f"/v1/conversations/{conversation}/items")).json()["data"] == []
    assert (await ann.ask("aloud", "plain", conversation=conversation))["conversation"] == {"id": conversation}


async def test_ids_of_any_length_are_told_back_cut(key: Client) -> None:
    for path in ("conversations/{}", "conversations/{}/items", "responses/{}", "chat/completions/{}"):
        answer = await key.call("GET", "/v1/" + path.format("x" * 10_000))

        assert answer.status_code == 404
        assert len(answer.content) < 500


async def test_what_failed_in_the_background_is_told_again_as_a_response(key: Client) -> None:
    """To begin it was all that was asked, and that was done."""
    body = {"input": "one", "model": "broken", "background": True}
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Idempotency-Key": "broken-in-the-background"}

    async def ask() -> httpx2.Response:
        return await asyncio.to_thread(httpx2.post, key._served.url + RESPONSES, json=body, headers=headers, timeout=30)

    begun = (await ask()).json()
    while (told := (await key.call("GET", f"{RESPONSES}/{begun['id']}")).json())["status"] != "failed":
        await asyncio.sleep(0.02)
    again = await ask()

    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == told


@pytest.mark.parametrize("path", [RESPONSES, "/v1/chat/completions"])
async def test_a_cursor_counts_for_what_was_begun_before_alone(served: Served, key: Client, path: str) -> None:
    ann = await key.person(f"cursor{path.count('/')}")
    said_there = {"messages": [said("user", "one two")]} if "chat" in path else {"input": "one two"}
    headers = {
        "Authorization": f"Bearer {ann._token}",
        "Frontdesk-Feature": "plain",
        "Idempotency-Key": f"cursor {path}",
    }

    async def ask(seen: str) -> httpx2.Response:
        body, sent = {**said_there, "stream": True}, {**headers, "Last-Event-ID": seen}
        return await asyncio.to_thread(httpx2.post, served.url + path, json=body, headers=sent, timeout=30)

    refused = await ask("the last one")
    whole, rest = await ask("2"), await ask("2")

    assert refused.status_code == 400
    assert "idempotent-replayed" not in whole.headers  # what was refused was not begun either
    assert rest.headers["idempotent-replayed"] == "true"
    assert whole.text.endswith(rest.text)
    assert whole.text.count("data: ") - rest.text.count("data: ") == 3
