"""Ids are UUIDv7 behind a prefix, and do not repeat."""

from __future__ import annotations

import os
import time
import uuid

from frontdesk.core.ids import new_id


def test_an_id_is_a_uuid_of_version_7_made_now() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id("resp_").removeprefix("resp_"))
    after_ms = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before_ms <= made.int >> 80 <= after_ms


def test_ids_do_not_repeat() -> None:
    assert len({new_id("") for _ in range(100_000)}) == 100_000


def test_a_forked_child_does_not_repeat_its_parents_ids() -> None:
    new_id("")
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, "".join(new_id("")[12:] for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(readable) as pipe:
        os.close(writable)
        theirs = pipe.read()

    ours = [new_id("")[12:] for _ in range(50)]

    assert not any(each in theirs for each in ours)
