"""A server, a proxy before it, and people whose devices ask through it."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.client.devices import Device, Json, Setup
from tests.client.proxy import Proxy, proxied
from tests.edges.kept_client import ask, request
from tests.edges.kept_serving import Mortal
from tests.serving import ASKED_ONCE

SETTINGS: Json = {
    "providers": {"scripted": {"kind": "scripted", **ASKED_ONCE}},
    "models": {
        "quick": {"route": ["scripted/echo"]},
        "paced": {"route": ["scripted/slow-10"]},
        "slow": {"route": ["scripted/slow-40"]},
        "crawling": {"route": ["scripted/slow-300"]},
    },
    "default_model": "quick",
    "auth": {"anonymous": True},
    "tiers": {"free": {}},
    "default_tier": "free",
    "live": {"per_user": 100, "total": 1000},
    "shutdown_grace_s": 0.2,
}
_names = itertools.count()


@dataclass
class Person:
    """Somebody who has an account with the server; `tokens` is what an app's own backend does for it."""

    name: str
    served: Mortal
    given: int = 0

    async def tokens(self, refused: str | None) -> Json | None:
        del refused
        self.given += 1
        asked = request("POST", "/api/sessions", json.dumps({"user": self.name}).encode())
        while True:
            try:
                answer = await ask(self.served, asked)
            except OSError:  # it is being started again
                await asyncio.sleep(0.05)
                continue
            assert answer.status in (200, 201), answer.body
            return {"token": answer.json["token"]}


@dataclass
class Site:
    """Where the devices of a test are."""

    served: Mortal
    proxy: Proxy
    program: Path
    folder: Path
    devices: list[Device] = field(default_factory=list)

    async def begin(self, setup: Setup) -> Device:
        """Switch a device on."""
        device = await Device.begin(setup)
        self.devices.append(device)
        return device

    async def end_devices(self) -> None:
        """Switch all devices off."""
        ended, self.devices = self.devices, []
        await asyncio.gather(*(device.kill() for device in ended))

    def person(self) -> Person:
        """Somebody new."""
        return Person(f"u{next(_names)}", self.served)

    def setup(self, person: Person | None, *transports: str, **more: Any) -> Setup:
        """What a device of somebody's is begun with."""
        tokens = None if person is None else person.tokens
        return Setup(self.program, self.proxy.url, transports or ("stream", "poll"), tokens=tokens, **more)

    def file(self) -> Path:
        """A file for a device to keep things in."""
        return self.folder / f"device{next(_names)}.jsonl"

    async def crash(self, after_s: float = 0) -> None:
        """Kill the server, and start it again after so long."""
        await asyncio.to_thread(self.served.kill)
        await asyncio.sleep(after_s)
        await asyncio.to_thread(self.served.start)

    async def said(self, person: Person) -> list[str]:
        """What there is of somebody's messages in the database, each as often as it is there."""
        rows = await asyncio.to_thread(self.served.rows, _SAID.format(person=person.name))
        return [json.loads(content)["content"][0]["text"] for (content,) in rows]

    async def asked(self, person: Person) -> int:
        """How many answers were begun for somebody."""
        statement = f"SELECT count(*) FROM response WHERE person = '{person.name}'"
        return (await asyncio.to_thread(self.served.rows, statement))[0][0]


_SAID = (
    "SELECT content FROM conversation_item JOIN conversation ON conversation.id = conversation_item.conversation "
    "WHERE person = '{person}' AND content IS NOT NULL AND CAST(content AS TEXT) LIKE '%\"role\":\"user\"%' "
    "ORDER BY conversation_item.created_at_ms, position"
)


@asynccontextmanager
async def opened(folder: Path, template: Path, program: Path, **more: Any) -> AsyncIterator[Site]:
    """A server on SQLite that comes back in a moment, and a proxy before it. `template` is a migrated file."""
    served = Mortal(folder, {**SETTINGS, **more})
    shutil.copy(template, served.database)
    try:
        await asyncio.to_thread(served.start)
        async with proxied(lambda: served.port) as proxy:
            yield Site(served, proxy, program, folder)
    finally:
        await asyncio.to_thread(served.close)


def texts_of(view: Json) -> list[tuple[str, str]]:
    """Who says what in a conversation that is shown."""
    return [(message["role"], message["text"]) for message in view["messages"]]


def echoed(texts: Sequence[str]) -> list[tuple[str, str]]:
    """What is shown where a model says everything back."""
    return [said for text in texts for said in (("user", text), ("assistant", text))]
