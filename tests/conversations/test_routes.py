"""The routes of conversations over ASGI: as OpenAI's document and our own tell them, and what is wrong is named."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema_rs import Draft202012Validator
from msgspec import UNSET

from frontdesk.conversations.routes.own import MOST_WORDS_CHARS
from frontdesk.core.config import parse_config
from frontdesk.core.errors import Unauthenticated
from frontdesk.doors.openapi import document
from frontdesk.http.edge import Edge
from frontdesk.http.requests import Head
from frontdesk.http.starlette import Routes
from frontdesk.idempotency.service import IdempotencyKeys, IdempotencyTimes
from frontdesk.keeping.retention import Retention
from frontdesk.policies.access import Access
from frontdesk.storage.database import Database, open_database
from frontdesk.turn.turn import Caller
from frontdesk.wiring.conversations import Conversing
from tests.conversations.texts import Desk
from tests.fakes import HandClock
from tests.http import asgi
from tests.http.asgi import Answer
from tests.peers import document as openai

HELLO = {"role": "user", "content": "hello there"}
LOGPROBS = [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}]
ANSWER = {
    "type": "message",
    "role": "assistant",
    "id": "msg_answer",
    "content": [
        {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": LOGPROBS},
        {"type": "refusal", "refusal": "No more."},
    ],
}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
RETURNED = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
CONFIG = "{default_tier: free, tiers: {free: {}, brief: {keep_days: 1}, none: {keep_days: 0}}}"


class Users:
    """Whoever names themselves, of the tier that they name."""

    def known(self, _: Head) -> Caller | None:
        return None

    def identify(self, head: Head) -> Awaitable[Caller]:
        return self._identify(head)

    async def _identify(self, head: Head) -> Caller:
        if head.authorization is None:
            raise Unauthenticated("Nobody.")
        name = head.authorization.decode().partition(" ")[2]
        if name.startswith("key"):
            scopes = None if name == "key" else frozenset({"usage"})
            return Caller("server", name, scopes=scopes)
        person, _, tier = name.partition("/")
        return Caller("user", f"sess_{person}", person, tier or "free")


class Documents:
    """What is answered, as OpenAI's document has it and our own."""

    def __init__(self) -> None:
        self._official = openai.Document(openai.packaged_document())
        self._own = document()
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, method: str, path: str, answer: Answer) -> None:
        told = answer.body
        if told.get("first_id", "") is not None:  # of an empty list OpenAI tells null, and its document does not
            sent = openai.Answer(method, path, answer.status, "application/json", json.dumps(told).encode())
            assert list(map(str, self._official.check(sent))) == []
        (operation,) = [
            operations[method.lower()]
            for template, operations in self._own["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        described = operation["responses"][str(answer.status)]
        if "$ref" in described:
            described = self._own["components"]["responses"][described["$ref"].rpartition("/")[2]]
        schema = described["content"]["application/json"]["schema"]
        if str(schema) not in self._validators:
            self._validators[str(schema)] = Draft202012Validator({**schema, "components": self._own["components"]})
        assert [error.message for error in self._validators[str(schema)].iter_errors(told)] == []
        if answer.status >= 400:
            assert f"`{answer.code}`" in described["description"]


class Served:
    """The routes, every answer of which is held against the documents."""

    def __init__(self, database: Database, documents: Documents) -> None:
        config, clock = parse_config(CONFIG, {}), HandClock()
        retention = Retention(config)
        wired = Conversing(database, retention, Access(config))
        self.desk = Desk(database, clock)
        keys = IdempotencyKeys(database, "proc_here", clock, retention.key_until_ms, IdempotencyTimes(30.0))
        self.edge = Edge({}, Routes(wired.routes(Users(), keys), Routes([], None)))  # type: ignore[arg-type]
        self._documents = documents

    async def ask(self, method: str, path: str, body: Any = None, user: str = "u1", **query: str) -> Answer:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await asgi.ask(
            self.edge,
            method,
            f"{path}?{urlencode(query)}" if query else path,
            headers=[(b"authorization", f"Bearer {user}".encode())],
            messages=[{"type": "http.request", "body": content, "more_body": False}],
        )
        self._documents.check(method, path, answer)
        return answer

    async def good(self, method: str, path: str, body: Any = None, user: str = "u1", **query: str) -> Any:
        answer = await self.ask(method, path, body, user, **query)
        assert answer.status == 200, answer.body
        assert answer.headers["cache-control"] == "no-store"
        return answer.body

    async def begin(self, *items: dict[str, Any]) -> str:
        return (await self.good("POST", "/v1/conversations", {"items": items}))["id"]


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents()


@pytest.fixture
async def served(sqlite_url: str, documents: Documents) -> AsyncIterator[Served]:
    database = await open_database(sqlite_url)
    yield Served(database, documents)
    await database.close()


# --- OpenAI's -----------------------------------------------------------------------------------


async def test_a_conversation_is_kept_changed_and_deleted(served: Served) -> None:
    made = await served.good("POST", "/v1/conversations", {"items": [HELLO], "metadata": {"topic": "a"}})
    path = f"/v1/conversations/{made['id']}"

    assert re.fullmatch(r"conv_[0-9a-f]{32}", made["id"])
    assert made == {
        "id": made["id"],
        "object": "conversation",
        "created_at": made["created_at"],
        "metadata": {"topic": "a"},
    }
    assert await served.good("GET", path) == made
    assert (await served.good("POST", path, {"metadata": {"b": "c"}}))["metadata"] == {"b": "c"}
    assert (await served.good("POST", path, {"metadata": None}))["metadata"] == {}
    gone = await served.good("DELETE", path)
    assert gone == {"id": made["id"], "object": "conversation.deleted", "deleted": True}
    assert (await served.ask("GET", path)).code == "conversation_not_found"


@pytest.mark.parametrize("body", [None, {}, {"items": None, "metadata": None}, {"items": [], "metadata": {}}])
async def test_one_begins_with_nothing(served: Served, body: Any) -> None:
    made = await served.good("POST", "/v1/conversations", body)

    assert made["metadata"] == {}
    listed = await served.good("GET", f"/v1/conversations/{made['id']}/items")
    assert listed == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_items_of_all_kinds_come_back_whole(served: Served) -> None:
    conversation = await served.begin()
    path = f"/v1/conversations/{conversation}/items"
    picture = {"role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}

    put = await served.good("POST", path, {"items": [HELLO, ANSWER, THOUGHT, CALL, RETURNED, picture]})

    listed = await served.good("GET", path, order="asc")
    assert listed == put
    assert [item["type"] for item in put["data"]] == [
        "message", "message", "reasoning", "function_call", "function_call_output", "message",
    ]  # fmt: skip
    assert [item["id"].partition("_")[0] for item in put["data"]] == ["msg", "msg", "rs", "fc", "fco", "msg"]
    assert put["data"][0]["content"] == [{"type": "input_text", "text": "hello there"}]
    for item in put["data"]:
        assert await served.good("GET", f"{path}/{item['id']}") == item


async def test_what_is_told_besides_is_asked_for(served: Served) -> None:
    conversation = await served.begin(ANSWER, THOUGHT)
    path = f"/v1/conversations/{conversation}/items"

    answer, thought = (await served.good("GET", path, order="asc"))["data"]
    assert answer["content"][0]["logprobs"] == []
    assert "encrypted_content" not in thought
    for name in ("include", "include[]"):
        (whole,) = (await served.good("GET", path, order="desc", limit="1", **{name: "reasoning.encrypted_content"}))[
            "data"
        ]
        assert whole["encrypted_content"] == "sealed"
        told = await served.good("GET", f"{path}/msg_answer", **{name: "message.output_text.logprobs"})
        assert told["content"][0]["logprobs"] == LOGPROBS


async def test_items_come_in_pages_the_last_one_first(served: Served) -> None:
    conversation = await served.begin(*({**HELLO, "id": f"msg_{number}"} for number in range(5)))
    path = f"/v1/conversations/{conversation}/items"

    first = await served.good("GET", path, limit="2")
    assert [item["id"] for item in first["data"]] == ["msg_4", "msg_3"]
    assert (first["first_id"], first["last_id"], first["has_more"]) == ("msg_4", "msg_3", True)
    second = await served.good("GET", path, limit="3", after="msg_3")
    assert [item["id"] for item in second["data"]] == ["msg_2", "msg_1", "msg_0"]
    assert second["has_more"] is False


async def test_a_deleted_item_is_left_out(served: Served) -> None:
    conversation = await served.begin({**HELLO, "id": "msg_1"}, {**HELLO, "id": "msg_2"})
    path = f"/v1/conversations/{conversation}/items"

    assert (await served.good("DELETE", f"{path}/msg_1"))["id"] == conversation
    assert [item["id"] for item in (await served.good("GET", path))["data"]] == ["msg_2"]
    for method in ("GET", "DELETE"):
        again = await served.ask(method, f"{path}/msg_1")
        assert (again.status, again.code) == (404, "item_not_found")


async def test_while_a_response_is_made_items_are_refused(served: Served) -> None:
    conversation = await served.begin(HELLO)
    await served.desk.enter(conversation, "resp_1", "q1")

    refused = await served.ask("POST", f"/v1/conversations/{conversation}/items", {"items": [HELLO]})

    assert (refused.status, refused.code, refused.headers["retry-after"]) == (409, "conversation_locked", "1")
    assert (await served.good("GET", f"/api/conversations/{conversation}"))["response_id"] == "resp_1"


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("", {"items": [HELLO] * 21}, "invalid_value", "items"),
        ("", {"items": [{"role": "wizard", "content": "x"}]}, "invalid_value", "items[0].role"),
        ("", {"items": [HELLO, {"type": "message", "role": "user"}]}, "missing_required_parameter", "items[1].content"),
        ("", {"items": [{"type": "item_reference", "id": "msg_1"}]}, "unsupported_item", "items[0]"),
        ("", {"items": [{"type": "mcp_call"}]}, "unsupported_parameter", "items[0].type"),
        ("", {"items": "hello"}, "invalid_type", "items"),
        ("", {"metadata": {"a": 1}}, "invalid_type", "metadata"),
        ("", {"metadata": {str(n): "" for n in range(17)}}, "invalid_value", "metadata"),
        ("", {"metadata": {"a": "x" * 513}}, "invalid_value", "metadata"),
        ("", {"title": "x"}, "unsupported_parameter", "title"),
        ("", b"{", "invalid_json", None),
        ("", b"[]", "invalid_json", None),
        ("/ID", {}, "missing_required_parameter", "metadata"),
        ("/ID/items", {}, "missing_required_parameter", "items"),
        ("/ID/items", {"items": []}, "invalid_value", "items"),
        ("/ID/items", {"items": [{**HELLO, "id": "msg_0"}]}, "item_exists", "items[0].id"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(served: Served, path: str, body: Any, code: str, param: str | None) -> None:
    conversation = await served.begin({**HELLO, "id": "msg_0"})

    answer = await served.ask("POST", f"/v1/conversations{path.replace('ID', conversation)}", body)

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, code, param)
    assert len((await served.good("GET", f"/v1/conversations/{conversation}/items"))["data"]) == 1
    assert len((await served.good("GET", "/api/conversations"))["data"]) == 1


@pytest.mark.parametrize("root", ["/v1", "/api"])
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"limit": "²"}, "limit"), ({"order": "up"}, "order"),
        ({"after": "never"}, "after"), ({"after": "\0"}, "after"), ({"include": "everything"}, "include"),
        ({"surprise": "1"}, "surprise"), ({"before": "msg_1"}, "before"),
    ],
)  # fmt: skip
async def test_a_wrong_page_is_named(served: Served, root: str, query: dict[str, str], param: str) -> None:
    conversation = await served.begin(HELLO)

    answer = await served.ask("GET", f"{root}/conversations/{conversation}/items", **query)

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, "invalid_value", param)


