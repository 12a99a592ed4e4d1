"""Which items of a conversation go together, and which stay: what leaves some of them out asks here.

A block is a question with its answer, or a call with its output and the thoughts that led to it. Where an output comes
much later than its call, all in between is one block.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from frontdesk.turn.items import SUMMARY_OPENS, Item, Message
from frontdesk.turn.pairs import answers_call, calls_of, is_models, is_thought

_INSTRUCTING = frozenset({"system", "developer"})


def new_from(items: Sequence[Item], brought: int = 0) -> int:
    """Where what is new begins: behind the model's last words, and not before what the request `brought` itself.

    Of a request that brings nothing, what nobody has answered is new.
    """
    place = len(items)
    while place and not is_models(items[place - 1]):
        place -= 1
    return max(place, brought) if brought < len(items) else place


def is_instructing(item: Item) -> bool:
    """Whether an item is an instruction of the application's."""
    return type(item) is Message and item.role in _INSTRUCTING


def stays(item: Item) -> bool:
    """Whether an item is told in any case, for what it is: an instruction, or a summary of what is not there."""
    if type(item) is not Message:
        return False
    role = item.role
    if role == "assistant" or (role == "user" and type(item.content) is not str):
        return False  # nearly all are these
    return role in _INSTRUCTING or (type(item.content) is str and item.content.startswith(SUMMARY_OPENS))


def cuts(items: Sequence[Item], end: int) -> Iterator[int]:
    """The places up to `end` behind which items may begin, the first one first: nothing is cut in half there."""
    outputs = _outputs(items)
    last_output = -1  # of the calls so far
    for place in range(end):
        if place in outputs:
            last_output = max(last_output, outputs[place])
        item = items[place]
        leads_on = (
            type(item) is not Message and is_thought(item) and place + 1 < len(items) and is_models(items[place + 1])
        )
        if last_output <= place and not leads_on:
            yield place + 1


def begins_with_answer(items: Sequence[Item], place: int) -> bool:
    """Whether a message of the assistant's is what begins there, thoughts aside. Not every server lets it begin."""
    while place < len(items) and is_thought(items[place]):
        place += 1
    if place == len(items):
        return False
    item = items[place]
    return type(item) is Message and item.role == "assistant"


def blocks_of(items: Sequence[Item]) -> list[range]:
    """The places of each block, the first one first. An answer at the beginning is one by itself."""
    messages = [item for item in items if type(item) is Message and item.extra is None]
    if items and len(messages) == len(items):  # nearly always
        begins = [place for place, item in enumerate(messages) if place and item.role != "assistant"]
        return [range(begin, end) for begin, end in itertools.pairwise([0, *begins, len(items)])]
    blocks: list[range] = []
    begin = 0
    for place in cuts(items, len(items)):
        item = items[place] if place < len(items) else None
        is_answer = item is not None and (
            item.role == "assistant" if type(item) is Message else begins_with_answer(items, place)
        )
        if not is_answer:
            blocks.append(range(begin, place))
            begin = place
    if begin < len(items):
        blocks.append(range(begin, len(items)))
    return blocks


def question_in(items: Sequence[Item]) -> int:
    """The place of what is being answered: the last message of a user; -1 where there is none."""
    for place in range(len(items) - 1, -1, -1):
        item = items[place]
        if type(item) is Message and item.role == "user" and not stays(item):
            return place
    return -1


def _outputs(items: Sequence[Item]) -> dict[int, int]:
    """Of each item that makes calls, the place of the last of their outputs. Some servers name calls alike time and
    again: an output is that of the first call of its name that has none yet, else of the last one.
    """
    waiting: dict[str, list[int]] = {}
    latest: dict[str, int] = {}
    outputs: dict[int, int] = {}
    for place, item in enumerate(items):
        if type(item) is Message and item.extra is None:
            continue  # nearly all are
        output = answers_call(item)
        if output is not None and output in latest:
            unanswered = waiting[output]
            outputs[unanswered.pop(0) if unanswered else latest[output]] = place
        for call in calls_of(item):
            waiting.setdefault(call, []).append(place)
            latest[call] = place
    return outputs
