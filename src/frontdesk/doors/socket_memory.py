"""What one connection remembers of its latest answers that were not stored, so that requests can go on with them.

It is in this process's memory and nowhere else, and gone with its connection. Requests that go on with one are made
into such that say all of it themselves: so whatever becomes of them needs this memory no more.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Item
from frontdesk.turn.pairs import answers_call, call_of

Json = dict[str, Any]
_MAX_TOLD_CHARS = 64


class Remembered(msgspec.Struct, frozen=True):
    """An answer that is not stored, and all that led to it since the stored response `base`, or since the beginning.

    `answers` are the places of the items that this server said; `size_bytes` is about how long all are.
    """

    base: str | None
    items: list[Json]
    answers: frozenset[int]
    size_bytes: int

    def before(self, fields: Json) -> Json:
        """The request that these fields are, where they go on with this: with all items, and without what it needs
        no more. Its input was read already.
        """
        new = items_of(fields)
        return {**fields, "previous_response_id": self.base, "input": [*self.items, *new]}

    def check_outputs(self, items: list[Item]) -> None:
        """Raise BadRequest where an item of a request returns what no item before it has called.

        `items` are all, as they were read. What a stored response called is not known here.
        """
        if self.base is not None:
            return
        called: set[str | None] = set()
        for place, item in enumerate(items):
            called.add(call_of(item))
            output = answers_call(item)
            if output is not None and output not in called and place >= len(self.items):
                raise BadRequest(
                    f"No tool call found for the output of {output[:_MAX_TOLD_CHARS]!r}: neither the previous response "
                    "nor what led to it has a call of that id. Send the call along, or leave the output out.",
                    code="invalid_value",
                    param=f"input[{place - len(self.items)}].call_id",
                )


def remembered(fields: Json, before: Remembered | None, output: list[Json], size_bytes: int) -> Remembered:
    """What there is to remember of a request with all its items, and of its answer.

    `fields` are what `before` made of them. Of an answer that broke off, half a call and half a thought say nothing.
    """
    brought = items_of(fields)
    said = [item for item in output if item.get("status") != "incomplete" or item["type"] == "message"]
    while said and said[-1]["type"] == "reasoning":  # it led to nothing, and no provider reads it by itself
        said.pop()
    answers = range(len(brought), len(brought) + len(said))
    earlier = frozenset[int]() if before is None else before.answers
    return Remembered(fields.get("previous_response_id"), [*brought, *said], earlier.union(answers), size_bytes)


def items_of(fields: Json) -> list[Json]:
    """The input of a request that was read, as items."""
    said = fields.get("input")
    if isinstance(said, str):
        return [{"type": "message", "role": "user", "content": said}]
    return cast("list[Json]", said) if said else []


class Memory:
    """The latest answers of a connection that were not stored, one a lane; together at most `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._by_lane: dict[str | None, tuple[str, Remembered]] = {}  # the newest last

    def find(self, response_id: str | None) -> Remembered | None:
        """What is remembered of this response, which any lane may go on with."""
        return next((found for known, found in self._by_lane.values() if known == response_id), None)

    def keep(self, lane: str | None, response_id: str, found: Remembered) -> None:
        """Remember the latest answer of a lane, instead of the one before; the oldest ones go for it."""
        self._by_lane.pop(lane, None)
        if found.size_bytes > self._limit_bytes:
            return
        self._by_lane[lane] = response_id, found
        while sum(each.size_bytes for _, each in self._by_lane.values()) > self._limit_bytes:
            del self._by_lane[next(iter(self._by_lane))]

    def forget(self, response_id: str | None) -> None:
        """Forget a response: what was to go on with it failed."""
        for lane, (known, _) in tuple(self._by_lane.items()):
            if known == response_id:
                del self._by_lane[lane]
