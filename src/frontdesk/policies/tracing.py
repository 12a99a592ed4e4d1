"""Tracing: every turn leaves a row and one line in the log, however it ends.

First in the list of policies, so that it sees refusals by the others and settles last.
"""

from __future__ import annotations

import logging
from typing import Protocol

from frontdesk.core.errors import AskedBefore, store_unavailable
from frontdesk.turn.turn import Turn

_log = logging.getLogger("frontdesk.turn")


class Recorder(Protocol):
    """Keeps the rows of turns."""

    @property
    def is_well(self) -> bool:
        """Whether rows can be written now."""
        ...

    def started(self, turn: Turn) -> None:
        """A turn begins."""
        ...

    def settled(self, turn: Turn) -> None:
        """It has ended; its status, usage and attempts are final."""
        ...

    def dropped(self, turn: Turn) -> None:
        """It was none: its request was made before, and is answered with what became of that."""
        ...


class Tracing:
    """Tells the recorder and the log."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def admit(self, turn: Turn) -> None:
        """Note the beginning. Raises Unavailable where no row could be kept: what is not told is not done."""
        if not self._recorder.is_well:
            raise store_unavailable()
        self._recorder.started(turn)

    def settle(self, turn: Turn) -> None:
        """Note the end."""
        if isinstance(turn.error, AskedBefore):
            self._recorder.dropped(turn)
            return
        self._recorder.settled(turn)
        if _log.isEnabledFor(logging.INFO):
            answering = turn.answering
            _log.info(
                "turn_settled turn_id=%s door=%s model=%s status=%s code=%s provider=%s provider_model=%s attempts=%d "
                "duration_s=%.3f",
                turn.id,
                turn.door,
                turn.model,
                turn.status,
                None if turn.error is None else turn.error.code,
                None if answering is None else answering.provider,
                None if answering is None else answering.model,
                len(turn.attempts),
                (turn.finished_at or turn.started_at) - turn.started_at,
            )
