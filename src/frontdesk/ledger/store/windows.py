"""Windows: what was spent in a period, and what is put aside.

A row that is not there cannot be locked, so it is made first. What was spent in its period before anybody
counted (its budget is new, or the row was deleted) is summed up then, from the attempts of the turns that
began in it. Nothing is counted twice: a turn that is counted in a window locks it before it writes what it
cost. What a group has spent cannot be known again, for no turn says its caller's groups: it begins at 0.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, cast, func, or_, select, update

from frontdesk.core.money import Micros
from frontdesk.core.periods import PERIODS, Period, window_end_ms, window_start_ms
from frontdesk.storage.database import Database
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import attempt, budget_window, turn

Key = tuple[str, str, Period, int]
"""Which window: tenant, scope, period, start."""
Amounts = tuple[Micros, Micros]
"""Spent and held: what a window says, or by how much it changes."""
Steps = Generator[Step, list[Row], None]

_USER = "user:"
_NO_END_MS = 2**62
_DAY_MS = 86_400_000


async def read_windows(database: Database, keys: Sequence[Key]) -> dict[Key, Amounts]:
    """What these windows say; those that are not there are left out."""
    return _amounts(await database.read(_READ, _wanted(keys)))


def lock_windows(keys: Sequence[Key], known: Container[Key]) -> Generator[Step, list[Row], dict[Key, Amounts]]:
    """Lock windows and return what they say; those that are not there are made.

    `keys` are sorted and differ. Those in `known` are believed to be there, which saves looking twice.
    """
    yield from _open([key for key in keys if key not in known])
    found = _amounts((yield Step(_LOCK, _wanted(keys))))
    while len(found) < len(keys):  # deleted since they were seen
        missing = [key for key in keys if key not in found]
        yield from _open(missing)
        found |= _amounts((yield Step(_LOCK, _wanted(missing))))
    return found


def change_windows(changes: Iterable[tuple[Key, Amounts]]) -> Steps:
    """Change windows that are locked, in the order of their keys."""
    rows = [
        {"of_tenant": tenant, "of_scope": scope, "of_period": period, "of_start": start, "spent": spent, "held": held}
        for (tenant, scope, period, start), (spent, held) in changes
    ]
    if rows:
        yield Step(_CHANGE, rows)


def move_spent(tenant: str, person: str, new_person: str, now_ms: int) -> Steps:
    """Let what a person has spent in the periods that run now be another one's, who it was.

    Their turns must become the other one's in the same transaction, and after it. What they hold stays: once
    it is settled it is spent under the old name, and can be moved in turn.
    """
    old = sorted(_user_windows(tenant, person, now_ms))
    spent = {key: amounts[0] for key, amounts in _amounts((yield Step(_READ, _wanted(old)))).items() if amounts[0]}
    if not spent:
        return
    new = {key: (tenant, f"{_USER}{new_person}", *key[2:]) for key in spent}
    found = yield from lock_windows(sorted([*spent, *new.values()]), known=spent)
    changes: dict[Key, Amounts] = {}
    for key, its_new in new.items():
        changes[key] = (-found[key][0], 0)
        changes[its_new] = (found[key][0], 0)
    yield from change_windows(sorted(changes.items()))


def has_spent_as(person: ColumnElement[str], tenant: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a person's windows of periods that run now say that something was spent.

    The statement needs the parameters `running_windows`.
    """
    return (
        select(budget_window.c.scope)
        .where(
            budget_window.c.tenant == tenant,
            budget_window.c.scope == _USER + person,
            or_(
                budget_window.c.period == "total",
                and_(budget_window.c.period == "month", budget_window.c.starts_at_ms == bindparam("month_ms")),
                and_(budget_window.c.period == "day", budget_window.c.starts_at_ms == bindparam("day_ms")),
            ),
            budget_window.c.spent_micros != 0,
        )
        .exists()
    )


def running_windows(now_ms: int) -> dict[str, int]:
    """Parameters of `has_spent_as`."""
    return {"day_ms": window_start_ms("day", now_ms), "month_ms": window_start_ms("month", now_ms)}


def _user_windows(tenant: str, person: str, now_ms: int) -> list[Key]:
    return [(tenant, f"{_USER}{person}", period, window_start_ms(period, now_ms)) for period in PERIODS]


