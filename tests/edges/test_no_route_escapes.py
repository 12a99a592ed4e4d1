"""Every route that can reach a provider spends under the budgets, and is refused when they are used up."""

from __future__ import annotations

import ast
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import frontdesk
from frontdesk.app import Frontdesk
from frontdesk.core.config import Config, read_environment
from frontdesk.storage.database import Database
from frontdesk.turn.items import Upload
from frontdesk.upstream.journal import Record
from tests.edges.raw import RawConnection, ask, post
from tests.edges.test_roles import places_of
from tests.serving import ADMIN_KEY, Served, serving
from tests.turn.test_recordings import wav
from tests.upstreams import ScriptedUpstream, scripted_upstream
from tests.wire.forms import a_form

MESSAGES = [{"role": "user", "content": "what does this cost"}]
RECORDING = Upload(wav(9), "a.wav", "audio/wav")
PICTURE = Upload(b"\x89PNG-some", "a.png", "image/png")
# How each route is asked that can reach a provider. One that is new belongs here, or into NEVER.
ASKED: dict[str, list[dict[str, Any]]] = {
    "/v1/chat/completions": [
        {"messages": MESSAGES},
        {"messages": MESSAGES, "stream": True},
        {"messages": MESSAGES, "n": 2, "max_tokens": 40},
        {"messages": MESSAGES, "model": "rescued"},
    ],
    "/v1/responses": [{"input": "what does this cost"}, {"input": "what does this cost", "stream": True}],
    "/v1/responses/compact": [{"model": "fast", "input": "what does this cost"}],
    "/v1/embeddings": [{"model": "embed", "input": ["one text", "and another"]}],
    "/v1/moderations": [{"model": "judge", "input": ["one text", "and another"]}],
    "/v1/audio/transcriptions": [
        {"model": "ears", "file": RECORDING},
        {"model": "ears", "file": RECORDING, "response_format": "text"},
        {"model": "ears", "file": RECORDING, "stream": "true"},
        {"model": "watch", "file": RECORDING, "response_format": "srt"},
    ],
    "/v1/audio/translations": [{"model": "ears", "file": RECORDING}],
    "/v1/audio/speech": [
        {"model": "voice", "voice": "v", "input": "what does this cost"},
        {"model": "singer", "voice": "v", "input": "what does this cost", "stream_format": "sse"},
    ],
    "/v1/images/generations": [
        {"model": "brush", "prompt": "a cat"},
        {"model": "brush", "prompt": "a cat", "stream": True, "partial_images": 2},
        {"model": "frame", "prompt": "a cat", "n": 3},
    ],
    "/v1/images/edits": [{"model": "brush", "prompt": "a hat", "image": PICTURE}],
    "/v1/images/variations": [{"model": "frame", "image": PICTURE, "n": "2"}],
}
NEVER = {
    "/v1/responses/{response_id}/cancel",
    "/v1/responses/input_tokens",
    "/v1/chat/completions/{completion_id}",
    "/v1/files",
    "/v1/batches/{batch_id}/cancel",
    "/v1/conversations",
    "/v1/conversations/{conversation_id}",
    "/v1/conversations/{conversation_id}/items",
}
# What asks later, by the doors of others: what it spends then, and when it is refused, is shown in test_batches.
LATER = {"/v1/batches"}
INPUT, OUTPUT = 3, 15
# What is not paid by tokens, and micro-dollars for a request, a second that is heard, a character, a picture.
PRICES = {
    "mock/judge": {"request": 0.001},
    "mock/watch": {"audio_minute": 0.006},
    "mock/voice": {"character": 15},
    "mock/frame": {"image": 0.04},
}
A_REQUEST, A_SECOND, A_CHARACTER, A_PICTURE = 1_000, 100, 15, 40_000
APP = "select spent_micros, held_micros from budget_window where scope = 'app'"
# Whose `answer` is what is kept of one, or tells a socket how it was, and whose `carry` does something once.
OTHERS = {"texts", "_texts", "_kept", "_work", "once", "keys"}
PROVIDERS = ("providers", "local", "upstream")


