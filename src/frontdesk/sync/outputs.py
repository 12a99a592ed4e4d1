"""What a device's tools said, as items of its conversation: each behind a call that nobody has answered yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import UNSET

from frontdesk.core.errors import BadRequest
from frontdesk.sync.shapes import DeviceOutput
from frontdesk.wire.refusing import wrong

Json = dict[str, Any]

_OUTPUT_OF = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_OUTPUTS = frozenset(_OUTPUT_OF.values())
_MAX_TOLD_CHARS = 64


def output_id(entry_id: str) -> str:
    """The id of the first item that an entry brings. All others have ids that are made of their response's."""
    return "fco_" + entry_id.replace("-", "")


def answering(outputs: Sequence[DeviceOutput], before: Iterable[Json], where: str) -> list[Json]:
    """The items that these outputs are behind those `before`, in order.

    Some servers name calls alike time and again, so each output takes one call of its name. Raises BadRequest for one
    of no call (`call_not_found`), or of one that has an output (`call_answered`), which names its place: `where` is
    what its caller calls these outputs.
    """
    unanswered = Counter[tuple[str, str]]()
    answered: set[tuple[str, str]] = set()
    for item in before:
        kind = item["type"]
        if kind in _OUTPUT_OF:
            unanswered[item["call_id"], _OUTPUT_OF[kind]] += 1
        elif kind in _OUTPUTS:
            call = (item["call_id"], kind)
            unanswered[call] -= 1
            answered.add(call)
    items: list[Json] = []
    for place, output in enumerate(outputs):
        kinds = _OUTPUT_OF.values() if output.type is UNSET else (output.type,)
        calls = [(output.call_id, kind) for kind in kinds]
        call = next((call for call in calls if unanswered[call] > 0), None)
        if call is None:
            raise _no_call(f"{where}[{place}].call_id", output.call_id, is_answered=not answered.isdisjoint(calls))
        unanswered[call] -= 1
        answered.add(call)
        items.append({"type": call[1], "call_id": output.call_id, "output": output.output})
    return items


def _no_call(param: str, call_id: str, *, is_answered: bool) -> BadRequest:
    told = repr(call_id[:_MAX_TOLD_CHARS])
    if is_answered:
        words = f"The call {told} in '{param}' has its output already. Leave this one out."
        return wrong(param, words, "call_answered")
    words = f"No tool call found for '{param}': what is before it makes no call {told}."
    return wrong(param, words, "call_not_found")
