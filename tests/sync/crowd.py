"""Many who write at once, each on a connection of their own, while readers page all the time.

Whoever has read to the end knows all that was acknowledged before they began; from each cursor on the way a way leads
to the same end.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from typing import Any

from frontdesk.core.ids import new_id
from tests.edges.kept_client import ask, request
from tests.edges.kept_serving import Mortal, Site
from tests.edges.raw import RawConnection
from tests.sync.acts import entry_id, item_of
from tests.sync.devices import Device, Disk, Json, Key, Way

_SHARED = 4
_LIMITS = (1, 2, 7, 50, 1000)
_SNAPSHOTS = 6  # of a reader
_MOST_FACTS = 150  # a person may have some more
_KINDS = ("item", "shared", "rename", "fact", "message")


class Crowd:
    """One person with many devices. What was acknowledged is kept here: things, and the least number in a title."""

    def __init__(self, site: Site, token: str, shared: list[str], chance: random.Random) -> None:
        self.site = site
        self._token = token
        self._shared = shared
        self._chance = chance
        self._facts = itertools.count()
        self.acked: set[Key] = set()
        self.titles: dict[str, int] = {}
        self.snapshots: list[Disk] = []

    @classmethod
    async def begin(cls, site: Site, chance: random.Random) -> Crowd:
        """Sign somebody in, and begin the conversations that all of them write in."""
        asked = request("POST", "/api/sessions", json.dumps({"user": "anna"}).encode())
        token = (await ask(site.served, asked)).json["token"]
        begun = [await ask(site.served, request("POST", "/v1/conversations", b"{}", token)) for _ in range(_SHARED)]
        return cls(site, token, [answer.json["id"] for answer in begun], chance)

    async def check(self, writers: int, writes: int, readers: int) -> None:
        """Let all of them go on until everything is written, then compare what they know."""
        is_over = asyncio.Event()
        reading = [asyncio.ensure_future(self._read(is_over)) for _ in range(readers)]
        try:
            await asyncio.gather(*(self._write(number, writes) for number in range(writers)))
        finally:
            is_over.set()
        disks = await asyncio.gather(*reading)
        truth = await self._known_to(Device(Disk(), self._token), limit=1000)
        assert self.acked <= truth.keys()
        for disk in (*disks, *self.snapshots):
            # Wherever it was, it comes to the same end.
            assert await self._known_to(Device(disk, self._token), limit=200) == truth
            disk.close()

    # --- writing ----------------------------------------------------------------------------

    async def _write(self, number: int, writes: int) -> None:
        chance = random.Random(self._chance.random())
        connection = await RawConnection.open(chance.choice(self.site.servers))
        own = new_id("conv_")
        await self._push(connection, {"type": "conversation", "conversation": own})
        self.acked.add(("conversation", own, ""))
        for place in range(writes):
            match chance.choice(_KINDS):
                case "rename":
                    await self._push(connection, {"type": "rename", "conversation": own, "title": f"title {place}"})
                    self.titles[own] = place
                case "fact" if next(self._facts) < _MOST_FACTS:
                    fact = new_id("fact_")
                    await self._push(connection, {"type": "fact", "fact": fact, "words": f"{number} {place}"})
                    self.acked.add(("fact", "", fact))
                case "message":
                    said = await self._push(connection, {"type": "message", "conversation": own, "content": "Hello"})
                    self.acked.add(("item", own, item_of(said)))
                case kind:
                    conversation = chance.choice(self._shared) if kind == "shared" else own
                    await self._add(connection, conversation)
        connection.hang_up()

    async def _push(self, connection: RawConnection, entry: Json) -> Json:
        """Push an entry until it is done; returns it, with its id."""
        entry = {"id": entry_id(), **entry}
        body = json.dumps({"push": [entry], "limit": 1}).encode()
        while True:
            status, answer = await _exchange(connection, request("POST", "/api/sync", body, self._token))
            assert status == 200, answer
            (result,) = answer["results"]
            assert result["status"] != "refused", result
            if result["status"] == "done":
                return entry
            await asyncio.sleep(0.01)

    async def _add(self, connection: RawConnection, conversation: str) -> None:
        """Put an item into a conversation, as OpenAI's clients do."""
        body = json.dumps({"items": [{"role": "user", "content": "Hello"}]}).encode()
        path = f"/v1/conversations/{conversation}/items"
        while True:
            status, answer = await _exchange(connection, request("POST", path, body, self._token))
            if status == 200:
                self.acked.add(("item", conversation, answer["data"][0]["id"]))
                return
            assert answer["error"]["code"] == "conversation_locked", answer
            await asyncio.sleep(0.01)

    # --- reading ----------------------------------------------------------------------------

    async def _read(self, is_over: asyncio.Event) -> Disk:
        chance = random.Random(self._chance.random())
        device = Device(Disk(), self._token)
        taken = 0
        while not is_over.is_set():
            acked, titles = set(self.acked), dict(self.titles)
            while await device.sync(self._server(chance), Way(limit=chance.choice(_LIMITS))):
                if taken < _SNAPSHOTS and chance.random() < 0.1:
                    self.snapshots.append(device.disk.glimpse())
                    taken += 1
            things = device.disk.things()
            assert acked <= things.keys(), acked - things.keys()
            for conversation, number in titles.items():
                assert int(things["conversation", conversation, ""]["title"].split()[1]) >= number
        return device.disk

    async def _known_to(self, device: Device, limit: int) -> dict[Key, Json]:
        # Answers may still come.
        async with asyncio.timeout(60):
            while await device.sync(self._server(self._chance), Way(limit=limit)) or _is_busy(device.disk):
                pass
        return device.disk.things()

    def _server(self, chance: random.Random) -> Mortal:
        return chance.choice(self.site.servers)


def _is_busy(disk: Disk) -> bool:
    return any("response" in each for each in disk.things("conversation").values())


async def _exchange(connection: RawConnection, sent: bytes) -> tuple[int, Any]:
    connection.send(sent)
    status, _, body = await connection.answer()
    return status, json.loads(body)
