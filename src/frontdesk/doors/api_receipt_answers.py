"""What /api/receipts answers, for the OpenAPI document. Times are Unix seconds, costs US dollars."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from frontdesk.turn.context import ContextRecord
from frontdesk.turn.turn import Purpose, Status
from frontdesk.usage.rows import CostSource, UsageSource


class TurnTokens(Struct, kw_only=True):
    """The tokens of what answered, null where they are not known. Cached ones and thoughts are parts of the others."""

    input_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None


class AttemptTokens(TurnTokens, kw_only=True):
    """Those of one call of a provider, by all kinds."""

    audio_input_tokens: int | None
    image_input_tokens: int | None
    tool_tokens: int | None
    audio_output_tokens: int | None
    image_output_tokens: int | None


class Ended(Struct, kw_only=True):
    """How something ended, and when."""

    status: Status
    error_code: str | None
    started_at: int
    first_event_at: int | None
    finished_at: int | None


class ReceiptAttempt(Ended, kw_only=True):
    """A call of a provider. `provider_model` is the provider's name of the model."""

    number: int
    provider: str
    provider_model: str
    purpose: Purpose | None
    http_status: int | None
    usage: AttemptTokens
    usage_source: UsageSource | None
    cost_usd: float | None
    cost_source: CostSource | None


class Receipt(Ended, kw_only=True):
    """What became of a turn. `max_output_tokens` is how long its answer might get in the end, all its choices together;
    `context` is what its model was told of what came before, and what was left out: null where its feature has no
    strategy for that. Secret keys are told what it cost and how it was answered as well.
    """

    id: str
    object: Literal["receipt"]
    feature: str | None
    model: str | None
    usage: TurnTokens
    usage_source: UsageSource | None
    max_output_tokens: int | None
    context: ContextRecord | None
    cost_usd: float | UnsetType | None = UNSET
    attempts: list[ReceiptAttempt] | UnsetType = UNSET
