"""The journal: whatever the storage does, each entry is stored once, in its place, and nothing is shown before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.tasks import Tasks
from frontdesk.keeping.journal import Journal, Writing
from frontdesk.keeping.lease import Lease
from frontdesk.keeping.store.carriers import begin
from frontdesk.keeping.store.responses import Texts
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step
from frontdesk.storage.tables import process
from frontdesk.turn.events import TextDelta, TurnCompleted
from frontdesk.turn.log import Entry, TurnLog
from tests.fakes import HandClock, ListSink
from tests.keeping.jumping_time import run_jumping
from tests.keeping.memory import Fate, MemoryDatabase, turning

TENANT = "acme"
END = TurnCompleted()
_ENDED = Query(sa.select(process.c.id).where(process.c.id == sa.bindparam("id")))


def word(number: int) -> Entry:
    return TextDelta(0, f"{number} ")


def ending_of(name: str) -> Callable[[], Generator[Step, list[Row], None]]:
    """Something small that says of a log that its ending was stored."""

    def ending() -> Generator[Step, list[Row], None]:
        yield begin(f"ended {name}", 0)

    return ending


def breaking() -> Generator[Step, list[Row], None]:
    yield begin("never stored", 0)
    raise RuntimeError("A bug.")


class WatchedLog(TurnLog):
    """Sees to it that nothing is shown that is not stored, unless that was long waited for."""

    __slots__ = ("_desk", "writing")

    def __init__(self, name: str, desk: Desk) -> None:
        super().__init__(name, Tasks("readers"))
        self._desk = desk
        self.writing: Writing | None = None

    def show(self, count: int) -> None:
        if self.writing is not None and not self.writing.was_shown and self.writing.keeps_entries:
            assert count <= self._desk.count(self.id)
        super().show(count)


class Desk:
    """A journal, and what it has stored."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.texts = Texts(database)
        self.lease = Lease(database, "one", HandClock())
        self.published: list[tuple[str, int, int]] = []
        self.journal = Journal(database, self.lease, self._published)

    def _published(self, tenant: str, log: TurnLog, first: int, entries: Sequence[Entry]) -> None:
        assert tenant == TENANT
        assert log.entries[first : first + len(entries)] == list(entries)
        self.published.append((log.id, first, len(entries)))

    def count(self, name: str) -> int:
        asked = Query(sa.text("SELECT coalesce(sum(last - first + 1), 0) FROM response_event WHERE response = :name"))
        compiled = asked.for_sqlite()
        return self.database._connection.execute(compiled.sql, (name,)).fetchone()[0]

    def writing(self, name: str, *, keeps_entries: bool = True) -> Writing:
        log = WatchedLog(name, self)
        log.writing = Writing(TENANT, log, keeps_entries=keeps_entries)
        return log.writing

    def say(self, writing: Writing, *entries: Entry) -> None:
        writing.log.entries += entries
        self.journal.grew(writing)

    async def end(self, writing: Writing) -> None:
        writing.log.entries.append(END)
        await self.journal.end(writing, ending_of(writing.log.id))
        if not writing.is_dropped:
            writing.log.show(len(writing.log.entries))

    async def stored(self, name: str) -> list[Entry]:
        """What is stored of a log, each entry in its place."""
        entries: list[Entry] = []
        for first, batch in await self.texts.entries_from(TENANT, name, 0):
            assert first == len(entries)
            entries += batch
        return entries

    async def has_ended(self, name: str) -> bool:
        return bool(await self.database.read(_ENDED, {"id": f"ended {name}"}))

    async def until_idle(self) -> None:
        while self.journal._is_running:
            await asyncio.sleep(0.01)


# --- whatever happens ---------------------------------------------------------------------------

_fates = st.lists(st.sampled_from([*Fate][:4]), max_size=25)
_doing = st.tuples(st.integers(0, 2), st.integers(0, 5), st.floats(0, 3))


