"""Bytes of a request become a dict and a typed view of it, or a clear 400.

A body is parsed once. The dict is kept for what we carry untouched; the struct says which fields we
know, and of which types. Each field of OpenAI's is read, passed on to the provider, or refused by
name. Messages name the field by its path, what it holds, and what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Part
from frontdesk.wire.refusing import explained, told, unsupported, wrong

# Parsing holds the event loop, and the cost lies in the number of values, not in their size: 1.5 million
# keys in 18 MB take 0.5 s, one picture of 20 MB takes 4 ms. At these caps it is 25 ms.
_MAX_OBJECTS = 50_000
_MAX_STRINGS = 200_000  # keys and texts
_MAX_VALUES = 500_000  # token ids, mostly: OpenAI takes 300,000 a request
_UNCOUNTED_BYTES = 64 * 1024  # too small to reach a cost that matters
# What handles a parsed body recurses, and Python's limit is shared with all that called it.
_MAX_DEPTH = 64
_CONTAINERS = frozenset({dict, list})
_SMALL_BYTES = 4096  # up to here counting brackets is cheaper than walking through the values

_decode = msgspec.json.Decoder().decode
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


class Refused(msgspec.Struct, frozen=True):
    """A field that is not served, and what to do instead. Of `harmless` values it says nothing."""

    remedy: str
    harmless: tuple[Any, ...] = (None,)


class Kinds:
    """Objects that one of their fields tells apart, as messages by their role.

    `shapes` are read. `refused` are not served: for each the remedy. Others are strangers: carried
    on for providers that may know them where `carries`, else wrong. `default` is the kind of an object
    that names none.
    """

    __slots__ = ("carries", "default", "field", "refused", "shapes")

    def __init__(
        self,
        field: str,
        shapes: Mapping[str, type[msgspec.Struct]],
        *,
        refused: Mapping[str, str] | None = None,
        carries: bool = False,
        default: str | None = None,
    ) -> None:
        self.field = field
        self.shapes = shapes
        self.refused = refused or {}
        self.carries = carries
        self.default = default

    def typed(self, value: Any, where: str) -> msgspec.Struct | None:
        """Return the object at `where` by its shape; None for a stranger. Raises BadRequest."""
        if type(value) is not dict:
            raise wrong(where, f"'{where}' must be an object, not {told(value)}.", "invalid_type")
        fields = cast("dict[str, Any]", value)
        kind = fields.get(self.field)
        if kind is None:
            kind = self.default
        shape = self.shapes.get(kind) if type(kind) is str else None  # a list is no key
        if shape is None:
            self._check_stranger(kind, f"{where}.{self.field}")
            return None
        try:
            return msgspec.convert(fields, shape)
        except msgspec.ValidationError as error:
            raise explained(error, fields, shape, where) from None

    def _check_stranger(self, kind: Any, where: str) -> None:
        if type(kind) is str:
            if kind in self.refused:
                raise BadRequest(
                    f"{kind!r} in '{where}' is not supported here. {self.refused[kind]}",
                    code="unsupported_parameter",
                    param=where,
                )
            if self.carries:
                return
        known = ", ".join(self.shapes)
        if kind is None:
            raise wrong(where, f"Missing required parameter: '{where}', one of {known}.", "missing_required_parameter")
        raise wrong(where, f"'{where}' is {told(kind)}. It must be one of {known}.")


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; raises BadRequest (`invalid_json`, `too_complex`) for all else.

    No object or list that it returns lies deeper than 64, the body itself being the first.
    """
    if len(body) > _UNCOUNTED_BYTES and _may_be_too_complex(body):
        _check_counts(body)
    try:
        raw = _decode(body)
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not valid UTF-8.", code="invalid_json") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.", code="invalid_json")
    if len(body) > _SMALL_BYTES or body.count(b"{") + body.count(b"[") > _MAX_DEPTH:
        _check_depth(cast("dict[str, Any]", raw))
    return cast("dict[str, Any]", raw)


def view(raw: dict[str, Any], shape: type[_Shape]) -> _Shape:
    """Check the fields that `shape` names and return them typed; raises BadRequest naming the field."""
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        raise explained(error, raw, shape, "") from None


def refuse(raw: dict[str, Any], refused: Mapping[str, Refused], where: str = "") -> None:
    """Raise BadRequest for the first field that is not served; `where` names the object, as `reasoning.`."""
    for name, value in raw.items():
        if name in refused and value not in refused[name].harmless:
            raise unsupported(f"{where}{name}", refused[name].remedy)


def others(raw: dict[str, Any], known: frozenset[str]) -> dict[str, Any] | None:
    """Return the fields that are not known and say something; None where there are none."""
    return {name: value for name, value in raw.items() if name not in known and value is not None} or None


def names_of(shape: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names that a shape's fields have on the wire."""
    return frozenset(shape.__struct_encode_fields__)


def read_content(
    content: str | list[dict[str, Any]], where: str, read_part: Callable[[Any, str], Part]
) -> str | list[Part]:
    """Return a message's content: plain text, or parts as the wire's own `read_part` reads them."""
    if isinstance(content, str):
        return content
    return [read_part(part, f"{where}[{position}]") for position, part in enumerate(content)]


def _may_be_too_complex(body: bytes) -> bool:
    """Look without telling texts from structure: cheap, and never wrong about what is simple."""
    if b"\\" not in body:
        return True  # without escapes the exact look is as quick as this one
    return (
        body.count(b"{") + body.count(b"[") > _MAX_OBJECTS
        or body.count(b",") > _MAX_VALUES
        or body.count(b'"') > 2 * _MAX_STRINGS
    )


def _check_counts(body: bytes) -> None:
    """Count what stands outside of texts. Where the body is no JSON, parsing will say so."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    pieces = body.split(b'"', 2 * _MAX_STRINGS + 1)
    if len(pieces) > 2 * _MAX_STRINGS + 1:
        raise _too_complex(_MAX_STRINGS, "keys and texts")
    outside = b"".join(pieces[::2])
    if outside.count(b"{") + outside.count(b"[") > _MAX_OBJECTS:
        raise _too_complex(_MAX_OBJECTS, "objects and lists")
    if outside.count(b",") > _MAX_VALUES:
        raise _too_complex(_MAX_VALUES, "values")


def _check_depth(raw: dict[str, Any]) -> None:
    level: list[dict[str, Any] | list[Any]] = [raw]
    for _ in range(_MAX_DEPTH):
        level = [
            cast("dict[str, Any] | list[Any]", inner)
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> BadRequest:
    return BadRequest(
        f"The body's JSON is nested too deeply: at most {_MAX_DEPTH} objects and lists within each other.",
        code="invalid_json",
    )


def _too_complex(limit: int, what: str) -> BadRequest:
    return BadRequest(f"The body has more than {limit:,} {what}. Send fewer, larger parts.", code="too_complex")
