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
from tests.edges.raw import RawConnection, ask, post
from tests.edges.test_roles import places_of
from tests.serving import ADMIN_KEY, Served, serving
from tests.upstreams import ScriptedUpstream, scripted_upstream

MESSAGES = [{"role": "user", "content": "what does this cost"}]
# How each route is asked that can reach a provider. One that is new belongs here, or into NEVER.
ASKED: dict[str, list[dict[str, Any]]] = {
    "/v1/chat/completions": [
        {"messages": MESSAGES},
        {"messages": MESSAGES, "stream": True},
        {"messages": MESSAGES, "n": 2, "max_tokens": 40},
        {"messages": MESSAGES, "model": "rescued"},
    ],
    "/v1/responses": [{"input": "what does this cost"}, {"input": "what does this cost", "stream": True}],
    "/v1/embeddings": [{"model": "embed", "input": ["one text", "and another"]}],
}
NEVER = {"/v1/responses/{response_id}/cancel"}
INPUT, OUTPUT = 3, 15
APP = "select spent_micros, held_micros from budget_window where scope = 'app'"
PROVIDERS = ("providers", "local", "upstream")


def settings(up: ScriptedUpstream, usd: float) -> dict[str, Any]:
    return {
        "providers": {"mock": {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-mock"}},
        "models": {
            "fast": {"route": ["mock/words-12"]},
            "rescued": {"route": ["mock/words-3:fault=500", "mock/words-12"]},
            "embed": {"route": ["mock/echo"], "kind": "embeddings"},
        },
        "default_model": "fast",
        "prices": {"mock/*": {"input": INPUT, "output": OUTPUT}},
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
                if len(node.args) in takes.get(name, ()):
                    calls[name].add(place.as_posix())

    # `check` asks scripts what they think of their directives; no provider of money is one.
    assert {path for path in calls["answer"] if path.split("/")[0] not in PROVIDERS} == {"checking/settings.py"}
    assert "providers/router.py" in calls["answer"]
    assert calls["carry"] == {"turn/run.py", "doors/desk.py"}  # the desk hands turns to those under way


@pytest.mark.parametrize(
    ("path", "body"),
    [(path, body) for path, bodies in ASKED.items() for body in bodies],
    ids=lambda each: str(each)[:60],
)
async def test_it_spends_what_the_provider_bills(
    rich: Served, up: ScriptedUpstream, path: str, body: dict[str, Any]
) -> None:
    connection = await RawConnection.open(rich)
    connection.send(post(path, json.dumps(body).encode()))
    status, _, _ = await connection.answer()

    assert status == 200
    cost = sum(INPUT * each.billed.input_tokens + OUTPUT * each.billed.output_tokens for each in up.journal())
    assert cost > 0
    await rich.until_rows(APP, [(cost, 0)])


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("who", ["user", "server", "operator"])
async def test_it_is_refused_when_the_budget_is_used_up(
    spent: Served, up: ScriptedUpstream, path: str, who: str
) -> None:
    for body in ASKED[path]:
        status, answer = await ask(spent, post(path, json.dumps(body).encode(), await _credential(spent, who)))

        assert (status, answer["error"]["code"]) == (429, "insufficient_quota")
    assert up.journal() == []
    assert spent.rows("select count(*) from hold") == [(0,)]


async def _credential(served: Served, who: str) -> str:
    if who == "operator":
        return ADMIN_KEY
    if who == "server":
        made = await ask(served, post("/api/admin/keys", b'{"name": "test", "role": "server"}'))
        return made[1]["key"]
    return (await ask(served, post("/api/sessions", b'{"user": "u1"}')))[1]["token"]