def settings(up: ScriptedUpstream, usd: float) -> dict[str, Any]:
    return {
        "providers": {"mock": {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-mock"}},
        "models": {
            "fast": {"route": ["mock/words-12"]},
            "rescued": {"route": ["mock/words-3:fault=500", "mock/words-12"]},
            "embed": {"route": ["mock/echo"], "kind": "embeddings"},
            "judge": {"route": ["mock/judge"], "kind": "moderation"},
            "ears": {"route": ["mock/ears"], "kind": "transcription"},
            "watch": {"route": ["mock/watch"], "kind": "transcription"},
            "voice": {"route": ["mock/voice"], "kind": "speech"},
            "singer": {"route": ["mock/singer"], "kind": "speech"},
            "brush": {"route": ["mock/brush"], "kind": "image"},
            "frame": {"route": ["mock/frame"], "kind": "image"},
        },
        "default_model": "fast",
        "prices": {"mock/*": {"input": INPUT, "output": OUTPUT}, **PRICES},
        "budgets": [{"scope": "app", "usd": usd, "per": "month"}],
    }


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


@pytest.fixture
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest.fixture
def rich(up: ScriptedUpstream, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, settings(up, 1)) as served:
        yield served


@pytest.fixture
def spent(up: ScriptedUpstream, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, settings(up, 0)) as served:
        yield served


def test_it_is_known_of_every_route_whether_it_asks_a_provider() -> None:
    places = places_of(Frontdesk(Config(), read_environment({}), cast("Database", None), is_development=False))

    assert {place.path for place in places if place.method == "POST" and place.path.startswith("/v1/")} == {
        *ASKED,
        *NEVER,
        *LATER,
    }


def test_only_the_router_asks_a_provider_and_only_the_line_asks_the_router() -> None:
    root = Path(frontdesk.__file__).parent
    calls: dict[str, set[str]] = {"answer": set(), "carry": set()}
    takes = {"answer": {2}, "carry": {2, 4}}  # arguments: what only shares the name takes others
    for path in root.rglob("*.py"):
        place = path.relative_to(root)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                if len(node.args) in takes.get(name, ()) and _name_of(node.func.value) not in OTHERS:
                    calls[name].add(place.as_posix())

    # `check` asks scripts what they think of their directives; no provider of money is one.
    asking = {path for path in calls["answer"] if path.split("/")[0] not in PROVIDERS}
    assert asking == {"checking/settings.py", "routing/asking.py"}
    assert calls["carry"] == {"turn/run.py", "doors/desk.py"}  # the desk hands turns to those under way


async def test_it_spends_what_the_provider_bills(rich: Served, up: ScriptedUpstream) -> None:
    cost = 0
    for path, body in [(path, body) for path, bodies in ASKED.items() for body in bodies]:
        connection = await RawConnection.open(rich)
        connection.send(asking(path, body))
        status, _, _ = await connection.answer()

        assert status == 200, path
        before, cost = cost, sum(map(billed, up.journal()))
        assert cost > before, path
        await rich.until_rows(APP, [(cost, 0)])


@pytest.mark.parametrize("who", ["user", "server", "operator"])
async def test_it_is_refused_when_the_budget_is_used_up(spent: Served, up: ScriptedUpstream, who: str) -> None:
    token = await _credential(spent, who)
    for path, body in [(path, body) for path, bodies in ASKED.items() for body in bodies]:
        status, answer = await ask(spent, asking(path, body, token))

        assert (status, answer["error"]["code"]) == (429, "insufficient_quota"), path
        assert up.journal() == [], path
        assert spent.rows("select count(*) from hold") == [(0,)], path


# What devices push, in one body with what they ask about changes.
PUSHED = [
    {"type": "message", "conversation": f"conv_{1:032x}", "content": "what does this cost"},
    {"type": "message", "conversation": f"conv_{2:032x}", "content": "and this", "request": {"model": "rescued"}},
]


async def test_what_devices_push_spends_what_the_provider_bills(rich: Served, up: ScriptedUpstream) -> None:
    status, answer = await ask(rich, pushing(await _credential(rich, "user")))

    assert (status, [each["status"] for each in answer["results"]]) == (200, ["done", "done"])
    rows = "select count(*) from turn where status = 'completed'"
    await rich.until_rows(rows, [(2,)])
    cost = sum(map(billed, up.journal()))
    assert cost > 0
    await rich.until_rows(APP, [(cost, 0)])


async def test_what_devices_push_is_refused_when_the_budget_is_used_up(spent: Served, up: ScriptedUpstream) -> None:
    status, answer = await ask(spent, pushing(await _credential(spent, "user")))

    assert status == 200
    assert [(each["status"], each["error"]["code"]) for each in answer["results"]] == [
        ("refused", "insufficient_quota")
    ] * 2
    assert answer["changes"] == []
    assert up.journal() == []
    assert spent.rows("select count(*) from hold") == [(0,)]


def pushing(token: str) -> bytes:
    """A sync that brings entries."""
    entries = [{"id": f"0199a0b0-0000-7000-8000-{place:012x}", **each} for place, each in enumerate(PUSHED)]
    return post("/api/sync", json.dumps({"push": entries}).encode(), token)


def asking(path: str, body: dict[str, Any], token: str = ADMIN_KEY) -> bytes:
    """The request: a form where it brings a file, else JSON."""
    if not any(isinstance(value, Upload) for value in body.values()):
        return post(path, json.dumps(body).encode(), token)
    content, content_type = a_form(**body)
    return post(path, content, token, **{"content-type": content_type.decode()})


def billed(record: Record) -> int:
    """What a provider charges for a request, in micro-dollars."""
    used = record.billed
    match record.model:
        case "judge":
            return A_REQUEST
        case "watch":
            return A_SECOND * used.audio_seconds
        case "voice":
            return A_CHARACTER * used.characters
        case "frame":
            return A_PICTURE * used.images
        case _:
            return INPUT * used.input_tokens + OUTPUT * used.output_tokens


def _name_of(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


async def _credential(served: Served, who: str) -> str:
    if who == "operator":
        return ADMIN_KEY
    if who == "server":
        made = await ask(served, post("/api/admin/keys", b'{"name": "test", "role": "server"}'))
        return made[1]["key"]
    return (await ask(served, post("/api/sessions", b'{"user": "u1"}')))[1]["token"]
