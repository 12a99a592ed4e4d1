"""Regular expressions of JSON schemas, matched in time linear in the text.

A schema is a stranger's, and so is the text that it is held against: an engine that goes back and tries again would
take hours over `(a+)+$`. So a pattern becomes an automaton that is in many states at once (Thompson, 1968), and each
set of states remembers where a character leads. ECMA 262 without what such an automaton cannot do (references back,
looking around) or patterns of schemas do not need (word borders, flags): a pattern with one of these is a ValueError.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

_MOST_STATES = 2_000
_MOST_REPEATS = 1_000
_MOST_DEPTH = 64
_MOST_REMEMBERED = 4_096
_LAST_CHARACTER = 0x10FFFF


class Pattern:
    """One pattern. Raises ValueError for what it does not know, and for what is no pattern."""

    __slots__ = ("_first", "_later", "_next", "_nodes_left", "_states")

    def __init__(self, source: str) -> None:
        self._states: list[_State] = []
        self._nodes_left = 10 * _MOST_STATES  # also those that leave no state behind
        accept = self._add(_State("accept"))
        start = self._compile(_Reader(source).read(), accept)
        self._first = self._closure({start}, at_start=True)
        self._later = self._closure({start}, at_start=False)
        self._next: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def is_found_in(self, text: str, spend: Callable[[int], None]) -> bool:
        """Whether the pattern matches somewhere in the text; `spend` is told of each step and may raise."""
        here = self._first
        for character in text:
            if 0 in here:
                return True
            key = (here, character)
            following = self._next.get(key)
            if following is None:
                spend(len(here) + 1)
                following = self._step(here, character)
                if len(self._next) >= _MOST_REMEMBERED:
                    self._next.clear()
                self._next[key] = following
            spend(1)
            here = following
        return 0 in here or 0 in self._closure(set(here), at_start=not text, at_end=True)

    def _step(self, here: frozenset[int], character: str) -> frozenset[int]:
        reached = {
            self._states[place].out
            for place in here
            if (taken := self._states[place].takes) is not None and taken.has(character)
        }
        return self._closure(reached, at_start=False) | self._later

    def _closure(self, places: set[int], *, at_start: bool, at_end: bool = False) -> frozenset[int]:
        """The states that are reached from these without a character. An end that is not here yet is kept."""
        found: set[int] = set()
        todo = list(places)
        while todo:
            place = todo.pop()
            if place in found:
                continue
            found.add(place)
            state = self._states[place]
            if state.kind == "split" or (state.kind == "start" and at_start) or (state.kind == "end" and at_end):
                todo.append(state.out)
                if state.other is not None:
                    todo.append(state.other)
        return frozenset(found)

    # --- an automaton of it: each node is compiled before what follows it

    def _add(self, state: _State) -> int:
        if len(self._states) >= _MOST_STATES:
            raise ValueError("is too large")
        self._states.append(state)
        return len(self._states) - 1

    def _compile(self, node: _Node, out: int) -> int:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise ValueError("is too large")
        match node:
            case _Set():
                return self._add(_State("set", out, takes=node))
            case _Edge():
                return self._add(_State(node.kind, out))
            case _Sequence():
                for each in reversed(node.nodes):
                    out = self._compile(each, out)
                return out
            case _Choice():
                first, *rest = [self._compile(each, out) for each in node.nodes]
                for other in rest:
                    first = self._add(_State("split", first, other))
                return first
            case _Repeat():
                return self._compile_repeat(node, out)

    def _compile_repeat(self, node: _Repeat, out: int) -> int:
        if node.most is None:
            loop = self._add(_State("split", out, out))
            self._states[loop].other = self._compile(node.node, loop)
            out = loop
        else:
            after = out
            for _ in range(node.most - node.least):
                out = self._add(_State("split", self._compile(node.node, out), after))
        for _ in range(node.least):
            out = self._compile(node.node, out)
        return out


@dataclass(slots=True)
class _State:
    kind: Literal["accept", "set", "split", "start", "end"]
    out: int = 0
    other: int | None = None
    takes: _Set | None = None


# --- what a pattern is made of ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Set:
    """Characters: ranges of them, and Unicode's categories by the beginning of their names."""

    ranges: tuple[tuple[int, int], ...] = ()
    categories: tuple[str, ...] = ()
    is_negated: bool = False
    parts: tuple[_Set, ...] = ()

    def has(self, character: str) -> bool:
        code = ord(character)
        is_in = (
            any(first <= code <= last for first, last in self.ranges)
            or (bool(self.categories) and unicodedata.category(character).startswith(self.categories))
            or any(part.has(character) for part in self.parts)
        )
        return is_in is not self.is_negated


@dataclass(frozen=True, slots=True)
class _Edge:
    kind: Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class _Sequence:
    nodes: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    nodes: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    node: _Node
    least: int
    most: int | None


_Node = _Set | _Edge | _Sequence | _Choice | _Repeat


def _ranges(*texts: str) -> tuple[tuple[int, int], ...]:
    return tuple((ord(text[0]), ord(text[-1])) for text in texts)


_DIGITS = _ranges("09")
_WORDS = _ranges("AZ", "az", "09", "_")
# ECMA 262 §12.2 and §12.3: white space and the ends of lines.
_SPACES = _ranges(
    "\t\r", " ", "\u00a0", "\u1680", "\u2000\u200a", "\u2028\u2029", "\u202f", "\u205f", "\u3000", "\ufeff"
)
_CLASSES = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_DOT = _Set(_ranges("\n", "\r", "\u2028\u2029"), is_negated=True)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_SYNTAX = frozenset("^$\\.*+?()[]{}|/-")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_COUNT = re.compile(r"\{(?P<least>[0-9]{1,9})(?P<comma>,(?P<most>[0-9]{1,9})?)?\}")