async def test_who_is_nobody_or_may_not_is_refused(served: Served) -> None:
    conversation = await served.begin(HELLO)
    key = await served.good("POST", "/v1/conversations", {}, user="key")

    assert (await served.ask("GET", f"/v1/conversations/{conversation}", user="key")).status == 404
    assert (await served.ask("GET", f"/v1/conversations/{key['id']}")).status == 404
    assert (await served.good("GET", f"/v1/conversations/{key['id']}", user="key")) == key
    assert (await served.ask("GET", "/api/conversations", user="key_narrow")).code == "missing_scope"
    nobody = await asgi.ask(served.edge, "GET", "/api/conversations")
    assert (nobody.status, nobody.code) == (401, "invalid_api_key")


async def test_they_are_kept_as_long_as_the_tier_says(served: Served) -> None:
    brief = await served.good("POST", "/v1/conversations", {}, user="u2/brief")
    told = await served.good("GET", f"/api/conversations/{brief['id']}", user="u2/brief")
    none = await served.ask("POST", "/v1/conversations", {}, user="u3/none")

    assert told["expires_at"] == told["changed_at"] + 86_400
    assert (await served.good("GET", f"/api/conversations/{await served.begin()}"))["expires_at"] is None
    assert (none.status, none.code) == (400, "conversations_not_kept")


