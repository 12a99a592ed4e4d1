"""How a turn ends whose choices ended for one reason or another."""

from __future__ import annotations

import pytest

from frontdesk.providers.endings import Reason, turn_end
from frontdesk.turn.events import TurnCompleted, TurnIncomplete


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["stop"], TurnCompleted()),
        (["tool_calls", "stop"], TurnCompleted()),
        (["stop", "length"], TurnIncomplete("max_output_tokens")),
        (["content_filter", "stop"], TurnIncomplete("content_filter")),
        (["content_filter", "length"], TurnIncomplete("max_output_tokens")),
    ],
)
def test_one_choice_that_was_cut_off_makes_the_turn_incomplete(
    reasons: list[Reason], expected: TurnCompleted | TurnIncomplete
) -> None:
    assert turn_end(reasons) == expected
