"""Two hundred turns in a window of 4k tokens: what was said in the third is still known in the last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from frontdesk.context.wording import told_facts
from frontdesk.memory.summarising import SUMMARY
from frontdesk.storage.query import Query
from frontdesk.storage.tables import job, summary
from frontdesk.turn.items import SUMMARY_OPENS
from tests.memory.desk import Person, person_of
from tests.memory.summariser import summariser, tokens_of
from tests.sync.desk import opened
from tests.upstreams import SocketUpstream, upstream

TURNS = 200
BUDGET = 3_000
SECRET = "My locker has the number 4711."
SETTINGS = """
providers: {{up: {{kind: openai-compatible, base_url: "http://127.0.0.1:{port}/v1", api_key: sk-test-upstream}}}}
models: {{fast: {{route: [up/m], context_tokens: 4096}}, small: {{route: [up/s], context_tokens: 4096}}}}
prices: {{up/m: {{input: 1, output: 4}}, up/s: {{input: 0.1, output: 0.4}}}}
default_model: fast
features:
  chat: {{models: [fast], instructions: Be brief., context: {{strategy: {strategy}, tokens: {budget}, facts: {facts}}}}}
  summaries: {{models: [fast, small]}}
default_feature: chat
"""
_SUMMARIES = Query(select(summary.c.content, summary.c["items"], summary.c.model, summary.c.person))
_ENDED = Query(select(job.c.status, func.count()).where(job.c.kind == SUMMARY).group_by(job.c.status))


@pytest.fixture
async def up() -> AsyncIterator[SocketUpstream]:
    async with upstream(summariser) as served:
        yield served


def settings(up: SocketUpstream, strategy: str, *, facts: bool) -> str:
    return SETTINGS.format(port=up.port, strategy=strategy, budget=BUDGET, facts=str(facts).lower())


def told(request: dict[str, Any]) -> list[str]:
    return [message["content"] for message in request["messages"]]


async def talk(person: Person, up: SocketUpstream, third: str, *, is_chain: bool) -> dict[str, Any]:
    """All turns; returns what the model was told in the last. In the third they say something of themselves."""
    going_on: dict[str, Any] = {}
    if not is_chain:
        going_on = {"conversation": (await person.ask("POST", "/v1/conversations", {}))["id"]}
    for number in range(1, TURNS + 1):
        text = f"This is the turn {number}. Tell me about the weather, please."
        response = await person.say(f"{third} {text}" if number == 3 else text, **going_on)
        if is_chain:
            going_on = {"previous_response_id": response}
        if number % 20 == 0:
            await person.until_idle()
    return next(each for each in reversed(up.requests) if f"turn {TURNS}." in told(each)[-1])


@pytest.mark.parametrize("is_chain", [True, False], ids=["chain", "conversation"])
async def test_by_the_summary_alone(database_url: str, up: SocketUpstream, is_chain: bool) -> None:
    async with opened(database_url, settings(up, "summary", facts=False)) as app:
        person = await person_of(app)
        last = await talk(person, up, SECRET, is_chain=is_chain)

        await person.until_idle()
        ended = dict(await person.database.read(_ENDED))
        kept = await person.database.read(_SUMMARIES)

    texts = told(last)
    assert [text.startswith(SUMMARY_OPENS) for text in texts if SECRET in text] == [True]
    assert texts[0] == "Be brief."
    assert f"turn {TURNS - 1}." in texts[-3]
    assert sum(map(tokens_of, texts)) <= BUDGET
    assert set(ended) == {"completed"}
    assert {(model, person) for _, _, model, person in kept} == {("small", "u1")}
    assert max(items for _, items, _, _ in kept) > 2 * (TURNS - 30)
    assert all(len(content.split()) <= 300 for content, *_ in kept)
    if not is_chain:
        assert len(kept) <= 8


async def test_by_memory(sqlite_url: str, up: SocketUpstream) -> None:
    async with opened(sqlite_url, settings(up, "window", facts=True)) as app:
        person = await person_of(app)
        last = await talk(person, up, f"Please remember that {SECRET[0].lower()}{SECRET[1:]}", is_chain=True)
        await person.until_idle()
        (fact,) = (await person.ask("GET", "/api/facts"))["data"]
        third = await person.ask("GET", f"/v1/responses/{fact['response_id']}/input_items")
        await person.say("And what is new today?")
        elsewhere = told(up.requests[-1])

        await person.ask("DELETE", f"/api/facts/{fact['id']}")
        await person.say("And what is new by now?")
        erased = told(up.requests[-1])

    texts = told(last)
    assert fact["words"].lower() == SECRET.lower()
    assert "turn 3." in third["data"][0]["content"][0]["text"]
    assert ["4711" in text for text in texts] == [True, *([False] * (len(texts) - 1))]
    assert told_facts([fact["words"]]) in texts[0]
    assert texts[0].startswith("Be brief.")
    assert sum(map(tokens_of, texts)) <= BUDGET
    assert "4711" in elsewhere[0]
    assert erased == ["Be brief.", "And what is new by now?"]
