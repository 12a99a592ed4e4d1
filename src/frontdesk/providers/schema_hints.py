"""What a text says of values that a schema leaves free, as in "2 nights for 'Ada', city: Bergen".

It understands no language, only marks: numbers, quotes, and `name: value`, `name = value` or `name is value`.
A text is a stranger's: of a long one only the beginning counts, and of what it offers only the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from itertools import islice
from typing import Any, TypeVar, cast

import msgspec

_Value = TypeVar("_Value", str, float)
_MAX_CHARACTERS = 4096
_MAX_NAMED = 100  # values that are named
_MAX_LOOSE = 100  # numbers, and quoted texts
_MAX_TRIES = 2000  # whether one of them fits
_MAX_BRACKETS = 200  # of a shown object: else it may nest deeper than Python goes
_MAX_NAME_CHARACTERS = 80
_MAX_NAME_WORDS = 4


class Hints:
    """The values in a text. One that is named belongs to its name; each other one is given out once, in order."""

    __slots__ = ("_expected", "_named", "_numbers", "_texts", "_tries_left")

    def __init__(self, text: str) -> None:
        text = text[:_MAX_CHARACTERS]
        self._named = _named_in(text)
        self._numbers = [_number_of(match[0]) for match in islice(_NUMBER.finditer(text), _MAX_LOOSE)]
        self._texts = [match[0][1:-1] for match in islice(_QUOTED.finditer(text), _MAX_LOOSE)]
        self._expected: set[str] = set()
        self._tries_left = _MAX_TRIES

    def expect(self, names: Set[str]) -> None:
        """Keep these names, and what is said of them, from being taken for the value of something else."""
        new = names - self._expected
        self._expected |= new
        self._texts = [text for text in self._texts if text not in new]
        for said in filter(None, map(self.named, new)):
            number = _number_at_start(said)
            if said in self._texts:
                self._texts.remove(said)
            elif number in self._numbers:
                self._numbers.remove(number)

    def named(self, *names: object) -> str | None:
        """Return what is said of the first of these names of which something is said."""
        keys = [_key(name) for name in names if isinstance(name, str)]
        return next((self._named[key] for key in keys if key in self._named), None)

    def text(self, said: str | None, fits: Callable[[str], bool]) -> str | None:
        """Return what is said of it; where nothing is, take the next quoted text. None where that does not fit."""
        if said is None:
            return self._take(self._texts, fits)
        return said if fits(said) else None

    def number(self, said: str | None, fits: Callable[[float], bool]) -> int | float | None:
        """Return the number that is said of it; where nothing is, take the next. None where that does not fit."""
        if said is None:
            return self._take(self._numbers, fits)
        number = _number_at_start(said)
        return number if number is not None and fits(number) else None

    def _take(self, values: list[_Value], fits: Callable[[_Value], bool]) -> _Value | None:
        tried = values[: self._tries_left]
        place = next((place for place, value in enumerate(tried) if fits(value)), None)
        self._tries_left -= len(tried) if place is None else place + 1
        return None if place is None else values.pop(place)


def object_in(text: str) -> dict[str, Any]:
    """Return the JSON object that a text shows; else what it names: `key = value`, or "with keys a and b"."""
    text = text[:_MAX_CHARACTERS]
    shown = _shown_in(text)
    if shown is not None:
        return shown
    pairs = [(match["key"], _value_at(text, match.end())) for match in islice(_PAIR.finditer(text), _MAX_NAMED)]
    value = {key: _literal(said) for key, said in pairs if said is not None}
    named = _named_in(text)
    for match in _LISTED.finditer(text):
        for name in _NAME.findall(match[cast("int", match.lastindex)]):
            key = name[1:-1] if _QUOTED.fullmatch(name) else name
            if name != "and":
                value.setdefault(key, _literal(named.get(_key(key), "text")))
    return value


def _shown_in(text: str) -> dict[str, Any] | None:
    shown = text[text.find("{") : text.rfind("}") + 1] if "{" in text else ""
    if shown.count("{") + shown.count("[") > _MAX_BRACKETS:
        return None
    try:
        return msgspec.json.decode(shown, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


# --- marks --------------------------------------------------------------------------------------
# No quantifier stands inside one that matches the same characters: the worst 4,096 take some milliseconds.

_MARKS = ('""', "``", "“”", "„“", "«»", "「」")
_SINGLE = r"(?<![a-zA-Z0-9])'(?:[^'\n]|\b'\b){1,200}?'(?![a-zA-Z0-9])"  # an apostrophe is none
_QUOTES = "|".join([*(f"{opening}[^{closing}\\n]{{1,200}}{closing}" for opening, closing in _MARKS), _SINGLE])
_QUOTED = re.compile(_QUOTES)
_NUMBER = re.compile(r"(?<![\w.])-?[0-9]{1,15}(?:\.[0-9]{1,15})?(?!\w|\.[0-9])", re.ASCII)  # as in JSON
_LINK = re.compile(r"[:：]|=+|\bis\b")  # noqa: RUF001 - as Chinese and Japanese have it
_VALUE = re.compile(
    rf"[ \t*]*(?:(?P<quoted>{_QUOTES})"
    r"""|(?P<plain>[^\s"'`“„«「{\[].{0,199}?)(?=[,;!?()"`\n，；。、]|\.\s|\.?$|\b(?:and|or)\b))"""  # noqa: RUF001 - the same
)
_PAIR = re.compile(r"(?<![\w-])(?P<key>[\w-]{1,80})[ \t]*=(?!=)")
_NAME = re.compile(rf"{_QUOTES}|[\w-]+")
_COMMA = r"(?:[ \t]*,[ \t]*(?:and[ \t]+)?|[ \t]+and[ \t]+)"
_QUOTED_NAMES = rf"((?:{_QUOTES})(?:{_COMMA}(?:{_QUOTES})){{0,19}})"
_NAMES = rf"((?:{_NAME.pattern})(?:{_COMMA}(?:{_NAME.pattern})){{0,19}})"
_KEYS = r"\b(?:keys?|fields?)\b"
_LISTED = re.compile(
    rf"{_QUOTED_NAMES}\s+{_KEYS}|{_KEYS}:?\s+{_QUOTED_NAMES}|{_KEYS}:\s+{_NAMES}|\bwith\s+(?:the\s+)?{_KEYS}\s+{_NAMES}"
)


def _named_in(text: str) -> dict[str, str]:
    """What is said of each name; "the first name is Ada" says it of `name` as well as of `first_name`."""
    named: dict[str, str] = {}
    for link in islice(_LINK.finditer(text), _MAX_NAMED):
        said = _value_at(text, link.end())
        before = text[max(0, link.start() - _MAX_NAME_CHARACTERS) : link.start()].rstrip(" \t*\"'`”“»」")
        words = re.findall(r"[^\W_]+", re.split(r"[^\w -]", before)[-1])[-_MAX_NAME_WORDS:]
        if said is not None:
            for start in range(len(words)):
                named.setdefault(_key("".join(words[start:])), said)
    return named


def _value_at(text: str, start: int) -> str | None:
    match = _VALUE.match(text, start)
    if match is None:
        return None
    return match["quoted"][1:-1] if match["quoted"] else match["plain"].rstrip(" \t*'")


def _key(name: str) -> str:
    """A name as it is compared: `customer_name`, `customerName` and "Customer name" are one."""
    return re.sub(r"[\W_]+", "", name[:_MAX_NAME_CHARACTERS]).casefold()


def _number_at_start(said: str) -> int | float | None:
    match = _NUMBER.match(said)
    return None if match is None else _number_of(match[0])


def _number_of(digits: str) -> int | float:
    return float(digits) if "." in digits else int(digits)


def _literal(said: str) -> Any:
    if _NUMBER.fullmatch(said):
        return _number_of(said)
    return {"true": True, "false": False, "null": None}.get(said, said)
