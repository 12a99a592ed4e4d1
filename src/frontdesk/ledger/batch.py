"""What one transaction of the ledger does: settlements first, then who asks, in the order of arrival.

    claim a number ─► lock holds ─► lock windows ─► decide ─► write windows, holds, rows

Each one sees what those before it have left: what the windows say is kept while the batch goes on, and
written at its end. The number tells, where a commit was not acknowledged, whether it happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Container, Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from frontdesk.core.money import Micros
from frontdesk.ledger.gathered import GatheredRows
from frontdesk.ledger.holds import Balance, Choose, Enter, Reservation, Settlement
from frontdesk.ledger.store.holds import (
    ADD_HOLD,
    DELETE_CRASHED,
    DELETE_HOLD,
    EXTEND_HOLD,
    Found,
    HoldKey,
    claim,
    lock_holds,
)
from frontdesk.ledger.store.windows import Amounts, Key, change_windows, lock_windows
from frontdesk.storage.errors import StorageFailed
from frontdesk.storage.query import Row, Step

_encode = msgspec.json.Encoder().encode


class Request:
    """Somebody asks to put money aside, or more of it, and waits. `micros` is what was put aside."""

    __slots__ = ("choose", "enter", "future", "is_extension", "key", "micros", "reservation", "windows")

    def __init__(
        self,
        reservation: Reservation,
        choose: Choose[Any],
        enter: Enter[Any] | None,
        future: asyncio.Future[Any],
        *,
        is_extension: bool,
    ) -> None:
        self.reservation = reservation
        self.choose = choose
        self.enter = enter
        self.future = future
        self.is_extension = is_extension
        self.key: HoldKey = (reservation.tenant, reservation.turn)
        self.windows = keys_of(reservation)
        self.micros: Micros = 0


class Settling:
    """A settlement on its way."""

    __slots__ = ("key", "micros", "reservation", "rows", "windows")

    def __init__(self, settlement: Settlement) -> None:
        reservation = self.reservation = settlement.reservation
        self.key: HoldKey = (reservation.tenant, reservation.turn)
        self.micros = settlement.micros
        self.rows = settlement.rows
        self.windows = _each_once(keys_of(reservation))

    def without_rows(self) -> Settling:
        """What it cost, without the rows that tell of it."""
        return Settling(Settlement(self.reservation, self.micros, ()))


class Batch:
    """Settlements and requests of one transaction."""

    __slots__ = ("is_in_doubt", "number", "requests", "settlings")

    def __init__(self, settlings: Sequence[Settling], requests: Sequence[Request]) -> None:
        self.settlings = settlings
        self.requests = requests
        self.number = 0
        """Another one for each, and for each try but after a doubt."""
        self.is_in_doubt = False
        """Whether it may have been stored under its number."""

    def without_requests(self, *, is_in_doubt: bool) -> Batch:
        """What is to be tried again."""
        batch = Batch(self.settlings, [])
        batch.number, batch.is_in_doubt = self.number, is_in_doubt
        return batch

    def parts(self) -> list[Batch]:
        """A batch for each of its settlements and requests; none where there is only one."""
        if len(self.settlings) + len(self.requests) < 2:
            return []
        return [Batch([each], []) for each in self.settlings] + [Batch([], [each]) for each in self.requests]


class Answer(NamedTuple):
    """What a request gets: what was chosen and put aside, or what was raised."""

    choice: Any = None
    micros: Micros = 0
    error: Exception | None = None


class Outcome(NamedTuple):
    """What a batch did. `answers` are for its requests, in order, `windows` what it has seen. `too_late` are turns
    whose hold was swept and has been forgotten since: nothing of their settlements was stored.
    """

    answers: list[Answer]
    windows: list[Key]
    too_late: list[HoldKey]


def run_batch(
    batch: Batch, name: str, owner: str, now_ms: int, open_holds: Container[HoldKey], known: Container[Key]
) -> Generator[Step, list[Row], Outcome | None]:
    """Store a batch of the ledger of this name; returns None where it was stored before.

    Holds are `owner`'s. `open_holds` are turns that are known to have put something aside, `known` windows that
    were seen.
    """
    if not (yield claim(name, batch.number, now_ms)):
        return None
    # In one order, so that the rows which they bring are locked in one as well.
    settlings = sorted(batch.settlings, key=_key)
    holds: dict[HoldKey, Found] = {}
    if wanted := [each.key for each in settlings] + [each.key for each in batch.requests if each.is_extension]:
        holds = yield from lock_holds(wanted)
    touched = {key for each in batch.requests for key in each.windows}
    for each in settlings:
        if each.micros or each.key in holds:
            touched.update(each.windows)
    windows = sorted(touched)
    before = (yield from lock_windows(windows, known)) if windows else {}

    sheet = _Sheet(owner, now_ms, holds, before, open_holds)
    for each in settlings:
        sheet.settle(each)
    answers: list[Answer] = []
    for request in batch.requests:
        answer = yield from sheet.answer(request)
        answers.append(answer)
    yield from change_windows(sheet.changes(windows, before))
    yield from sheet.rows.write()
    return Outcome(answers, windows, sheet.too_late)


class _Sheet:
    """What holds and windows say as a batch goes on, and the rows to be written."""

    def __init__(
        self,
        owner: str,
        now_ms: int,
        holds: dict[HoldKey, Found],
        windows: Mapping[Key, Amounts],
        open_holds: Container[HoldKey],
    ) -> None:
        self._owner = owner
        self._now_ms = now_ms
        self._holds = holds
        self._windows = {key: [spent, held] for key, (spent, held) in windows.items()}
        self._open_holds = open_holds
        self.too_late: list[HoldKey] = []
        self.rows = GatheredRows()

    def changes(self, windows: Iterable[Key], before: Mapping[Key, Amounts]) -> list[tuple[Key, Amounts]]:
        """By how much windows have changed, those that have."""
        changed: list[tuple[Key, Amounts]] = []
        for key in windows:
            (spent, held), (spent_before, held_before) = self._windows[key], before[key]
            if spent != spent_before or held != held_before:
                changed.append((key, (spent - spent_before, held - held_before)))
        return changed

    def settle(self, settling: Settling) -> None:
        """Give back what is held, spend what it cost, and take its rows."""
        hold = self._holds.pop(settling.key, None)
        if hold is None and settling.key in self._open_holds:
            self.too_late.append(settling.key)
            return
        if hold is not None:
            self._end(settling, hold)
        elif settling.micros:
            self._move(settling.windows, settling.micros, 0)
        self.rows.take(settling.rows)

    def _end(self, settling: Settling, hold: Found) -> None:
        tenant, turn = settling.key
        of_turn = {"of_tenant": tenant, "of_turn": turn}
        if hold.is_swept:
            self._move(settling.windows, settling.micros - hold.micros, 0)
            self.rows.put(DELETE_CRASHED, of_turn)
        else:
            self._move(settling.windows, settling.micros, -hold.micros)
        self.rows.put(DELETE_HOLD, of_turn)

    def answer(self, request: Request) -> Generator[Step, list[Row], Answer]:
        """Let a request choose, enter what is stored with that, and put aside what it chose."""
        if request.is_extension and self._is_lost(request.key):
            return Answer(error=StorageFailed(f"What was put aside for {request.key[1]!r} has expired and is spent."))
        try:
            choice = request.choose([Balance(*self._windows[key]) for key in request.windows])
            micros = _checked(choice.micros)
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked must hear of it, and nobody else
            return Answer(error=error)
        entering = None if request.enter is None else request.enter(choice)
        if entering is not None and (refusal := (yield from entering)) is not None:
            return Answer(error=refusal)
        if micros:
            self._move(_each_once(request.windows), 0, micros)
            if request.is_extension and request.key in self._holds:
                self._extend(request.key, micros)
            else:
                self._put_aside(request, micros)
        return Answer(choice, micros)

    def _is_lost(self, key: HoldKey) -> bool:
        hold = self._holds.get(key)
        return key in self._open_holds if hold is None else hold.is_swept

    def _extend(self, key: HoldKey, micros: Micros) -> None:
        tenant, turn = key
        self.rows.put(EXTEND_HOLD, {"of_tenant": tenant, "of_turn": turn, "by": micros})

    def _put_aside(self, request: Request, micros: Micros) -> None:
        tenant, turn = request.key
        reservation = request.reservation
        values: dict[str, object] = {
            "tenant": tenant,
            "turn": turn,
            "owner": self._owner,
            "micros": micros,
            "windows": _encode(reservation.windows).decode(),
            "facts": _encode(reservation.facts).decode(),
            "created_at_ms": self._now_ms,
            "expires_at_ms": reservation.expires_at_ms,
            "swept_at_ms": None,
        }
        self.rows.put(ADD_HOLD, values)

    def _move(self, windows: Iterable[Key], spent: Micros, held: Micros) -> None:
        for key in windows:
            amounts = self._windows[key]
            amounts[0] += spent
            amounts[1] += held


def keys_of(reservation: Reservation) -> list[Key]:
    """The keys of a reservation's windows, in its order."""
    tenant = reservation.tenant
    return [(tenant, each.scope, each.period, each.starts_at_ms) for each in reservation.windows]


def _each_once(keys: list[Key]) -> Collection[Key]:
    """A window counts once, however many budgets look at it."""
    once = dict.fromkeys(keys)
    return keys if len(once) == len(keys) else once


def _key(settling: Settling) -> HoldKey:
    return settling.key


def _checked(micros: Micros) -> Micros:
    if micros < 0:
        raise ValueError(f"A choice put {micros} micro-dollars aside.")
    return micros
