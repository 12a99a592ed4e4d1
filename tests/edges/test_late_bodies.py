"""A credential that is revoked while a body is still coming does nothing with it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.accounts.identity_provider import AUDIENCE, ISSUER, es256, good_claims, key_set
from tests.edges.raw import RawConnection, post
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

KEYS, SESSIONS = "/api/admin/keys", "/api/sessions"
CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
BODIES: dict[str, dict[str, Any]] = {
    KEYS: {"name": "late", "role": "operator"},
    SESSIONS: {},
    CHAT: {"messages": [{"role": "user", "content": "hello there"}]},
    RESPONSES: {"input": "hello there"},
    EMBEDDINGS: {"input": "hello there", "model": "embed"},
}
COUNTS = (
    "SELECT (SELECT count(*) FROM turn), (SELECT count(*) FROM session), "
    "(SELECT count(*) FROM app_key WHERE name = 'late')"
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server of its own: one test ends all sessions of it."""
    (tmp_path / "keys.json").write_bytes(key_set([es256()]))
    issuer = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(tmp_path / "keys.json")}
    with serving(tmp_path, {**SCRIPTED, "auth": {"anonymous": True, "jwt": [issuer]}}) as server:
        yield server


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    yield
    await RawConnection.close_all()


class Operator:
    """Makes credentials and takes them back."""

    def __init__(self, served: Served) -> None:
        self._client = httpx2.Client(base_url=served.url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30)
        self._users = 0

    def close(self) -> None:
        self._client.close()

    def key(self) -> tuple[str, Callable[[], object]]:
        made = self._ask("POST", KEYS, {"name": "leaked", "role": "operator"})
        return made["key"], lambda: self._ask("DELETE", f"{KEYS}/{made['id']}")

    def session(self) -> tuple[str, Callable[[], object]]:
        begun = self._ask("POST", SESSIONS, {"user": "u1"})
        return begun["token"], lambda: self._ask("DELETE", f"{SESSIONS}/{begun['id']}")

    def user(self) -> tuple[str, Callable[[], object]]:
        begun = self._ask("POST", SESSIONS, {"user": "u1"})
        return begun["token"], lambda: self._ask("DELETE", "/api/users/u1/sessions")

    def everybody(self) -> tuple[str, Callable[[], object]]:
        return self._ask("POST", SESSIONS, {"user": "u1"})["token"], lambda: self._ask("DELETE", SESSIONS)

    def jwt(self) -> tuple[str, Callable[[], object]]:
        now = int(time.time())
        self._users += 1  # each their own: what ends one's tokens ends those of a moment before too
        token = es256().token(good_claims(sub=f"jwt{self._users}", iat=now - 5, exp=now + 300))
        return token, lambda user=self._users: self._ask("DELETE", f"/api/users/jwt{user}/sessions")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


WAYS: dict[str, Callable[[Operator], tuple[str, Callable[[], object]]]] = {
    "key": Operator.key,
    "session": Operator.session,
    "user": Operator.user,
    "everybody": Operator.everybody,
    "jwt": Operator.jwt,
}


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_revoked_while_its_body_comes_is_refused(served: Served, way: str) -> None:
    with contextlib.closing(Operator(served)) as operator:
        for path in (SESSIONS, CHAT, RESPONSES, EMBEDDINGS, *([KEYS] if way == "key" else [])):
            await _hold_and_revoke(served, operator, way, path)


async def _hold_and_revoke(served: Served, operator: Operator, way: str, path: str) -> None:
    """A fresh credential sends all but the last byte of a request, is revoked, and sends that."""
    token, revoke = WAYS[way](operator)
    body = json.dumps({"user": "u2"} if (way, path) == ("key", SESSIONS) else BODIES[path]).encode()
    whole = post(path, body, token, expect="100-continue")
    head = whole.removesuffix(body)
    before = served.rows(COUNTS)

    connection = await RawConnection.open(served)
    connection.send(head)
    # It is told to go on when its body is asked for: by then the server knows who calls.
    assert (await connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    connection.send(body[:-1])
    revoke()
    connection.send(body[-1:])

    status, _, answer = await connection.answer()
    code = json.loads(answer)["error"]["code"]
    assert (status, code) == (401, "invalid_api_key" if way == "key" else "token_revoked"), f"{way}: {path}"
    assert served.rows(COUNTS) == before, f"{way}: {path}"