@settings(max_examples=120, deadline=None)
@given(fates=_fates, doings=st.lists(_doing, max_size=25), takes_s=st.sampled_from([0.0, 0.001, 0.2, 7.0]))
def test_every_entry_is_stored_once_in_its_place_and_shown_after_that(
    fates: list[Fate], doings: list[tuple[int, int, float]], takes_s: float
) -> None:
    async def play() -> None:
        desk = Desk(MemoryDatabase(turning(fates)))
        desk.database.takes_s = takes_s
        writings = [desk.writing(f"resp_{number}") for number in range(3)]
        sinks = [ListSink() for _ in writings]
        for writing, sink in zip(writings, sinks, strict=True):
            writing.log.attach(sink)
        for number, count, pause_s in doings:
            log = writings[number].log
            desk.say(writings[number], *(word(len(log.entries) + place) for place in range(count)))
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(3600):
            await asyncio.gather(*(desk.end(writing) for writing in writings))
            await desk.until_idle()

        for writing, sink in zip(writings, sinks, strict=True):
            assert await desk.stored(writing.log.id) == writing.log.entries == sink.events
            assert await desk.has_ended(writing.log.id)
        assert len(desk.journal._tasks) == 0
        assert (desk.journal._dirty, desk.journal._storing) == ({}, ())
        told = [(name, first) for name, first, count in desk.published if count]
        assert len(set(told)) == len(told)

    run_jumping(play())


