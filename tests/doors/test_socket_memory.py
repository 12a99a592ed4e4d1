"""What a connection remembers: the latest of each lane, within its bounds, and whole."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.doors.socket_memory import Memory, Remembered, remembered
from frontdesk.wire.openai_responses import read_response_fields

USER = {"type": "message", "role": "user", "content": "hi"}
SAID = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": []}
CALL = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "f", "arguments": "{}"}
HALF = {**CALL, "id": "fc_2", "call_id": "c2", "status": "incomplete"}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "status": "completed"}


def of(size_bytes: int = 1) -> Remembered:
    return Remembered(None, [], frozenset(), size_bytes)


def test_the_latest_of_each_lane_is_found_by_any() -> None:
    memory = Memory(100)
    first, second, other = of(), of(), of()
    memory.keep("a", "r1", first)
    memory.keep("b", "r2", other)
    memory.keep("a", "r3", second)

    assert [memory.find(name) for name in ("r1", "r2", "r3", None)] == [None, other, second, None]
    memory.forget("r2")
    memory.forget("unheard of")
    assert memory.find("r2") is None
    assert memory.find("r3") is second


def test_the_oldest_goes_where_there_is_no_room() -> None:
    memory = Memory(10)
    memory.keep("a", "r1", of(5))
    memory.keep("b", "r2", of(5))
    memory.keep("a", "r3", of(4))
    memory.keep("c", "r4", of(2))

    assert [name for name in ("r1", "r2", "r3", "r4") if memory.find(name)] == ["r3", "r4"]
    memory.keep("c", "r5", of(11))
    assert [name for name in ("r3", "r4", "r5") if memory.find(name)] == ["r3"]


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ([SAID], [SAID]),
        ([THOUGHT, SAID, CALL], [THOUGHT, SAID, CALL]),
        ([THOUGHT, {**SAID, "status": "incomplete"}], [THOUGHT, {**SAID, "status": "incomplete"}]),
        ([SAID, THOUGHT, HALF], [SAID]),
        ([THOUGHT], []),
        ([], []),
    ],
)
def test_what_broke_off_and_says_nothing_is_left_out(output: list[Any], kept: list[Any]) -> None:
    found = remembered({"input": "hi", "previous_response_id": "resp_0"}, None, output, 7)

    assert found == Remembered("resp_0", [USER, *kept], frozenset(range(1, len(kept) + 1)), 7)


def test_a_chain_says_all_of_itself_and_knows_who_said_what() -> None:
    first = remembered({"input": [USER]}, None, [SAID], 1)
    fields = first.before({"input": "more", "previous_response_id": "r1", "model": "m"})
    second = remembered(fields, first, [SAID, CALL], 2)

    more = {**USER, "content": "more"}
    assert fields == {"input": [USER, SAID, more], "previous_response_id": None, "model": "m"}
    assert second.items == [USER, SAID, more, SAID, CALL]
    assert second.answers == {1, 3, 4}


def test_an_output_needs_its_call() -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    other = {"type": "function_call_output", "call_id": "c2", "output": "x"}
    found = remembered({"input": "hi"}, None, [CALL], 1)

    def items(*new: Any) -> Any:
        return read_response_fields(found.before({"input": list(new)})).prompt.items

    found.check_outputs(items(output))
    with pytest.raises(BadRequest) as refusal:
        found.check_outputs(items(output, other))
    assert refusal.value.param == "input[1].call_id"
    Remembered("resp_0", [], frozenset(), 1).check_outputs(items(other))
