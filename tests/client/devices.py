"""Devices: the shipped client in processes of Node, told what to do, killed and begun again."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Tokens = Callable[[str | None], Awaitable[Json | None]]
"""Gives a credential; told with which code the last one was refused, if it was."""

ROOT = Path(__file__).resolve().parents[2]
_PATH = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
_WEB = ROOT / "web"
_PATIENCE_S = 60.0


def build(folder: Path) -> Path:
    """Make the program that devices run, of the client's own source; what that fetches later lies beside it."""
    source = ROOT / "tests" / "client" / "device.ts"
    bundler = _WEB / "node_modules" / "rolldown" / "bin" / "cli.mjs"
    command = [_node(), str(bundler), str(source), "--dir", str(folder), "--platform", "node", "--format", "esm"]
    command += ["--entry-file-names", "[name].mjs", "--chunk-file-names", "[name].mjs"]
    done = subprocess.run(command, cwd=_WEB, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "device.mjs"


def _node() -> str:
    node = shutil.which("node", path=_PATH)
    assert node is not None, "Node is not there; `make test` brings it."
    return node


@dataclass
class Setup:
    """What a device is begun with. Without a `file` it keeps nothing; without `tokens` it is somebody new."""

    program: Path
    url: str
    transports: tuple[str, ...] = ("stream", "poll")
    file: Path | None = None
    tokens: Tokens | None = None
    is_visible: bool = True
    is_online: bool = True
    request: Json | None = None
    tool: str | None = None

    def as_told(self) -> str:
        told: Json = {
            "url": self.url,
            "transports": self.transports,
            "packages": str(_WEB),
            "isVisible": self.is_visible,
            "isOnline": self.is_online,
            "isAnonymous": self.tokens is None,
        }
        if self.file is not None:
            told["file"] = str(self.file)
        if self.request is not None:
            told["request"] = self.request
        if self.tool is not None:
            told["tool"] = self.tool
        return json.dumps(told)


class DeviceError(Exception):
    """The client has thrown."""


@dataclass
class Device:
    """A device under way. Its commands are those of device.ts."""

    setup: Setup
    process: asyncio.subprocess.Process
    refusals: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._there: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def begin(cls, setup: Setup) -> Device:
        """Switch a device on, and its client."""
        process = await asyncio.create_subprocess_exec(
            _node(),
            *_flags(),
            str(setup.program),
            setup.as_told(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        device = cls(setup, process)
        await asyncio.wait_for(device._there, _PATIENCE_S)
        await device.do("start")
        return device

    async def do(self, command: str, timeout_s: float = _PATIENCE_S, **fields: Any) -> Any:
        """Have something done; returns what it returns. Raises DeviceError, and TimeoutError with what is shown."""
        command_id = next(self._ids)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = answer
        self._say({"id": command_id, "do": command, **fields})
        try:
            return await asyncio.wait_for(asyncio.shield(answer), timeout_s)
        except TimeoutError:
            if command in ("client", "view"):
                raise
            shown: Json = {"client": await self.do("client", 5)}
            if "conversation" in fields:
                shown["view"] = await self.do("view", 5, conversation=fields["conversation"])
            raise TimeoutError(f"{command} {fields}: {json.dumps(shown, indent=1)}") from None

    async def until_over(self, conversation: str, messages: int, timeout_s: float = _PATIENCE_S) -> Json:
        """Wait until so many messages are shown and nothing is under way; returns what is shown."""
        return await self.do("until", timeout_s, conversation=conversation, messages=messages, isOver=True)

    async def kill(self) -> None:
        """End it as a power cut does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _say(self, line: Json) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line).encode() + b"\n")

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            said = json.loads(line)
            if "is" in said:
                self._there.set_result(None)
            elif "asks" in said:
                self.refusals.append(said["refused"])
                self._giving = asyncio.ensure_future(self._give(said["refused"]))
            elif (answer := self._waiting.pop(said["id"], None)) is None or answer.done():
                continue
            elif "error" in said:
                answer.set_exception(DeviceError(said["error"]))
            else:
                answer.set_result(said["value"])
        for answer in (self._there, *self._waiting.values()):
            if not answer.done():
                answer.set_exception(DeviceError("The process has ended."))
                answer.exception()  # nobody may be waiting any more

    async def _give(self, refused: str | None) -> None:
        assert self.setup.tokens is not None
        self._say({"id": -1, "do": "token", "credential": await self.setup.tokens(refused)})


def _flags() -> list[str]:
    """Node has WebSocket by itself from 22 on."""
    told = subprocess.run([_node(), "--version"], capture_output=True, text=True, check=True).stdout
    return ["--experimental-websocket"] if int(told[1:].split(".")[0]) < 22 else []
