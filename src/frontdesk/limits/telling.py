"""What a caller is told of limits: in headers as OpenAI's SDKs know them, and in the words of a refusal.

Limits that are shared are told without figures: what is left of them says what others do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from frontdesk.core.errors import RateLimited
from frontdesk.limits.counters import Left
from frontdesk.limits.rules import Rule

HEADERS = tuple(
    f"x-ratelimit-{what}-{unit}" for unit in ("requests", "tokens") for what in ("limit", "remaining", "reset")
)
"""The names of all headers about limits; pages of other origins may read them where CORS exposes them."""

_NAMES = {
    unit: tuple(f"x-ratelimit-{what}-{unit}".encode() for what in ("limit", "remaining", "reset"))
    for unit in ("requests", "tokens")
}
_SOON_S = 60.0


_Header: TypeAlias = tuple[bytes, bytes]


class Headers:
    """The headers of some rules, those that are told: for requests and for tokens the limit of which least is left,
    as OpenAI tells it. Concurrency has no header.
    """

    __slots__ = ("_units",)

    def __init__(self, rules: Sequence[Rule], are_told: Sequence[bool]) -> None:
        # For each unit its names, and of each rule its place among all and the header of its limit.
        self._units: list[tuple[bytes, bytes, list[tuple[int, _Header]]]] = []
        for unit, (limit, remaining, reset) in _NAMES.items():
            told = [
                (place, (limit, b"%d" % rule.limit.amount))
                for place, (rule, is_told) in enumerate(zip(rules, are_told, strict=True))
                if is_told and rule.unit == unit
            ]
            if told:
                self._units.append((remaining, reset, told))

    def of(self, left: Sequence[Left]) -> list[_Header]:
        """What they say where so much is left of all rules, in their order."""
        headers: list[_Header] = []
        for remaining, reset, told in self._units:
            place, limit = told[0] if len(told) == 1 else min(told, key=lambda each: left[each[0]])
            found = left[place]
            headers += (limit, (remaining, b"%d" % found.amount), (reset, duration(found.whole_in_s)))
        return headers


def duration(seconds: float) -> bytes:
    """A time as OpenAI's headers write it: 120ms, 1s, 6m0s, 5h12m0s. Rounded up: then it is over for sure."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000)
    whole = math.ceil(seconds)
    minutes, rest_s = divmod(whole, 60)
    if minutes == 0:
        return b"%ds" % rest_s
    hours, rest_m = divmod(minutes, 60)
    return b"%dm%ds" % (rest_m, rest_s) if hours == 0 else b"%dh%dm%ds" % (hours, rest_m, rest_s)


def refusal(rule: Rule, asked: int, left: Left, wait_s: float) -> RateLimited:
    """The error for a limit that refuses: which one, how much, when again, and what works until then.

    `asked` is what the request would have taken of it.
    """
    words = _own(rule, asked, left, wait_s) if rule.is_own else _shared(rule, wait_s)
    # OpenAI's SDKs would ask twice more within seconds.
    return RateLimited(words, retry_after_s=wait_s, should_retry=False if wait_s > _SOON_S else None)


def _own(rule: Rule, asked: int, left: Left, wait_s: float) -> str:
    amount = rule.limit.amount
    match rule.unit:
        case "requests":
            return f"You may send {_count(amount, 'message')} a minute, and have. Try again {_when(wait_s)}."
        case "tokens":
            shorter = ", or send a shorter one now" if left.amount else ""
            return (
                f"You may use {_count(amount, 'token')} a {rule.per}. This request is for up to {asked:,}, and "
                f"{left.amount:,} are left. Try again {_when(wait_s, rule)}{shorter}."
            )
        case "concurrent" | "concurrent_streams":
            what = "answer" if rule.unit == "concurrent" else "streamed answer"
            end = "it has ended, or stop it" if amount == 1 else "one has ended, or stop one"
            return f"You have {_count(amount, what)} under way, as many as you may. Wait until {end}."


def _shared(rule: Rule, wait_s: float) -> str:
    who = _who(rule)
    match rule.unit:
        case "requests":
            had = f"{who} has had as many messages a minute as it may. Try again {_when(wait_s)}"
        case "tokens":
            had = (
                f"{who} has fewer tokens left for this {rule.per} than this request is for. "
                f"Try again {_when(wait_s, rule)}, or send a shorter one"
            )
        case "concurrent" | "concurrent_streams":
            what = "answers" if rule.unit == "concurrent" else "streamed answers"
            had = f"{who} has as many {what} under way as it may. Try again in a moment"
    others = " Other features work." if rule.scope == "feature" else ""
    return f"{had}.{others}"


def _who(rule: Rule) -> str:
    match rule.scope:
        case "address":
            return "Your network"
        case "tier" | "feature":
            return f"The {rule.scope} {rule.name!r}"
        case "group":
            return f"Your group {rule.name!r}"
        case _:
            return "This app"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _when(wait_s: float, rule: Rule | None = None) -> str:
    if rule is not None and rule.per == "day":
        return f"at 00:00 UTC, in {_long(wait_s)}"
    return f"in {_long(wait_s)}"


def _long(seconds: float) -> str:
    if seconds <= _SOON_S * 2:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if hours == 0 else f"{hours} h {rest} min"
