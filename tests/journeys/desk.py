"""A real `frontdesk serve` on the scripted provider, and a real Chromium to look at it with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Playwright, expect

from tests.serving import ASKED_ONCE

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "src/frontdesk/web/chat/index.html"

# What a person may choose, and the script that plays it.
MODELS = {
    "fast": "echo",
    "slow": "slow-120",
    "thinking": "thinking",
    "broken": "error-500",
    "breaking": "break-5",
    "busy": "error-429",
    "short": "length",
    "silent": "silent",
}

CHROMIUM_ARGUMENTS = (
    "--no-sandbox",  # as root it does not start otherwise; it only ever sees this server
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Desk:
    """One server in a folder of its own. It can be killed in the middle of a sentence and come back."""

    def __init__(
        self, folder: Path, models: Mapping[str, str] = MODELS, *, anonymous: bool = True, **more: Any
    ) -> None:
        self._config = folder / "frontdesk.yaml"
        self._database = folder / "frontdesk.db"
        config = {
            "database": f"sqlite:///{self._database}",
            "providers": {"scripted": {"kind": "scripted", **ASKED_ONCE}},
            "models": {name: {"route": [f"scripted/{script}"]} for name, script in models.items()},
            "default_model": next(iter(models)),
            "auth": {"anonymous": anonymous, "anonymous_sessions_per_hour": 1000},
            "shutdown_grace_s": 0.5,
            **more,
        }
        self._config.write_text(json.dumps(config))  # JSON is YAML
        self._log = folder / "frontdesk.log"
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.admin_key = "fd-" + "journeys-only"

    @property
    def url(self) -> str:
        """Where it listens; the same address after a restart."""
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Start it, and return once it says that it is ready."""
        command = [sys.executable, "-m", "frontdesk", "serve"]
        command += ["--config", str(self._config), "--port", str(self._port)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "FRONTDESK_ADMIN_KEY": self.admin_key},
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if " is ready: " in line:
                self._port = int(line.rsplit(":", 1)[1])
                return
        raise AssertionError(f"`{' '.join(command)}` did not start:\n{self._log.read_text()}")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Read its database from beside."""
        with closing(sqlite3.connect(self._database)) as connection:
            return connection.execute(statement).fetchall()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.communicate(timeout=20)
        self._process = None


@contextmanager
def open_desk(folder: Path, **options: Any) -> Generator[Desk]:
    """A desk that is closed at the end, whatever happened to it."""
    desk = Desk(folder, **options)
    desk.open()
    try:
        yield desk
    finally:
        desk.close()


def chromium() -> str | None:
    """The Chromium of this machine, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def launch(playwright: Playwright, path: str) -> Browser:
    """A browser that asks nothing of any network, and patience for a busy machine."""
    expect.set_options(timeout=20_000)
    return playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGUMENTS))
