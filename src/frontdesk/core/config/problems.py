"""What is wrong with a configuration: all of it, each problem with its line.

A place is the way to a setting: `("features", "chat", "models", 1)` is spelled features.chat.models[1].
A problem names it in words, and is told at the line where it, or the nearest that holds it, was written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Place = tuple[str | int, ...]


def spelled(place: Place) -> str:
    """A place in words."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or that somebody may have meant otherwise."""

    message: str
    place: Place = ()
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.message if self.file is None else f"{self.file}: {self.message}"
        return f"line {self.line}: {self.message}" if self.file is None else f"{self.file}:{self.line}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used. Each message names the setting, its value and the remedy.

    `problems` are all that were found, by their lines; the text tells one a line.
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Lines:
    """Where each place was written. `file` is None where the text came from no file."""

    file: str | None = None
    by_place: dict[Place, int] = field(default_factory=dict[Place, int])

    def at(self, place: Place) -> int | None:
        """The line of a place, or of the nearest that holds it; None where nothing does."""
        return next(
            (self.by_place[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self.by_place), None
        )


class Problems:
    """Collects problems.

    A value that cannot be read is `lost`: something of its type stands in for it, so that all else can
    still be checked, and what is said about it or its parts afterwards is not told.
    """

    def __init__(self, lines: Lines | None = None) -> None:
        self.lines = Lines() if lines is None else lines
        self._found: list[Problem] = []
        self._lost: set[Place] = set()
        self._secrets: dict[str, str] = {}

    def add(self, place: Place, message: str, line: int | None = None) -> None:
        """Tell a problem of a place; `line` where it is not that of the place."""
        if self.is_lost(place):
            return
        for value in sorted(self._secrets, key=len, reverse=True):  # the longest first: it may begin with another
            message = message.replace(value, self._secrets[value])
        problem = Problem(message, place, self.lines.file, line or self.lines.at(place))
        if problem not in self._found:
            self._found.append(problem)

    def lose(self, place: Place, message: str) -> None:
        """Tell why the value of a place cannot be read."""
        self.add(place, message)
        self._lost.add(place)

    def pass_over(self, place: Place) -> None:
        """Say no more of a place."""
        self._lost.add(place)

    def is_lost(self, place: Place) -> bool:
        """Whether a value, or what holds it, could not be read."""
        return any(place[:end] in self._lost for end in range(len(place) + 1))

    def keep_secret(self, value: str, instead: str) -> None:
        """Let no message of a later problem tell this value, other than by a name for it."""
        if len(value) >= _LEAST_SECRET_CHARS:
            # As it is, and as it is written between quotes.
            self._secrets |= {value: instead, repr(value)[1:-1]: instead, ascii(value)[1:-1]: instead}

    def found(self) -> list[Problem]:
        """All problems by their lines; those that have none come first."""
        return sorted(self._found, key=lambda problem: problem.line or 0)

    def raise_any(self) -> None:
        """Raise ConfigError where there is a problem."""
        found = self.found()
        if found:
            raise ConfigError("\n".join(map(str, found)), found)


_LEAST_SECRET_CHARS = 4  # a shorter one would be taken for a part of the words around it


def remedy_for(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the nearest that is known, else all of them."""
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {nearest[0]!r}?" if nearest else f"Known: {', '.join(names) or 'none'}."


def check_reference(
    problems: Problems, place: Place, name: str, known: Mapping[str, object], family: str, where: Place | None = None
) -> bool:
    """Refuse a name that is not among a family's, such as that of a model; returns whether it is good.

    `where` is the place in words, if not that of the line. Where the family itself could not be read, nobody knows.
    """
    if name in known:
        return True
    if not problems.is_lost((family,)):
        problems.add(
            place, f"{spelled(where or place)} names {name!r}, which is not configured. {remedy_for(name, known)}"
        )
    return False


def check_number(problems: Problems, place: Place, value: float | None, least: float, most: float) -> None:
    """Refuse a number outside of a range."""
    if value is None or least <= value <= most:  # .nan is not: it is neither less nor more than anything
        return
    problems.add(place, f"{spelled(place)} is {_number(value)}. It must be from {_number(least)} to {_number(most)}.")


def _number(value: float) -> str:
    """A number as people write it: 10000000 rather than 1e+07, but 1e+18."""
    return str(int(value)) if abs(value) < _MOST_WRITTEN_OUT and float(value).is_integer() else f"{value:g}"


_MOST_WRITTEN_OUT = 1e15
