"""Turns become rows."""

from __future__ import annotations

import msgspec

from frontdesk.core.errors import FrontdeskError, ProviderError
from frontdesk.storage.database import Database
from frontdesk.turn.counting import counted_usage
from frontdesk.turn.events import Usage
from frontdesk.turn.items import Prompt
from frontdesk.turn.turn import Attempt, Turn
from frontdesk.usage.store import AttemptRow, TurnRow, TurnStore

_encode = msgspec.json.Encoder().encode


class TurnRecorder:
    """Keeps a row of each turn and each of its attempts."""

    def __init__(self, store: TurnStore, database: Database) -> None:
        self._store = store
        self._database = database

    @property
    def is_well(self) -> bool:
        """Whether rows can be written now."""
        return self._database.failure is None

    def started(self, turn: Turn) -> None:
        """A turn begins."""
        self._store.started(_turn_row(turn, None))

    def settled(self, turn: Turn) -> None:
        """It has ended. Usage that no provider reported is counted here, and marked so."""
        usage = turn.usage or counted_usage(turn)
        last = len(turn.attempts)
        self._store.settled(
            _turn_row(turn, usage),
            [
                _attempt_row(turn, attempt, number, usage if number == last else None)
                for number, attempt in enumerate(turn.attempts, 1)
            ],
        )


def _turn_row(turn: Turn, usage: Usage | None) -> TurnRow:
    caller, error = turn.caller, turn.error
    return TurnRow(
        tenant=caller.tenant,
        id=turn.id,
        door=turn.door,
        caller=caller.role,
        credential=caller.credential_id,
        person=caller.person,
        feature=turn.feature,
        model=turn.model,
        is_streaming=isinstance(turn.request, Prompt) and turn.request.stream,
        status=turn.status,
        error_code=None if error is None else error.code,
        http_status=None if error is None else error.status,
        started_at_ms=int(turn.started_at * 1000),
        first_event_at_ms=_ms(turn.first_event_at),
        finished_at_ms=_ms(turn.finished_at),
        input_tokens=None if usage is None else usage.input_tokens,
        output_tokens=None if usage is None else usage.output_tokens,
        cached_tokens=None if usage is None else usage.cached_tokens,
        cache_write_tokens=None if usage is None else usage.cache_write_tokens,
        reasoning_tokens=None if usage is None else usage.reasoning_tokens,
        usage_source=None if usage is None else usage.source,
    )


def _attempt_row(turn: Turn, attempt: Attempt, number: int, usage: Usage | None) -> AttemptRow:
    """An attempt that says nothing of its end shares the turn's."""
    is_open = attempt.status == "running"
    return AttemptRow(
        tenant=turn.caller.tenant,
        turn=turn.id,
        number=number,
        provider=attempt.provider,
        model=attempt.model,
        status=turn.status if is_open else attempt.status,
        error_code=None if attempt.error is None else attempt.error.code,
        http_status=_upstream_status(attempt.error),
        started_at_ms=int(attempt.started_at * 1000),
        first_event_at_ms=_ms(attempt.first_event_at),
        finished_at_ms=_ms(turn.finished_at if is_open else attempt.finished_at),
        input_tokens=None if usage is None else usage.input_tokens,
        output_tokens=None if usage is None else usage.output_tokens,
        cached_tokens=None if usage is None else usage.cached_tokens,
        cache_write_tokens=None if usage is None else usage.cache_write_tokens,
        reasoning_tokens=None if usage is None else usage.reasoning_tokens,
        usage_source=None if usage is None else usage.source,
        raw_usage=None if usage is None or usage.raw is None else _encode(usage.raw).decode(),
    )


def _upstream_status(error: FrontdeskError | None) -> int | None:
    """What the provider answered with, where it did; else what the caller was told."""
    if error is None:
        return None
    if isinstance(error, ProviderError) and error.upstream_status is not None:
        return error.upstream_status
    return error.status


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
