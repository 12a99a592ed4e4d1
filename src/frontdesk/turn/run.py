"""The line itself: one coroutine carries a turn from its admission to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from frontdesk.core.errors import FrontdeskError, Refused, Unavailable
from frontdesk.turn.ceilings import most_chars
from frontdesk.turn.events import TurnCancelled
from frontdesk.turn.outgoing import AnswerEnded, Outgoing
from frontdesk.turn.seams import Guard, Policy, Router, Sink
from frontdesk.turn.turn import Interruption, Turn

_log = logging.getLogger("frontdesk.turn")


@dataclass(frozen=True, slots=True)
class Line:
    """What a turn passes, in order. `answer_guards` come after the guards, on the way back only."""

    policies: Sequence[Policy]
    guards: Sequence[Guard]
    router: Router
    answer_guards: Sequence[Guard] = ()


async def run_turn(turn: Turn, line: Line, sink: Sink) -> None:
    """Carry a turn to its end. Every admitted policy settles exactly once, however it ends.

    Raises only CancelledError, and only where nobody interrupted the turn by its name: the
    process is going down.
    """
    admitted = Admitted(turn)
    outgoing = Outgoing(turn, line.guards, sink, admitted.settle, line.answer_guards)
    try:
        await admitted.admit(line.policies)
        turn.request = outgoing.screen_input(turn.request)
        turn.most_chars = most_chars(turn)
        await line.router.carry(turn, outgoing.push)
    except AnswerEnded:
        pass  # and whoever reads it knows
    except FrontdeskError as error:
        await outgoing.fail(error, "refused" if isinstance(error, Refused) else "failed")
    except asyncio.CancelledError:
        if turn.interruption is None:
            raise
        await _end_interrupted(turn, outgoing)
    except Exception:  # noqa: BLE001 - a bug ends this turn alone, and settles it
        _log.exception("turn_broke turn_id=%s", turn.id)
        await outgoing.fail(FrontdeskError("Something went wrong here. It was logged; try again."), "failed")
    finally:
        admitted.settle()
        if turn.error is not None or len(turn.attempts) > 1:
            _forget_frames(turn)


class Admitted:
    """The policies that a turn passed, to be settled once, the last one first."""

    __slots__ = ("_policies", "_turn")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._policies: list[Policy] = []

    async def admit(self, policies: Iterable[Policy]) -> None:
        """Have the turn pass some policies, in order. Raises what refuses it; those it had passed by then are kept."""
        for policy in policies:
            waiting = policy.admit(self._turn)
            if waiting is not None:
                await waiting
            self._policies.append(policy)

    def settle(self) -> None:
        """Settle all; nothing is left to settle afterwards. One that fails does not stop the others."""
        turn = self._turn
        if turn.finished_at is None:
            turn.finished_at = turn.clock.now()
            if turn.status == "running":
                turn.status = "abandoned"
        while self._policies:
            try:
                self._policies.pop().settle(turn)
            except Exception:  # noqa: BLE001 - the others must settle all the same
                _log.exception("settlement_failed turn_id=%s", turn.id)


def _forget_frames(turn: Turn) -> None:
    """Keep what went wrong, but not where: its frames hold the turn. Such rings, each with its request and its
    pictures, would stay until the collector looks for them, which is seldom: an outage would fill the memory.
    """
    errors: list[BaseException | None] = [turn.error, *(attempt.error for attempt in turn.attempts)]
    for error in errors:
        while error is not None:
            error.__traceback__ = None
            error = error.__context__  # noqa: PLW2901 - down to what it came of


async def _end_interrupted(turn: Turn, outgoing: Outgoing) -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    if outgoing.has_ended:
        return
    match turn.interruption:
        case Interruption.CANCEL:
            await outgoing.push([TurnCancelled()])
        case Interruption.TIMEOUT:
            was_sent = turn.request.stream and turn.first_event_at is not None
            error = Unavailable(
                "This answer took longer than the request or the server allows. "
                f"{'What came of it is above; ask' if was_sent else 'Ask'} for less at once.",
                code="turn_timeout",
                status=504,
            )
            await outgoing.fail(error, "failed")
        case Interruption.SHUTDOWN:
            error = Unavailable(
                "The server is restarting. Nothing more of this answer will come; send it again.",
                code="server_shutting_down",
                retry_after_s=1,
            )
            await outgoing.fail(error, "failed")
        case Interruption.HANGUP | None:
            pass  # nobody is there to be told; the row says "abandoned"
