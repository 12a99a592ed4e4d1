"""Servers that are killed and started again, many times; and what is in their database."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from frontdesk.upstream.journal import Record
from tests.limits.valkey_server import Server, started_server
from tests.serving import ASKED_ONCE, Served
from tests.upstreams import ScriptedUpstream, scripted_upstream

Rows = Callable[[str], Awaitable[Sequence[Sequence[Any]]]]
"""Reads a database from beside."""

_READY = re.compile(r"is ready: http://127\.0\.0\.1:(\d+)")
_SAID = re.compile(r"^(forked|ended) (-?\d+)$")
_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 60.0


class Mortal(Served):
    """A server that a warm process forks; it comes back in a moment. `close` it for good."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        super().__init__(folder, settings)
        self._warm: subprocess.Popen[str] | None = None
        self._pid = 0
        self._status: int | None = None
        self._is_ready = threading.Event()
        self._has_ended = threading.Event()
        self._is_warm = threading.Event()

    @property
    def is_alive(self) -> bool:
        """Whether it takes requests, as far as is known here."""
        return self._is_ready.is_set() and not self._has_ended.is_set()

    def start(self, *wrapper: str) -> None:
        """Start, and return when it takes connections."""
        assert not wrapper
        if self._warm is None:
            self._warm_up()
        warm = self._warm
        assert warm is not None
        assert warm.stdin is not None
        self._is_ready.clear()
        self._has_ended.clear()
        arguments = ["serve", "--config", str(self.config), "--port", "0"]
        warm.stdin.write(json.dumps(arguments) + "\n")
        warm.stdin.flush()
        if not self._is_ready.wait(_START_TIMEOUT_S) or self._has_ended.is_set():
            raise AssertionError("the server did not start:\n" + self.log)

    def stop(self) -> int:
        """End it as an operator does; returns its exit status."""
        os.kill(self._pid, signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut does."""
        os.kill(self._pid, signal.SIGKILL)
        self.wait()

    def wait(self, timeout_s: float = 30) -> int:
        """Wait for its end."""
        if not self._has_ended.wait(timeout_s):
            os.kill(self._pid, signal.SIGKILL)
            self._has_ended.wait(timeout_s)
            raise AssertionError("the server did not end:\n" + self.log)
        assert self._status is not None
        return self._status

    def close(self) -> None:
        """End it, and what starts it."""
        if self._warm is None:
            return
        if self.is_alive:
            self.stop()
        assert self._warm.stdin is not None
        self._warm.stdin.close()
        self._warm.wait(30)
        self._reader.join()
        self._warm = None

    def _warm_up(self) -> None:
        self._warm = subprocess.Popen(
            [sys.executable, "-m", "tests.edges.kept_warm"],
            cwd=_ROOT,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_all, args=(self._warm,))
        self._reader.start()
        assert self._is_warm.wait(_START_TIMEOUT_S), self.log

    def _read_all(self, warm: subprocess.Popen[str]) -> None:
        assert warm.stdout is not None
        with warm.stdout:
            for line in warm.stdout:
                self._note(line)
        self._has_ended.set()
        self._is_ready.set()

    def _note(self, line: str) -> None:
        self.lines.append(line)
        said = _SAID.match(line)
        if line == "warm\n":
            self._is_warm.set()
        elif said is not None and said[1] == "forked":
            self._pid = int(said[2])
        elif said is not None:
            self._status = int(said[2])
            self._has_ended.set()
            self._is_ready.set()
        elif (port := _READY.search(line)) is not None:
            self.port = int(port[1])
            self._is_ready.set()


@dataclass
class Site:
    """Servers with one database and one provider."""

    servers: list[Mortal]
    up: ScriptedUpstream
    rows: Rows
    valkey: Server | None = None

    @property
    def served(self) -> Mortal:
        return self.servers[0]

    async def until_rows(self, statement: str, expected: list[tuple[Any, ...]], timeout_s: float = 30) -> None:
        """Wait until the database says what is expected."""
        async with asyncio.timeout(timeout_s):
            while [tuple(row) for row in await self.rows(statement)] != expected:
                await asyncio.sleep(0.02)

    def asked(self) -> Counter[str]:
        """How often the provider was asked for each last message."""
        return Counter(question_in(record) for record in self.up.journal())


def question_in(record: Record) -> str:
    """The last message that a provider was asked."""
    asked = json.loads(bytes(record.body))  # type: ignore[arg-type]
    return asked["messages"][-1]["content"]


def settings(up: ScriptedUpstream, *, slots: int | None = None, **more: Any) -> dict[str, Any]:
    """A provider that answers with the question, at several paces; `slots` is how many it carries at a time."""
    limit = {} if slots is None else {"slots": {"concurrent": slots, "spare": 0}}
    return {
        "providers": {
            "mock": {
                "kind": "openai-compatible",
                "base_url": f"{up.url}/v1",
                "api_key": "sk-test-mock",
                **ASKED_ONCE,
                **limit,
            },
            # Nobody listens at this port of this machine.
            "gone": {"kind": "openai-compatible", "base_url": "http://127.0.0.1:1/v1", "api_key": "x", **ASKED_ONCE},
        },
        "models": {
            "quick": {"route": ["mock/echo"]},
            "paced": {"route": ["mock/echo:pace=8,jitter=4"]},
            "slow": {"route": ["mock/echo:pace=40"]},
            "crawling": {"route": ["mock/echo:pace=300"]},
            "gone": {"route": ["gone/echo"]},
            "embed": {"route": ["mock/echo"], "kind": "embeddings"},
        },
        "default_model": "quick",
        "tiers": {"free": {}, "narrow": {"concurrent": 1}},
        "default_tier": "free",
        "shutdown_grace_s": 0.2,
        **more,
    }


@asynccontextmanager
async def alone(folder: Path, template: Path, **more: Any) -> AsyncIterator[Site]:
    """One server on SQLite; `template` is a migrated file to begin with."""
    async with scripted_upstream() as up:
        server = Mortal(folder, settings(up, **more))
        shutil.copy(template, server.database)
        try:
            await asyncio.to_thread(server.start)
            yield Site([server], up, rows_of(server))
        except BaseException:
            sys.stdout.write(server.log[-20_000:])  # pytest shows it
            raise
        finally:
            await asyncio.to_thread(server.close)


@asynccontextmanager
async def pair(folder: Path, url: str, **more: Any) -> AsyncIterator[Site]:
    """Two servers on one PostgreSQL database, with a Valkey between them."""
    async with scripted_upstream() as up, rows_at(url) as rows:
        with started_server() as valkey:
            config = settings(up, database=url, valkey=valkey.url, **more)
            servers = [Mortal(_folder(folder / name), config) for name in ("one", "two")]
            try:
                await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
                yield Site(servers, up, rows, valkey)
            except BaseException:
                sys.stdout.writelines(server.log[-20_000:] for server in servers)  # pytest shows it
                raise
            finally:
                await asyncio.gather(*(asyncio.to_thread(server.close) for server in servers))


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def rows_of(served: Served) -> Rows:
    """Look into a SQLite file."""

    async def rows(statement: str) -> Sequence[Sequence[Any]]:
        return await asyncio.to_thread(served.rows, statement)

    return rows


@asynccontextmanager
async def rows_at(url: str) -> AsyncIterator[Rows]:
    """Look into a PostgreSQL database."""
    connection = await asyncpg.connect(url)
    busy = asyncio.Lock()

    async def rows(statement: str) -> Sequence[Sequence[Any]]:
        async with busy:
            return [tuple(record) for record in await connection.fetch(statement)]

    try:
        yield rows
    finally:
        await connection.close()
