"""Holds that nobody settles any more: their process died, or their turn has taken longer than it may.

What such a turn did cost nobody knows, so it costs what was put aside: never less than it can have been. The
hold is marked and stays for a day, so that a process which was only slow can still say what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import msgspec

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.money import Micros
from frontdesk.ledger.gathered import GatheredRows
from frontdesk.ledger.holds import Facts, Window
from frontdesk.ledger.store.holds import Orphan, forget, lock_orphans, mark_swept
from frontdesk.ledger.store.windows import Key, change_windows, lock_windows
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.processes import of_dead
from frontdesk.storage.query import Row, Step

CrashRows = Callable[[str, str, Facts, Micros, int], Sequence[Step]]
"""Makes the rows of a turn that was swept, from its tenant, its id, its facts, what it cost and the time in ms."""

_SLICE = 100
_windows_of = msgspec.json.Decoder(tuple[Window, ...]).decode
_facts_of = msgspec.json.Decoder(Facts).decode


async def sweep_holds(database: Database, owner: str, clock: Clock, crash_rows: CrashRows, dead_after_s: float) -> int:
    """See `Ledger.sweep`."""
    now_ms = unix_ms(clock)
    dead = of_dead(database, owner, now_ms, dead_after_s)

    def settle_some() -> Generator[Step, list[Row], int]:
        orphans = yield from lock_orphans(dead, now_ms, _SLICE)
        if orphans:
            yield from _settle_in_full(orphans, crash_rows, now_ms)
        else:
            yield from forget(now_ms)
        return len(orphans)

    swept = 0
    # Some at a time: what is more urgent comes between.
    while found := await database.transact(settle_some, Lane.BULK):
        swept += found
    return swept


def _settle_in_full(orphans: Sequence[Orphan], crash_rows: CrashRows, now_ms: int) -> Generator[Step, list[Row], None]:
    changes: dict[Key, tuple[Micros, Micros]] = {}
    for each in orphans:
        for window in dict.fromkeys(_windows_of(each.windows)):
            key = (each.tenant, window.scope, window.period, window.starts_at_ms)
            spent, held = changes.get(key, (0, 0))
            changes[key] = (spent + each.cost, held - each.micros)
    windows = sorted(changes)
    yield from lock_windows(windows, known=())
    yield from change_windows((key, changes[key]) for key in windows)
    yield mark_swept(orphans, now_ms)
    rows = GatheredRows()
    for each in orphans:
        if not each.has_ended:
            rows.take(crash_rows(each.tenant, each.turn, _facts_of(each.facts), each.micros, now_ms))
    yield from rows.write()
