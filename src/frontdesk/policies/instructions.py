"""A feature's instructions: a template, and what a request's values make of it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from frontdesk.core.config import CLIENTS_OWN, Feature
from frontdesk.core.config.problems import remedy_for
from frontdesk.core.errors import BadRequest
from frontdesk.core.locality import local_times
from frontdesk.core.templates import parse_template
from frontdesk.core.variables import ValueRefused, read_default, read_value
from frontdesk.turn.verbatim import GAP, LEAST_CHARS, RUN_CHARS

_EDGE_CHARS = RUN_CHARS - LEAST_CHARS
_MAX_TOLD_CHARS = 64
_VERSION_DIGITS = 12


class Rendered(NamedTuple):
    """Instructions for one turn: the text for the model, and what of it no caller may read."""

    text: str
    unreadable: str


class Instructions:
    """The instructions of a feature, which may have none.

    `version` tells texts apart as they are configured, whatever values requests put in; "" where there is none.
    """

    def __init__(self, name: str, feature: Feature) -> None:
        self._name = name
        self.version = "" if feature.instructions is None else version_of(feature.instructions)
        # Composed, as models write: what repeats them word for word is then the same characters.
        text = None if feature.instructions is None else unicodedata.normalize("NFC", feature.instructions)
        self._template = None if text is None else parse_template(text)
        self._variables = feature.variables
        # Of these a part is told as well: the time in the zone that they name.
        self._zones = {
            name.partition(".")[0] for name in (self._template.names if self._template else ()) if "." in name
        }
        self._defaults = {
            name: read_default(variable, variable.default)
            for name, variable in feature.variables.items()
            if variable.default is not None
        }

    def render(self, given: Mapping[str, str], at_s: float) -> Rendered | None:
        """Put in the values of a request that came at this time. None where there are no instructions.

        Raises BadRequest naming a variable that is unknown, missing, or has a value that it cannot have.
        """
        values = dict(self._defaults)
        for name, value in given.items():
            values[name] = self._read(name, value)
        if self._template is None:
            return None
        for name in self._variables:
            if name not in values:
                how = _HOW_OF_CLIENTS if self._variables[name].type in CLIENTS_OWN else _HOW
                raise _wrong(name, "missing_variable", f"The feature {self._name!r} needs the variable {name!r}. {how}")
        for name in self._zones:
            times = local_times(values[name], at_s)
            values |= {f"{name}.{part}": time for part, time in times._asdict().items()}
        text = self._template.render(values)
        if all(len(value) <= _EDGE_CHARS for value in values.values()):
            return Rendered(text, text)
        return Rendered(text, self._template.render({name: _without_middle(value) for name, value in values.items()}))

    def _read(self, name: str, value: str) -> str:
        variable = self._variables.get(name)
        if variable is None:
            raise unknown_variable(name, f"The feature {self._name!r} has no variable {_told(name)}.", self._variables)
        try:
            return read_value(variable, value)
        except ValueRefused as error:
            raise _wrong(name, "invalid_variable", f"The variable {name!r} {error}") from None


def version_of(instructions: str) -> str:
    """The first 48 bits of SHA-256 in hex: to recognise a text by, of as many as anybody writes for a feature."""
    return hashlib.sha256(instructions.encode()).hexdigest()[:_VERSION_DIGITS]


def unknown_variable(name: str, fault: str, known: Mapping[str, object]) -> BadRequest:
    """The error for a value that nothing takes."""
    remedy = remedy_for(name[:_MAX_TOLD_CHARS], known) if known else "Leave it out."
    return _wrong(name, "unknown_variable", f"{fault} {remedy}")


def _without_middle(value: str) -> str:
    """A value as far as a run reaches into it that is the server's own in part: answers may repeat what was sent."""
    return value if len(value) <= _EDGE_CHARS else f"{value[:_EDGE_CHARS]}{GAP}{value[-_EDGE_CHARS:]}"


def _wrong(name: str, code: str, message: str) -> BadRequest:
    return BadRequest(message, code=code, param=f"variables.{name[:_MAX_TOLD_CHARS]}")


def _told(name: str) -> str:
    return repr(name) if len(name) <= _MAX_TOLD_CHARS else f"of {len(name)} characters"


_HOW = "Send it as metadata 'variables.NAME', or to /v1/responses in 'prompt.variables'."
_HOW_OF_CLIENTS = f"Send it in the header Frontdesk-Context. Or {_HOW[0].lower()}{_HOW[1:]}"
