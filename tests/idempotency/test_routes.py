"""The routes that do things once: sessions, upgrades, keys, files, batches. Each as a client that lost a reply."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import select

import frontdesk
from frontdesk.batches.routes import BatchRoutes
from frontdesk.batches.service import Batches, NewBatch
from frontdesk.batches.store import BatchRow
from frontdesk.core import config
from frontdesk.core.config import parse_config
from frontdesk.files.owner import Owner
from frontdesk.files.routes import FileRoutes
from frontdesk.files.service import Files
from frontdesk.http.edge import Edge
from frontdesk.http.requests import Head
from frontdesk.http.starlette import Routes
from frontdesk.idempotency.service import IdempotencyKeys, IdempotencyTimes
from frontdesk.policies.access import Access
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import app_key, file, idempotency_key, session
from frontdesk.turn.turn import Caller
from tests.accounts.routes.desk import ADMIN_KEY, SETTINGS, Desk, desk_of, signed_in
from tests.fakes import HandClock
from tests.files.test_routes import CONTENT, GOOD, TYPE
from tests.http.asgi import Answer, ask

AGAIN = ("idempotent-replayed", "true")
"""Of a header."""
SOURCE = Path(frontdesk.__file__).parent


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(database, tmp_path, has_issuer=True) as opened:
        yield opened


async def count(database: Database, table: Any) -> int:
    return len(await database.read(Query(select(table.c.id))))


async def twice(asked: Any) -> Answer:
    """Send a request again whose reply was lost; returns the second answer, which is the first."""
    first: Answer = await asked()
    again: Answer = await asked()
    assert (again.status, again.body) == (first.status, first.body)
    assert AGAIN not in first.headers.items()
    assert AGAIN in again.headers.items()
    return again


async def test_a_session_begins_once_and_its_token_is_told_again(desk: Desk, database: Database) -> None:
    def begin() -> Awaitable[Answer]:
        return desk.ask("POST", "/api/sessions", {"user": "u1"}, bearer=ADMIN_KEY, idempotency_key="s1")

    begun = await twice(begin)

    assert (await desk.me(begun.body["token"]))["user"] == "u1"
    assert await count(database, session) == 1


async def test_a_session_is_told_again_to_no_other_token_of_its_person(desk: Desk) -> None:
    one = signed_in(desk)
    desk.clock.move(1)
    other = signed_in(desk)

    first = await desk.ask("POST", "/api/sessions", {}, bearer=one, idempotency_key="s1")
    again = await desk.ask("POST", "/api/sessions", {}, bearer=other, idempotency_key="s1")

    assert first.status == 200
    assert (again.status, again.code) == (409, "idempotency_answer_not_kept")


async def test_cookies_are_set_again(desk: Desk) -> None:
    def begin() -> Awaitable[Answer]:
        asked = {"user": "u1", "cookie": True}
        return desk.ask("POST", "/api/sessions", asked, bearer=ADMIN_KEY, scheme="https", idempotency_key="s1")

    assert (await twice(begin)).all("set-cookie") != []


async def test_sessions_of_nobody_begin_each(desk: Desk) -> None:
    begun = [await desk.ask("POST", "/api/sessions", {}, idempotency_key="s1") for _ in range(2)]

    assert begun[0].body["id"] != begun[1].body["id"]


async def test_an_upgrade_is_done_once(desk: Desk) -> None:
    anonymous = await desk.begin(bearer=None)
    user = signed_in(desk)

    def upgrade() -> Awaitable[Answer]:
        asked = {"anonymous_token": anonymous["token"]}
        return desk.ask("POST", "/api/sessions/upgrade", asked, bearer=user, idempotency_key="up")

    assert (await twice(upgrade)).body == {"user": "u1", "was": anonymous["user"], "object": "upgrade"}


async def test_a_key_is_made_once_and_told_again(desk: Desk, database: Database) -> None:
    def make() -> Awaitable[Answer]:
        return desk.ask("POST", "/api/admin/keys", {"name": "web"}, bearer=ADMIN_KEY, idempotency_key="k1")

    made = await twice(make)

    assert (await desk.me(made.body["key"]))["role"] == "server"
    assert await count(database, app_key) == 1
    rows = await database.read(Query(select(idempotency_key)))
    assert made.body["key"] not in str(rows)
    assert made.body["key"].encode() not in b"".join(bytes(each) for row in rows for each in row if type(each) is bytes)


def test_every_post_says_how_it_is_done_once() -> None:
    """But those that come to the same however often they are asked, and answer with texts that are kept elsewhere: of a
    sync each entry is done once.
    """
    silent: set[tuple[str, str]] = set()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                of_route = [ast.unparse(argument) for argument in node.args]
                if node.func.id == "guarded" and of_route[1] == "'POST'" and len(of_route) < _WITH_ONCE:
                    silent.add((path.parent.name, f"{path.stem}.{of_route[2].removeprefix('self.')}"))
                if node.func.id == "guarded_upload" and len(of_route) < _WITH_ONCE - 1:
                    silent.add((path.parent.name, f"{path.stem}.{of_route[1].removeprefix('self.')}"))

    assert silent == {("kept", "responses.cancel"), ("kept", "chats.change"), ("sync", "routes.sync")}


_WITH_ONCE = 5


# --- files and batches --------------------------------------------------------------------------


class Ann:
    """Everybody is Ann."""

    def known(self, head: Head) -> Caller | None:
        return Caller("user", "sess_1", "u_ann")

    def identify(self, head: Head) -> Awaitable[Caller]:
        raise AssertionError


class CountedBatches:
    """Makes a batch, and cancels it, each once: a second time is refused."""

    def __init__(self) -> None:
        self.made = self.cancelled = 0

    async def create(self, caller: Caller, new: NewBatch) -> BatchRow:
        self.made += 1
        return self._row("validating")

    async def cancel(self, owner: Owner, batch_id: str) -> BatchRow:
        self.cancelled += 1
        assert self.cancelled == 1
        return self._row("cancelling")

    def _row(self, status: Any) -> BatchRow:
        empty: dict[str, Any] = dict.fromkeys(BatchRow.__struct_fields__)
        whole: dict[str, Any] = {"id": f"batch_{self.made}", "endpoint": "/v1/embeddings", "input_file": "file-1"}
        counts = dict.fromkeys(("total", "completed", "failed", "created_at_ms", "expires_at_ms"), 0)
        return msgspec.structs.replace(BatchRow(**{**empty, **whole, **counts}), status=status)


@dataclasses.dataclass
class Gateway:
    """Files and batches, as routes."""

    application: Edge
    batches: CountedBatches

    async def post(self, path: str, body: bytes, content_type: bytes = b"application/json") -> Answer:
        headers = [(b"content-type", content_type), (b"idempotency-key", b"k")]
        message = {"type": "http.request", "body": body}
        return await ask(self.application, "POST", path, headers=headers, messages=[message])


@pytest.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    clock, batches = HandClock(), CountedBatches()
    keys = IdempotencyKeys(database, "proc_1", clock, lambda now_ms: now_ms + 1000, IdempotencyTimes(30.0))
    access = Access(parse_config(SETTINGS, {}))
    routes = [
        *FileRoutes(Files(database, clock, config.Files()), Ann(), keys).routes(),
        *BatchRoutes(cast("Batches", batches), Ann(), access, ["/v1/embeddings"], keys).routes(),
    ]
    yield Gateway(Edge({}, Routes(routes, Routes([], None))), batches)  # type: ignore[arg-type]
    await keys.close()


async def test_a_file_is_kept_once(gateway: Gateway, database: Database) -> None:
    boundary = TYPE[1].partition(b"boundary=")[2]
    tries = iter([GOOD, GOOD.replace(boundary, b"made-anew")])
    types = iter([TYPE[1], b"multipart/form-data; boundary=made-anew"])

    kept = await twice(lambda: gateway.post("/v1/files", next(tries), next(types)))

    assert kept.body["bytes"] == len(CONTENT)
    whole = await database.read(Query(select(file.c.id).where(file.c.is_whole)))
    assert whole == [(kept.body["id"],)]


async def test_a_batch_is_made_and_cancelled_once(gateway: Gateway) -> None:
    body = b'{"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"}'

    made = await twice(lambda: gateway.post("/v1/batches", body))
    cancelled = await twice(lambda: gateway.post(f"/v1/batches/{made.body['id']}/cancel", b""))

    assert (made.body["id"], cancelled.body["status"]) == ("batch_1", "cancelling")
    assert (gateway.batches.made, gateway.batches.cancelled) == (1, 1)
