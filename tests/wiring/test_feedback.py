"""Feedback as the application has it: said of a real answer at once, and kept as long as a conversation would be."""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from frontdesk.accounts.service import NewSession
from frontdesk.app import Frontdesk
from frontdesk.core.config import parse_config, read_environment
from frontdesk.feedback.rows import Rated
from frontdesk.feedback.service import Terms
from frontdesk.keeping.retention import Retention
from frontdesk.policies.instructions import Instructions
from frontdesk.storage.database import Database
from frontdesk.wiring.feedback import terms_of
from tests.http.asgi import Answer, ask

ADMIN_KEY = "fd_sk_test-admin-key-that-opens-nothing-real"
TEXT = "Be kind to {{name}}."
SETTINGS = f"""
providers: {{scripted: {{kind: scripted}}}}
models: {{fast: {{route: [scripted/echo]}}}}
default_model: fast
default_tier: free
tiers: {{free: {{}}, week: {{keep_days: 7}}}}
default_feature: chat
features:
  chat: {{}}
  kind: {{instructions: "{TEXT}", variables: {{name: {{default: you}}}}, client_may: [parameters]}}
  health: {{keep_days: 0}}
retention: {{conversations_days: 30, turns_days: 400}}
"""
DAY_MS = 86_400_000


@pytest.fixture
async def app(database: Database) -> AsyncIterator[Frontdesk]:
    environment = read_environment({"FRONTDESK_ADMIN_KEY": ADMIN_KEY})
    opened = Frontdesk(parse_config(SETTINGS, {}), environment, database, is_development=False)
    await opened.start()
    yield opened
    await opened.drain()
    await opened.close()


async def asked(app: Frontdesk, method: str, path: str, bearer: str, body: Any = None, **headers: str) -> Answer:
    told = {"authorization": f"Bearer {bearer}", "content-type": "application/json", **headers}
    answer = await ask(
        _hanging_up(app.asgi),
        method,
        path,
        headers=[(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()],
        messages=[{"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}],
    )
    assert answer.status == 200, answer.body
    return answer


def _hanging_up(application: Any) -> Any:
    """The application as one asks it who hangs up when they have their answer: a door waits for that."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        is_whole, has_answer = False, asyncio.Event()

        async def receive_then_hang_up() -> Any:
            nonlocal is_whole
            if not is_whole:
                is_whole = True
                return await receive()
            await has_answer.wait()
            return {"type": "http.disconnect"}

        async def send_and_look(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                has_answer.set()

        await application(scope, receive_then_hang_up, send_and_look)

    return served


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
        ("/v1/responses", {"input": "hello"}),
        ("/v1/responses", {"input": "hello", "store": False}),
    ],
    ids=["chat", "stored response", "response"],
)
async def test_an_answer_is_rated_as_soon_as_it_is_there(app: Frontdesk, path: str, body: dict[str, Any]) -> None:
    new = NewSession("default", "u1", None, (), None, None, 600, is_refreshable=False, is_anonymous=False)
    token = (await app.accounts.begin_session(new)).token

    answer = await asked(app, "POST", path, token, {"model": "fast", **body}, frontdesk_feature="kind")
    said = {"response_id": answer.body["id"], "rating": "down", "reason": "style", "comment": "Too kind."}
    kept = (await asked(app, "POST", "/api/feedback", token, said)).body
    (reviewed,) = (await asked(app, "GET", "/api/admin/feedback", ADMIN_KEY)).body["data"]
    sums = (await asked(app, "GET", "/api/admin/feedback/sums?group_by=prompt", ADMIN_KEY)).body

    version = hashlib.sha256(TEXT.encode()).hexdigest()[:12]
    assert {name: kept[name] for name in said} == said
    assert (kept["feature"], kept["model"]) == ("kind", "fast")
    assert kept["expires_at"] - kept["changed_at"] == 30 * 86_400
    assert reviewed == {**kept, "prompt": version, "user": "u1"}
    assert [(each["value"], each["up"], each["down"]) for each in sums["data"]] == [(version, 0, 1)]


async def test_of_a_feature_without_instructions_the_version_is_empty(app: Frontdesk) -> None:
    answer = await asked(
        app, "POST", "/v1/chat/completions", ADMIN_KEY, {"messages": [{"role": "user", "content": "hello"}]}
    )
    await asked(app, "POST", "/api/feedback", ADMIN_KEY, {"response_id": answer.body["id"], "rating": "up"})

    (reviewed,) = (await asked(app, "GET", "/api/admin/feedback", ADMIN_KEY)).body["data"]

    assert (reviewed["prompt"], reviewed["user"]) == ("", None)


@pytest.mark.parametrize("text", [TEXT, f"{TEXT}\n", f"# Kind\n\n{TEXT}\n\n"])
def test_a_version_is_told_by_the_command_that_the_page_names(tmp_path: Path, text: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text(encoding="utf-8")
    (command,) = re.findall("^    (.*sha256sum.*)$", page, re.MULTILINE)
    file = tmp_path / "instructions" / "chat.md"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    settings = "features: {chat: {instructions: instructions/chat.md, variables: {name: {default: you}}}}"

    told = subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    feature = parse_config(settings, {}, tmp_path).features["chat"]
    assert told.strip() == Instructions("chat", feature).version


@pytest.mark.parametrize(
    ("tier", "feature", "expected"),
    [
        ("free", "chat", Terms(keeps_texts=True, until_ms=30 * DAY_MS + 5)),
        ("week", "chat", Terms(keeps_texts=True, until_ms=7 * DAY_MS + 5)),
        (None, "chat", Terms(keeps_texts=True, until_ms=30 * DAY_MS + 5)),
        ("week", "health", Terms(keeps_texts=False, until_ms=400 * DAY_MS + 5)),
    ],
)
def test_the_least_that_is_said_of_it_counts(tier: str | None, feature: str, expected: Terms) -> None:
    config = parse_config(SETTINGS, {})

    found = terms_of(Retention(config), config.retention.turns_days, Rated(tier, feature, "fast", ""), 5)

    assert found == expected
