"""Versions of apps, and which of two is the later one (Semantic Versioning 2.0.0 §9 to §11)."""

from __future__ import annotations

import re
from typing import NamedTuple

_MAX_CHARS = 64
# One number, two or three: many apps count without the last ones. What is not there is 0.
_VERSION = re.compile(
    r"(?P<numbers>(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){0,2})"
    r"(?:-(?P<before>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z.-]+)?"
)
_Identifier = tuple[int, int, str]


class Version(NamedTuple):
    """A version, in such parts that the later one is the greater one.

    `before` are the identifiers of a pre-release; a release, which has none, is later than all of them.
    """

    numbers: tuple[int, ...]
    is_release: bool
    before: tuple[_Identifier, ...]


def read_version(text: str) -> Version | None:
    """Read a version as 1.4.0, 2.0 or 1.4.0-beta.2; None where it is none. What is behind a `+` says nothing."""
    match = _VERSION.fullmatch(text) if len(text) <= _MAX_CHARS else None
    if match is None:
        return None
    numbers = [int(number) for number in match["numbers"].split(".")]
    before = [] if match["before"] is None else match["before"].split(".")
    return Version((*numbers, *[0] * (_NUMBERS - len(numbers))), not before, tuple(map(_identifier, before)))


_NUMBERS = 3


def _identifier(text: str) -> _Identifier:
    """One that is a number is earlier than any word, and counts by what it is."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)
