"""Disks that fail: strace answers a program's system calls with errors.

After a failed fsync the kernel has dropped the pages and says that all is well (see
https://wiki.postgresql.org/wiki/Fsync_Errors), so nothing may be tried again: what was not
acknowledged failed, nothing more is written, and what was acknowledged is there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from frontdesk.storage.database import open_database
from frontdesk.storage.query import Step
from tests.storage.notes import CREATE, LIST

_WRITES = 12


def _can_trace() -> bool:
    strace = shutil.which("strace")
    if strace is None:
        return False
    return subprocess.run([strace, "-f", "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _can_trace(), reason="needs strace, and ptrace to be allowed")


def _run_with(url: str, injection: str) -> dict[str, Any]:
    calls = injection.partition(":")[0]
    strace = ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", f"inject={injection}", "-o", "/dev/null"]
    child = subprocess.run(
        [*strace, sys.executable, "-m", "tests.storage.failing_child", url, str(_WRITES)],
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(child.stdout)


async def _create(url: str) -> None:
    database = await open_database(url)
    await database.write(Step(CREATE))
    await database.close()


async def _stored(url: str) -> set[int]:
    database = await open_database(url)
    rows = await database.read(LIST)
    await database.close()
    return {row[0] for row in rows}


@pytest.mark.parametrize("which", ["4", "9", "5+"])
async def test_after_a_failed_fsync_nothing_more_is_written(sqlite_url: str, which: str):
    await _create(sqlite_url)

    seen = _run_with(sqlite_url, f"fsync,fdatasync:error=EIO:when={which}")

    (first, kind), *others = seen["errors"]
    assert kind == "OutcomeUnknown"
    assert others == [[n, "StorageFailed"] for n in range(first + 1, _WRITES + 1)]
    assert seen["acknowledged"] == list(range(1, first))
    assert all("SQLITE_IOERR_FSYNC" in failure for failure in seen["failures"])
    assert seen["failure"] is not None
    assert seen["lost"] == _WRITES - first + 1
    assert seen["can_read"]
    stored = await _stored(sqlite_url)
    certain = {*range(1, first), *range(1001, 1000 + first)}
    assert stored in (certain, certain | {first, 1000 + first})


async def test_a_full_disk_passes(sqlite_url: str):
    await _create(sqlite_url)

    seen = _run_with(sqlite_url, "pwrite64:error=ENOSPC:when=20..26")

    failed = {n for n, _ in seen["errors"]}
    assert failed
    assert {kind for _, kind in seen["errors"]} == {"StorageBusy"}
    assert seen["acknowledged"] == [n for n in range(1, _WRITES + 1) if n not in failed]
    assert seen["acknowledged"][-1] == _WRITES
    assert seen["failure"] is None
    assert seen["lost"] == 0
    assert await _stored(sqlite_url) == {*seen["acknowledged"], *range(1001, 1001 + _WRITES)}


async def test_a_write_error_is_final(sqlite_url: str):
    await _create(sqlite_url)

    seen = _run_with(sqlite_url, "pwrite64:error=EIO:when=20")

    (first, _), *others = seen["errors"]
    assert others == [[n, "StorageFailed"] for n in range(first + 1, _WRITES + 1)]
    assert seen["acknowledged"] == list(range(1, first))
    stored = await _stored(sqlite_url)
    certain = {*range(1, first), *range(1001, 1000 + first)}
    assert stored in (certain, certain | {first, 1000 + first})
