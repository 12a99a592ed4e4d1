"""Asks a second route where the first one is slow: the first that has a word answers, the other is let go.

    first ──────────────── slow ─────────── (a word) ──► it answers; the second is cancelled
               after_s ──► second ── (a word) ──────────► it answers; the first is cancelled

Each is read in a task of its own until its first word. From there on the turn's own task reads the one that answers.
What the other had used is billed: its attempt ends as cancelled. Both have nothing in common but the turn that they
are for, to which neither tells anything before it has won.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from frontdesk.core.errors import FrontdeskError, Refused
from frontdesk.core.tasks import Tasks
from frontdesk.routing.asking import Asking
from frontdesk.routing.verdicts import is_inability
from frontdesk.turn.turn import Turn

Begin: TypeAlias = Callable[[], Coroutine[Any, Any, Asking | None]]
"""Asks a route and reads until its first word; None where it is not to be asked."""
_Outcome: TypeAlias = Asking | FrontdeskError | None
_Contender: TypeAlias = asyncio.Task[_Outcome]


async def first_to_begin(tasks: Tasks, turn: Turn, first: Begin, second: Begin, after_s: float) -> Asking | None:
    """Whichever has a word first, the second asked `after_s` after the first. Raises what the first one raised."""
    contenders = [tasks.start("first route", _outcome(first))]
    try:
        await asyncio.wait(contenders, timeout=after_s)
        if not contenders[0].done():
            contenders.append(tasks.start("hedge", _outcome(second)))
        winner = await _winner(contenders)
    except BaseException:
        await _let_go(tasks, contenders)
        raise
    try:
        await _let_go(tasks, [each for each in contenders if each is not winner])
    except BaseException:
        if winner is not None:
            await _let_go(tasks, [winner])
        raise
    outcome = (winner or contenders[0]).result()
    if isinstance(outcome, FrontdeskError):
        raise outcome
    if outcome is not None:
        _note_overtaken(turn, outcome)
    return outcome


async def _outcome(begin: Begin) -> _Outcome:
    try:
        return await begin()
    except FrontdeskError as error:
        return error


async def _winner(contenders: Sequence[_Contender]) -> _Contender | None:
    pending = set(contenders)
    while pending:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in contenders:
            if task.done() and isinstance(task.result(), Asking):
                return task
        refused = contenders[0].result() if contenders[0].done() else None
        if isinstance(refused, Refused) and not is_inability(refused):
            return None  # nor would the other one take it
    return None


def _note_overtaken(turn: Turn, winner: Asking) -> None:
    for attempt in turn.attempts:
        if attempt is not winner.attempt and attempt.status == "running":
            attempt.status = "cancelled"
            attempt.finished_at = turn.clock.now()


async def _let_go(tasks: Tasks, contenders: Sequence[_Contender]) -> None:
    """End these, and wait for it. Whoever waits may be cancelled: they end all the same, and keep nothing."""
    endings = [tasks.start("overtaken", _end(each)) for each in contenders]
    if endings:
        await asyncio.wait(endings)


async def _end(contender: _Contender) -> None:
    contender.cancel()
    await asyncio.wait([contender])
    if contender.cancelled() or contender.exception() is not None:
        return
    outcome = contender.result()
    if isinstance(outcome, Asking):
        await outcome.close()
