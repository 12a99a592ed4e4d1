"""How a script is to be played: its tempo, and what goes wrong on the way.

One vocabulary wherever a script is named: behind the colon of a model's name, in the headers and in
the run-time rules of `frontdesk upstream`:

    words-200:ttft=300,pace=20,fault=cut@1234
    ^ script  ^ directives

A word that is not known is refused with the nearest one that is.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

from frontdesk.core.errors import BadRequest

SCRIPT_NAME = re.compile(r"(?P<script>[a-z]+(?:-[a-z]+)*)(?:-(?P<number>\d{1,7}))?")
_FAULT = re.compile(r"(?P<kind>[a-z0-9-]+?)(?:@(?P<at>headers|\d{1,12}))?")


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong. `at` counts chunks, bytes of the body or milliseconds, as the kind says."""

    kind: str
    at: int | None = None


class UsageTold(msgspec.Struct, frozen=True):
    """How the use of tokens is told: not, too early, in every event, or in false numbers."""

    how: Literal["missing", "early", "each", "false"]
    numbers: tuple[int, int, int, int] = (0, 0, 0, 0)  # input, output, cached, reasoning


class Directives(msgspec.Struct, frozen=True):
    """Directives, read. Times are in seconds."""

    ttft: float = 0.0
    pace: float | None = None
    jitter: float = 0.0
    seed: int | None = None
    fault: tuple[Fault, ...] = ()
    retry_after: str | None = None
    retry_after_ms: str | None = None
    retry_after_date: float | None = None
    usage: UsageTold | None = None
    length: int = 0
    framing: Literal["chunked", "length", "close"] | None = None
    cutsize: int | None = None
    dribble: float | None = None
    header_pace: float | None = None
    read_rate: int | None = None
    crlf: bool = False
    comments: bool = False

    def find(self, *kinds: str) -> Fault | None:
        """Return the fault of one of these kinds."""
        return next((fault for fault in self.fault if fault.kind in kinds), None)

    @property
    def status(self) -> int | None:
        """The status of an answer that is an error; None where no such fault is told."""
        return next((int(fault.kind) for fault in self.fault if fault.kind.isdecimal()), None)

    def pauses(self, usual_pace_s: float = 0.0) -> Iterator[float]:
        """Yield the pause before each chunk, for ever: the same ones for the same seed."""
        pace_s = usual_pace_s if self.pace is None else self.pace
        if not self.jitter:
            yield self.ttft or pace_s
            while True:
                yield pace_s
        chance = random.Random(self.seed or 0)  # noqa: S311 - a tempo is no secret
        yield max(0.0, self.ttft + chance.uniform(-self.jitter, self.jitter))
        while True:
            yield max(0.0, pace_s + chance.uniform(-self.jitter, self.jitter))


class Direction(msgspec.Struct, frozen=True):
    """A script's name, where one is named, and the directives as they are written."""

    script: str | None = None
    options: dict[str, tuple[str, ...]] = {}

    def over(self, other: Direction) -> Direction:
        """Return the two as one; what is said here goes before the other's."""
        return Direction(self.script or other.script, {**other.options, **self.options})

    def read(self) -> Directives:
        """Return the directives typed; raises BadRequest where a value cannot be."""
        return Directives(**{name.replace("-", "_"): _read(name, texts) for name, texts in self.options.items()})

    def __str__(self) -> str:
        words = [name if text == _SET else f"{name}={text}" for name, texts in self.options.items() for text in texts]
        return ":".join(part for part in (self.script, ",".join(words)) if part)


def read_direction(text: str) -> Direction:
    """Read `script`, `script:directives` or `directives`; raises BadRequest naming what is not known."""
    head, colon, tail = text.partition(":")
    head = head.strip()
    if not colon and ("=" in head or "," in head or head in _OPTIONS):
        head, tail = "", text
    direction = Direction(head or None, _read_options(tail))
    direction.read()
    return direction


def read_model(name: str) -> Direction:
    """Read a model's name. Where no directive stands behind its colon, as in `llama3:8b`, all of it is the script."""
    tail = name.partition(":")[2]
    if any("=" in word or word.strip() in _OPTIONS for word in tail.split(",")):
        return read_direction(name)
    return Direction(name)