# --- ours ---------------------------------------------------------------------------------------


async def test_they_are_listed_named_pinned_and_found(served: Served) -> None:
    made = [await served.begin({"role": "user", "content": text}) for text in ("about trees", "about birds", "bees")]
    birds = f"/api/conversations/{made[1]}"

    told = await served.good("PATCH", birds, {"title": "  Things that\tfly ", "pinned": True})
    assert told == {
        "id": made[1],
        "object": "conversation",
        "created_at": told["created_at"],
        "metadata": {},
        "title": "Things that fly",
        "pinned": True,
        "changed_at": told["created_at"],
        "expires_at": None,
        "branch": 0,
        "branches": 1,
        "response_id": None,
    }
    assert await served.good("GET", birds) == told
    page = await served.good("GET", "/api/conversations", limit="2")
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([made[1], made[2]], True)
    page = await served.good("GET", "/api/conversations", limit="2", after=page["last_id"])
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([made[0]], False)
    for words, found in (("ABOUT", [made[1], made[0]]), ("that fly", [made[1]]), ("100%", [])):
        page = await served.good("GET", "/api/conversations", q=words)
        assert [each["id"] for each in page["data"]] == found
    assert (await served.good("PATCH", birds, {"title": None, "pinned": False}))["title"] is None


async def test_branches_and_what_stands_beside_are_told(served: Served) -> None:
    conversation = await served.begin({**HELLO, "id": "q1"}, {**HELLO, "id": "a1", "role": "assistant"})
    await served.desk.turn(conversation, ["q2"], ["a2"], after=UNSET)
    await served.desk.turn(conversation, [], ["a1b"], after="q1")
    path = f"/api/conversations/{conversation}"

    branches = (await served.good("GET", f"{path}/branches"))["data"]
    assert branches == [
        {"number": 0, "object": "conversation.branch", "parent": None, "fork": 0, "length": 4,
         "first_words": "hello there", "chosen": False},
        {"number": 1, "object": "conversation.branch", "parent": 0, "fork": 1, "length": 2,
         "first_words": "a1b", "chosen": True},
    ]  # fmt: skip
    placed = (await served.good("GET", f"{path}/items"))["data"]
    assert [item["id"] for item in placed] == ["a1b", "q1"]
    assert {**placed[0], "created_at": 0} == {
        "id": "a1b",
        "object": "conversation.item",
        "item": {
            "id": "a1b",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": "a1b"}],
        },
        "branch": 1,
        "position": 1,
        "parent": "q1",
        "siblings": [{"id": "a1", "branch": 0}, {"id": "a1b", "branch": 1}],
        "response_id": "resp_a1b",
        "created_at": 0,
        "pinned": False,
    }
    of_other = await served.good("GET", f"{path}/items", branch="0", order="asc")
    assert [item["id"] for item in of_other["data"]] == ["q1", "a1", "q2", "a2"]
    of_all = await served.good("GET", f"{path}/items", branch="all", order="asc", limit="4")
    assert ([item["id"] for item in of_all["data"]], of_all["has_more"]) == (["q1", "a1", "q2", "a2"], True)

    assert (await served.good("PATCH", path, {"branch": 0}))["branch"] == 0
    listed = await served.good("GET", f"/v1{path.removeprefix('/api')}/items", order="asc")
    assert [item["id"] for item in listed["data"]] == ["q1", "a1", "q2", "a2"]
    await served.desk.enter(conversation, "resp_1", "q3")
    assert (await served.ask("PATCH", path, {"branch": 1})).code == "conversation_locked"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"title": ""}, "invalid_value", "title"), ({"title": " \n"}, "invalid_value", "title"),
        ({"title": "a\0b"}, "invalid_value", "title"), ({"title": "x" * 201}, "invalid_value", "title"),
        ({"title": 1}, "invalid_type", "title"), ({"pinned": None}, "invalid_type", "pinned"),
        ({"branch": -1}, "invalid_value", "branch"), ({"branch": 1}, "invalid_value", "branch"),
        ({"branch": 1.5}, "invalid_type", "branch"), ({"surprise": 1}, "unsupported_parameter", "surprise"),
    ],
)  # fmt: skip
async def test_a_wrong_change_is_named(served: Served, body: Any, code: str, param: str) -> None:
    path = f"/api/conversations/{await served.begin(HELLO)}"
    before = await served.good("GET", path)

    answer = await served.ask("PATCH", path, body)

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, code, param)
    assert await served.good("GET", path) == before


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("", {"q": "x" * (MOST_WORDS_CHARS + 1)}, "q"), ("", {"after": "conv_never"}, "after"),
        ("", {"limit": "x"}, "limit"), ("", {"order": "asc"}, "order"), ("/ID/branches", {"limit": "1"}, "limit"),
        ("/ID/items", {"branch": "1"}, "branch"), ("/ID/items", {"branch": "-1"}, "branch"),
        ("/ID/items", {"branch": "some"}, "branch"),
    ],
)  # fmt: skip
async def test_what_a_list_cannot_have_is_named(served: Served, path: str, query: dict[str, str], param: str) -> None:
    path = path.replace("ID", await served.begin(HELLO))

    answer = await served.ask("GET", f"/api/conversations{path}", **query)

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, "invalid_value", param)


