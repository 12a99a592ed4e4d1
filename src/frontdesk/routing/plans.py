"""In which order the routes of a model are asked: its steps, and within a step of several, by their weights.

One of a step is drawn, and the others come after it, the heavier ones first. The draw is the same for the same person
and model in every process: a point that their names say, on the weights laid end to end in the configuration's order.
So an answer does not change its model in the middle of a conversation, and where weights change, only those people do
whose point lies in what was moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from frontdesk.core.config import Model
from frontdesk.turn.turn import Turn

Steps = Sequence[Mapping[str, float]]

_BITS = 53  # as many as a float holds


class Plans:
    """The order of the routes ("provider/model") of every model."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._steps: dict[str, Steps] = {}
        self._fixed: dict[str, tuple[str, ...]] = {}
        for name, model in models.items():
            if any(len(step) > 1 for step in model.steps):
                self._steps[name] = model.steps
            else:
                self._fixed[name] = tuple(model.routes)

    def of(self, turn: Turn) -> tuple[str, ...]:
        """The routes of the turn's model, in the turn's order."""
        fixed = self._fixed.get(turn.model)
        if fixed is not None:
            return fixed
        return planned(self._steps[turn.model], f"{turn.caller.tenant}\n{_whom(turn)}\n{turn.model}")


def planned(steps: Steps, key: str) -> tuple[str, ...]:
    """All ways of these steps, each once, in the order that is drawn by a key."""
    ways: dict[str, None] = {}
    for position, step in enumerate(steps):
        drawn = _drawn(step, point_of(f"{position}\n{key}")) if len(step) > 1 else None
        if drawn is not None:
            ways.setdefault(drawn)
        for way in sorted(step, key=lambda way: -step[way]):
            ways.setdefault(way)
    return tuple(ways)


def point_of(key: str) -> float:
    """A number from 0 up to 1, always the same for a key and for all keys evenly."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 64 - _BITS) / (1 << _BITS)


def _whom(turn: Turn) -> str:
    """For whom a turn is. A secret key asks for many people, whom the request may name; else each turn is its own."""
    if turn.caller.person is not None:
        return f"person {turn.caller.person}"
    parameters = turn.request.parameters
    named = parameters.get("safety_identifier") or parameters.get("user")
    return f"turn {turn.id}" if named is None else f"credential {turn.caller.credential_id} user {named}"


def _drawn(step: Mapping[str, float], point: float) -> str | None:
    """The way whose part of the weights a point lies in."""
    rest = point * sum(step.values())
    drawn = None
    for way, weight in step.items():
        if weight <= 0:
            continue
        drawn = way  # the last one, where floats leave a rest
        if rest < weight:
            break
        rest -= weight
    return drawn
