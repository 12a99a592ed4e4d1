r"""Templates of instructions: texts with places for variables, `{{name}}`, or for parts of some, `{{name.part}}`.

Values are put in as they are, in one pass: a value that holds `{{name}}` itself stays what it is. A
literal `{{` is written `\{{`; braces that stand alone, as JSON's, need nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,53}")
"""What a variable may be called. `variables.NAME` is a key of metadata, which OpenAI holds to 64 characters."""

_NAME_OR_PART = re.compile(rf"{NAME.pattern}(?:\.[a-z]+)?")
_PLACE = re.compile(r"\\\{\{|\{\{(?P<inside>[^{}\n]*)(?P<end>\}\})?")


class TemplateError(ValueError):
    """A text is no template; the message names its line and the remedy."""


class Template:
    """A text with places for variables. `names` are these, parts by their own, in the order of their first place."""

    __slots__ = ("_pieces", "names")

    def __init__(self, pieces: tuple[str, ...]) -> None:
        """Take words and names by turns, words first and last."""
        self._pieces = pieces
        self.names = tuple(dict.fromkeys(pieces[1::2]))

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with a value for each name. Raises KeyError where one is missing."""
        pieces = list(self._pieces)
        pieces[1::2] = [values[name] for name in pieces[1::2]]
        return "".join(pieces)


def parse_template(text: str) -> Template:
    """Read a template. Raises TemplateError naming the line."""
    pieces: list[str] = []
    words: list[str] = []
    end = 0
    for place in _PLACE.finditer(text):
        words.append(text[end : place.start()])
        end = place.end()
        if place["inside"] is None:
            words.append("{{")
            continue
        pieces += ["".join(words), _name_at(place, text)]
        words = []
    return Template((*pieces, "".join([*words, text[end:]])))


def _name_at(place: re.Match[str], text: str) -> str:
    name = place["inside"].strip()
    if place["end"] and _NAME_OR_PART.fullmatch(name):
        return name
    line = text.count("\n", 0, place.start()) + 1
    written = place[0] if len(place[0]) <= _MAX_TOLD_CHARS else f"{place[0][:_MAX_TOLD_CHARS]}…"
    fault = (
        f"Line {line} has {written!r}, which is no variable"
        if place["end"]
        else f"Line {line} does not end {written!r}"
    )
    raise TemplateError(f"{fault}. Write a variable as '{{{{name}}}}', and a literal '{{{{' as '\\{{{{'.")


_MAX_TOLD_CHARS = 40
