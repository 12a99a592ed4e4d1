"""A form's fields as a typed view of them, or a clear 400; the same for all endpoints that take files.

    name=a                     a value
    name[]=a name[]=b          a list, as OpenAI's SDKs write it; several `name=` are one as well, where a list is meant
    name[inner]=a              a field of an object

A field that is left empty says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from frontdesk.turn.items import Upload
from frontdesk.wire.multipart import read_parts
from frontdesk.wire.reading import names_of
from frontdesk.wire.refusing import explained, unsupported, wrong

_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_FIELD = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<inner>.*)\])?")  # of a field deeper inside the path stays as it is


class Form(msgspec.Struct, frozen=True):
    """A form: its texts as JSON would have them, and its files, by the names of their fields."""

    fields: dict[str, Any]
    files: dict[str, list[Upload]]


def read_form(body: bytes, content_type: bytes | None, lists: frozenset[str]) -> Form:
    """Read a form, whose `lists` may be sent repeatedly; raises BadRequest naming the field."""
    fields: dict[str, Any] = {}
    files: dict[str, list[Upload]] = {}
    for name, value in read_parts(body, content_type):
        match = _FIELD.fullmatch(name)
        if match is None:
            raise wrong(name[:64], f"{name[:64]!r} is no field's name.")
        field, inner = match["name"], match["inner"]
        if isinstance(value, Upload):
            if value.content or value.filename:  # a browser sends neither where nobody chose a file
                files.setdefault(field, []).append(value)
        elif inner:
            _put_inner(fields, field, inner, value)
        elif inner is not None or field in lists:
            _append(fields, field, value)
        elif field in fields:
            raise wrong(field, f"{field[:64]!r} came twice. Send it once.")
        else:
            fields[field] = value
    return Form(fields, files)


def check_files(form: Form, known: frozenset[str]) -> None:
    """Raise BadRequest for a file in a field that is none of these, and a text in one that is: either would be dropped
    without a word.
    """
    for field in form.files.keys() - known:
        raise unsupported(field[:64], "No file is read there; leave it out.")
    for field in form.fields.keys() & known:
        if form.fields[field] != "":
            raise wrong(field, f"'{field}' came as a text. Send it as a file.", "invalid_type")


def view_form(fields: Mapping[str, Any], shape: type[_Shape]) -> _Shape:
    """Check the fields that `shape` names, texts that hold numbers and booleans read as such."""
    said = {name: value for name, value in fields.items() if value != "" or name not in names_of(shape)}
    try:
        return msgspec.convert(said, shape, strict=False)
    except msgspec.ValidationError as error:
        raise explained(error, said, shape, "") from None


def one_file(form: Form, field: str) -> Upload:
    """The file that a field must have; raises BadRequest where there is none, an empty one, or several."""
    files = form.files.get(field, [])
    if not files:
        raise wrong(field, f"Missing required parameter: '{field}'. Send it as a file.", "missing_required_parameter")
    if len(files) > 1:
        raise wrong(field, f"'{field}' came {len(files)} times. Send one file.")
    if not files[0].content:
        raise wrong(field, f"The file '{field}' is empty.")
    return files[0]


def _put_inner(fields: dict[str, Any], field: str, inner: str, value: str) -> None:
    told = fields.setdefault(field, {})
    if not isinstance(told, dict) or inner in told:
        raise wrong(field, f"{field[:64]!r} came twice. Send it once.")
    told[inner] = value


def _append(fields: dict[str, Any], field: str, value: str) -> None:
    told: Any = fields.setdefault(field, [])
    if not isinstance(told, list):
        raise wrong(field, f"{field[:64]!r} came as a list and as a value. Send one.")
    cast("list[str]", told).append(value)
