"""Memory in the whole application: what is asked by itself is told nothing, and pinned items are shown."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.memory.desk import person_of
from tests.memory.summariser import summariser
from tests.sync.desk import opened
from tests.upstreams import SocketUpstream, upstream

SETTINGS = """
providers: {{up: {{kind: openai-compatible, base_url: "http://127.0.0.1:{port}/v1", api_key: sk-test-upstream}}}}
models: {{fast: {{route: [up/m], context_tokens: 4096}}}}
default_model: fast
features: {{chat: {{context: {{strategy: window, facts: true}}}}}}
remember: [nota bene]
"""


@pytest.fixture
async def up() -> AsyncIterator[SocketUpstream]:
    async with upstream(summariser) as served:
        yield served


async def test_what_the_server_asks_by_itself_is_told_no_facts(sqlite_url: str, up: SocketUpstream) -> None:
    """Asked as the feature itself, it would be: then an erased fact might live on in a summary."""
    async with opened(sqlite_url, SETTINGS.format(port=up.port)) as app:
        person = await person_of(app)
        await person.ask("POST", "/api/facts", {"words": "My cat is called Miau."})

        await person.say("Nota bene: my dog is called Wau.")
        await person.until_idle()
        listed = (await person.ask("GET", "/api/facts"))["data"]

    asked, aside = ([message["content"] for message in request["messages"]] for request in up.requests)
    assert ["Miau" in text for text in asked] == [True, False]
    assert len(aside) == 1
    assert "Wau" in aside[0]
    assert "Miau" not in aside[0]
    assert [fact["words"] for fact in listed] == ["Nota bene: my dog is called Wau.", "My cat is called Miau."]


async def test_people_pin_items(sqlite_url: str, up: SocketUpstream) -> None:
    async with opened(sqlite_url, SETTINGS.format(port=up.port)) as app:
        person, other = await person_of(app), await person_of(app, "u2")
        conversation = (await person.ask("POST", "/v1/conversations", {}))["id"]
        await person.say("hello", conversation=conversation)
        items = f"/api/conversations/{conversation}/items"
        answer, question = (await person.ask("GET", items))["data"]
        before = (await person.ask("GET", f"/api/conversations/{conversation}"))["changed_at"]

        pinned = await person.ask("PATCH", f"{items}/{question['id']}", {"pinned": True})
        again = await person.ask("PATCH", f"{items}/{question['id']}", {"pinned": True})
        shown = [each["pinned"] for each in (await person.ask("GET", items))["data"]]
        taken_off = await person.ask("PATCH", f"{items}/{question['id']}", {"pinned": False})
        later = [each["pinned"] for each in (await person.ask("GET", items))["data"]]
        after = (await person.ask("GET", f"/api/conversations/{conversation}"))["changed_at"]

        strangers = await other.ask("PATCH", f"{items}/{question['id']}", {"pinned": True}, 404)
        no_item = await person.ask("PATCH", f"{items}/msg_none", {"pinned": True}, 404)
        no_word = await person.ask("PATCH", f"{items}/{question['id']}", {}, 400)
        for number in range(20):
            item = {"role": "user", "content": str(number), "id": f"msg_{number}"}
            await person.ask("POST", f"/v1/conversations/{conversation}/items", {"items": [item]})
            await person.ask("PATCH", f"{items}/msg_{number}", {"pinned": True})
        one_more = await person.ask("PATCH", f"{items}/{answer['id']}", {"pinned": True}, 400)

    assert pinned == again == {"id": question["id"], "object": "conversation.item", "pinned": True}
    assert taken_off["pinned"] is False
    assert (shown, later) == ([False, True], [False, False])
    assert before == after
    assert strangers["error"]["code"] == "conversation_not_found"
    assert no_item["error"]["code"] == "item_not_found"
    assert no_word["error"]["param"] == "pinned"
    assert one_more["error"]["code"] == "too_many_pinned"
