"""GET /api/receipts/{response_id}: what became of a turn, and what its model was told of what came before.

Who answered it, and what that cost, is for secret keys.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import seconds, secret
from frontdesk.core.money import Micros, usd
from frontdesk.doors.desk import ASKING
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.receipts.service import Receipt, Receipts
from frontdesk.turn.turn import Caller
from frontdesk.usage.rows import AttemptRow, TurnRow

_TOKENS = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
_TOKENS_OF_ATTEMPTS = (
    *_TOKENS,
    "audio_input_tokens",
    "image_input_tokens",
    "tool_tokens",
    "audio_output_tokens",
    "image_output_tokens",
)


class ReceiptRoutes:
    """The route of receipts."""

    def __init__(self, receipts: Receipts, callers: Callers) -> None:
        self._receipts = receipts
        self._callers = callers

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [guarded("/api/receipts/{response_id}", "GET", self.read, self._callers)]

    async def read(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """What became of a turn of one's own; operators may read any."""
        return secret(_told(await self._receipts.of(caller, request.path_params["response_id"])))


def _told(receipt: Receipt) -> dict[str, Any]:
    row, attempts = receipt
    told = {
        "id": row.id,
        "object": "receipt",
        "feature": row.feature,
        "model": row.model,
        **_ended(row),
        "usage": {name: getattr(row, name) for name in _TOKENS},
        "usage_source": row.usage_source,
        "max_output_tokens": row.max_output_tokens,
        "context": None if row.context is None else msgspec.json.decode(row.context),
    }
    if attempts is None:
        return told
    return {**told, "cost_usd": _usd(row.cost_micros), "attempts": [_told_attempt(each) for each in attempts]}


def _told_attempt(row: AttemptRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "provider": row.provider,
        "provider_model": row.model,
        "purpose": row.purpose,
        **_ended(row),
        "http_status": row.http_status,
        "usage": {name: getattr(row, name) for name in _TOKENS_OF_ATTEMPTS},
        "usage_source": row.usage_source,
        "cost_usd": _usd(row.cost_micros),
        "cost_source": row.cost_source,
    }


def _ended(row: TurnRow | AttemptRow) -> dict[str, Any]:
    return {
        "status": row.status,
        "error_code": row.error_code,
        "started_at": seconds(row.started_at_ms),
        "first_event_at": seconds(row.first_event_at_ms),
        "finished_at": seconds(row.finished_at_ms),
    }


def _usd(micros: Micros | None) -> float | None:
    return None if micros is None else usd(micros)
