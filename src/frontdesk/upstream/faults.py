"""What is to go wrong from now on, told at run time: for the next requests, for a model, for some by chance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.providers.directives import Direction, Fault, read_direction


class Rule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A script or directives for the requests that match; they go before what the request itself says.

    `model` and `path` are patterns with * and ?, `contains` is what the body holds. `times` counts down, and
    at 0 the rule is gone. `probability` is drawn from `seed`: the same requests in the same order meet the
    same faults.
    """

    script: str
    model: str = "*"
    path: str = "*"
    contains: str = ""
    times: int | None = None
    probability: float = 1.0
    seed: int = 0


class Rules:
    """The rules that hold, in order: the first that matches a request is the one."""

    def __init__(self) -> None:
        self._rules: list[_Live] = []

    def replace(self, body: bytes) -> Fault | None:
        """Take a rule or a list of them instead of all that held; raises BadRequest, and nothing changes.

        Returns the fault `refuse` where it is told: it is the server's, and no request's.
        """
        try:
            given = msgspec.json.decode(body)
            rules = msgspec.convert([given] if isinstance(given, dict) else given, list[Rule])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"The faults cannot be read: {error}.", code="bad_faults") from None
        live = [_Live(rule) for rule in rules]
        self._rules = [each for each in live if each.refusal is None]
        return next((each.refusal for each in live if each.refusal is not None), None)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._rules.clear()

    def choose(self, path: str, model: str, body: bytes) -> Direction | None:
        """Return what holds for a request, and count it."""
        for live in self._rules:
            if live.contained in body and live.matches(path, model) and live.happens():
                if live.rule.times == 0:
                    self._rules.remove(live)
                return live.direction
        return None

    def read_rate(self, path: str) -> int | None:
        """Return at what rate a request is read of which only the path is known yet."""
        return next((live.read_rate for live in self._rules if live.read_rate and live.matches(path, "*")), None)

    def shown(self) -> Sequence[Rule]:
        """Return the rules as they hold now."""
        return [live.rule for live in self._rules]


class _Live:
    """A rule, and what is left of it."""

    __slots__ = ("_chance", "contained", "direction", "read_rate", "refusal", "rule")

    def __init__(self, rule: Rule) -> None:
        if not 0 <= rule.probability <= 1:
            raise _wrong("probability", rule.probability, "from 0 to 1")
        if rule.times is not None and rule.times < 1:
            raise _wrong("times", rule.times, "at least 1")
        self.rule = rule
        self.contained = rule.contains.encode()
        self.direction = read_direction(rule.script)
        directives = self.direction.read()
        self.refusal = directives.find("refuse")
        self.read_rate = directives.read_rate
        self._chance = random.Random(rule.seed)  # noqa: S311 - which request fails is no secret

    def matches(self, path: str, model: str) -> bool:
        return fnmatchcase(path, self.rule.path) and fnmatchcase(model, self.rule.model)

    def happens(self) -> bool:
        if self.rule.probability < 1 and self._chance.random() >= self.rule.probability:
            return False
        if self.rule.times is not None:
            self.rule.times -= 1
        return True


def _wrong(name: str, value: Any, meant: str) -> BadRequest:
    return BadRequest(f"'{name}' is {value!r}. It must be {meant}.", code="bad_faults", param=name)
