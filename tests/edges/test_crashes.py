"""kill -9 and a failing disk: what is stored is whole, what was under way is said to have failed."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.providers import recorded
from tests.serving import SCRIPTED, Served, chat_body, serving
from tests.upstreams import STREAM_HEAD, SocketUpstream, piece, upstream

CHAT = "/v1/chat/completions"
CONSISTENT = """
    select count(*) from turn where status = 'running' or finished_at_ms is null
    union all select count(*) from attempt where status = 'running'
    union all select count(*) from attempt where turn not in (select id from turn)
    union all select count(*) from turn where status = 'completed' and id not in (select turn from attempt)
"""


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


async def words(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """An answer of some 200 ms."""
    writer.write(STREAM_HEAD)
    for _number in range(20):
        writer.write(piece(recorded.chunk({"content": "word "})))
        await asyncio.sleep(0.01)
    writer.write(piece(recorded.TEXT) + b"0\r\n\r\n")


async def _ask_on(served: Served, number: int) -> None:
    """Ask again and again until the server is gone."""
    try:
        while True:
            connection = await RawConnection.open(served)
            connection.send(post(CHAT, chat_body(f"question {number}", stream=number % 2 == 0)))
            await connection.answer()
            connection.hang_up()
    except (OSError, asyncio.IncompleteReadError):
        return


async def _crash_rounds(folder: Path, up: SocketUpstream, rounds: int) -> None:
    served = Served(folder, up.settings)
    chance = random.Random(20_261_122)
    crashed = 0
    for _ in range(rounds):
        await asyncio.to_thread(served.start)
        assert served.rows(CONSISTENT) == [(0,)] * 4
        assert served.rows("pragma integrity_check") == [("ok",)]
        crashed = served.rows("select count(*) from turn where error_code = 'server_crashed'")[0][0]
        clients = [asyncio.ensure_future(_ask_on(served, number)) for number in range(8)]

        await asyncio.sleep(chance.uniform(0.05, 0.6))  # the random moment itself
        served.process.kill()

        await asyncio.gather(*clients)
        await asyncio.to_thread(served.wait)
        await up.until(lambda: up.open_connections == 0)
    assert crashed > 0
    await asyncio.to_thread(served.start)
    try:
        assert (await ask(served, post(CHAT, chat_body(stream=False))))[0] in (200, 502)
    finally:
        await asyncio.to_thread(served.stop)


async def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    async with upstream(words) as up:
        await _crash_rounds(tmp_path, up, rounds=5)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_kill_9_at_many_random_moments(tmp_path: Path) -> None:
    async with upstream(words) as up:
        await _crash_rounds(tmp_path, up, rounds=60)


async def test_a_session_survives_a_crash(tmp_path: Path) -> None:
    served = Served(tmp_path, SCRIPTED)
    served.start()
    token = (await ask(served, post("/api/sessions", b'{"user": "u1"}')))[1]["token"]
    ended = (await ask(served, post("/api/sessions", b'{"user": "u1"}')))[1]
    await ask(served, post(f"/api/sessions/{ended['id']}", b"").replace(b"POST", b"DELETE", 1))

    served.kill()
    served.start()

    try:
        assert (await ask(served, post(CHAT, chat_body(), token)))[0] == 200
        assert (await ask(served, post(CHAT, chat_body(), ended["token"])))[0] == 401
    finally:
        served.stop()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing: apt-get install strace")
async def test_a_disk_that_fails_to_sync(tmp_path: Path) -> None:
    """The twelfth sync fails, behind the start. Who waited is told; nothing half is stored; the server says so."""
    with serving(tmp_path) as first:
        assert (await ask(first, post("/api/sessions", b'{"user": "before"}')))[0] == 200
    served = Served(tmp_path, SCRIPTED)
    served.start("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync,fdatasync:error=EIO:when=12+")
    answers: list[tuple[int, dict[str, Any]]] = [
        await ask(served, post("/api/sessions", json.dumps({"user": f"u{number}"}).encode())) for number in range(20)
    ]
    stored = {f"u{number}" for number, (status, _) in enumerate(answers) if status == 200}
    failed = [body["error"]["code"] for status, body in answers if status != 200]
    assert failed
    assert set(failed) == {"store_unavailable"}

    readiness = await ask(served, b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    assert (readiness[0], readiness[1]["store"]) == (503, "failing")
    refused = await ask(served, post(CHAT, chat_body()))
    assert (refused[0], refused[1]["error"]["code"]) == (503, "store_unavailable")
    served.stop()

    with serving(tmp_path) as healed:
        assert healed.rows("pragma integrity_check") == [("ok",)]
        people = {row[0] for row in healed.rows("select id from person where id like 'u%'")}
        with_session = {row[0] for row in healed.rows("select person from session where person like 'u%'")}
        assert stored <= people
        assert people == with_session
        assert healed.rows(CONSISTENT) == [(0,)] * 4
        assert (await ask(healed, post(CHAT, chat_body())))[0] == 200