async def test_anothers_is_not_there(served: Served) -> None:
    conversation = await served.begin({**HELLO, "id": "msg_1"})
    items = f"/v1/conversations/{conversation}/items"
    asked = [
        ("GET", f"/v1/conversations/{conversation}", None),
        ("POST", f"/v1/conversations/{conversation}", {"metadata": {}}),
        ("DELETE", f"/v1/conversations/{conversation}", None),
        ("GET", items, None),
        ("POST", items, {"items": [HELLO]}),
        ("GET", f"{items}/msg_1", None),
        ("DELETE", f"{items}/msg_1", None),
        ("GET", f"/api/conversations/{conversation}", None),
        ("PATCH", f"/api/conversations/{conversation}", {"title": "mine"}),
        ("GET", f"/api/conversations/{conversation}/items", None),
        ("GET", f"/api/conversations/{conversation}/branches", None),
    ]
    before = await served.good("GET", f"/api/conversations/{conversation}")

    for method, path, body in asked:
        answer = await served.ask(method, path, body, user="u2")
        assert (answer.status, answer.code) == (404, "conversation_not_found"), f"{method} {path}"
    assert (await served.good("GET", "/api/conversations", user="u2"))["data"] == []
    assert (await served.good("GET", "/api/conversations", user="u2", q="hello"))["data"] == []
    assert await served.good("GET", f"/api/conversations/{conversation}") == before
