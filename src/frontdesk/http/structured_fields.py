"""Dictionaries of Structured Fields (RFC 9651, which RFC 8941 became): headers of named values with parameters.

Read strictly, whatever type a value has, so that what nobody needs can be passed over. Texts, tokens and truth values
come as they are, and of all else only that it is there: nobody here has a use for more.

    dictionary  = member *( OWS "," OWS member )        member = key [ "=" ( item / inner-list ) ] parameters
    item        = bare parameters                       parameters = *( ";" *SP key [ "=" bare ] )
    inner-list  = "(" *SP [ item *( 1*SP item ) *SP ] ")" parameters
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple

Bare = str | bool | None
"""A string, a display string or a token as text; a boolean; None for numbers, bytes, dates and lists of items."""


class Member(NamedTuple):
    """A value of a dictionary, and what stands behind it after semicolons."""

    value: Bare
    parameters: Mapping[str, Bare]


class MalformedField(ValueError):
    """A header is no dictionary; the message says where, and what would have to be there. It repeats no value."""


def parse_dictionary(field: str) -> dict[str, Member]:
    """Read a header's value. Of members with one name the last counts (RFC 9651 §4.2.2). Raises MalformedField."""
    return _Reader(field).dictionary()


def render_dictionary(members: Mapping[str, Member]) -> str:
    """Write texts and truth values as a header's value, as `parse_dictionary` reads them."""
    return ", ".join(
        f"{name}{_rendered(member.value)}"
        + "".join(f";{each}{_rendered(value)}" for each, value in member.parameters.items())
        for name, member in members.items()
    )


def _rendered(value: Bare) -> str:
    """What stands behind a name; behind one that is true, nothing."""
    if value is True:
        return ""
    if not isinstance(value, str):
        return "=?0"
    if value.isascii() and value.isprintable():
        return '="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return '=%"' + "".join(_percented(byte) for byte in value.encode()) + '"'


def _percented(byte: int) -> str:
    return chr(byte) if 0x20 <= byte <= 0x7E and byte not in b'%"' else f"%{byte:02x}"


_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_SPACES = re.compile(" *")
_WHITE = re.compile("[ \t]*")
# Of each type, by the character that it begins with (§4.2.3.1). A number ends where no digit and no dot follows.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_DISPLAY = re.compile(r'%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"')
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_BOOLEAN = re.compile(r"\?([01])")
_NUMBER = re.compile(r"-?(?:[0-9]{1,12}\.[0-9]{1,3}|[0-9]{1,15})(?![0-9.])")
_DATE = re.compile(r"@-?[0-9]{1,15}(?![0-9.])")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_ESCAPED = re.compile(r"\\(.)")
_PERCENTED = re.compile(rb"%([0-9a-f]{2})")


class _Reader:
    """Reads one header, from left to right."""

    def __init__(self, field: str) -> None:
        self._text = field.rstrip(" ")
        self._place = 0

    def dictionary(self) -> dict[str, Member]:
        members: dict[str, Member] = {}
        self._skip(_SPACES)
        while not self._is_at_end:
            name = self._key()
            members[name] = self._member()
            self._skip(_WHITE)
            if self._is_at_end:
                break
            self._expect(",", "',' and another member")
            self._skip(_WHITE)
            if self._is_at_end:
                raise self._wrong("another member behind the last ','")
        return members

    def _member(self) -> Member:
        if not self._takes("="):
            return Member(value=True, parameters=self._parameters())
        if self._takes("("):
            self._inner_list()
            return Member(None, self._parameters())
        return Member(self._bare(), self._parameters())

    def _inner_list(self) -> None:
        self._skip(_SPACES)
        while not self._takes(")"):
            self._bare()
            self._parameters()
            if not self._text.startswith((" ", ")"), self._place):
                raise self._wrong("' ' or ')'")
            self._skip(_SPACES)

    def _parameters(self) -> dict[str, Bare]:
        parameters: dict[str, Bare] = {}
        while self._takes(";"):
            self._skip(_SPACES)
            name = self._key()
            parameters[name] = self._bare() if self._takes("=") else True
        return parameters

    def _key(self) -> str:
        return self._match(_KEY, "a name of small letters")[0]

    def _bare(self) -> Bare:
        first = self._text[self._place : self._place + 1]
        if first == '"':
            return _ESCAPED.sub(r"\1", self._match(_STRING, "a string in quotes, of ASCII, that ends")[1])
        if first == "%":
            return self._display_string()
        if first == "?":
            return self._match(_BOOLEAN, "'?0' or '?1'")[1] == "1"
        if first == ":":
            self._bytes()
        elif first == "@":
            self._match(_DATE, "a date, which is '@' and whole seconds")
        elif first in _BEGINS_NUMBER and first:
            self._match(_NUMBER, "a number of at most 15 digits, or 12 before the dot and 3 behind it")
        else:
            return self._match(_TOKEN, "a value")[0]
        return None

    def _display_string(self) -> str:
        wanted = 'a display string, which is %"…" with UTF-8 as %c3%bc'
        begins = self._place
        encoded = self._match(_DISPLAY, wanted)[1].encode()
        try:
            return _PERCENTED.sub(lambda match: bytes.fromhex(match[1].decode()), encoded).decode()
        except UnicodeDecodeError:
            self._place = begins
            raise self._wrong(wanted) from None

    def _bytes(self) -> None:
        wanted = "bytes, which are base64 between two ':'"
        begins = self._place
        try:
            base64.b64decode(self._match(_BYTES, wanted)[1], validate=True)
        except binascii.Error:
            self._place = begins
            raise self._wrong(wanted) from None

    # --- steps --------------------------------------------------------------------------------

    @property
    def _is_at_end(self) -> bool:
        return self._place >= len(self._text)

    def _skip(self, white: re.Pattern[str]) -> None:
        match = white.match(self._text, self._place)
        self._place = self._place if match is None else match.end()

    def _takes(self, char: str) -> bool:
        takes = self._text.startswith(char, self._place)
        self._place += takes
        return takes

    def _expect(self, char: str, wanted: str) -> None:
        if not self._takes(char):
            raise self._wrong(wanted)

    def _match(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        match = pattern.match(self._text, self._place)
        if match is None:
            raise self._wrong(wanted)
        self._place = match.end()
        return match

    def _wrong(self, wanted: str) -> MalformedField:
        return MalformedField(f"At character {self._place + 1} it needs {wanted}.")


_BEGINS_NUMBER = "-0123456789"
