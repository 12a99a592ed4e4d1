"""Google's JSON for protocol buffers, as far as Gemini's requests need it: names, kinds, and what is wrong with them.

A name may be written `maxOutputTokens` or `max_output_tokens`. What comes out has the first spelling, whatever came
in; null is as nothing, one value is a list of one, and numbers may be texts. A name that is not known, and a value
that cannot be, is refused, all of them at once.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple, cast

import msgspec

from frontdesk.core.errors import BadRequest

_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta"
_MAX_DEPTH = 64


class Enum(NamedTuple):
    """A value that is one of these names."""

    name: str
    values: frozenset[str]


class Repeated(NamedTuple):
    """A list."""

    of: Any


class Named(NamedTuple):
    """An object whose names are the caller's own."""

    of: Any


class Form(NamedTuple):
    """An object with these fields, each by its name in lower camel case. A kind of a field is a Form's name as well."""

    name: str
    fields: dict[str, Any]


ANY = "any"
STRUCT = "struct"
STRING, BOOL, BYTES = "TYPE_STRING", "TYPE_BOOL", "TYPE_BYTES"
INT32, INT64, FLOAT = "TYPE_INT32", "TYPE_INT64", "TYPE_FLOAT"
_RANGES = {INT32: 2**31, INT64: 2**63}


def read_form(raw: dict[str, Any], form: Form, forms: dict[str, Form]) -> dict[str, Any]:
    """Return the object with its fields' names as they are in the form; raises BadRequest that names all places."""
    reader = _Reader(forms)
    read = reader.form(raw, form, "", 0)
    if reader.wrong:
        raise BadRequest("\n".join(reader.wrong), code="invalid_value", param=reader.first)
    return read


def snake(name: str) -> str:
    """Return a name as messages of Google's tell it."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


class _Reader:
    def __init__(self, forms: dict[str, Form]) -> None:
        self._forms = forms
        self.wrong: list[str] = []
        self.first: str | None = None

    def form(self, raw: dict[str, Any], form: Form, where: str, depth: int) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, value in raw.items():
            known = name if name in form.fields else _camel(name)
            if known not in form.fields:
                place = f" at '{where}'" if where else ""
                self._add(where, f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.')
            elif value is not None:
                inside = f"{where}.{snake(known)}".removeprefix(".")
                read[known] = self._value(value, form.fields[known], inside, depth + 1)
        return read

    def _value(self, value: Any, kind: Any, where: str, depth: int) -> Any:
        if isinstance(kind, Repeated):
            values = cast("list[Any]", value) if isinstance(value, list) else [value]
            return [self._value(each, kind.of, f"{where}[{place}]", depth) for place, each in enumerate(values)]
        if isinstance(kind, Named):
            if not isinstance(value, dict):
                return self._refuse(where, "Map", value)
            named = cast("dict[str, Any]", value)
            return {name: self._value(each, kind.of, f"{where}[{name!r}]", depth) for name, each in named.items()}
        if isinstance(kind, Enum):
            return self._enum(value, kind, where)
        if isinstance(kind, str) and kind in self._forms:
            kind = self._forms[kind]
        if isinstance(kind, Form):
            if not isinstance(value, dict) or depth > _MAX_DEPTH:
                return self._refuse(where, f"{_PACKAGE}.{kind.name}", value)
            return self.form(cast("dict[str, Any]", value), kind, where, depth)
        return self._scalar(value, cast("str", kind), where)

    def _scalar(self, value: Any, kind: str, where: str) -> Any:
        match kind:
            case "any":
                return value
            case "struct":
                is_object = isinstance(value, dict)
                return cast("Any", value) if is_object else self._refuse(where, "google.protobuf.Struct", value)
            case "TYPE_STRING":
                return value if isinstance(value, str) else self._refuse(where, kind, value)
            case "TYPE_BOOL":
                return value if isinstance(value, bool) else self._refuse(where, kind, value)
            case "TYPE_BYTES":
                is_good = isinstance(value, str) and _is_base64(value)
                return value if is_good else self._refuse(where, kind, value, ", Base64 decoding failed")
            case "TYPE_FLOAT":
                number = _number(value)
                return self._refuse(where, kind, value) if number is None else number
            case _:
                number = _number(value)
                if number is None or number != int(number) or not -_RANGES[kind] <= number < _RANGES[kind]:
                    return self._refuse(where, kind, value)
                return int(number)

    def _enum(self, value: Any, kind: Enum, where: str) -> str | None:
        if isinstance(value, str) and value.upper() in kind.values:
            return value.upper()
        return self._refuse(where, f"{_PACKAGE}.{kind.name}", value)

    def _refuse(self, where: str, kind: str, value: Any, more: str = "") -> None:
        shown = msgspec.json.encode(value).decode()
        self._add(where, f"Invalid value at '{where}' ({kind}){more}, {shown[:64]}")

    def _add(self, where: str, said: str) -> None:
        self.first = self.first or where
        self.wrong.append(said)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        return float(value) if isinstance(value, str) and len(value) < 40 and "_" not in value else None
    except ValueError:
        return None


def _is_base64(text: str) -> bool:
    """Both alphabets, with or without the padding: so Google reads bytes."""
    try:
        base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
