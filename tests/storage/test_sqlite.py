"""What holds on SQLite only: its lock, its queue, its log."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from frontdesk.storage.database import Database, StorageLimits, open_beside, open_database
from frontdesk.storage.errors import AlreadyServed, StorageBusy, StorageFailed
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Step
from frontdesk.storage.schema import migrate_in_child
from frontdesk.storage.sqlite import SqliteDatabase
from frontdesk.storage.sqlite_checkpoints import CheckpointPlan
from tests.storage.notes import ADD, APPEND, COUNT, CREATE, LIST, note


@pytest.fixture
async def notes(sqlite_url: str) -> AsyncIterator[Database]:
    database = await open_database(sqlite_url)
    await database.write(Step(CREATE))
    yield database
    await database.close()


def _path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _raw(url: str) -> sqlite3.Connection:
    return sqlite3.connect(_path(url), isolation_level=None)


# --- the lock -----------------------------------------------------------------------------------


async def test_a_second_server_is_refused_and_told_who_has_the_file(notes: Database, sqlite_url: str):
    with pytest.raises(AlreadyServed, match=rf"process {os.getpid()}, which holds '.*frontdesk\.db\.lock'"):
        await open_database(sqlite_url)

    assert notes.is_alone


async def test_a_closed_database_can_be_served_again(notes: Database, sqlite_url: str):
    await notes.close()

    again = await open_database(sqlite_url)
    await again.close()


async def test_a_command_may_write_beside_a_server(notes: Database, sqlite_url: str):
    beside = await open_beside(sqlite_url)

    await asyncio.gather(
        *(notes.write(Step(ADD, note(number, "server"))) for number in range(0, 100, 2)),
        *(beside.write(Step(ADD, note(number, "command"))) for number in range(1, 100, 2)),
    )

    assert not beside.is_alone
    assert await notes.read(COUNT) == await beside.read(COUNT) == [(100,)]
    await beside.close()


async def test_a_path_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    database = await open_database("sqlite:///here.db")
    await database.write(Step(CREATE))
    await database.close()

    assert (tmp_path / "here.db").exists()


async def test_the_file_is_its_owners_only(tmp_path: Path):
    """It holds the secret that signs session tokens."""
    path = tmp_path / "frontdesk.db"
    await migrate_in_child(f"sqlite:///{path}")
    database = await open_database(f"sqlite:///{path}")
    await database.write(Step(CREATE))

    assert [each.stat().st_mode & 0o777 for each in (path, path.with_name("frontdesk.db-wal"))] == [0o600, 0o600]
    await database.close()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(StorageFailed, match=r"missing/frontdesk\.db"):
        await open_database(f"sqlite:///{tmp_path}/missing/frontdesk.db")


async def test_a_file_that_is_no_database_is_refused_and_unlocked(tmp_path: Path):
    path = tmp_path / "frontdesk.db"
    path.write_text("no database at all, but long enough to be looked at" * 100)
    for _ in range(2):
        with pytest.raises(StorageFailed, match="file is not a database"):
            await open_database(f"sqlite:///{path}")


# --- settings of the connection -----------------------------------------------------------------


async def test_commits_are_durable_and_leave_checkpoints_to_others(notes: Database):
    pragmas = ["synchronous", "journal_mode", "wal_autocheckpoint", "foreign_keys"]

    results = await notes.write(*(Step(Query(sa.text(f"PRAGMA {name}"))) for name in pragmas))

    assert [rows[0][0] for rows in results] == [2, "wal", 0, 1]


async def test_a_read_cannot_write(notes: Database):
    with pytest.raises(StorageFailed, match="readonly"):
        await notes.read(Query(sa.text("DELETE FROM note")))


# --- failures that pass -------------------------------------------------------------------------


@pytest.fixture
async def impatient(sqlite_url: str) -> AsyncIterator[Database]:
    database = await open_database(sqlite_url, StorageLimits(busy_timeout_s=0.01))
    await database.write(Step(CREATE))
    yield database
    await database.close()


async def test_a_locked_file_fails_who_waits_and_keeps_what_was_enqueued(impatient: Database, sqlite_url: str):
    with closing(_raw(sqlite_url)) as other:
        other.execute("BEGIN IMMEDIATE")
        impatient.enqueue(Step(ADD, note(1, "a")), lane=Lane.MONEY)
        impatient.enqueue(Step(APPEND, {"of_id": 1, "more": "b"}), lane=Lane.MONEY)
        with pytest.raises(StorageBusy, match="SQLITE_BUSY"):
            await impatient.write(Step(ADD, note(2, "never")))
        assert impatient.failure is not None
        impatient.enqueue(Step(APPEND, {"of_id": 1, "more": "c"}), lane=Lane.MONEY)
        with pytest.raises(StorageBusy):
            await impatient.flush()
        other.execute("ROLLBACK")

    await impatient.write(Step(APPEND, {"of_id": 1, "more": "d"}))

    assert await impatient.read(LIST) == [(1, "abcd")]
    assert impatient.failure is None
    assert impatient.lost_writes == 0


async def test_a_waiting_write_does_not_hold_the_loop(sqlite_url: str):
    """If it did, the other connection could never let go, and the write would fail."""
    database = await open_database(sqlite_url, StorageLimits(busy_timeout_s=60))
    with closing(_raw(sqlite_url)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(database.write(Step(CREATE)))
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert not writing.done()
        other.execute("ROLLBACK")

    await writing
    await database.close()


async def test_a_full_disk_fails_who_waits_and_passes(notes: Database, caplog: pytest.LogCaptureFixture):
    big = "x" * 200_000
    ((pages,),) = await notes.read(Query(sa.text("PRAGMA page_count")))
    await notes.write(Step(Query(sa.text(f"PRAGMA max_page_count = {pages + 20}"))))

    notes.enqueue(Step(ADD, note(1, "kept")), lane=Lane.MONEY)
    with pytest.raises(StorageBusy, match="SQLITE_FULL"):
        await notes.write(Step(ADD, note(2, big)))
    notes.enqueue(Step(ADD, note(3, "kept")), lane=Lane.MONEY)
    await notes.write(Step(ADD, note(4, "fits")))
    await notes.write(Step(Query(sa.text("PRAGMA max_page_count = 1000000"))))
    await notes.write(Step(ADD, note(5, big)))

    assert [row[0] for row in await notes.read(LIST)] == [1, 3, 4, 5]
    assert notes.failure is None
    assert notes.lost_writes == 0
    assert "lost" not in caplog.text


async def test_closing_on_a_locked_file_counts_what_is_lost(sqlite_url: str, caplog: pytest.LogCaptureFixture):
    database = await open_database(sqlite_url, StorageLimits(busy_timeout_s=0.01, close_timeout_s=0.05))
    with closing(_raw(sqlite_url)) as other:
        other.execute("BEGIN IMMEDIATE")
        database.enqueue(Step(CREATE))
        await database.close()
        other.execute("ROLLBACK")

    assert database.lost_writes == 1
    assert "enqueued_writes_lost entries=1" in caplog.text


async def test_a_read_that_takes_too_long_is_ended(sqlite_url: str):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    database = await open_database(sqlite_url, StorageLimits(read_timeout_s=0.05))

    slow = [database.read(Query(sa.text(endless))) for _ in range(3)]
    outcomes = await asyncio.gather(*slow, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 3
    assert await database.read(Query(sa.text("SELECT 1"))) == [(1,)]
    await database.close()


# --- lanes --------------------------------------------------------------------------------------


async def test_money_does_not_wait_for_bulk(sqlite_url: str):
    database = await open_database(sqlite_url, StorageLimits(bulk_slice_s=0))
    await database.write(Step(CREATE))
    for number in range(200):
        database.enqueue(Step(ADD, note(number, "bulk")), lane=Lane.BULK)

    seen = [(await database.write(Step(COUNT), lane=Lane.MONEY))[0][0][0] for _ in range(10)]

    assert seen[-1] < 50
    await database.flush()
    assert await database.read(COUNT) == [(200,)]
    await database.close()


async def test_bulk_gets_its_slice_beside_money_that_never_ends(sqlite_url: str):
    database = await open_database(sqlite_url, StorageLimits(bulk_slice_s=0))
    await database.write(Step(CREATE))
    bulk = asyncio.create_task(database.write(Step(ADD, note(1, "bulk")), lane=Lane.BULK))

    async def pay(payer: int) -> int:
        payments = 0
        while not bulk.done():
            payments += 1
            await database.write(Step(ADD, note(payer * 1_000_000 + payments, "money")))
        return payments

    payments = await asyncio.gather(*(pay(payer) for payer in range(1, 4)))

    assert sum(payments) < 1_000
    await database.close()


# --- the log ------------------------------------------------------------------------------------


@pytest.fixture
async def checkpointed(sqlite_url: str) -> AsyncIterator[Callable[[CheckpointPlan], SqliteDatabase]]:
    opened: list[SqliteDatabase] = []

    def open_with(plan: CheckpointPlan) -> SqliteDatabase:
        opened.append(SqliteDatabase(_path(sqlite_url), StorageLimits(), None, plan))
        return opened[-1]

    yield open_with
    for database in opened:
        await database.close()


async def test_the_log_stays_bounded_under_writes_that_never_pause(
    checkpointed: Callable[[CheckpointPlan], SqliteDatabase], sqlite_url: str
):
    database = checkpointed(CheckpointPlan(interval_s=0.001, restart_pages=200))
    await database.write(Step(CREATE), Step(ADD, note(0, "")))
    wal = _path(f"{sqlite_url}-wal")
    largest = 0

    for number in range(1, 400):
        await database.write(Step(ADD, note(number, "x" * 20_000)))
        largest = max(largest, wal.stat().st_size)

    assert largest < 4_000_000 < 400 * 20_000
    assert await database.read(COUNT) == [(400,)]


async def test_a_very_long_log_is_cut_off(checkpointed: Callable[[CheckpointPlan], SqliteDatabase], sqlite_url: str):
    database = checkpointed(CheckpointPlan(interval_s=0.001, restart_pages=10, truncate_bytes=1_000_000))
    wal = _path(f"{sqlite_url}-wal")
    await database.write(Step(CREATE), Step(ADD, note(1, "x" * 2_000_000)))
    number = 1

    while wal.stat().st_size > 1_000_000:
        number += 1
        await database.write(Step(ADD, note(number, "small")))

    assert await database.read(COUNT) == [(number,)]