def unknown(what: str, word: str, known: list[str]) -> BadRequest:
    """Make the error for a word that is not known."""
    near = get_close_matches(word, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return BadRequest(
        f"The scripted provider has no {what} {word!r}.{hint} Known: {', '.join(known)}.", code="bad_directive"
    )


def _read_options(text: str) -> dict[str, tuple[str, ...]]:
    options: dict[str, tuple[str, ...]] = {}
    for word in filter(None, re.split(r"[,\s]+", text)):
        name, equals, value = word.partition("=")
        if name not in _OPTIONS:
            raise unknown("directive", name, list(_OPTIONS))
        options[name] = (*options.get(name, ()), value if equals else _SET)
    return options


_SET = ""  # the value of a directive without one


def _read(name: str, texts: tuple[str, ...]) -> Any:
    if name == "fault":
        return tuple(_fault(text) for text in texts)
    try:
        return _OPTIONS[name](texts[-1])
    except ValueError:
        raise BadRequest(
            f"The directive {name!r} cannot be {texts[-1]!r}. {_MEANT[name]}", code="bad_directive"
        ) from None


def _fault(text: str) -> Fault:
    match = _FAULT.fullmatch(text)
    kind = match["kind"] if match else text
    if kind.isdecimal():
        if not 300 <= int(kind) <= 599 or (match and match["at"]):
            raise BadRequest(f"The status {text!r} cannot be. {_MEANT['fault']}", code="bad_directive")
        return Fault(kind)
    if match is None or kind not in FAULTS:
        raise unknown("fault", text.partition("@")[0], [*FAULTS, "429", "500", "503", "529"])
    at = match["at"]
    if (at is not None and FAULTS[kind] == "") or (at == "headers" and FAULTS[kind] != "bytes"):
        raise BadRequest(f"The fault {kind!r} takes no '@{at}'.", code="bad_directive")
    return Fault(kind, None if at is None else 0 if at == "headers" else int(at))


FAULTS = {  # and what its number counts
    "timeout": "",
    "silence": "chunks",
    "refuse": "milliseconds",
    "reset": "bytes",
    "cut": "bytes",
    "end": "chunks",
    "no-finish": "",
    "error": "chunks",
    "failed": "chunks",
    "bad-json": "chunks",
    "bad-utf8": "chunks",
    "content-type": "",
    "garbage": "",
    "trailing": "",
}


def _milliseconds(text: str) -> float:
    return _whole(text) / 1000


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise ValueError(text)
    return int(text)


def _positive(text: str) -> int:
    return max(1, _whole(text))


def _offset(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    return sign * _whole(text[1:] if text[:1] in ("+", "-") else text)


def _flag(text: str) -> bool:
    if text not in ("", "true", "1"):
        raise ValueError(text)
    return True


def _framing(text: str) -> str:
    if text not in ("chunked", "length", "close"):
        raise ValueError(text)
    return text


def _dribble(text: str) -> float:
    return _milliseconds(text) if text else 0.0


def _usage(text: str) -> UsageTold:
    match text:
        case "missing" | "early" | "each":
            return UsageTold(text)
        case "negative":
            return UsageTold("false", (-7, -3, 0, 0))
        case "huge":
            return UsageTold("false", (_MOST, 10**15, 0, 0))
        case _:
            numbers = [int(each) for each in text.split("/")]
            if not 2 <= len(numbers) <= 4 or max(map(abs, numbers)) > _MOST:
                raise ValueError(text)
            return UsageTold("false", (*numbers, *[0] * (4 - len(numbers))))  # type: ignore[arg-type]


_MOST = 2**63  # one more than a signed number of 64 bits holds

_OPTIONS: dict[str, Callable[[str], Any]] = {
    "ttft": _milliseconds,
    "pace": _milliseconds,
    "jitter": _milliseconds,
    "seed": _whole,
    "fault": str,
    "retry-after": str,
    "retry-after-ms": str,
    "retry-after-date": _whole,
    "usage": _usage,
    "length": _offset,
    "framing": _framing,
    "cutsize": _positive,
    "dribble": _dribble,
    "header-pace": _milliseconds,
    "read-rate": _positive,
    "crlf": _flag,
    "comments": _flag,
}
_MEANT = {
    "ttft": "It is the milliseconds before the first chunk, such as 'ttft=300'.",
    "pace": "It is the milliseconds between two chunks, such as 'pace=20'.",
    "jitter": "It is the milliseconds by which a pause may differ, such as 'jitter=10'.",
    "seed": "It is a whole number, such as 'seed=7'.",
    "fault": "It is a status from 300 to 599, or a fault by its name, such as 'fault=cut@120'.",
    "retry-after-date": "It is the seconds from now that the date says, such as 'retry-after-date=20'.",
    "usage": "It is missing, early, each, negative, huge, or numbers such as 'usage=12/34': input, output,"
    " and where wanted cached and reasoning.",
    "length": "It is what the content-length says too much or too little, such as 'length=+10' or 'length=-10'.",
    "framing": "It is chunked, length or close.",
    "cutsize": "It is the most bytes a piece may have, such as 'cutsize=7'.",
    "dribble": "It is the milliseconds between two bytes, or nothing.",
    "header-pace": "It is the milliseconds between two bytes of the headers, such as 'header-pace=5'.",
    "read-rate": "It is the bytes a second at which a request is read, such as 'read-rate=1000'.",
    "crlf": "It takes no value.",
    "comments": "It takes no value.",
}
