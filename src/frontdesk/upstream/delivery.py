"""How an answer's bytes go out: a run of actions, and what changes it on its way.

An action is bytes to be written, a pause in seconds, or the ending of the connection. Each function
here takes actions and yields others, so faults are put together like filters; the connection pulls one
action at a time, and nothing is made before it is wanted.

    frames ─► in_pieces ─► broken_off ─► framed ─► dribbled ─► connection
              of the body                of the wire
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable, Iterator

from frontdesk.providers.directives import Directives


class Ending(enum.Enum):
    """How a connection ends where its answer does not end by itself."""

    DONE = "done"  # FIN, as the end of a whole answer
    CLOSE = "close"  # FIN, after all that was written
    RESET = "reset"  # RST, after all that was written
    SILENCE = "silence"  # nothing more, for as long as the client waits


Action = bytes | float | Ending


def in_pieces(actions: Iterable[Action], most_bytes: int, seed: int) -> Iterator[Action]:
    """Cut bytes into pieces of 1 to `most_bytes`, each a write of its own; the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - where bytes are cut is no secret
    for action in actions:
        if not isinstance(action, bytes):
            yield action
            continue
        start = 0
        while start < len(action):
            end = start + chance.randint(1, most_bytes)
            yield action[start:end]
            yield 0.0
            start = end


def broken_off(actions: Iterable[Action], after_bytes: int, ending: Ending) -> Iterator[Action]:
    """Let so many bytes through, then end the connection, be it between the last byte and the end of its frame.

    A body that is shorter goes through whole.
    """
    left = after_bytes
    for action in actions:
        if isinstance(action, bytes):
            if len(action) >= left:
                if left:
                    yield action[:left]
                yield ending
                return
            left -= len(action)
        yield action


def chunked(head: bytes, body: Iterable[Action]) -> Iterator[Action]:
    """Frame a body in chunks (RFC 9112 §7.1); the head leaves with the first."""
    for action in body:
        if isinstance(action, bytes):
            yield b"%b%x\r\n%b\r\n" % (head, len(action), action)
            head = b""
        elif isinstance(action, Ending):
            if head:
                yield head
            yield action
            return
        else:
            yield action
    yield head + b"0\r\n\r\n"


def until_close(head: bytes, body: Iterable[Action]) -> Iterator[Action]:
    """Send a body that ends where the connection does (RFC 9112 §6.3)."""
    yield from _headed(head, body)
    yield Ending.DONE


def measured(head: bytes, body: Iterable[Action]) -> Iterator[Action]:
    """Send a body whose length the head tells."""
    return _headed(head, body)


def _headed(head: bytes, body: Iterable[Action]) -> Iterator[Action]:
    for action in body:
        if head and not isinstance(action, float):
            yield head + action if isinstance(action, bytes) else head
            head = b""
            if isinstance(action, bytes):
                continue
        yield action
    if head:
        yield head


def dribbled(actions: Iterable[Action], pause_s: float) -> Iterator[Action]:
    """Write one byte at a time."""
    for action in actions:
        if not isinstance(action, bytes):
            yield action
            continue
        for place in range(len(action)):
            yield action[place : place + 1]
            yield pause_s


def with_slow_head(actions: Iterable[Action], pause_s: float) -> Iterator[Action]:
    """Write the head one byte at a time, and the rest as it is."""
    is_head = True
    for action in actions:
        if not (is_head and isinstance(action, bytes)):
            yield action
            continue
        head, blank, rest = action.partition(b"\r\n\r\n")
        yield from dribbled([head + blank], pause_s)
        is_head = False
        if rest:
            yield rest


def on_the_wire(actions: Iterator[Action], directives: Directives) -> Iterator[Action]:
    """What directives change about a whole response."""
    if directives.header_pace is not None:
        actions = with_slow_head(actions, directives.header_pace)
    if directives.dribble is not None:
        actions = dribbled(actions, directives.dribble)
    return actions


def of_the_body(actions: Iterator[Action], directives: Directives) -> Iterator[Action]:
    """What directives change about a response's body."""
    if directives.cutsize is not None:
        actions = in_pieces(actions, directives.cutsize, directives.seed or 0)
    fault = directives.find("cut", "reset")
    if fault is not None and fault.at is not None:
        actions = broken_off(actions, fault.at, Ending.RESET if fault.kind == "reset" else Ending.CLOSE)
    return actions
