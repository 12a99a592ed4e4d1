"""Carriers: who is fenced writes nothing any more, and what one leaves is taken over once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import asyncpg

from frontdesk.files.owner import Owner
from frontdesk.idempotency.store import claim
from frontdesk.keeping.lease import Lease
from frontdesk.keeping.rows import ResponseRow
from frontdesk.keeping.store.carriers import may_go_on, put_events, take_some, wanted_cancels
from frontdesk.keeping.store.responses import (
    End,
    Page,
    ResponseStore,
    Texts,
    carried,
    dispatched,
    end,
    forget,
    give_key_back,
    hand_over,
    put,
)
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.processes import of_dead
from frontdesk.storage.query import Step
from frontdesk.turn.events import TextDelta, TurnCompleted
from frontdesk.turn.log import encode_entries
from tests.fakes import HandClock
from tests.keeping.process import FENCE, KILL, keys, rows
from tests.keeping.test_following import Store

NOW_MS = 1_800_000_000_000
TENANT = "acme"
OWNER = Owner(TENANT, "u1", "")


def row(number: int, carrier: str | None = "one", **fields: Any) -> ResponseRow:
    made: Any = Store(carrier)._row()
    values = {name: getattr(made, name) for name in ResponseRow.__struct_fields__}
    return ResponseRow(**{**values, "id": f"resp_{number:032x}", **fields})


async def keep(database: Database, *kept: ResponseRow) -> None:
    for each in kept:
        await database.transact(partial(put, each, b"asked"))


async def lease(database: Database, name: str) -> Lease:
    made = Lease(database, name, HandClock())
    await made.begin()
    return made


async def take(database: Database, me: str, limit: int = 100) -> list[str]:
    """Take over what the dead have left, as of 12 seconds without a beat; returns whose it was before."""
    dead = of_dead(database, me, NOW_MS, 12)
    taken = await database.transact(partial(take_some, dead, me, NOW_MS, limit))
    assert {each.carrier for each in taken} <= {me}
    return [each.id for each in taken]


async def test_what_a_dead_one_leaves_is_taken_over_and_it_is_fenced(database: Database) -> None:
    one, _ = await lease(database, "one"), await lease(database, "two")
    await keep(database, row(1), row(2), row(3, "two"), row(4, finished_at_ms=NOW_MS))
    if not database.is_alone:
        assert await take(database, "two") == []
        await database.write(Step(KILL, {"of_id": "one"}))

    assert sorted(await take(database, "two")) == [row(1).id, row(2).id]
    assert await take(database, "two") == []

    assert {each[0]: each[3] for each in await rows(database)} == {
        row(1).id: "two",
        row(2).id: "two",
        row(3).id: "two",
        row(4).id: "one",
    }
    lost: list[str] = []
    one.lost = lost.append
    await one.beat()
    assert lost == ["one"]
    assert (await database.write(may_go_on("one")))[0] == []
    assert (await database.write(may_go_on(one.carrier)))[0] == [(one.carrier,)]


async def test_what_was_handed_over_is_taken_by_whoever_comes(database: Database) -> None:
    await lease(database, "one")
    await keep(database, row(1), row(2), row(3, None))
    await database.write(hand_over(TENANT, row(2).id, "one"))

    assert sorted(await take(database, "one")) == [row(2).id, row(3).id]
    assert await take(database, "one") == []
    assert (await database.write(may_go_on("one")))[0] == [("one",)]


async def test_so_much_is_taken_at_once_and_then_the_rest(database: Database) -> None:
    await keep(database, *(row(number, "gone") for number in range(7)))

    assert [len(await take(database, "two", limit=3)) for _ in range(4)] == [3, 3, 1, 0]


async def test_two_who_take_at_once_take_each_turn_once(postgresql_url: str) -> None:
    databases = [await open_database(postgresql_url) for _ in range(2)]
    for name in ("p0", "p1"):
        await lease(databases[0], name)
    for _ in range(10):
        await keep(databases[0], *(row(number, "gone") for number in range(30)), row(99, None))
        taken: list[str] = []

        async def work(number: int, into: list[str]) -> None:
            for _ in range(12):
                into += await take(databases[number], f"p{number}", limit=5)

        await asyncio.gather(*(work(number, taken) for number in range(2)))

        assert sorted(taken) == sorted({*taken})
        assert len(taken) == 31
        for each in taken:
            await databases[0].transact(partial(forget, TENANT, each))
    for database in databases:
        await database.close()


async def test_nobody_is_fenced_in_the_middle_of_a_write(postgresql_url: str) -> None:
    """Who takes over waits for it; so what it took over is all that there ever will be."""
    database, other = await open_database(postgresql_url), await open_database(postgresql_url)
    await lease(database, "one")
    await keep(database, row(1))
    await database.write(Step(KILL, {"of_id": "one"}))
    order: list[str] = []
    loop = asyncio.get_running_loop()
    writer = await asyncpg.connect(postgresql_url)
    writing = writer.transaction()
    await writing.start()
    compiled = may_go_on("one").query.for_postgresql()
    assert await writer.fetch(compiled.sql, *compiled.bind({"id": "one"}))

    async def take_over() -> list[str]:
        taken = await take(other, "two")
        order.append("taken")
        return taken

    taking = loop.create_task(take_over())
    looking = await asyncpg.connect(postgresql_url)
    async with asyncio.timeout(8):
        while not await looking.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            await asyncio.sleep(0.01)
    order.append("written")
    await writing.commit()

    assert await taking == [row(1).id]
    assert order == ["written", "taken"]
    for each in (writer, looking, database, other):
        await each.close()


# --- the lease ----------------------------------------------------------------------------------


async def test_that_it_is_lost_is_noticed_once_whoever_finds_it(database: Database) -> None:
    held = await lease(database, "one")
    await database.write(Step(FENCE, {"of_id": "one"}))
    lost: list[str] = []
    held.lost = lost.append

    await asyncio.gather(held.beat(), held.beat(), held.lose("one"))
    await held.lose("one")
    await held.beat()

    assert lost == ["one"]
    assert (await database.write(may_go_on(held.carrier)))[0] == [(held.carrier,)]


async def test_a_process_that_serves_alone_asks_nobody(database: Database) -> None:
    assert ((await lease(database, "one")).check is None) == database.is_alone


# --- rows ---------------------------------------------------------------------------------------


async def test_what_is_not_ones_own_any_more_is_neither_ended_nor_dispatched_nor_handed_over(
    database: Database,
) -> None:
    await keep(database, row(1, "two"), row(2, "one", finished_at_ms=NOW_MS))
    ended = End("completed", NOW_MS, None, None, b"answer")

    for number in (1, 2, 3):
        of = TENANT, row(number).id, "one"
        assert not await database.transact(partial(end, *of, ended))
        for step in (dispatched(*of), hand_over(*of), carried(*of)):
            assert await database.write(step) == [[]]

    assert [each[1:] for each in await rows(database)] == [("in_progress", True, "two"), ("in_progress", True, "one")]
    assert await Texts(database).answer(TENANT, row(1).id) is None


async def test_entries_that_come_again_with_more_of_them_replace_those_that_were_stored(database: Database) -> None:
    def events(first: int, *texts: str) -> dict[str, object]:
        content = encode_entries([TextDelta(0, text) for text in texts])
        return {
            "tenant": TENANT,
            "response": "resp_1",
            "first": first,
            "last": first + len(texts) - 1,
            "content": content,
        }

    for batch in (events(0, "a"), events(1, "b"), events(1, "b", "c"), events(1, "b"), events(3, "d")):
        await database.write(put_events([batch]))

    told = await Texts(database).entries_from(TENANT, "resp_1", 0)
    assert told == [
        (0, [TextDelta(0, "a")]),
        (1, [TextDelta(0, "b"), TextDelta(0, "c")]),
        (3, [TextDelta(0, "d")]),
    ]
    assert await Texts(database).entries_from(TENANT, "resp_1", 2) == told[1:]


async def test_what_has_expired_is_not_there_swept_or_not(database: Database) -> None:
    clock = HandClock(NOW_MS / 1000)
    store = ResponseStore(database, OWNER, "responses", clock)
    await keep(database, row(1), row(2))
    for number, expires in ((1, NOW_MS + 5_000), (2, None)):
        ended = End("completed", NOW_MS, None, expires, encode_entries([TurnCompleted()]))
        assert await database.transact(partial(end, TENANT, row(number).id, "one", ended))
    page = Page("", 10, is_ascending=True)
    assert [each.id for each, _ in await store.list_answered(page)] == [row(1).id, row(2).id]
    assert await store.find(row(1).id) is not None

    clock.move(5)

    assert await store.find(row(1).id) is None
    assert [each.id for each, _ in await store.list_answered(page)] == [row(2).id]
    assert not await store.change_metadata(row(1).id, "{}")
    assert not await store.delete(row(1).id)
    assert await store.change_metadata(row(2).id, "{}")
    found = await Texts(database).find(TENANT, row(1).id)
    assert found is not None
    assert found.has_expired(NOW_MS + 5_000)
    assert not found.has_expired(NOW_MS + 4_999)


async def test_another_persons_are_not_there(database: Database) -> None:
    await keep(database, row(1))
    for owner in (Owner(TENANT, "u2", ""), Owner("other", "u1", ""), Owner(TENANT, "", "u1")):
        store = ResponseStore(database, owner, "responses", HandClock())
        assert await store.find(row(1).id) is None
        assert not await store.delete(row(1).id)
    assert await ResponseStore(database, OWNER, "chat", HandClock()).find(row(1).id) is None
    assert await ResponseStore(database, OWNER, "responses", HandClock()).find(row(1).id) is not None


async def test_who_wants_an_end_is_heard_by_the_carrier(database: Database) -> None:
    await keep(database, row(1), row(2), row(3, "two"))
    store = ResponseStore(database, OWNER, "responses", HandClock())
    for number in (1, 3):
        await store.want_cancel(row(number).id)

    query, values = wanted_cancels("one")

    assert await database.read(query, values) == [(TENANT, row(1).id)]


async def test_a_key_is_given_back_by_what_it_was_claimed_for(database: Database) -> None:
    for number, owner in enumerate((OWNER, OWNER, Owner(TENANT, "u2", ""))):
        of = owner, "/v1/responses", f"key-{number}", b"body", row(number).id, "one", NOW_MS, NOW_MS + 1
        assert await database.transact(partial(claim, *of)) is None

    await database.write(give_key_back(OWNER, row(0).id))
    await database.write(give_key_back(OWNER, row(2).id))

    assert sorted(str(each) for each in await keys(database)) == [row(1).id, row(2).id]
