"""Whose turn a receipt is of, and who may read it. On both engines."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.errors import NotFound
from frontdesk.receipts.service import Receipts
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller
from frontdesk.usage.arriving import Patience
from tests.accounts.opened import CountingDatabase
from tests.fakes import HandClock
from tests.reports.rows import a_turn, an_attempt, keep

U1 = Caller("user", "sess_1", "u1")
U2 = Caller("user", "sess_2", "u2")
KEY = Caller("server", "key_1")
OTHER_KEY = Caller("server", "key_2")
OPERATOR = Caller("operator", "key_3")
NOW_MS = 1_800_000_000_000


@pytest.fixture
def receipts(database: Database) -> Receipts:
    return Receipts(database, HandClock(NOW_MS / 1000), Patience(looks=1))


async def is_told(receipts: Receipts, caller: Caller, response_id: str) -> bool:
    try:
        receipt = await receipts.of(caller, response_id)
    except NotFound:
        return False
    assert receipt.turn.id == response_id
    return True


@pytest.mark.parametrize(
    ("values", "who"),
    [
        ({"person": "u1", "credential": "sess_1"}, {U1, OPERATOR}),
        ({"person": "u1", "credential": "sess_9"}, {U1, OPERATOR}),  # theirs by whichever session
        ({"person": "u2", "credential": "sess_1"}, {U2, OPERATOR}),
        ({"person": None, "caller": "server", "credential": "key_1"}, {KEY, OPERATOR}),
        ({"person": "u1", "credential": "key_1"}, {U1, OPERATOR}),
        ({"person": None, "caller": "server", "credential": None}, {OPERATOR}),
        ({"person": "", "credential": "key_1"}, {OPERATOR}),
        ({"tenant": "acme", "person": "u1", "credential": "sess_1"}, set[Caller]()),
    ],
)
async def test_a_turn_is_told_to_whom_it_belongs_and_to_operators(
    database: Database, receipts: Receipts, values: dict[str, Any], who: set[Caller]
) -> None:
    await keep(database, [a_turn("resp_1", **values)])

    told = {caller for caller in (U1, U2, KEY, OTHER_KEY, OPERATOR) if await is_told(receipts, caller, "resp_1")}

    assert told == who


@pytest.mark.parametrize("status", ["running", "completed", "incomplete", "failed", "cancelled", "refused"])
async def test_whatever_became_of_it(database: Database, receipts: Receipts, status: str) -> None:
    await keep(database, [a_turn("chatcmpl-1", status=status)])

    assert (await receipts.of(U1, "chatcmpl-1")).turn.status == status


async def test_attempts_are_told_to_keys_in_their_order(database: Database, receipts: Receipts) -> None:
    mine = a_turn("t1", person=None, caller="server", credential="key_1")
    await keep(
        database,
        [mine, a_turn("t2")],
        [an_attempt("t1", number=2, provider="local"), an_attempt("t1", status="failed"), an_attempt("t2")],
    )

    for caller in (KEY, OPERATOR):
        attempts = (await receipts.of(caller, "t1")).attempts
        assert attempts is not None
        assert [(each.number, each.provider) for each in attempts] == [(1, "openai"), (2, "local")]
    assert (await receipts.of(U1, "t2")).attempts is None


@pytest.mark.parametrize("response_id", ["", "..", "resp_9", "x" * 10_000, "a\0b"])
async def test_what_never_was_is_not_there(receipts: Receipts, response_id: str) -> None:
    for caller in (U1, KEY, OPERATOR):
        assert not await is_told(receipts, caller, response_id)


async def test_a_turn_whose_row_is_on_its_way_is_waited_for(database: Database) -> None:
    counting: Any = CountingDatabase(database)
    receipts = Receipts(counting, HandClock(NOW_MS / 1000), Patience(looks=3, every_s=0.0))
    new = f"resp_{NOW_MS - 1:012x}7{'0' * 19}"
    counting.meanwhile = lambda: keep(database, [a_turn(new)])

    assert await is_told(receipts, U1, new)
    assert counting.reads == 2


async def test_no_time_tells_anothers_from_one_that_never_was(database: Database) -> None:
    counting: Any = CountingDatabase(database)
    receipts = Receipts(counting, HandClock(NOW_MS / 1000), Patience(looks=3, every_s=0.0))
    anothers, nobodys = (f"resp_{NOW_MS - age_ms:012x}7{'0' * 19}" for age_ms in (1, 2))
    await keep(database, [a_turn(anothers)])

    for response_id in (anothers, nobodys):
        counting.reads = 0
        assert not await is_told(receipts, U2, response_id)
        assert counting.reads == 3
