"""Three devices of one person and one of somebody else, and what befalls them: servers die, devices die, replies are
lost, and nobody is online for long.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, get_args

from tests.edges.kept_client import LOST, ask, request
from tests.edges.kept_serving import Mortal, Site, alone, pair
from tests.edges.raw import RawConnection
from tests.sync.acts import KINDS, Pick, act
from tests.sync.agreement import Person, check_alike
from tests.sync.devices import Device, Disk, Fate, Killed, Way
from tests.sync.writings import take_down_on_postgresql, take_down_on_sqlite

FATES: tuple[Fate, ...] = get_args(Fate)
CODINGS = ("", "gzip", "zstd")
_DEVICES = {"anna": ("phone", "tablet", "laptop"), "eve": ("stranger",)}
_names = itertools.count()


@asynccontextmanager
async def one_server(folder: Path, template: Path, **more: Any) -> AsyncIterator[Site]:
    """A server on SQLite that takes down what is written."""
    async with alone(folder, template, **more) as site:
        await take_down_on_sqlite(site.rows)
        try:
            yield site
        finally:
            await RawConnection.close_all()


@asynccontextmanager
async def two_servers(folder: Path, url: str, **more: Any) -> AsyncIterator[Site]:
    """Two of them on PostgreSQL, with a Valkey between them."""
    async with pair(folder, url, **more) as site:
        await take_down_on_postgresql(site.rows)
        try:
            yield site
        finally:
            await RawConnection.close_all()


class Fleet:
    """The devices of two people, new to the server."""

    def __init__(self, site: Site, people: list[Person]) -> None:
        self.site = site
        self.people = people
        self._words = itertools.count()

    @classmethod
    async def begin(cls, site: Site) -> Fleet:
        """Let both sign in on all devices."""
        number = next(_names)
        people: list[Person] = []
        for person, devices in _DEVICES.items():
            name = f"{person}{number}"
            asked = request("POST", "/api/sessions", json.dumps({"user": name}).encode())
            token = (await ask(site.served, asked)).json["token"]
            people.append(Person(name, token, {f"{each}{number}": Device(Disk(), token) for each in devices}))
        return cls(site, people)

    @property
    def names(self) -> list[str]:
        """The names of all devices; the stranger's is the last."""
        return [name for person in self.people for name in person.devices]

    def device(self, name: str) -> Device:
        return next(person.devices[name] for person in self.people if name in person.devices)

    def act(self, name: str, kind: str, pick: Pick) -> None:
        """Do something on a device. The stranger tries at times what only the other can see."""
        device = self.device(name)
        words = f"{name}-{next(self._words)}"
        if name in self.people[-1].devices and pick(3) == 0:
            with closing(self.device(self.names[pick(3)]).disk.glimpse()) as seen:
                entry = act(kind, seen, pick, words)
        else:
            entry = act(kind, device.disk, pick, words)
        if entry is not None:
            device.put(entry)

    async def sync(self, name: str, served: Mortal, way: Way) -> None:
        """Have a device ask once, whatever becomes of it. One that was killed comes back with what is on its disk."""
        device = self.device(name)
        try:
            await device.sync(served, way)
        except LOST:
            pass
        except Killed:
            self.restart(name)

    def restart(self, name: str) -> None:
        for person in self.people:
            if name in person.devices:
                person.devices[name] = Device(person.devices[name].disk, person.token)

    def close(self) -> None:
        for name in self.names:
            self.device(name).disk.close()


def way_by(pick: Pick) -> Way:
    """Any way that a sync can go."""
    entries, limit = (1, 3, 100)[pick(3)], (0, 1, 5, 200)[pick(4)]
    return Way(entries, limit, bool(pick(2)), CODINGS[pick(3)], FATES[pick(len(FATES))])


# --- a storm ------------------------------------------------------------------------------------


async def crash(site: Site, served: Mortal) -> None:
    """Kill a server and start it again. The others know at once: how long that takes is another test's matter."""
    process = None
    if len(site.servers) > 1:
        asked = request("POST", "/v1/responses", b'{"input": "Who are you?"}')
        response = (await ask(served, asked)).json["id"]
        ((process,),) = await site.rows(f"SELECT owner FROM response WHERE id = '{response}'")
    await asyncio.to_thread(served.kill)
    if process is not None:
        await site.rows(f"UPDATE process SET heartbeat_at_ms = 0 WHERE id = '{process}'")
    await asyncio.to_thread(served.start)


async def storm(fleet: Fleet, chance: random.Random, kills: int, pause_s: float) -> None:
    """Let all devices live, while servers are killed and come back, so many times."""
    is_over = asyncio.Event()
    lives = [_live(fleet, name, random.Random(chance.random()), is_over) for name in fleet.names]
    living = asyncio.gather(*lives)
    try:
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0, 2 * pause_s))  # the random moment itself
            await crash(fleet.site, chance.choice(fleet.site.servers))
            if living.done():
                break  # something was wrong with one of them
        is_over.set()
        await living
    finally:
        living.cancel()


async def _live(fleet: Fleet, name: str, chance: random.Random, is_over: asyncio.Event) -> None:
    """Do things, and be online at times, until it is over."""
    pick = chance.randrange
    online_until = 0.0
    loop = asyncio.get_running_loop()
    while not is_over.is_set():
        await asyncio.sleep(chance.uniform(0, 0.06))
        for _ in range(pick(3)):
            fleet.act(name, chance.choice(KINDS), pick)
        if loop.time() > online_until:
            if chance.random() < 0.7:
                continue  # offline
            online_until = loop.time() + chance.uniform(0, 0.6)
        if pick(60) == 0:
            fleet.device(name).mistake()
        await _sync_or_be_cut(fleet, name, chance)


async def _sync_or_be_cut(fleet: Fleet, name: str, chance: random.Random) -> None:
    way = way_by(chance.randrange)
    if chance.random() < 0.5:
        way = way._replace(fate="told")
    served = chance.choice(fleet.site.servers)
    syncing = asyncio.ensure_future(fleet.sync(name, served, way))
    # At times the device itself dies, wherever it is just then.
    timeout_s = chance.uniform(0, 0.03) if chance.random() < 0.2 else None
    done, _ = await asyncio.wait([syncing], timeout=timeout_s)
    if not done:
        syncing.cancel()
        await asyncio.gather(syncing, return_exceptions=True)
        fleet.restart(name)
    else:
        syncing.result()


async def one_by_one(fleet: Fleet, chance: random.Random) -> None:
    """Have each kind of thing done by itself, so that nothing else tells of it: all devices agree after each."""
    person = fleet.people[0]
    kinds = sorted(set(KINDS) - {"delete"})
    for kind in ("conversation", "message", *kinds, "feedback", "feedback", "fact", "delete"):
        fleet.act(chance.choice([*person.devices]), kind, chance.randrange)
        await check_alike(fleet.site, person)


def picking(numbers: list[int]) -> Pick:
    """Picks by these numbers, one after the other."""
    drawn: Iterator[int] = itertools.cycle(numbers)
    return lambda most: next(drawn) % most