@dataclass(slots=True)
class _Reader:
    """Reads a pattern from left to right."""

    source: str
    place: int = 0
    depth: int = field(default=0)

    def read(self) -> _Node:
        node = self._choice()
        if self.place < len(self.source):
            raise ValueError("has a ')' too many")
        return node

    def _choice(self) -> _Node:
        nodes = [self._sequence()]
        while self._take("|"):
            nodes.append(self._sequence())
        return nodes[0] if len(nodes) == 1 else _Choice(tuple(nodes))

    def _sequence(self) -> _Node:
        nodes: list[_Node] = []
        while (character := self._peek()) and character not in "|)":
            nodes.append(self._repeated(self._atom()))
        return _Sequence(tuple(nodes))

    def _repeated(self, node: _Node) -> _Node:
        counts = self._counts()
        if counts is None:
            return node
        if isinstance(node, _Edge):
            raise ValueError("repeats an edge")  # noqa: TRY004 - of a pattern, not of an argument
        self._take("?")  # whether it takes few or many changes nothing of whether it matches
        if self._counts() is not None:
            raise ValueError("repeats a repetition")
        return _Repeat(node, *counts)

    def _counts(self) -> tuple[int, int | None] | None:
        if self._take("*"):
            return 0, None
        if self._take("+"):
            return 1, None
        if self._take("?"):
            return 0, 1
        return self._braces() if self._peek() == "{" else None

    def _braces(self) -> tuple[int, int | None] | None:
        match = _COUNT.match(self.source, self.place)
        if match is None:
            return None  # it stands for itself
        self.place = match.end()
        least = int(match["least"])
        most = least if match["comma"] is None else int(match["most"]) if match["most"] else None
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise ValueError("has a count that is too large, or upside down")
        return least, most

    def _atom(self) -> _Node:
        character = self._next()
        match character:
            case "^":
                return _Edge("start")
            case "$":
                return _Edge("end")
            case ".":
                return _DOT
            case "(":
                return self._group()
            case "[":
                return self._set()
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise ValueError(f"has a {character!r} that repeats nothing")
            case _:
                return _one(character)

    def _group(self) -> _Node:
        if self._take("?") and not self._take(":"):
            if not self._take("<") or self._peek() in ("=", "!", ""):
                raise ValueError("has a group of a kind that is not known here")
            self.place = self.source.find(">", self.place) + 1 or len(self.source)
        self.depth += 1
        if self.depth > _MOST_DEPTH:
            raise ValueError("is nested too deeply")
        node = self._choice()
        self.depth -= 1
        if not self._take(")"):
            raise ValueError("has a '(' that is not closed")
        return node

    def _set(self) -> _Set:
        is_negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        parts: list[_Set] = []
        while not self._take("]"):
            first = self._member()
            if len(first.ranges) != 1 or first.ranges[0][0] != first.ranges[0][1] or first.is_negated:
                parts.append(first)
            elif self._peek() == "-" and self.source[self.place + 1 : self.place + 2] not in ("]", ""):
                self.place += 1
                ranges.append(_range_of(first, self._member()))
            else:
                ranges.extend(first.ranges)
        return _Set(tuple(ranges), is_negated=is_negated, parts=tuple(parts))

    def _member(self) -> _Set:
        character = self._next()
        if character != "\\":
            return _one(character)
        return _one("\b") if self._take("b") else self._escape()

    def _escape(self) -> _Set:
        character = self._next()
        if character.lower() in _CLASSES:
            return _Set(_CLASSES[character.lower()], is_negated=character.isupper())
        if character in _CONTROLS and not (character == "0" and self._peek().isdigit()):
            return _one(_CONTROLS[character])
        if character in ("x", "u"):
            return self._coded(character)
        if character in ("p", "P"):
            return self._category(is_negated=character == "P")
        if character in _SYNTAX or not (character.isalnum() or character == "_"):
            return _one(character)
        raise ValueError(f"has a '\\{character}' that is not known here")

    def _coded(self, kind: str) -> _Set:
        if kind == "u" and self._take("{"):
            digits = self.source[self.place : max(self.place, self.source.find("}", self.place))]
            self.place += len(digits) + 1
        else:
            digits = self.source[self.place : self.place + (2 if kind == "x" else 4)]
            self.place += len(digits)
            if len(digits) < (2 if kind == "x" else 4):
                digits = ""
        if not digits or not _HEX_DIGITS.issuperset(digits) or int(digits, 16) > _LAST_CHARACTER:
            raise ValueError("has a code that is no character's")
        return _one(chr(int(digits, 16)))

    def _category(self, *, is_negated: bool) -> _Set:
        closing = self.source.find("}", self.place)
        name = self.source[self.place + 1 : closing]
        if self._peek() != "{" or name not in _CATEGORIES:
            raise ValueError("has a property of characters that is not known here")
        self.place = closing + 1
        return _Set(categories=(name,), is_negated=is_negated)

    def _peek(self) -> str:
        return self.source[self.place : self.place + 1]

    def _take(self, character: str) -> bool:
        is_here = self._peek() == character
        self.place += is_here
        return is_here

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise ValueError("ends too early")
        self.place += 1
        return character


_CATEGORIES = frozenset(
    {"L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe"}
    | {"Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp"}
)


def _one(character: str) -> _Set:
    return _Set(((ord(character), ord(character)),))


def _range_of(first: _Set, last: _Set) -> tuple[int, int]:
    if len(last.ranges) != 1 or last.ranges[0][0] != last.ranges[0][1] or last.is_negated or last.categories:
        raise ValueError("has a range to what is no character")
    low, high = first.ranges[0][0], last.ranges[0][0]
    if high < low:
        raise ValueError("has a range that is upside down")
    return low, high
