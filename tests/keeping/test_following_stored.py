"""A turn that one process stores and another one follows: real rows, a real Valkey that dies and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from frontdesk.core.clock import SystemClock
from frontdesk.core.tasks import Tasks
from frontdesk.keeping.following import Following, Watched, listen
from frontdesk.keeping.journal import Journal, Writing
from frontdesk.keeping.lease import Lease
from frontdesk.keeping.store.responses import End, Texts, end, put
from frontdesk.sharing.valkey import Times, ValkeyPost
from frontdesk.storage.database import Database
from frontdesk.turn.events import TurnCompleted
from frontdesk.turn.log import TurnLog, encode_entries, put_together
from tests.fakes import ListSink
from tests.keeping.test_following import ENDED_MS, RESPONSE, TENANT, Carrying, NothingCarried, Store, words
from tests.limits.valkey_server import Server, started_server

CLOCK = SystemClock()
QUICK = Times(timeout_s=2, wait_s=0.5, pause_s=0.01, probe_every_s=0.05)


@pytest.fixture
def valkey() -> Iterator[Server]:
    with started_server() as server:
        yield server


class CarryingProcess:
    """One that stores a turn as it comes, and tells who follows."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self.tasks = Tasks("carrier")
        self.lease = Lease(database, "one", CLOCK)
        self.post = ValkeyPost(url, "one", CLOCK, QUICK)
        watched = Watched(self.post)
        self.journal = Journal(database, self.lease, watched.published)
        self.log = TurnLog(RESPONSE, self.tasks)
        self.writing = Writing(TENANT, self.log, keeps_entries=True)
        following = Following(self.post, Texts(database), CLOCK, 15)
        listen(self.post, following, watched, self, self.tasks)

    def find(self, response_id: str, /) -> Carrying | None:
        return Carrying(self.writing) if response_id == RESPONSE else None

    async def cancel(self, response_id: str, /) -> bool:
        return False

    async def begin(self) -> None:
        await self.lease.begin()
        await self.post.start()
        await self._database.transact(lambda: put(Store()._row(), None))

    async def say(self, first: int, count: int) -> None:
        for entry in words(first, count):
            self.log.entries.append(entry)
            self.journal.grew(self.writing)
            await asyncio.sleep(0)
        while self.log.shown < len(self.log.entries):
            await self.journal._stored_some(self.writing)

    async def end(self) -> None:
        self.log.entries.append(TurnCompleted())
        answer = encode_entries(put_together(self.log.entries))
        ended = End("completed", ENDED_MS, ENDED_MS, None, answer)

        def ending():
            yield from end(TENANT, RESPONSE, "one", ended)

        await self.journal.end(self.writing, ending)

    async def close(self) -> None:
        await self.journal.close()
        await self.post.close()
        await self.tasks.close()


async def until_told(sink: ListSink, count: int) -> None:
    while len(sink.events) < count:
        await asyncio.sleep(0.005)


async def test_what_one_process_stores_another_one_tells_whatever_becomes_of_valkey(
    database: Database, valkey: Server
) -> None:
    carrier = CarryingProcess(database, valkey.url)
    await carrier.begin()
    post = ValkeyPost(valkey.url, "two", CLOCK, QUICK)
    following = Following(post, Texts(database), CLOCK, 15)
    listen(post, following, Watched(post), NothingCarried(), carrier.tasks)
    await post.start()

    await carrier.say(0, 20)
    early, late = ListSink(), ListSink()
    log = await following.follow(TENANT, RESPONSE)
    log.attach(early)
    await carrier.say(20, 300)
    await until_told(early, 320)
    valkey.kill()
    await carrier.say(320, 20)
    await until_told(early, 340)
    valkey.start()
    await carrier.say(340, 20)
    log.attach(late)
    await carrier.end()
    await until_told(early, 361)
    await until_told(late, 361)

    assert early.events == late.events == carrier.log.entries == [*words(0, 360), TurnCompleted()]
    assert log.finished_at == ENDED_MS / 1000
    await following.close()
    await post.close()
    await carrier.close()
