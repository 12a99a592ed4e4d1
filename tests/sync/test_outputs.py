"""What a device's tools said comes behind their calls, once, and an answer is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from sqlalchemy import delete

from frontdesk.conversations.entering import enter
from frontdesk.conversations.service import Conversations
from frontdesk.core.clock import SystemClock, unix_ms
from frontdesk.core.errors import BadRequest
from frontdesk.doors.present import AskedInBackground, Presence
from frontdesk.files.owner import owner_of
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import idempotency_key
from frontdesk.sync.outputs import answering
from frontdesk.sync.push import Pushing, Terms
from frontdesk.sync.shapes import DeviceOutput
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.turn import Caller
from tests.sync.desk import App, entry, new_conversation, opened
from tests.sync.taker import Taker

FORGET_KEYS = Query(delete(idempotency_key))
SETTINGS = """
providers: {scripted: {kind: scripted}}
models: {fast: {route: [scripted/echo]}, all: {route: [scripted/tools-all]}, slow: {route: [scripted/slow-500]}}
default_model: fast
"""
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "where", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "note"},
]
CALLER = Caller("user", "sess_1", "u1", "free")
OWNER = owner_of(CALLER)
Json = dict[str, Any]


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    async with opened(database_url, SETTINGS) as app:
        yield app


async def called(app: App, token: str, conversation: str) -> list[Json]:
    """Say something that a model answers with a call of each tool; returns the calls."""
    message = entry(
        "message", conversation=conversation, content="Where am I?", request={"model": "all", "tools": TOOLS}
    )
    (result,) = await app.pushed(token, message)
    assert await app.until_ended(token, result["response"]) == "completed"
    items = [item for item in await items_of(app, token, conversation) if item["type"].endswith("_call")]
    assert [item["type"] for item in items] == ["function_call", "custom_tool_call"]
    return items


async def items_of(app: App, token: str, conversation: str) -> list[Json]:
    """The items of the chosen branch."""
    answer = await app.ask(token, "GET", f"/v1/conversations/{conversation}/items?order=asc&limit=100")
    assert answer.status == 200, answer.body
    return answer.body["data"]


async def count_of(app: App, token: str) -> int:
    """How many items there are, in all branches."""
    return len((await app.synced(token, Taker())).of("item"))


def outputs_of(calls: list[Json], conversation: str, **fields: Any) -> Json:
    outputs = [{"call_id": call["call_id"], "output": f"said to {call['name']}"} for call in calls]
    return entry("outputs", conversation=conversation, outputs=outputs, **fields)


async def test_outputs_come_behind_their_calls_and_are_answered(app: App):
    token, conversation = await app.token(), new_conversation()
    calls = await called(app, token, conversation)
    outputs = outputs_of(calls, conversation, request={"tools": TOOLS})

    (result,) = await app.pushed(token, outputs)

    item = "fco_" + outputs["id"].replace("-", "")
    assert result == {"id": outputs["id"], "status": "done", "item": item, "response": result["response"]}
    assert await app.until_ended(token, result["response"]) == "completed"
    told = (await items_of(app, token, conversation))[3:]
    assert [each["type"] for each in told] == ["function_call_output", "custom_tool_call_output", "message"]
    assert [each.get("output") for each in told[:2]] == ["said to where", "said to note"]
    assert [each.get("call_id") for each in told[:2]] == [call["call_id"] for call in calls]
    assert told[0]["id"] == item


async def test_outputs_that_are_sent_again_are_there_once(app: App):
    token, conversation = await app.token(), new_conversation()
    outputs = outputs_of(await called(app, token, conversation), conversation)

    answers = await asyncio.gather(*(app.pushed(token, outputs) for _ in range(5)))
    (first,) = await app.pushed(token, outputs)
    assert await app.until_ended(token, first["response"]) == "completed"
    await app.frontdesk._database.write(Step(FORGET_KEYS))
    (long_after,) = await app.pushed(token, outputs)

    assert {result["status"] for (result,) in answers} <= {"done", "waiting"}
    assert all(result == first for (result,) in answers if result["status"] == "done")
    assert long_after == first
    assert await count_of(app, token) == 6


async def test_they_wait_while_an_answer_is_made(app: App):
    token, conversation = await app.token(), new_conversation()
    calls = await called(app, token, conversation)
    slow = entry("message", conversation=conversation, content="slow", request={"model": "slow"})
    (begun,) = await app.pushed(token, slow)
    outputs = outputs_of(calls, conversation, after=calls[-1]["id"])

    (waiting,) = await app.pushed(token, outputs)
    await app.pushed(token, entry("cancel", response=begun["response"]))
    await app.until_ended(token, begun["response"])
    (done,) = await app.pushed(token, outputs)

    assert (waiting["status"], waiting["error"]["code"]) == ("waiting", "conversation_locked")
    assert done["status"] == "done"
    await app.until_ended(token, done["response"])
    taker = await app.synced(token, Taker())
    place = taker.things["item", conversation, done["item"]]
    assert (place["branch"], place["position"]) == (1, 3)  # the conversation has gone on from there


WRONG: list[tuple[Json, str, str]] = [
    ({"call_id": "call_unheard_of", "output": "x"}, "call_id", "call_not_found"),
    ({"call_id": "", "output": "x"}, "call_id", "invalid_value"),
    ({"output": "x"}, "call_id", "missing_required_parameter"),
    ({"call_id": "0", "output": 5}, "output", "invalid_type"),
    ({"call_id": "0", "output": [{"type": "input_text", "text": 5}]}, "output[0].text", "invalid_type"),
    ({"call_id": "0", "output": "x", "type": "custom_tool_call_output"}, "call_id", "call_not_found"),
    ({"call_id": "0", "output": "x", "type": "message"}, "type", "invalid_value"),
    ({"call_id": "0", "output": "x", "status": "done"}, "status", "unsupported_parameter"),
]


async def test_a_refusal_names_the_output(app: App):
    token, conversation = await app.token(), new_conversation()
    calls = await called(app, token, conversation)
    fine = {"call_id": calls[1]["call_id"], "output": "fine"}
    named = {"0": calls[0]["call_id"]}
    wrongs = [{**wrong, "call_id": named.get(wrong["call_id"], wrong["call_id"])} if "call_id" in wrong else wrong
              for wrong, _, _ in WRONG]  # fmt: skip
    entries = [entry("outputs", conversation=conversation, outputs=[fine, wrong]) for wrong in wrongs]
    entries += [entry("outputs", conversation=conversation, outputs=outputs) for outputs in ([], [fine] * 129)]

    results = await app.pushed(token, *entries)

    params = [f"push[{place}].outputs[1].{param}" for place, (_, param, _) in enumerate(WRONG)]
    params += [f"push[{len(WRONG) + more}].outputs" for more in range(2)]
    assert [result["error"]["param"] for result in results] == params
    assert [result["error"]["code"] for result in results] == [*(code for _, _, code in WRONG), *["invalid_value"] * 2]
    assert all(f"'{param}'" in result["error"]["message"] for param, result in zip(params, results, strict=True))
    assert await count_of(app, token) == 3


async def test_a_conversation_that_is_not_there_is_not_begun_by_them(app: App):
    token, calls = await app.token(), [{"call_id": "call_1", "name": "where"}]

    (result,) = await app.pushed(token, outputs_of(calls, new_conversation()))

    assert (result["status"], result["error"]["code"]) == ("refused", "conversation_not_found")


async def test_of_two_devices_that_answer_a_call_one_is_heard(app: App):
    token, conversation = await app.token(), new_conversation()
    calls = await called(app, token, conversation)
    entries = [outputs_of(calls, conversation) for _ in range(6)]

    async def until_settled(outputs: Json) -> Json:
        while True:
            (result,) = await app.pushed(token, outputs)
            if result["status"] != "waiting":
                return result
            await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        results = await asyncio.gather(*map(until_settled, entries))

    assert sorted(result["status"] for result in results) == ["done", *["refused"] * 5]
    refused = [result["error"] for result in results if result["status"] == "refused"]
    assert {(error["code"], error["param"]) for error in refused} == {("call_answered", "push[0].outputs[0].call_id")}
    assert await count_of(app, token) == 6


async def test_they_come_in_only_while_what_they_were_checked_against_is_there(app: App):
    """Two devices may read the same conversation before either has come in."""
    token, conversation = await app.token(), new_conversation()
    calls = await called(app, token, conversation)
    database, clock = app.frontdesk._database, SystemClock()
    conversations = Conversations(database, clock)
    seen = await conversations.see(OWNER, conversation)
    asker = NotingAsker()
    terms = Terms("p", 1_000, lambda _: None)
    unused = cast("Any", None)
    pushing = Pushing(database, clock, conversations, unused, unused, asker, terms)

    (result,) = await pushing.push(Presence(CALLER, {}), [outputs_of(calls, conversation)])
    rival = await app.pushed(token, outputs_of(calls, conversation))
    await app.until_ended(token, rival[0]["response"])
    named = ConversationNamed(conversation, version=asker.asked[0].version)
    refusal = await database.transact(lambda: enter(OWNER, named, None, "resp_late", [], unix_ms(clock)))

    assert result.status == "done"
    assert [asked.version for asked in asker.asked] == [seen.row.version]
    assert refusal is not None
    assert refusal.code == "conversation_changed"


class NotingAsker:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[AskedInBackground] = []

    async def ask(self, presence: Presence, asked: AskedInBackground) -> str:
        assert presence.caller == CALLER
        self.asked.append(asked)
        return "resp_1"


def answered(outputs: list[DeviceOutput], before: list[Json]) -> list[str]:
    return [item["type"] for item in answering(outputs, before, "push[0].outputs")]


CALL = {"type": "function_call", "call_id": "call_0"}
RETURNED = {"type": "function_call_output", "call_id": "call_0"}
OUTPUT = DeviceOutput(call_id="call_0", output="x")


@pytest.mark.parametrize(
    ("before", "outputs"),
    [
        ([CALL], 1),
        ([CALL, CALL], 2),
        ([CALL, RETURNED, CALL], 1),  # some servers name calls alike time and again
        ([CALL, {"type": "message"}], 1),
        ([{"type": "custom_tool_call", "call_id": "call_0"}, CALL], 2),
    ],
)
def test_as_many_outputs_are_taken_as_there_are_calls_without_one(before: list[Json], outputs: int):
    assert len(answered([OUTPUT] * outputs, before)) == outputs
    with pytest.raises(BadRequest) as refused:
        answered([OUTPUT] * (outputs + 1), before)
    assert (refused.value.code, refused.value.param) == ("call_answered", f"push[0].outputs[{outputs}].call_id")


def test_an_output_is_of_its_calls_kind():
    both = [CALL, {"type": "custom_tool_call", "call_id": "call_1"}]
    outputs = [DeviceOutput(call_id="call_1", output="x"), OUTPUT]

    assert answered(outputs, both) == ["custom_tool_call_output", "function_call_output"]
