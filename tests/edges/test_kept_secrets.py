"""`store: false` stores no text: not in the database, not in its logs, not in what processes tell each other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from frontdesk.storage.tables import metadata
from tests.edges.kept_client import CHAT, LOST, RESPONSES, ask, begin, request
from tests.edges.kept_serving import Site, alone, pair
from tests.edges.raw import RawConnection
from tests.serving import ADMIN_KEY

MARK = "zqvmarker"
MODELS: dict[str, Any] = {
    "models": {
        "quick": {"route": ["mock/echo"]},
        "slow": {"route": ["mock/echo:pace=40"]},
        "tools": {"route": ["mock/tools-all"]},
        "thinking": {"route": ["mock/thinking"]},
        "failing": {"route": ["mock/echo:fault=cut@900"]},
        "gone": {"route": ["gone/echo"]},
        "embed": {"route": ["mock/echo"], "kind": "embeddings"},
    },
    "tiers": {"free": {}, "forgetful": {"keep_days": 0}},
}
TOOL = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
}
_WORDS = " and more words besides"


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    yield
    await RawConnection.close_all()


class Speaker:
    """Somebody who says a secret in every way in which one can be said. Each is another: what is found tells which."""

    def __init__(self, site: Site, token: str | None = None, **fields: Any) -> None:
        self._site = site
        self._fields = fields
        self._token = ADMIN_KEY if token is None else token
        self._said = 0

    def secret(self, of: str) -> str:
        self._said += 1
        return f"{MARK}{of}{self._said}"

    def response(self, model: str = "quick", **fields: Any) -> bytes:
        body = {
            "model": model,
            "input": f"{self.secret('input')}{_WORDS} what: '{self.secret('argument')}'",
            "instructions": self.secret("instructions"),
            "metadata": {"note": self.secret("metadata")},
            **self._fields,
        }
        return self._post(RESPONSES, body | fields)

    def chat(self, model: str = "quick", **fields: Any) -> bytes:
        messages = [{"role": "user", "content": f"{self.secret('chat')}{_WORDS}"}]
        return self._post(CHAT, {"model": model, "messages": messages, **self._fields} | fields)

    def keyed(self, asked: bytes) -> bytes:
        head, _, body = asked.partition(b"\r\n\r\n")
        return head + f"\r\nidempotency-key: {self.secret('key')}\r\n\r\n".encode() + body

    async def say(self, asked: bytes) -> None:
        """Read the answer to its end."""
        try:
            stream = await begin(self._site.served, asked)
            async for _ in stream.pieces():
                pass
        except LOST:
            return

    async def say_all(self) -> None:
        for stream in (True, False):
            for asked in (
                self.response(stream=stream),
                self.response("tools", stream=stream, tools=[TOOL]),
                self.response("thinking", stream=stream),
                self.response("failing", stream=stream),
                self.response("gone", stream=stream),
                self.response(stream=stream, temperature="hot"),
                self.chat(stream=stream),
                self.chat(stream=stream, metadata={"note": self.secret("metadata")}),
            ):
                await self.say(asked)
                await self.say(self.keyed(asked))
            await self._attach(self.keyed(self.response("slow", stream=stream)))
            await self._hang_up(self.keyed(self.response("slow", stream=stream)))
            await self._hang_up(self.response("slow", stream=stream))
            await self._cancel(self.response("slow", stream=True))

    async def crash(self) -> None:
        """A server dies in the middle of answers, some of which were begun under a key."""
        up, before = self._site.up, len(self._site.up.journal())
        asked = [self.response("slow", stream=n % 2 == 0) for n in range(4)] + [self.chat("slow", stream=True)]
        asked += [self.keyed(each) for each in asked]
        saying = asyncio.gather(*(self.say(each) for each in asked))
        await up.until(lambda: len(up.journal()) - before == len(asked))
        await asyncio.to_thread(self._site.served.kill)
        await asyncio.to_thread(self._site.served.start)
        await saying
        await asyncio.gather(*(self.say(each) for each in asked))

    async def _attach(self, asked: bytes) -> None:
        await asyncio.gather(*(self.say(asked) for _ in range(4)))
        await self.say(asked)

    async def _hang_up(self, asked: bytes) -> None:
        before = len(self._site.up.journal())
        connection = await RawConnection.open(self._site.served)
        connection.send(asked)
        await self._site.up.until(lambda: len(self._site.up.journal()) > before)
        connection.hang_up()

    async def _cancel(self, asked: bytes) -> None:
        stream = await begin(self._site.served, asked)
        path = f"{RESPONSES}/{stream.headers['x-request-id']}/cancel"
        answer = await ask(self._site.served, request("POST", path, token=self._token))
        assert answer.status == 200, answer.body

    def _post(self, path: str, body: dict[str, Any]) -> bytes:
        return request("POST", path, json.dumps(body).encode(), self._token)


async def quiet(site: Site) -> None:
    """Wait until nothing is under way and all has been written."""
    await site.up.until(lambda: site.up.stats.open_streams == 0, 30)
    await site.until_rows("select count(*) from response where finished_at_ms is null", [(0,)])
    await site.until_rows("select count(*) from turn where status = 'running'", [(0,)], 60)


def in_files(site: Site) -> bytes:
    """All bytes of a SQLite database, with its log."""
    return b"".join(path.read_bytes() for path in sorted(site.served.folder.glob("frontdesk.db*")))


async def in_tables(url: str) -> bytes:
    """All that a PostgreSQL database holds."""
    connection = await asyncpg.connect(url)
    values: list[bytes] = []
    for table in metadata.sorted_tables:
        for row in await connection.fetch(f'select * from "{table.name}"'):
            values += [value if isinstance(value, bytes) else str(value).encode() for value in row.values()]
    await connection.close()
    return b"\n".join(values)


def in_valkey(site: Site) -> bytes:
    """All that a Valkey holds."""
    assert site.valkey is not None
    with site.valkey.client() as client:
        read: dict[bytes, Callable[[bytes], Any]] = {
            b"stream": client.xrange,
            b"hash": client.hgetall,
            b"string": client.get,
            b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        }
        return b"\n".join(key + repr(read[client.type(key)](key)).encode() for key in client.scan_iter())


def found_in(content: bytes) -> set[bytes]:
    """The secrets that are there."""
    return {part[:24].split(b" ")[0].split(b'"')[0] for part in content.split(MARK.encode())[1:]}


async def test_nothing_of_it_is_on_the_disk(tmp_path: Path, sqlite_template: Path) -> None:
    async with alone(tmp_path, sqlite_template, **MODELS) as site:
        speaker = Speaker(site, store=False)
        await speaker.say_all()
        await speaker.say(speaker.chat(store=None))
        embedding = json.dumps({"model": "embed", "input": speaker.secret("embedding")}).encode()
        await speaker.say(request("POST", "/v1/embeddings", embedding))
        await quiet(site)
        assert found_in(in_files(site)) == set()
        await speaker.crash()
        await quiet(site)
        assert found_in(in_files(site)) == set()
        assert len(site.served.rows("select 1 from response")) > 10
        await asyncio.to_thread(site.served.stop)
        assert found_in(in_files(site)) == set()
        assert found_in(site.served.log.encode()) == set()


async def test_nor_where_nothing_of_a_person_may_be_kept(tmp_path: Path, sqlite_template: Path) -> None:
    async with alone(tmp_path, sqlite_template, **MODELS) as site:
        person = b'{"user": "somebody", "tier": "forgetful"}'
        token = (await ask(site.served, request("POST", "/api/sessions", person))).json["token"]
        await Speaker(site, token).say_all()
        await Speaker(site, token).crash()
        await quiet(site)

        assert found_in(in_files(site)) == set()
        assert found_in(site.served.log.encode()) == set()


async def test_nor_in_tables_or_between_processes(tmp_path: Path, postgresql_url: str) -> None:
    async with pair(tmp_path, postgresql_url, **MODELS) as site:
        await Speaker(site, store=False).say_all()
        await quiet(site)

        assert found_in(await in_tables(postgresql_url)) == set()
        assert found_in(in_valkey(site)) == set()
        assert len(await site.rows("select 1 from response")) > 10


async def test_what_is_stored_is_found(tmp_path: Path, sqlite_template: Path, postgresql_url: str) -> None:
    """The same words, to see that they would be."""
    (tmp_path / "alone").mkdir()
    async with alone(tmp_path / "alone", sqlite_template, **MODELS) as site:
        await Speaker(site, store=True).say_all()
        await quiet(site)
        kinds = {name.rstrip(b"0123456789'") for name in found_in(in_files(site))}
        assert kinds >= {b"input", b"argument", b"instructions", b"metadata", b"chat"}
        assert b"key" not in kinds
        assert found_in(site.served.log.encode()) == set()
    async with pair(tmp_path, postgresql_url, **MODELS) as site:
        await Speaker(site, store=True).say_all()
        await quiet(site)
        kinds = {name.rstrip(b"0123456789'") for name in found_in(await in_tables(postgresql_url))}
        assert kinds >= {b"input", b"argument", b"instructions", b"metadata", b"chat"}
        assert b"key" not in kinds
