"""Values of variables: what a request sends becomes words that may stand inside instructions.

Values come as texts and are checked against their type. A text can neither close a tag or a quote of the
instructions that it stands in nor, unless it is multiline, begin a line of its own:

    what cannot be seen                   left out: control, format and bidirectional characters, and those that Unicode
                                          ignores by default, such as variation selectors and fillers
    white space of any width              a space; the end of a line: a space, or a line break if it is multiline
    & < > " ' `, also fullwidth, small    entities
    a combining mark at the beginning     left out: it would change what stands before it
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING

from frontdesk.core.locality import (
    CONSENT,
    MAX_PLACE_CHARS,
    could_be_exact,
    read_coordinates,
    read_locale,
    read_zone,
)

if TYPE_CHECKING:
    from frontdesk.core.config import Variable


class ValueRefused(ValueError):
    """A value does not fit its variable; the message says what would, and reads on from the variable's name."""


def read_value(variable: Variable, text: str) -> str:
    """Return a value that a request sends as it stands in instructions. Raises ValueRefused.

    A location is read only where consent stands behind it. What is wrong with one is told without its words.
    """
    if variable.type != "location":
        return read_default(variable, text)
    place, _, mark = text.rpartition(";")
    if mark.strip() != CONSENT:
        raise ValueRefused(
            f"needs consent. Write ';{CONSENT}' behind the place where its person agrees, else leave it out."
        )
    return read_default(variable, place)


def read_default(variable: Variable, text: str) -> str:
    """Return a value of the configuration's own as it stands in instructions. Raises ValueRefused."""
    match variable.type:
        case "text":
            return _escaped(_clean_text(variable, text))
        case "choice":
            if text not in variable.choices:
                raise ValueRefused(
                    f"is {told_value(text)}. It must be one of {', '.join(map(repr, variable.choices))}."
                )
            return _escaped(_cleaned(text, is_multiline=True))
        case "boolean":
            if text.lower() not in ("true", "false"):
                raise ValueRefused(f"is {told_value(text)}. It must be 'true' or 'false'.")
            return text.lower()
        case "integer":
            if not _INTEGER.fullmatch(text):
                raise ValueRefused(f"is {told_value(text)}. It must be an integer.")
            return _within(variable, int(text), str(int(text)))
        case "number":
            if not _NUMBER.fullmatch(text) or math.isinf(float(text)):
                raise ValueRefused(f"is {told_value(text)}. It must be a number.")
            return _within(variable, float(text), _number(float(text)))
        case "locale":
            return _known(read_locale(text), text, "a language tag of BCP 47, as 'de-DE'")
        case "time_zone":
            return _known(read_zone(text), text, "a time zone that this server knows, as 'Europe/Berlin'")
        case "location":
            return _place(text)
        case "screen":
            if not (screen := _clean_text(variable, text).strip()):
                raise ValueRefused("is empty. It must be a screen's name.")
            return _escaped(screen)


def told_value(text: str) -> str:
    """A value as an error tells it."""
    return ascii(text) if len(text) <= _MAX_TOLD_CHARS else f"a text of {len(text)} characters"


def plain_words(text: str) -> str:
    """A text of anybody's as it may stand among instructions: on one line, as values of variables are."""
    return _escaped(_cleaned(text, is_multiline=False))


_MAX_TOLD_CHARS = 64
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE_BELOW = 1e16


def _within(variable: Variable, value: float, told: str) -> str:
    if variable.least is not None and value < variable.least:
        raise ValueRefused(f"is {told}. It must be at least {_number(variable.least)}.")
    if variable.most is not None and value > variable.most:
        raise ValueRefused(f"is {told}. It must be at most {_number(variable.most)}.")
    return told


def _number(value: float) -> str:
    """A number as people write it: 2 for 2.0 and for -0.0, 0."""
    return str(int(value)) if float(value).is_integer() and abs(value) < _WHOLE_BELOW else repr(value)


def _known(read: str | None, text: str, wanted: str) -> str:
    if read is None:
        raise ValueRefused(f"is {told_value(text)}. It must be {wanted}.")
    return read


def _place(text: str) -> str:
    coordinates = read_coordinates(text)
    if coordinates is not None:
        return coordinates
    place = _clean_line(text, MAX_PLACE_CHARS, is_multiline=False).strip()
    if not place or could_be_exact(place):
        raise ValueRefused(
            "is no coarse place. It must be a latitude and a longitude rounded to 0.1 degree, as '52.5,13.4', or the "
            "name of a place, without digits."
        )
    return _escaped(place)


def _clean_text(variable: Variable, text: str) -> str:
    return _clean_line(text, variable.max_chars, is_multiline=variable.is_multiline)


def _clean_line(text: str, max_chars: int, *, is_multiline: bool) -> str:
    if len(text) <= 4 * max_chars:  # what is much too long is not worth the reading
        cleaned = _cleaned(text, is_multiline=is_multiline)
        if len(cleaned) <= max_chars:
            return cleaned
    raise ValueRefused(f"is a text of {len(text)} characters. It may have at most {max_chars}.")


_BREAKS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_WIDTHS = re.compile(r"[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")  # tabs, and all of Zs
_LEFT_OUT = frozenset({"Cc", "Cf", "Cs"})
# Default_Ignorable_Code_Point, as of Unicode 16, where the category does not tell; and the empty Braille cell.
_UNSEEN = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    r"\U000e0000-\U000e0fff]"
)
_ENTITIES = {
    ord(char): entity
    for chars, entity in (
        ("&\uff06\ufe60", "&amp;"),
        ("<\uff1c\ufe64", "&lt;"),
        (">\uff1e\ufe65", "&gt;"),
        ('"\uff02', "&quot;"),
        ("'\uff07", "&#39;"),
        ("`\uff40", "&#96;"),
    )
    for char in chars
}


def _cleaned(text: str, *, is_multiline: bool) -> str:
    """The characters that can be seen, composed (NFC). That makes a '`' of U+1FEF: escape afterwards."""
    if not (text.isascii() and text.isprintable()):
        lines = _WIDTHS.sub(" ", _UNSEEN.sub("", _BREAKS.sub("\n", text))).split("\n")
        lines = ["".join(char for char in line if unicodedata.category(char) not in _LEFT_OUT) for line in lines]
        text = unicodedata.normalize("NFC", ("\n" if is_multiline else " ").join(lines))
    start = next((place for place, char in enumerate(text) if unicodedata.category(char)[0] != "M"), len(text))
    return text[start:]


def _escaped(text: str) -> str:
    return text.translate(_ENTITIES)
