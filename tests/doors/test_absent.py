"""What is asked for the absent is asked as a request is: the same features, limits and books; what passes is told
from what stays.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from frontdesk.app import Frontdesk
from frontdesk.batches.room import OwnLimits
from frontdesk.core.config import parse_config, read_environment
from frontdesk.doors.absent import Answered, Asker, Interrupted, Outcome, Postponed, Unfunded
from frontdesk.files.owner import owner_of
from frontdesk.storage.database import open_database
from frontdesk.turn.turn import Caller
from frontdesk.usage.store import TurnReader

CHAT = "/v1/chat/completions"
SETTINGS = """
providers: {scripted: {kind: scripted, retries: {most: 0}}}
models:
  fast: {route: [scripted/echo]}
  slow: {route: [scripted/slow-500]}
  broken: {route: [scripted/error-500]}
  busy: {route: [scripted/error-429]}
  silent: {route: [scripted/silent]}
  embed: {route: [scripted/embed], kind: embeddings}
default_model: fast
features:
  chat: {models: [fast, slow, broken, busy, silent, embed], max_output_tokens: 7}
  other: {models: [fast], instructions: Be brief.}
  reading: {models: [fast], client_may: [files]}
  last: {models: [slow], priority: batch}
default_feature: chat
tiers: {free: {requests_per_minute: 2, concurrent: 5}, spent: {budget: {usd: 0, per: day}},
  tight: {budget: {usd: 0.0001, per: total}}, all: {}}
