"""POST /api/sync over its wire: who may, in which forms, how few bytes, and what is refused as a whole."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import zstandard

from tests.http.asgi import Answer
from tests.sync.desk import SETTINGS, App, entry, new_conversation, opened
from tests.sync.taker import Taker

MSGPACK = "application/msgpack"
MOST_BYTES = 200


@pytest.fixture
async def app(sqlite_url: str) -> AsyncIterator[App]:
    async with opened(sqlite_url, SETTINGS + "limits: {body_mb: 0.1}\n") as app:
        yield app


def body_of(answer: Answer) -> bytes:
    return b"".join(message.get("body", b"") for message in answer.messages[1:])


async def filled(app: App, token: str, conversations: int = 5) -> Taker:
    """Somebody who has some conversations, and knows all of it."""
    for number in range(conversations):
        conversation = new_conversation()
        entries = [
            entry("conversation", conversation=conversation),
            entry("fact", fact=f"fact_{number:032}", words="x"),
        ]
        assert [result["status"] for result in await app.pushed(token, *entries)] == ["done", "done"]
    return await app.synced(token, Taker())


@pytest.mark.parametrize("role", ["server", "operator", "reviewer"])
async def test_a_key_has_no_devices(app: App, role: Any):
    _, key = await app.frontdesk.accounts.create_key("default", "test", role, None, None)

    answer = await app.ask(key, "POST", "/api/sync", {})

    assert (answer.status, answer.code) == (403, "forbidden")
    assert role in answer.body["error"]["message"]
    assert "user" in answer.body["error"]["message"]


async def test_who_is_not_known_is_not_told_anything(app: App):
    answer = await app.ask("fd_st_nonsense", "POST", "/api/sync", {})

    assert answer.status == 401


async def test_who_was_ended_while_they_sent_is_not_heard(app: App):
    token = await app.token()
    session = (await app.ask(token, "GET", "/api/sessions/current")).body["id"]
    await app.ask(token, "DELETE", f"/api/sessions/{session}")

    assert (await app.ask(token, "POST", "/api/sync", {})).code == "token_revoked"


@pytest.mark.parametrize("is_json", [True, False])
async def test_a_sync_with_nothing_new_has_few_bytes_each_way(app: App, is_json: bool):
    token = await app.token()
    taker = await filled(app, token)
    encode = msgspec.json.encode if is_json else msgspec.msgpack.encode
    sent = encode({"cursor": taker.cursor})
    headers = {} if is_json else {"content_type": MSGPACK}

    answer = await app.ask(token, "POST", "/api/sync", sent, **headers)

    assert answer.status == 200
    assert len(sent) <= MOST_BYTES
    assert len(body_of(answer)) <= MOST_BYTES
    decode: Any = msgspec.json.decode if is_json else msgspec.msgpack.decode
    assert decode(body_of(answer)) == {"cursor": taker.cursor, "has_more": False, "changes": []}


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
async def test_both_forms_say_the_same_both_ways(app: App, coding: str):
    token = await app.token()
    await filled(app, token)
    conversation = new_conversation()
    push = [entry("conversation", conversation=conversation), entry("rename", conversation=conversation, title="é ☃")]
    first = await app.sync(token, push=push)
    asked = {"push": push, "limit": 50, "cursor": None}
    packed = {"": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[coding]
    unpacked = {"": bytes, "gzip": lambda body: zlib.decompress(body, 31), "zstd": zstandard.decompress}[coding]
    headers = {"content_encoding": coding, "accept_encoding": coding} if coding else {}

    plain = await app.ask(token, "POST", "/api/sync", packed(json.dumps(asked).encode()), **headers)
    packed_too = await app.ask(
        token, "POST", "/api/sync", packed(msgspec.msgpack.encode(asked)), content_type=MSGPACK, **headers
    )

    assert plain.headers["content-type"] == "application/json"
    assert packed_too.headers["content-type"] == MSGPACK
    for answer in (plain, packed_too):
        assert answer.headers.get("content-encoding", "") == coding
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "accept, accept-encoding"
    said = json.loads(unpacked(body_of(plain)))
    assert said == msgspec.msgpack.decode(unpacked(body_of(packed_too)))
    assert said["results"] == first["results"]
    assert {**said, "results": None} == {**first, "results": None}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"[]", None, "invalid_json"),
        (b"{", None, "invalid_json"),
        ({"cursor": 5}, "cursor", "invalid_type"),
        ({"cursor": "x" * 201}, "cursor", "invalid_value"),
        ({"limit": -1}, "limit", "invalid_value"),
        ({"limit": 0}, "cursor", "missing_required_parameter"),
        ({"limit": 1001}, "limit", "invalid_value"),
        ({"push": {}}, "push", "invalid_type"),
        ({"push": [5]}, "push[0]", "invalid_type"),
        ({"push": [{}] * 101}, "push", "invalid_value"),
        ({"pull": 1}, "pull", "unsupported_parameter"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_as_a_whole(app: App, body: Any, param: str | None, code: str):
    answer = await app.ask(await app.token(), "POST", "/api/sync", body)

    assert (answer.status, answer.code) == (400, code)
    assert answer.body["error"]["param"] == param


async def test_an_empty_body_is_a_first_sync(app: App):
    token = await app.token()
    await filled(app, token, 1)

    answer = await app.ask(token, "POST", "/api/sync")

    assert [change["type"] for change in answer.body["changes"]] == ["fact", "conversation"]


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
async def test_a_body_has_so_many_bytes_at_most_packed_or_not(app: App, coding: str):
    body = json.dumps({"push": [{"id": "x" * 200_000}]}).encode()
    packed = {"": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[coding](body)

    answer = await app.ask(await app.token(), "POST", "/api/sync", packed, content_encoding=coding)

    assert (answer.status, answer.code) == (413, "request_too_large")


@pytest.mark.parametrize("headers", [{"content_type": "text/csv"}, {"content_encoding": "br"}])
async def test_a_form_that_nobody_reads_here_is_refused(app: App, headers: dict[str, str]):
    answer = await app.ask(await app.token(), "POST", "/api/sync", b"{}", **headers)

    assert (answer.status, answer.code) == (415, "unsupported_media_type")


async def test_a_first_sync_comes_in_pages_of_the_size_that_is_asked_for(app: App):
    token = await app.token()
    whole = await filled(app, token, 20)
    taker, sizes = Taker(), []
    while True:
        answer = await app.sync(token, taker, limit=7)
        sizes.append(len(answer["changes"]))
        if not answer["has_more"]:
            break

    assert sizes == [7, 7, 7, 7, 7, 5]
    assert taker.things == whole.things
    assert taker.cursor == whole.cursor


async def test_what_was_pushed_is_told_in_the_same_answer(app: App):
    token, conversation = await app.token(), new_conversation()

    answer = await app.sync(token, push=[entry("conversation", conversation=conversation, title="new")])

    assert [change["id"] for change in answer["changes"]] == [conversation]
    assert list(answer) == ["cursor", "has_more", "results", "changes"]


async def test_who_listens_elsewhere_brings_something_and_is_told_nothing(app: App):
    token, conversation = await app.token(), new_conversation()
    taker = await filled(app, token)
    begin = entry("conversation", conversation=conversation, title="new")

    answer = await app.sync(token, push=[begin], cursor=taker.cursor, limit=0)
    foreign = await app.sync(token, cursor="of.elsewhere", limit=0)
    told = await app.sync(token, cursor=taker.cursor)

    assert answer == {
        "cursor": taker.cursor,
        "has_more": False,
        "results": [{"id": begin["id"], "status": "done"}],
        "changes": [],
    }
    assert foreign == {"cursor": "of.elsewhere", "has_more": False, "changes": []}
    assert [change["title"] for change in told["changes"]] == ["new"]


async def test_who_says_not_where_they_are_does_nothing_with_a_limit_of_none(app: App):
    token, conversation = await app.token(), new_conversation()
    begin = entry("conversation", conversation=conversation)

    answer = await app.ask(token, "POST", "/api/sync", {"push": [begin], "limit": 0})

    assert (answer.status, answer.body["error"]["param"]) == (400, "cursor")
    assert (await app.sync(token))["changes"] == []
