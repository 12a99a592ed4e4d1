"""Files: whole or not there, their owner's alone, within what a person may have, and gone when they have ended."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from sqlalchemy import func, select

from frontdesk.accounts.store import AccountStore
from frontdesk.core import config
from frontdesk.core.clock import unix_ms
from frontdesk.core.errors import FrontdeskError, NotFound, TooLarge
from frontdesk.files.owner import Owner
from frontdesk.files.service import PIECE_BYTES, Files
from frontdesk.files.store import FileRow
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import batch, file, file_piece
from tests.fakes import HandClock

MB = 1024 * 1024
OWNER, OTHER = Owner("default", "u1", ""), Owner("default", "u2", "")
KEY, NAMESAKE = Owner("default", "", "key_1"), Owner("other", "u1", "")
CONTENT = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"and a rest"
_ROWS = Query(select(select(func.count()).select_from(file).scalar_subquery(), func.count(file_piece.c.number)))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def files_of(database: Database, clock: HandClock, **settings: Any) -> Files:
    return Files(database, clock, config.Files(**settings))


async def kept(files: Files, owner: Owner, content: bytes = CONTENT, **said: Any) -> FileRow:
    """A file that was uploaded in uneven steps."""
    upload = await files.begin(owner, len(content))
    for start in range(0, len(content), 100_001):
        await upload.write(content[start : start + 100_001])
    told = {"purpose": "user_data", "filename": "a.txt", "media_type": "text/plain", "expires_after_s": None, **said}
    return await upload.finish(**told)


async def content_of(files: Files, owner: Owner, file_id: str) -> bytes:
    return b"".join([piece async for piece in files.pieces(owner, await files.find(owner, file_id))])


async def code_of(work: Any) -> str:
    with pytest.raises(FrontdeskError) as refused:
        await work
    return refused.value.code


async def rows(database: Database) -> tuple[int, int]:
    """How many files and pieces are stored, whole or not."""
    ((files, pieces),) = await database.read(_ROWS)
    return files, pieces


async def test_what_was_written_is_read(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock)

    row = await kept(files, OWNER, filename="ü.txt", expires_after_s=3600)

    now_ms = unix_ms(clock)
    assert await files.find(OWNER, row.id) == row
    assert (row.bytes, row.filename, row.media_type) == (len(CONTENT), "ü.txt", "text/plain")
    assert (row.created_at_ms, row.expires_at_ms) == (now_ms, now_ms + 3_600_000)
    assert await content_of(files, OWNER, row.id) == CONTENT
    assert await rows(database) == (1, 4)


@pytest.mark.parametrize("size", [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES])
async def test_a_file_ends_where_it_ends(sqlite_url: str, clock: HandClock, size: int) -> None:
    database = await open_database(sqlite_url)
    files = files_of(database, clock)

    row = await kept(files, OWNER, b"x" * size)

    assert await content_of(files, OWNER, row.id) == b"x" * size
    assert await rows(database) == (1, -(-size // PIECE_BYTES))
    await database.close()


async def test_it_is_nobody_elses(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock)
    owners = [OWNER, OTHER, KEY, NAMESAKE, Owner("default", "", "key_2")]
    theirs = {owner: await kept(files, owner, b"x") for owner in owners}

    for owner, other in itertools.product(owners, owners):
        if owner == other:
            assert await files.find(owner, theirs[other].id) == theirs[other]
            continue
        assert await code_of(files.find(owner, theirs[other].id)) == "file_not_found"
        assert await code_of(files.delete(owner, theirs[other].id)) == "file_not_found"
    for owner in owners:
        assert await files.list(owner, "", "", 10, "asc") == [theirs[owner]]


async def test_pages_are_whole_and_in_order(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock)
    made = [await kept(files, OWNER, b"x", purpose="batch" if number % 3 else "vision") for number in range(7)]
    await kept(files, OTHER, b"x")

    async def read(purpose: str, limit: int, order: Any) -> list[FileRow]:
        found: list[FileRow] = []
        while page := await files.list(OWNER, purpose, found[-1].id if found else "", limit, order):
            assert len(page) <= limit
            found += page
        return found

    by_id = sorted(made, key=lambda row: row.id)
    for limit in (1, 2, 3, 7, 100):
        assert await read("", limit, "asc") == by_id
        assert await read("", limit, "desc") == by_id[::-1]
        assert await read("vision", limit, "asc") == [row for row in by_id if row.purpose == "vision"]
    assert await read("evals", 3, "desc") == []


async def test_an_upload_is_seen_by_nobody_before_it_is_whole(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock)
    upload = await files.begin(OWNER, None)
    await upload.write(CONTENT)

    assert await code_of(files.find(OWNER, upload.id)) == "file_not_found"
    assert await files.list(OWNER, "", "", 10, "asc") == []
    assert await code_of(files.delete(OWNER, upload.id)) == "file_not_found"
    assert (await upload.finish("batch", "a", "b/c", None)).id == upload.id
    await upload.drop()
    assert await content_of(files, OWNER, upload.id) == CONTENT


async def test_what_was_given_up_or_never_went_on_is_removed(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock)
    dropped, left, slow = [await files.begin(OWNER, None) for _ in range(3)]
    for upload in (dropped, left, slow):
        await upload.write(CONTENT)
    await dropped.drop()
    clock.move(1)
    assert await files.sweep() == 1
    for _ in range(3):  # each piece gives it another hour
        clock.move(3000)
        await slow.write(CONTENT)
    assert await files.sweep() == 1
    assert await rows(database) == (1, 12)

    assert await code_of(left.finish("batch", "a", "b/c", None)) == "upload_given_up"
    await slow.finish("batch", "a", "b/c", None)
    assert await content_of(files, OWNER, slow.id) == 4 * CONTENT


async def test_deleted_and_expired_ones_are_gone_at_once_and_removed_soon(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock, keep_days=2)
    deleted = await kept(files, OWNER)
    short = await kept(files, OWNER, expires_after_s=3600)
    usual = await kept(files, OWNER, expires_after_s=30 * 86_400)

    await files.delete(OWNER, deleted.id)
    assert await code_of(files.find(OWNER, deleted.id)) == "file_not_found"
    assert await code_of(files.delete(OWNER, deleted.id)) == "file_not_found"
    clock.move(3600)
    assert [row.id for row in await files.list(OWNER, "", "", 10, "asc")] == [usual.id]
    assert await files.sweep() == 2
    assert await rows(database) == (1, 4)
    clock.move(2 * 86_400 - 3600)
    assert await code_of(files.find(OWNER, short.id)) == await code_of(files.find(OWNER, usual.id)) == "file_not_found"
    assert (await files.sweep(), await files.sweep()) == (1, 0)
    assert await rows(database) == (0, 0)


async def test_what_is_removed_while_it_is_read_is_not_taken_for_whole(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock)
    row = await kept(files, OWNER)
    pieces = files.pieces(OWNER, row)
    await anext(pieces)

    await files.delete(OWNER, row.id)
    await files.sweep()

    with pytest.raises(NotFound):
        await anext(pieces)


async def test_what_an_open_batch_reads_stays(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock)
    row, other = await kept(files, OWNER), await kept(files, OWNER)
    values: dict[str, Any] = {column.name: None if column.nullable else 0 for column in batch.c}
    texts = ("tenant", "id", "person", "credential", "caller", "endpoint", "completion_window", "address", "status")
    values |= {**dict.fromkeys(texts, "x"), "tenant": "default", "input_file": row.id, "open_at_ms": 1}
    await database.write(Step(Query(insert(batch)), values))

    for each in (row, other):
        await files.delete(OWNER, each.id)
    assert await files.sweep() == 1

    assert b"".join([piece async for piece in files.pieces_until_end(OWNER, row.id)]) == CONTENT
    assert b"".join([piece async for piece in files.pieces_until_end(OWNER, other.id)]) == b""


# --- how much there may be ----------------------------------------------------------------------


async def test_no_file_is_larger_than_the_limit(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock, max_mb=1)

    assert await code_of(files.begin(OWNER, MB + 1)) == "file_too_large"
    with pytest.raises(FrontdeskError):
        files.check_size(MB + 1)
    assert (await kept(files, OWNER, b"x" * MB)).bytes == MB


async def test_all_of_a_persons_files_have_a_limit_and_nobody_elses_count(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock, max_mb=1, per_user_mb=2, per_user=3)
    first = await kept(files, OWNER, b"x" * MB)
    running = await files.begin(OWNER, MB)

    assert await code_of(files.begin(OWNER, 1)) == "storage_full"
    for other in (OTHER, KEY, KEY, KEY, KEY):
        await kept(files, other, b"x" * MB)
    await running.drop()
    await kept(files, OWNER, b"x")
    await kept(files, OWNER, b"x")
    assert await code_of(files.begin(OWNER, 1)) == "storage_full"  # there are three
    await files.delete(OWNER, first.id)
    await kept(files, OWNER, b"x" * MB)


async def test_uploads_at_the_same_time_do_not_pass_it_together(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock, max_mb=1, per_user_mb=3)
    await AccountStore(database, "default").ensure_person("u1", 1)

    begun = await asyncio.gather(*(files.begin(OWNER, MB) for _ in range(8)), return_exceptions=True)

    assert sum(not isinstance(each, Exception) for each in begun) == 3
    assert {each.code for each in begun if isinstance(each, FrontdeskError)} == {"storage_full"}


async def test_all_files_have_a_limit_whosesoever_they_are(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock, max_mb=1, total_mb=3)
    first = await kept(files, OWNER, b"x" * MB)
    await kept(files, KEY, b"x" * MB)
    running = await files.begin(NAMESAKE, MB)

    for owner in (OWNER, OTHER, KEY, NAMESAKE):
        with pytest.raises(TooLarge, match="has no room for this file") as refused:
            await files.begin(owner, 1)
        assert refused.value.code == "storage_full"
    await (await files.begin_output(OTHER)).flush()
    await running.drop()
    assert await code_of(files.begin(OWNER, 1)) == "storage_full"  # until it is swept it is on the disk
    await files.sweep()
    await kept(files, OTHER, b"x" * MB)
    await files.delete(OWNER, first.id)
    await files.sweep()
    await kept(files, KEY, b"x" * MB)
    assert await code_of(files.begin(OWNER, 1)) == "storage_full"
    clock.move(30 * 86_400)
    await files.sweep()
    await kept(files, OWNER, b"x" * MB)


async def test_what_the_server_makes_for_somebody_is_not_refused(database: Database, clock: HandClock) -> None:
    files = files_of(database, clock, per_user=1)
    await kept(files, OWNER, b"x")

    output = await files.begin_output(OWNER)
    await output.write(CONTENT)
    row = await output.finish("batch_output", "out.jsonl", "application/jsonl", None)

    assert await content_of(files, OWNER, row.id) == CONTENT
    assert await code_of(files.begin(OWNER, 1)) == "storage_full"


@pytest.mark.parametrize("file_id", ["", "file-", "x" * 1000, "a\0b", "\ud800", "file-" + "0" * 32])
async def test_what_is_no_id_is_not_found(database: Database, clock: HandClock, file_id: str) -> None:
    assert await code_of(files_of(database, clock).find(OWNER, file_id)) == "file_not_found"
