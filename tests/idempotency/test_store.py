"""Claims on both engines: one of many gets a key, and what came of it is there for the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from frontdesk.files.owner import Owner
from frontdesk.idempotency.store import (
    Claimed,
    answered,
    claim,
    doubt,
    find,
    is_in_doubt,
    release,
    take_over,
)
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import idempotency_key, person, process

ANN = Owner("default", "u_ann", "")
ROUTE = "/v1/conversations"
KEY = "a-key"
BODY, OTHER_BODY = b"b" * 16, b"o" * 16
NOW_MS = 1_800_000_000_000
KEEP_MS = 1000


async def claimed(
    database: Database,
    owner: Owner = ANN,
    key: str = KEY,
    *,
    route: str = ROUTE,
    fingerprint: bytes = BODY,
    response: str | None = None,
    process: str | None = "proc_1",
    now_ms: int = NOW_MS,
) -> Claimed | None:
    return await database.transact(
        lambda: claim(owner, route, key, fingerprint, response, process, now_ms, now_ms + KEEP_MS)
    )


def row(**values: Any) -> Claimed:
    plain = Claimed(BODY, None, "proc_1", None, None, NOW_MS, NOW_MS + KEEP_MS)
    return plain._replace(**values)


async def test_who_is_first_has_it_and_others_are_told(database: Database) -> None:
    assert await claimed(database) is None
    assert await claimed(database, fingerprint=OTHER_BODY, process="proc_2", now_ms=NOW_MS + 1) == row()
    assert await find(database, ANN, ROUTE, KEY, NOW_MS) == row()


async def test_of_many_at_once_one_has_it(database: Database) -> None:
    found = await asyncio.gather(*(claimed(database, process=f"proc_{number}") for number in range(20)))

    assert found.count(None) == 1
    assert {each for each in found if each is not None} == {row(owner=f"proc_{found.index(None)}")}


@pytest.mark.parametrize(
    ("owner", "route", "key"),
    [
        (Owner("default", "u_bob", ""), ROUTE, KEY),
        (Owner("other", "u_ann", ""), ROUTE, KEY),
        (Owner("default", "", "u_ann"), ROUTE, KEY),
        (ANN, "/v1/batches", KEY),
        (ANN, ROUTE, "A-key"),
    ],
)
async def test_a_key_is_its_owners_and_its_routes(database: Database, owner: Owner, route: str, key: str) -> None:
    await claimed(database)

    assert await find(database, owner, route, key, NOW_MS) is None
    assert await claimed(database, owner, key, route=route) is None


async def test_a_turns_claim_may_be_run_again(database: Database) -> None:
    assert await claimed(database, response="resp_1") is None
    assert await claimed(database, response="resp_1") is None
    assert await claimed(database, response="resp_2") == row(response="resp_1")


async def test_one_that_expired_is_as_good_as_none(database: Database) -> None:
    await claimed(database, response="resp_1")
    await database.write(answered(ANN, ROUTE, KEY, "proc_1", 200, b"old"))
    later_ms = NOW_MS + KEEP_MS

    assert await find(database, ANN, ROUTE, KEY, later_ms - 1) is not None
    assert await find(database, ANN, ROUTE, KEY, later_ms) is None
    assert await claimed(database, fingerprint=OTHER_BODY, process="proc_2", now_ms=later_ms) is None
    assert await find(database, ANN, ROUTE, KEY, later_ms) == Claimed(
        OTHER_BODY, None, "proc_2", None, None, later_ms, later_ms + KEEP_MS
    )


async def test_an_answer_is_kept_by_who_claimed_it_alone_and_once(database: Database) -> None:
    await claimed(database)

    await database.write(answered(ANN, ROUTE, KEY, "proc_2", 201, b"not mine"))
    await database.write(answered(ANN, ROUTE, KEY, "proc_1", 200, b"mine"))
    await database.write(answered(ANN, ROUTE, KEY, "proc_1", 201, b"again"))

    assert await find(database, ANN, ROUTE, KEY, NOW_MS) == row(http_status=200, answer=b"mine")


@pytest.mark.parametrize(("response", "process"), [(None, "proc_1"), ("resp_1", "proc_1"), ("resp_1", None)])
async def test_a_claim_is_released_by_what_made_it_alone(
    database: Database, response: str | None, process: str | None
) -> None:
    await claimed(database, response=response, process=process)

    for other in ((response, "proc_2"), ("resp_2", process)):
        await database.write(release(ANN, ROUTE, KEY, *other))
        assert await find(database, ANN, ROUTE, KEY, NOW_MS) is not None
    await database.write(release(ANN, ROUTE, KEY, response, process))

    assert await find(database, ANN, ROUTE, KEY, NOW_MS) is None


async def test_what_is_answered_is_not_released(database: Database) -> None:
    await claimed(database)

    await database.write(answered(ANN, ROUTE, KEY, "proc_1", 200, b"mine"))
    await database.write(release(ANN, ROUTE, KEY, None, "proc_1"), doubt(ANN, ROUTE, KEY, "proc_1"))

    assert await find(database, ANN, ROUTE, KEY, NOW_MS) == row(http_status=200, answer=b"mine")


async def test_a_claim_and_what_it_is_for_are_one_transaction(database: Database) -> None:
    await claimed(database)

    def refused_behind_it():
        assert (yield from claim(ANN, ROUTE, "another", BODY, "resp_1", None, NOW_MS, NOW_MS + KEEP_MS)) is None
        raise ValueError

    with pytest.raises(Exception, match="ValueError"):
        await database.transact(refused_behind_it)

    assert await find(database, ANN, ROUTE, "another", NOW_MS) is None


async def beat(database: Database, name: str, at_ms: int) -> None:
    values = {"id": name, "started_at_ms": at_ms, "heartbeat_at_ms": at_ms, "fenced_at_ms": None}
    await database.write(Step(Query(insert(process)), values))


async def in_doubt(database: Database, me: str = "proc_me") -> bool:
    return await is_in_doubt(database, ANN, ROUTE, KEY, me, NOW_MS, 30.0)


async def test_what_a_living_process_claimed_is_not_in_doubt(postgresql_database: Database) -> None:
    await beat(postgresql_database, "proc_1", NOW_MS - 30_000)
    await claimed(postgresql_database)

    assert not await in_doubt(postgresql_database)


async def test_what_a_silent_process_claimed_is_in_doubt_until_it_answers(postgresql_database: Database) -> None:
    await beat(postgresql_database, "proc_1", NOW_MS - 30_001)
    await claimed(postgresql_database)

    assert await in_doubt(postgresql_database)
    await postgresql_database.write(answered(ANN, ROUTE, KEY, "proc_1", 200, b"it lived"))
    assert not await in_doubt(postgresql_database)


async def test_where_one_alone_can_serve_every_other_is_dead_but_not_itself(sqlite_database: Database) -> None:
    await beat(sqlite_database, "proc_1", NOW_MS)
    await claimed(sqlite_database)

    assert await in_doubt(sqlite_database)
    assert not await in_doubt(sqlite_database, me="proc_1")


async def test_one_takes_over_what_is_in_doubt(database: Database) -> None:
    await claimed(database)
    await database.write(doubt(ANN, ROUTE, KEY, "proc_2"))
    assert await find(database, ANN, ROUTE, KEY, NOW_MS) == row(), "it is another's"
    await database.write(doubt(ANN, ROUTE, KEY, "proc_1"))
    assert await in_doubt(database, me="proc_1")
    found = await find(database, ANN, ROUTE, KEY, NOW_MS)
    assert found == row(owner=None)
    assert found is not None

    taken = await asyncio.gather(
        *(database.write(take_over(ANN, ROUTE, KEY, found, f"proc_{number}")) for number in range(3, 8))
    )

    assert sorted(len(rows) for (rows,) in taken) == [0, 0, 0, 0, 1]
    await database.write(release(ANN, ROUTE, KEY, None, "proc_1"))
    assert await find(database, ANN, ROUTE, KEY, NOW_MS) is not None, "whose it was may not give it back"


async def test_what_a_person_claimed_is_answered_when_they_have_become_another(database: Database) -> None:
    await claimed(database)
    names = ("tier", "assigned_tier", "changed_at_ms", "revoked_before_ms")
    ann = {"tenant": "default", "id": "u_ann", "became": "u_new", "created_at_ms": 0, **dict.fromkeys(names)}
    await database.write(Step(Query(insert(person)), ann), Step(Query(update(idempotency_key).values(person="u_new"))))

    await database.write(answered(ANN, ROUTE, KEY, "proc_1", 200, b"mine"))

    told = await find(database, Owner("default", "u_new", ""), ROUTE, KEY, NOW_MS)
    assert told == row(http_status=200, answer=b"mine")


async def test_no_row_holds_a_key(database: Database) -> None:
    await claimed(database)

    ((kept,),) = await database.read(Query(select(idempotency_key.c.key)))

    assert len(kept) == 64
    assert KEY not in kept