default_tier: all
prices: {"scripted/*": {input: 1, output: 1}}
guards: {credentials: refuse}
shutdown_grace_s: 0
"""


@pytest.fixture
async def app(sqlite_url: str) -> AsyncIterator[Frontdesk]:
    opened = Frontdesk(
        parse_config(SETTINGS, {}), read_environment({}), await open_database(sqlite_url), is_development=False
    )
    await opened.accounts.load()
    yield opened
    await opened.drain()
    await opened.close()


def person(tier: str = "all") -> Caller:
    return Caller("user", "sess_1", "u1", tier)


async def asked(app: Frontdesk, caller: Caller, feature: str | None = None, path: str = CHAT, **body: Any) -> Outcome:
    said = {"messages": [{"role": "user", "content": "hello there"}], **body} if path == CHAT else body
    return await app._batching._asker.ask(path, caller, feature, "192.0.2.1", json.dumps(said).encode())


def code_of(outcome: Outcome) -> tuple[int, str]:
    assert isinstance(outcome, Answered)
    return outcome.status, json.loads(outcome.body)["error"]["code"]


async def test_an_answer_is_kept_and_leaves_the_rows_of_a_turn(app: Frontdesk) -> None:
    outcome = await asked(app, person(), "other")

    assert isinstance(outcome, Answered)
    body = json.loads(outcome.body)
    assert (outcome.status, body["choices"][0]["message"]["content"]) == (200, "hello there")
    assert outcome.request_id == body["id"]
    app._turns._enqueue()
    await app._database.flush()
    row = await TurnReader(app._database, "default").find(body["id"])
    assert row is not None
    assert (row.person, row.feature, row.credential, row.status) == ("u1", "other", "sess_1", "completed")


@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("/v1/responses", {"input": "hello"}, "response"),
        ("/v1/embeddings", {"model": "embed", "input": "hello"}, "list"),
    ],
)
async def test_other_doors_answer_as_well(app: Frontdesk, path: str, body: dict[str, Any], what: str) -> None:
    outcome = await asked(app, person(), path=path, **body)

    assert isinstance(outcome, Answered)
    assert (outcome.status, json.loads(outcome.body)["object"]) == (200, what)


@pytest.mark.parametrize(
    ("feature", "body", "expected"),
    [
        (None, {"model": "unheard_of"}, (404, "model_not_found")),
        (None, {"temperature": 0.5}, (403, "not_allowed_by_feature")),
        (None, {"messages": "x"}, (400, "invalid_type")),
        ("nothing", {}, (403, "feature_not_allowed")),
        ("chat", {"metadata": {"feature": "other"}}, (400, "ambiguous_feature")),
        (None, {"model": "embed"}, (400, "wrong_model_kind")),
        (None, {"model": "broken"}, (502, "provider_error")),
    ],
)
async def test_what_is_wrong_with_it_is_its_answer(
    app: Frontdesk, feature: str | None, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code_of(await asked(app, person(), feature, **body)) == expected


async def test_guards_see_the_words_of_a_text_that_is_attached(app: Frontdesk) -> None:
    upload = await app._files.begin(owner_of(person()), None)
    await upload.write(("the key: sk-proj-" + "Ab1_" * 10).encode())
    file = await upload.finish("user_data", "a.txt", "text/plain", None)
    part = {"type": "file", "file": {"file_id": file.id}}

    outcome = await asked(app, person(), "reading", messages=[{"role": "user", "content": [part]}])

    assert code_of(outcome) == (400, "credential_found")


async def test_a_limit_lets_it_wait_and_money_does_not(app: Frontdesk) -> None:
    free = person("free")
    assert [type(await asked(app, free)) for _ in range(2)] == [Answered, Answered]

    refused = await asked(app, free)

    assert isinstance(refused, Postponed)
    assert refused.after_s is not None
    assert 0 < refused.after_s <= 31
    spent = await asked(app, person("spent"))
    assert isinstance(spent, Unfunded)
    assert code_of(spent.answer) == (429, "insufficient_quota")
    assert spent.after_s is not None
    assert spent.after_s >= 1


async def test_what_is_put_aside_is_told_to_be_free_soon(app: Frontdesk) -> None:
    tight = person("tight")
    under_way = asyncio.ensure_future(asked(app, tight, model="slow"))
    while not len(app.live):
        await asyncio.sleep(0.001)

    refused = await asked(app, tight)

    assert isinstance(refused, Unfunded)
    assert refused.after_s == 5.0
    assert isinstance(await under_way, Answered)


async def test_a_provider_that_is_busy_lets_it_wait(app: Frontdesk) -> None:
    assert isinstance(await asked(app, person(), model="busy"), Postponed)


async def test_what_is_cut_by_a_shutdown_is_said_to_be(app: Frontdesk) -> None:
    under_way = asyncio.ensure_future(asked(app, person(), model="slow"))
    while not len(app.live):
        await asyncio.sleep(0.001)
    (running,) = app.live._running.values()
    assert running.turn.priority == "batch"
    while not running.turn.attempts:
        await asyncio.sleep(0.001)

    await app.drain()

    assert await under_way == Interrupted()
    assert isinstance(await asked(app, person()), Postponed)  # this one never began


async def test_an_answer_may_take_so_long(app: Frontdesk) -> None:
    asides = Asker(app._batching._asker._doors, "background", timeout_s=0.1)
    body = json.dumps({"model": "silent", "messages": [{"role": "user", "content": "a"}]}).encode()

    outcome = await asides.ask(CHAT, person(), None, "", body)

    assert isinstance(outcome, Answered)
    assert outcome.status == 504


@pytest.mark.parametrize(("feature", "expected"), [("chat", "background"), ("last", "batch")])
async def test_its_priority_is_that_of_who_asks_or_less(app: Frontdesk, feature: str, expected: str) -> None:
    asides = Asker(app._batching._asker._doors, "background")
    body = json.dumps({"model": "slow", "messages": [{"role": "user", "content": "a b"}]}).encode()
    under_way = asyncio.ensure_future(asides.ask(CHAT, person(), feature, "", body))
    while not len(app.live):
        await asyncio.sleep(0.001)

    (running,) = app.live._running.values()

    assert (running.turn.priority, running.turn.address) == (expected, "")
    assert isinstance(await under_way, Answered)


async def test_a_bug_ends_one_line(app: Frontdesk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stumble(_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(app._batching._asker._doors, CHAT, stumble)

    assert code_of(await asked(app, person())) == (500, "internal_error")


async def test_half_of_what_a_person_may_ask_is_left_to_them(app: Frontdesk) -> None:
    room = OwnLimits(app._limits)

    assert await room.has_room(person("free"))
    await asked(app, person("free"))
    assert not await room.has_room(person("free"))  # one of two a minute is left
    assert await room.has_room(person("all"))
    assert await room.has_room(Caller("server", "key_1"))
