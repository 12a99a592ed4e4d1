"""How answers end: the reasons of OpenAI's that those of all dialects become, and what they make of the turn."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from frontdesk.turn.events import TurnCompleted, TurnIncomplete

Reason = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why a choice ends."""


def turn_end(reasons: Collection[Reason | None]) -> TurnCompleted | TurnIncomplete:
    """The end of a turn whose choices ended for these reasons: one that was cut off makes all of it incomplete."""
    if "length" in reasons:
        return TurnIncomplete("max_output_tokens")
    if "content_filter" in reasons:
        return TurnIncomplete("content_filter")
    return TurnCompleted()
