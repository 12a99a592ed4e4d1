"""Turns become rows, and where money was put aside for them, settlements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import msgspec

from frontdesk.core.errors import FrontdeskError, ProviderError
from frontdesk.core.money import Buckets
from frontdesk.ledger.holds import Held, Settlement, Treasury
from frontdesk.storage.database import Database
from frontdesk.turn.buckets import buckets_of
from frontdesk.turn.counting import answering_attempt
from frontdesk.turn.events import Usage
from frontdesk.turn.items import Prompt, Request
from frontdesk.turn.turn import Attempt, Turn
from frontdesk.usage.costs import UNKNOWN, Pricer, cost_of, usage_of
from frontdesk.usage.rows import AttemptRow, TurnRow, Used
from frontdesk.usage.store import TurnStore

_encode = msgspec.json.Encoder().encode


class TurnRecorder:
    """Keeps a row of each turn and each of its attempts.

    With a `pricer` attempts are priced. With a `treasury`, the rows of a turn that money was put aside for are
    written with what it cost: in one transaction, or not at all. `learn` is told of each turn that has ended.
    """

    def __init__(
        self,
        store: TurnStore,
        database: Database,
        pricer: Pricer | None = None,
        treasury: Treasury | None = None,
        learn: Callable[[Turn], None] | None = None,
    ) -> None:
        self._store = store
        self._database = database
        self._pricer = pricer
        self._treasury = treasury
        self._learn = learn

    @property
    def is_well(self) -> bool:
        """Whether rows can be written now."""
        return self._database.failure is None

    def started(self, turn: Turn) -> None:
        """A turn begins."""
        self._store.started(turn.caller.tenant, turn.id, partial(_turn_row, turn, _NOTHING_YET))

    def settled(self, turn: Turn) -> None:
        """It has ended. Usage that no provider reported is counted here, and marked so."""
        if self._learn is not None:
            self._learn(turn)
        attempts = [self._attempt_row(turn, attempt, number) for number, attempt in enumerate(turn.attempts, 1)]
        answering = answering_attempt(turn)
        used = _NOTHING_YET if answering is None else _used_by_all(attempts, turn.attempts.index(answering))
        row = _turn_row(turn, used)
        if turn.funds is None or self._treasury is None:
            self._store.settled(row, attempts)
            return
        held: Held = cast("Any", turn.funds)  # all that the line knows of it is that it covers attempts
        rows = self._store.final_steps(row, attempts)
        self._treasury.settle(Settlement(held.reservation, row.cost_micros or 0, rows))

    def dropped(self, turn: Turn) -> None:
        """It was no turn: nothing is kept of it."""
        self._store.dropped(turn.caller.tenant, turn.id)

    def _attempt_row(self, turn: Turn, attempt: Attempt, number: int) -> AttemptRow:
        """An attempt that says nothing of its end shares the turn's."""
        is_open = attempt.status == "running"
        error = attempt.error
        usage = usage_of(turn, attempt)
        buckets = _NO_BUCKETS if usage is None else buckets_of(usage)
        cost = UNKNOWN if self._pricer is None else cost_of(turn, attempt, usage, buckets, self._pricer)
        return AttemptRow(
            tenant=turn.caller.tenant,
            turn=turn.id,
            number=number,
            provider=attempt.provider,
            model=attempt.model,
            status=turn.status if is_open else attempt.status,
            error_code=None if error is None else error.code,
            http_status=None if error is None else _upstream_status(error),
            started_at_ms=int(attempt.started_at * 1000),
            first_event_at_ms=_ms(attempt.first_event_at),
            finished_at_ms=_ms(turn.finished_at if is_open else attempt.finished_at),
            cost_micros=cost.micros,
            cost_source=cost.source,
            price=cost.price,
            purpose=attempt.purpose,
            **(_NOTHING_YET if usage is None else _tokens(usage, buckets)),
        )


def _turn_row(turn: Turn, used: Mapping[str, Any]) -> TurnRow:
    caller, error = turn.caller, turn.error
    return TurnRow(
        tenant=caller.tenant,
        id=turn.id,
        door=turn.door,
        caller=caller.role,
        credential=caller.credential_id,
        person=caller.person,
        feature=turn.feature,
        tier=turn.tier,
        model=turn.model,
        is_streaming=turn.request.stream,
        status=turn.status,
        error_code=None if error is None else error.code,
        http_status=None if error is None else error.status,
        started_at_ms=int(turn.started_at * 1000),
        first_event_at_ms=_ms(turn.first_event_at),
        finished_at_ms=_ms(turn.finished_at),
        prompt=turn.prompt,
        max_output_tokens=_most_written(turn.request),
        context=None if turn.context is None else _encode(turn.context).decode(),
        **used,
    )


def _most_written(request: Request) -> int | None:
    """How long an answer may get in the end, all its choices together; None where nobody says it."""
    if not isinstance(request, Prompt) or request.max_output_tokens is None:
        return None
    return request.max_output_tokens * request.choices


def _tokens(usage: Usage, buckets: Buckets) -> dict[str, Any]:
    """The tokens of an attempt as its row has them: parts that share none, None where the provider named none."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": None if usage.cached_tokens is None else buckets.cached,
        "cache_write_tokens": None
        if usage.cache_write_tokens is None
        else buckets.cache_write + buckets.cache_write_hour,
        "reasoning_tokens": None if usage.reasoning_tokens is None else buckets.reasoning,
        "audio_input_tokens": None if usage.audio_input_tokens is None else buckets.audio_input,
        "image_input_tokens": None if usage.image_input_tokens is None else buckets.image_input,
        "tool_tokens": None if usage.tool_tokens is None else buckets.tool,
        "audio_output_tokens": None if usage.audio_output_tokens is None else buckets.audio_output,
        "image_output_tokens": None if usage.image_output_tokens is None else buckets.image_output,
        "usage_source": usage.source,
        "raw_usage": None if usage.raw is None else _encode(usage.raw).decode(),
    }


def _used_by_all(attempts: list[AttemptRow], answering: int) -> dict[str, Any]:
    """What a turn's row says of its attempts; see `Used`. `answering` is the place of the one that answers."""
    used = {name: getattr(attempts[answering], name) for name in Used.__struct_fields__}
    if len(attempts) > 1:
        costs = [attempt.cost_micros for attempt in attempts if attempt.cost_micros is not None]
        used["cost_micros"] = sum(costs) if costs else None
    return used


def _upstream_status(error: FrontdeskError) -> int:
    """What the provider answered with, where it did; else what the caller was told."""
    if isinstance(error, ProviderError) and error.upstream_status is not None:
        return error.upstream_status
    return error.status


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


_NOTHING_YET: Mapping[str, Any] = {}
_NO_BUCKETS = Buckets()