def _open(keys: Sequence[Key]) -> Steps:
    """Make those of these windows that are not there. Who makes the same one waits for who came first."""
    if not keys:
        return
    found = _amounts((yield Step(_READ, _wanted(keys))))
    rows: list[dict[str, object]] = []
    for key in keys:
        if key not in found:
            spent = yield from _spent_before(key)
            rows.append({**_named(key), "spent_micros": spent, "held_micros": 0})
    if rows:
        yield Step(_ADD, rows)


def _spent_before(key: Key) -> Generator[Step, list[Row], Micros]:
    """What was spent in a window by the turns that are settled."""
    tenant, scope, period, start_ms = key
    kind, _, name = scope.partition(":")
    if kind not in _SPENT:
        return 0
    end_ms = window_end_ms(period, start_ms)
    span = {"tenant": tenant, "from_ms": start_ms, "to_ms": _NO_END_MS if end_ms is None else end_ms}
    spent = 0
    # One person has few turns. Of all there may be millions where a budget is new, so no statement sums up
    # more than a day of them.
    for part in [span] if kind == "user" else (yield from _days(span)):
        ((more,),) = yield Step(_SPENT[kind], part if kind == "app" else {**part, "name": name})
        spent += more
    return spent


def _days(span: dict[str, Any]) -> Generator[Step, list[Row], list[dict[str, Any]]]:
    """The parts of a span in which turns began."""
    ((first_ms, last_ms),) = yield Step(_FIRST_AND_LAST, span)
    if first_ms is None:
        return []
    starts = range(first_ms, last_ms + 1, _DAY_MS)
    return [{**span, "from_ms": start, "to_ms": min(start + _DAY_MS, last_ms + 1)} for start in starts]


def _amounts(rows: Iterable[Row]) -> dict[Key, Amounts]:
    return {(tenant, scope, period, start): (spent, held) for tenant, scope, period, start, spent, held in rows}


def _wanted(keys: Iterable[Key]) -> Mapping[str, object]:
    return {"wanted": as_json(map(_named, keys))}


def _named(key: Key) -> dict[str, object]:
    tenant, scope, period, starts_at_ms = key
    return {"tenant": tenant, "scope": scope, "period": period, "starts_at_ms": starts_at_ms}


# --- statements ---------------------------------------------------------------------------------

_key_columns = tuple(budget_window.primary_key.columns)
_wanted_rows = json_rows("wanted", *_key_columns)
_READ_WANTED = select(*_key_columns, budget_window.c.spent_micros, budget_window.c.held_micros).join_from(
    _wanted_rows, budget_window, and_(*(column == _wanted_rows.c[column.name] for column in _key_columns))
)
_READ = Query(_READ_WANTED)
_LOCK = Query(_READ_WANTED.order_by(*_key_columns).with_for_update(of=budget_window))
_ADD = Query(insert(budget_window).on_conflict_do_nothing())
_CHANGE = Query(
    update(budget_window)
    .where(
        budget_window.c.tenant == bindparam("of_tenant"),
        budget_window.c.scope == bindparam("of_scope"),
        budget_window.c.period == bindparam("of_period"),
        budget_window.c.starts_at_ms == bindparam("of_start"),
    )
    .values(
        spent_micros=budget_window.c.spent_micros + bindparam("spent"),
        held_micros=budget_window.c.held_micros + bindparam("held"),
    )
)


_in_span = and_(
    turn.c.tenant == bindparam("tenant"),
    turn.c.started_at_ms >= bindparam("from_ms"),
    turn.c.started_at_ms < bindparam("to_ms"),
)
_began = select(turn.c.started_at_ms).where(_in_span).limit(1)
_FIRST_AND_LAST = Query(
    select(
        _began.order_by(turn.c.started_at_ms).scalar_subquery(),
        _began.order_by(turn.c.started_at_ms.desc()).scalar_subquery(),
    )
)


def _spent_by(*of_turn: ColumnElement[bool]) -> Query:
    """What the turns cost that began in a span of time."""
    return Query(
        select(cast(func.coalesce(func.sum(attempt.c.cost_micros), 0), BigInteger))
        .join_from(turn, attempt, and_(attempt.c.tenant == turn.c.tenant, attempt.c.turn == turn.c.id))
        .where(_in_span, *of_turn)
    )


_SPENT = {
    "app": _spent_by(),
    "user": _spent_by(turn.c.person == bindparam("name")),
    "tier": _spent_by(turn.c.tier == bindparam("name")),
    "feature": _spent_by(turn.c.feature == bindparam("name")),
}
