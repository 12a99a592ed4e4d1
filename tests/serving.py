"""`frontdesk serve` in a process of its own, as people run it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from frontdesk.storage.migrate import migrate

ADMIN_KEY = "fd_sk_test-admin-key-that-opens-nothing-real"
_READY = re.compile(r"is ready: http://127\.0\.0\.1:(\d+)")
_START_TIMEOUT_S = 60.0

# Each failure by itself: no route is asked again, and none rests for what befell the tests before.
ASKED_ONCE: dict[str, Any] = {
    "retries": {"most": 0},
    "breaker": {"least": 100_000, "open_s": 0.001, "longest_open_s": 0.001},
}

SCRIPTED: dict[str, Any] = {
    "providers": {"scripted": {"kind": "scripted", **ASKED_ONCE}},
    "models": {
        "fast": {"route": ["scripted/echo"]},
        "slow": {"route": ["scripted/slow-20"]},
        "crawling": {"route": ["scripted/slow-500"]},
        "many": {"route": ["scripted/words-200"]},
        "silent": {"route": ["scripted/silent"]},
        "broken": {"route": ["scripted/error-500"]},
        "busy": {"route": ["scripted/error-429"]},
        "late": {"route": ["scripted/error-504"]},
        "cut": {"route": ["scripted/break-3"]},
        "rescued": {"route": ["scripted/error-500", "scripted/echo"]},
        "short": {"route": ["scripted/length"]},
        "declining": {"route": ["scripted/refusal"]},
        "thinking": {"route": ["scripted/thinking"]},
        "embed": {"route": ["scripted/embed"], "kind": "embeddings"},
        "judge": {"route": ["scripted/judge"], "kind": "moderation"},
        "ears": {"route": ["scripted/ears"], "kind": "transcription"},
        "voice": {"route": ["scripted/voice"], "kind": "speech"},
        "brush": {"route": ["scripted/brush"], "kind": "image"},
    },
    "default_model": "fast",
    "tiers": {"free": {"models": ["fast", "slow", "embed"], "requests_per_minute": 3}, "paid": {}},
    "default_tier": "paid",
}


class Served:
    """A running server."""

    def __init__(self, folder: Path, settings: dict[str, Any], env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.database = folder / "frontdesk.db"
        config = folder / "frontdesk.yaml"
        config.write_text(yaml.safe_dump({"database": f"sqlite:///{self.database}", **settings}, sort_keys=False))
        self.config = config
        if "database" not in settings and not self.database.exists():
            self.database.write_bytes(empty_database())
        self._env = {**os.environ, "FRONTDESK_ADMIN_KEY": ADMIN_KEY, **(env or {})}
        self.command = [sys.executable, "-m", "frontdesk", "serve", "--config", str(config), "--port", "0"]
        self.port = 0
        self.lines: list[str] = []

    def start(self, *wrapper: str) -> None:
        """Start, and return when it takes connections. `wrapper` runs it, such as strace."""
        self.process = subprocess.Popen(
            [*wrapper, *self.command], env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        is_ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self.process, is_ready))
        self._reader.start()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not is_ready.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError("the server did not start:\n" + "".join(self.lines))

    def stop(self) -> int:
        """End it as an operator does; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.wait()

    def wait(self, timeout_s: float = 30) -> int:
        """Wait for its end."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not end:\n" + "".join(self.lines)) from None
        self._reader.join()
        return status

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it said so far."""
        return "".join(self.lines)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Read its SQLite database from beside."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(statement).fetchall()

    def wait_for_rows(self, statement: str, expected: list[tuple[Any, ...]], timeout_s: float = 15) -> None:
        """Wait until the database says what is expected; fails with what it says otherwise."""
        deadline = time.monotonic() + timeout_s
        while (rows := self.rows(statement)) != expected:
            assert time.monotonic() < deadline, f"{statement}: {rows} instead of {expected}\n{self.log}"
            time.sleep(0.02)

    async def until_rows(self, statement: str, expected: list[tuple[Any, ...]]) -> None:
        """`wait_for_rows` for tests whose own loop must go on meanwhile."""
        await asyncio.to_thread(self.wait_for_rows, statement, expected)

    def _read(self, process: subprocess.Popen[str], is_ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line)
                found = _READY.search(line)
                if found:
                    self.port = int(found[1])
                    is_ready.set()


@contextlib.contextmanager
def serving(
    folder: Path, settings: dict[str, Any] | None = None, env: dict[str, str] | None = None
) -> Iterator[Served]:
    """A server for the length of a block. A crash in between is the test's own matter."""
    served = Served(folder, SCRIPTED if settings is None else settings, env)
    served.start()
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.stop()


def chat_body(text: str = "hello there", **fields: Any) -> bytes:
    """A Chat Completions request."""
    return json.dumps({"messages": [{"role": "user", "content": text}], **fields}).encode()


@cache
def empty_database() -> bytes:
    """A SQLite database with all tables: a server that finds it starts in half the time."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-tests-") as folder:
        path = Path(folder) / "empty.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()
