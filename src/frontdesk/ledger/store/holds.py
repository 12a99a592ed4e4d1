"""Holds: money put aside for turns under way, and where a process stands."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, or_, select, update

from frontdesk.core.money import Micros
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.processes import CRASHED, is_of_dead
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import attempt, delivery, hold, turn

HoldKey = tuple[str, str]
"""Whose: tenant, turn."""


class Found(NamedTuple):
    """A hold as it is stored. One that was swept says what was spent for it."""

    micros: Micros
    is_swept: bool


class Orphan(NamedTuple):
    """A hold that nobody settles any more. `windows` and `facts` are JSON.

    `has_ended`: whether its turn has, without it. The rows of one that goes on with what is put aside for it are
    written as it is settled, so this one never did: who asked was gone before the answer.
    """

    tenant: str
    turn: str
    micros: Micros
    windows: str
    facts: str
    has_ended: bool

    @property
    def cost(self) -> Micros:
        """What its turn may have cost."""
        return 0 if self.has_ended else self.micros


def lock_holds(keys: Iterable[HoldKey]) -> Generator[Step, list[Row], dict[HoldKey, Found]]:
    """Lock the holds of these turns and return them; those that are not there are left out."""
    wanted = as_json([{"tenant": tenant, "turn": turn_id} for tenant, turn_id in keys])
    rows = yield Step(_LOCK, {"wanted": wanted})
    return {(tenant, turn_id): Found(micros, swept_at_ms is not None) for tenant, turn_id, micros, swept_at_ms in rows}


def lock_orphans(dead: Mapping[str, object], now_ms: int, limit: int) -> Generator[Step, list[Row], list[Orphan]]:
    """Lock holds that nobody settles any more: their process is dead, or they have expired.

    `dead` says which processes are (`processes.of_dead`). What others lock just now is left to them.
    """
    values = {**dead, "now_ms": now_ms, "limit": limit}
    return [Orphan(*row) for row in (yield Step(_LOCK_ORPHANS, values))]


def mark_swept(orphans: Sequence[Orphan], now_ms: int) -> Step:
    """Say that holds were settled by a sweep, and at what."""
    rows = [{"of_tenant": each.tenant, "of_turn": each.turn, "cost": each.cost, "now_ms": now_ms} for each in orphans]
    return Step(_MARK_SWEPT, rows)


def forget(now_ms: int) -> Generator[Step, list[Row], None]:
    """Forget holds that were swept a day ago, and ledgers of which nothing was heard for a month."""
    yield Step(_FORGET_SWEPT, {"before_ms": now_ms - _DAY_MS})
    yield Step(_FORGET_CLAIMS, {"before_ms": now_ms - 30 * _DAY_MS})


def claim(name: str, number: int, now_ms: int) -> Step:
    """Say that a ledger has come to this number of its batches; brings a row unless it had come there before."""
    return Step(_CLAIM, {"owner": name, "number": number, "at_ms": now_ms})


def forget_claim(name: str) -> Step:
    """Forget a ledger that has ended."""
    return Step(_FORGET_CLAIM, {"of_owner": name})


_DAY_MS = 86_400_000

# --- statements ---------------------------------------------------------------------------------

_of_key = and_(hold.c.tenant == bindparam("of_tenant"), hold.c.turn == bindparam("of_turn"))
_wanted = json_rows("wanted", hold.c.tenant, hold.c.turn)
_LOCK = Query(
    select(hold.c.tenant, hold.c.turn, hold.c.micros, hold.c.swept_at_ms)
    .join_from(_wanted, hold, and_(hold.c.tenant == _wanted.c.tenant, hold.c.turn == _wanted.c.turn))
    .order_by(hold.c.tenant, hold.c.turn)
    .with_for_update(of=hold)
)
ADD_HOLD = Query(insert(hold))
"""Takes all columns of a hold."""
EXTEND_HOLD = Query(update(hold).where(_of_key).values(micros=hold.c.micros + bindparam("by")))
"""Takes of_tenant, of_turn, by."""
DELETE_HOLD = Query(delete(hold).where(_of_key))
"""Takes of_tenant, of_turn."""

_has_ended = exists().where(
    turn.c.tenant == hold.c.tenant,
    turn.c.id == hold.c.turn,
    turn.c.status != "running",
    or_(turn.c.error_code.is_(None), turn.c.error_code != CRASHED),
)
_LOCK_ORPHANS = Query(
    select(hold.c.tenant, hold.c.turn, hold.c.micros, hold.c.windows, hold.c.facts, _has_ended)
    .where(
        hold.c.swept_at_ms.is_(None),
        or_(
            hold.c.expires_at_ms <= bindparam("now_ms"),
            is_of_dead(hold.c.owner),
        ),
    )
    .order_by(hold.c.tenant, hold.c.turn)
    .limit(bindparam("limit"))
    .with_for_update(of=hold, skip_locked=True)
)
_MARK_SWEPT = Query(update(hold).where(_of_key).values(micros=bindparam("cost"), swept_at_ms=bindparam("now_ms")))
_FORGET_SWEPT = Query(delete(hold).where(hold.c.swept_at_ms < bindparam("before_ms")))
DELETE_CRASHED = Query(
    delete(attempt).where(
        attempt.c.tenant == bindparam("of_tenant"),
        attempt.c.turn == bindparam("of_turn"),
        attempt.c.cost_source == "crash",
    )
)
"""Takes of_tenant, of_turn."""

_claim = insert(delivery)
_CLAIM = Query(
    _claim.on_conflict_do_update(
        index_elements=[delivery.c.owner],
        set_={"number": _claim.excluded.number, "at_ms": _claim.excluded.at_ms},
        where=delivery.c.number < _claim.excluded.number,
    ).returning(delivery.c.number)
)
_FORGET_CLAIM = Query(delete(delivery).where(delivery.c.owner == bindparam("of_owner")))
_FORGET_CLAIMS = Query(delete(delivery).where(delivery.c.at_ms < bindparam("before_ms")))