def jumping(test: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        run_jumping(test())

    run.__name__ = test.__name__
    return run


# --- failures -----------------------------------------------------------------------------------


@jumping
async def test_a_commit_that_nobody_heard_of_is_stored_again_with_what_has_come_since() -> None:
    desk = Desk(MemoryDatabase(turning([Fate.UNSEEN])))
    writing = desk.writing("resp_1")
    desk.say(writing, word(0))
    await asyncio.sleep(0.01)
    desk.say(writing, word(1), word(2))

    await desk.end(writing)

    assert await desk.stored("resp_1") == [word(0), word(1), word(2), END]


@jumping
async def test_where_nothing_can_be_stored_people_get_their_words_in_the_end() -> None:
    fates = {"now": Fate.AWAY}
    desk = Desk(MemoryDatabase(lambda: fates["now"]))
    writing, sink = desk.writing("resp_1"), ListSink()
    writing.log.attach(sink)
    desk.say(writing, word(0))

    await asyncio.sleep(4)
    assert sink.events == []
    await asyncio.sleep(3)
    assert sink.events == [word(0)]
    ending = asyncio.ensure_future(desk.end(writing))
    await asyncio.sleep(2)
    assert ending.done()
    assert sink.is_complete

    fates["now"] = Fate.STORED
    await desk.until_idle()
    assert await desk.stored("resp_1") == [word(0), END]
    assert await desk.has_ended("resp_1")


@jumping
async def test_once_it_works_again_nothing_is_shown_before_it_is_stored() -> None:
    fates = {"now": Fate.AWAY}
    desk = Desk(MemoryDatabase(lambda: fates["now"]))
    writing, sink = desk.writing("resp_1"), ListSink()
    writing.log.attach(sink)
    desk.say(writing, word(0))
    await asyncio.sleep(10)
    fates["now"] = Fate.STORED
    await desk.until_idle()

    fates["now"] = Fate.AWAY
    ending = asyncio.ensure_future(desk.end(writing))
    await asyncio.sleep(3)

    assert not ending.done()
    assert sink.events == [word(0)]
    fates["now"] = Fate.STORED
    await ending
    assert await desk.has_ended("resp_1")


@jumping
async def test_a_storage_that_does_not_answer_is_one_that_fails() -> None:
    desk = Desk(MemoryDatabase())
    desk.database.takes_s = 60
    writing, later = desk.writing("resp_1"), desk.writing("resp_2")
    desk.say(writing, word(0))
    await asyncio.sleep(1)
    desk.say(later, word(1))

    await asyncio.sleep(8)

    assert (writing.log.shown, later.log.shown) == (1, 1)
    assert desk.count("resp_1") == 0
    await desk.until_idle()
    assert await desk.stored("resp_1") == [word(0)]


@jumping
async def test_what_fails_is_told_once_and_so_is_that_it_works_again() -> None:
    desk = Desk(MemoryDatabase(turning([Fate.AWAY] * 5)))
    writing = desk.writing("resp_1")
    desk.say(writing, word(0))

    began_at = asyncio.get_running_loop().time()
    await desk.until_idle()

    assert desk.database.transactions == 6
    assert asyncio.get_running_loop().time() - began_at < 5


@jumping
async def test_a_bug_in_the_ending_of_one_hurts_no_other_and_its_turn_ends_otherwise() -> None:
    desk = Desk(MemoryDatabase())
    others = [desk.writing(f"resp_{number}") for number in range(4)]
    broken = desk.writing("resp_9")
    desk.say(broken, word(0))
    for writing in (broken, *others):
        writing.log.entries.append(END)

    async with asyncio.timeout(10):
        await asyncio.gather(
            desk.journal.end(broken, breaking, ending_of("resp_9")),
            *(desk.journal.end(each, ending_of(each.log.id)) for each in others),
        )
        await desk.until_idle()

    assert [await desk.has_ended(each.log.id) for each in (broken, *others)] == [True] * 5
    assert [await desk.stored(each.log.id) for each in others] == [[END]] * 4
    assert not await desk.database.read(_ENDED, {"id": "never stored"})


@jumping
async def test_what_cannot_be_written_down_at_all_hurts_no_other() -> None:
    desk = Desk(MemoryDatabase())
    broken, well = desk.writing("resp_1"), desk.writing("resp_2")
    desk.say(broken, TextDelta(0, "\ud800"))
    desk.say(well, word(0))

    async with asyncio.timeout(10):
        await desk.end(well)

    assert await desk.stored("resp_2") == [word(0), END]
    assert broken.log.shown == 1


@jumping
async def test_who_says_too_much_waits_until_it_is_stored() -> None:
    desk = Desk(MemoryDatabase())
    desk.database.takes_s = 1
    writing = desk.writing("resp_1")
    desk.say(writing, *(word(number) for number in range(2_001)))
    waiting = asyncio.ensure_future(desk.journal.room(writing))
    await asyncio.sleep(0.5)
    assert not waiting.done()

    await waiting

    assert writing.log.shown == 2_001


# --- what is another's --------------------------------------------------------------------------


@jumping
async def test_what_is_dropped_is_stored_no_more_whatever_was_under_way() -> None:
    desk = Desk(MemoryDatabase(turning([Fate.AWAY])))
    desk.database.takes_s = 0.1
    dropped, kept = desk.writing("resp_1"), desk.writing("resp_2")
    desk.say(dropped, word(0))
    desk.say(kept, word(0))
    ending = asyncio.ensure_future(desk.end(dropped))
    await asyncio.sleep(0.05)

    desk.journal.drop(dropped)
    desk.say(dropped, word(1))
    await ending
    await desk.journal.end(dropped, ending_of("resp_1"))
    await desk.journal.room(dropped)
    await desk.until_idle()

    assert await desk.stored("resp_1") == []
    assert not await desk.has_ended("resp_1")
    assert await desk.stored("resp_2") == [word(0)]


async def test_who_has_been_fenced_stores_nothing_and_begins_again_under_another_name(database: Database) -> None:
    """On both engines; where no other process can serve nobody asks."""
    desk = Desk(database)
    lost: list[str] = []
    desk.lease.lost = lambda carrier: (lost.append(carrier), desk.journal.drop_all())[0]
    await desk.lease.begin()
    first, second = (
        Writing(TENANT, log_of("resp_1"), keeps_entries=True),
        Writing(TENANT, log_of("resp_2"), keeps_entries=True),
    )
    desk.say(first, word(0))
    await desk.until_idle()
    await database.write(Step(_FENCE, {"of_id": "one"}))

    desk.say(first, word(1))
    desk.say(second, word(0))
    ending = asyncio.ensure_future(desk.journal.end(second, ending_of("resp_2")))
    async with asyncio.timeout(20):
        await ending
        await desk.until_idle()

    stored = [await desk.stored(name) for name in ("resp_1", "resp_2")]
    if database.is_alone:
        assert (stored, lost) == ([[word(0), word(1)], [word(0)]], [])
        return
    assert (stored, lost) == ([[word(0)], []], ["one"])
    assert not await desk.has_ended("resp_2")
    assert (first.log.shown, second.log.shown) == (1, 0)
    third = Writing(TENANT, log_of("resp_3"), keeps_entries=True)
    desk.say(third, word(7))
    desk.say(first, word(2))
    await desk.until_idle()
    assert await desk.stored("resp_3") == [word(7)]
    assert await desk.stored("resp_1") == [word(0)]


_FENCE = Query(sa.update(process).where(process.c.id == sa.bindparam("of_id")).values(fenced_at_ms=1))


def log_of(name: str) -> TurnLog:
    return TurnLog(name, Tasks("readers"))


@jumping
async def test_a_lease_that_cannot_be_begun_again_stops_nothing() -> None:
    desk = Desk(MemoryDatabase(is_alone=False))
    await desk.lease.begin()
    await desk.database.write(Step(_FENCE, {"of_id": "one"}))
    writing = desk.writing("resp_1")
    desk.database.fate = turning([Fate.STORED, Fate.AWAY])
    desk.say(writing, word(0))
    await desk.until_idle()
    assert desk.lease.carrier != "one"

    await desk.lease.beat()
    other = desk.writing("resp_2")
    desk.say(other, word(0))
    async with asyncio.timeout(10):
        await desk.end(other)

    assert await desk.stored("resp_2") == [word(0), END]
    assert await desk.stored("resp_1") == []


# --- pacing -------------------------------------------------------------------------------------


@jumping
async def test_many_streams_share_transactions_and_idleness_costs_nothing() -> None:
    """200 streams, 100 words a second each: some 40 transactions a second, and none at all afterwards."""
    desk = Desk(MemoryDatabase())
    writings = [desk.writing(f"resp_{number}") for number in range(200)]
    for tick in range(100):
        for writing in writings:
            desk.say(writing, word(tick))
        await asyncio.sleep(0.01)

    await desk.until_idle()

    assert 30 <= desk.database.transactions <= 60
    assert [await desk.stored(each.log.id) for each in writings] == [[word(tick) for tick in range(100)]] * 200
    assert len(desk.journal._tasks) == 0
    transactions = desk.database.transactions
    loop: Any = asyncio.get_running_loop()
    assert [each for each in loop._scheduled if not each.cancelled()] == []
    await asyncio.sleep(60)
    assert desk.database.transactions == transactions


@jumping
async def test_a_lone_reader_waits_for_no_company() -> None:
    desk = Desk(MemoryDatabase())
    writing = desk.writing("resp_1")
    loop = asyncio.get_running_loop()

    waits: list[float] = []
    for number in range(20):
        began_at = loop.time()
        desk.say(writing, word(number))
        while writing.log.shown <= number:
            await asyncio.sleep(0.0005)
        waits.append(loop.time() - began_at)
        await asyncio.sleep(0.01)

    assert max(waits) <= 0.003


@jumping
async def test_where_only_the_end_is_kept_only_that_is_stored() -> None:
    desk = Desk(MemoryDatabase())
    writing = desk.writing("resp_1", keeps_entries=False)
    writing.log.entries.append(word(0))

    await desk.end(writing)

    assert await desk.stored("resp_1") == []
    assert await desk.has_ended("resp_1")


@jumping
async def test_who_waits_when_the_journal_is_closed_can_be_cancelled() -> None:
    desk = Desk(MemoryDatabase())
    desk.database.takes_s = 10
    writing = desk.writing("resp_1")
    ending = asyncio.ensure_future(desk.end(writing))
    await asyncio.sleep(1)

    await desk.journal.close()
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending

    assert len(desk.journal._tasks) == 0
