"""A summary becomes a compaction where the model wrote all of it, and an error else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from frontdesk.core.errors import FrontdeskError
from frontdesk.doors.kept.compact import CompactionBody
from frontdesk.files.owner import Owner
from frontdesk.keeping.compactions import Compactions
from frontdesk.turn.events import (
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
    RefusalDelta,
    TextDelta,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.facts import ToldTurn

ADA = Owner("acme", "ada", "")
FACTS = ToldTurn("resp_0123", "fast", 1_700_000_000.5)
KEPT: list[dict[str, Any]] = [{"id": "msg_1", "type": "message", "role": "user", "content": []}]
SAID: list[Event] = [
    ReasoningStarted(0, "rs_1"),
    ReasoningDelta(0, "hm"),
    ItemFinished(0),
    MessageStarted(1, "msg_2"),
    TextDelta(1, "All "),
    TextDelta(1, "of it. "),
    ItemFinished(1),
]


def body_of(*events: Event) -> Any:
    body = CompactionBody(FACTS, KEPT, ADA, COMPACTIONS)
    for event in events:
        body.add([event])
    return json.loads(body.body())


COMPACTIONS = Compactions()


def test_a_summary_is_sealed_behind_what_is_kept() -> None:
    told = body_of(*SAID, UsageReported(Usage(7, 5)), TurnCompleted())

    *kept, compaction = told["output"]
    assert (kept, told["object"], told["id"], told["created_at"]) == (
        KEPT,
        "response.compaction",
        "resp_0123",
        1_700_000_000,
    )
    assert (compaction["type"], compaction["id"]) == ("compaction", "cmp_0123")
    assert COMPACTIONS.open_compaction(ADA, compaction["encrypted_content"]) == "All of it."
    assert (told["usage"]["input_tokens"], told["usage"]["total_tokens"]) == (7, 12)


@pytest.mark.parametrize(
    "events",
    [
        [*SAID, TurnIncomplete("max_output_tokens")],
        [*SAID, TurnCancelled()],
        [TurnCompleted()],
        [MessageStarted(0, "msg_2"), TextDelta(0, " \n"), ItemFinished(0), TurnCompleted()],
        [MessageStarted(0, "msg_2"), RefusalDelta(0, "I will not."), ItemFinished(0), TurnCompleted()],
    ],
)
def test_no_whole_summary_is_none(events: list[Event]) -> None:
    with pytest.raises(FrontdeskError) as failure:
        body_of(*events)

    assert (failure.value.status, failure.value.code) == (502, "no_summary")
