"""Feeds over a real store, on both engines: what was committed is told, and nothing before it is."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from frontdesk.changes.store import Change, ChangeStore, note
from frontdesk.core.clock import SystemClock
from frontdesk.core.tasks import Tasks
from frontdesk.feeds.feed import Feed
from frontdesk.feeds.hub import Hub, HubTimes
from frontdesk.feeds.store import Carriers
from frontdesk.files.owner import Owner
from frontdesk.sharing.post import Alone
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import process
from frontdesk.sync.pull import Pulling
from tests.fakes import HandClock
from tests.feeds.fakes import Device

ANN, BOB = Owner("default", "ann", ""), Owner("default", "bob", "")
QUICK = HubTimes(look_every_s=0.01, heals_every_s=0.01)


def answered(owner: Owner, number: int) -> Change:
    return Change(owner.tenant, owner.person, "conv_1", "turn", f"resp_{number}", 1, state="answered")


async def commit(database: Database, *changes: Change) -> None:
    def work() -> Generator[Step, list[Row], None]:
        yield note(*changes)

    await database.transact(work)


class Listening:
    """A hub over a database, and feeds of it."""

    def __init__(self, database: Database) -> None:
        self.pulling = Pulling(database, SystemClock())
        self.hub = Hub(ChangeStore(database), self.pulling, Alone("one"), self._nobody, QUICK)
        self.tasks = Tasks("test")
        self.feeds: list[Feed] = []

    async def listen(self, owner: Owner, cursor: str | None = None) -> Device:
        device = Device()
        feed = Feed(self.hub, self.pulling, self.tasks, owner, None, device)
        self.feeds.append(feed)
        await feed.open(cursor)
        feed.start()
        return device

    async def close(self) -> None:
        for feed in self.feeds:
            feed.close()
        await self.tasks.close()
        await self.hub.close()

    async def _nobody(self) -> list[str]:
        return []


async def until_told(device: Device, *ids: str) -> None:
    while not set(ids) <= set(device.told):
        await asyncio.sleep(0.001)


async def test_a_commit_is_told_to_its_person_alone(database: Database) -> None:
    listening = Listening(database)
    database.heard = listening.hub.heard
    ann, bob = await listening.listen(ANN), await listening.listen(BOB)
    await commit(database, answered(ANN, 1))
    await until_told(ann, "resp_1")
    await commit(database, answered(BOB, 2), answered(ANN, 3))
    await until_told(ann, "resp_3")
    await until_told(bob, "resp_2")

    assert (ann.told, bob.told) == (["resp_1", "resp_3"], ["resp_2"])
    await listening.close()


async def test_what_nobody_hears_is_found_by_looking(database: Database) -> None:
    listening = Listening(database)
    await commit(database, answered(ANN, 1))
    ann, bob = await listening.listen(ANN), await listening.listen(BOB)
    listening.hub.start(is_alone=False)
    await commit(database, answered(ANN, 2), answered(BOB, 3))
    await until_told(ann, "resp_2")
    await until_told(bob, "resp_3")

    assert (ann.told, bob.told) == (["resp_2"], ["resp_3"])
    await listening.close()


async def test_many_writers_lose_no_change_at_any_cursor(database: Database) -> None:
    listening = Listening(database)
    database.heard = listening.hub.heard
    devices = [await listening.listen(ANN) for _ in range(3)]
    everything = [f"resp_{number}" for number in range(1, 201)]

    async def write(first: int) -> None:
        for number in range(first, 201, 20):
            await commit(database, answered(ANN, number))

    await asyncio.gather(*(write(first) for first in range(1, 21)))

    for device in devices:
        await until_told(device, *everything)
        assert sorted(device.told) == sorted(everything)
        places = [place for page in device.pages for place in page.places]
        assert len(places) == len(set(places))
    await listening.close()


async def test_the_others_are_those_who_carry_turns_and_live(database: Database) -> None:
    clock = HandClock()
    now_ms = int(clock.now() * 1000)
    row: dict[str, Any] = {"started_at_ms": 1, "heartbeat_at_ms": now_ms, "fenced_at_ms": None}
    await database.write(
        Step(_PUT, {**row, "id": "carrier_new"}),
        Step(_PUT, {**row, "id": "carrier_old", "heartbeat_at_ms": now_ms - 11_999}),
        Step(_PUT, {**row, "id": "carrier_dead", "heartbeat_at_ms": now_ms - 12_001}),
        Step(_PUT, {**row, "id": "carrier_fenced", "fenced_at_ms": now_ms}),
        Step(_PUT, {**row, "id": "proc_new"}),
        Step(_PUT, {**row, "id": "carrierXnew"}),
    )

    assert await Carriers(database, clock, 12.0).living() == ["carrier_new", "carrier_old"]


_PUT = Query(insert(process))
