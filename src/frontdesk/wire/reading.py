"""Bytes of a request become a dict and a typed view of it, or a clear 400.

A body is parsed once. The dict is kept for what we carry untouched; the struct holds the fields
that we read. Messages say which field, which value's type, and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Part

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
_PATH = re.compile(r" - at `(?P<path>[^`]*)`$")


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
        raise _explained(error) from None


def required_text(fields: dict[str, Any], name: str, where: str) -> str:
    """Return a field that must be a text; raises BadRequest naming it by its place, as `messages[0].role`."""
    value = fields.get(name)
    if not isinstance(value, str):
        code = "missing_required_parameter" if value is None else "invalid_type"
        raise wrong(f"{where}.{name}", f"{where}.{name} must be a text.", code)
    return value


def read_content(content: Any, where: str, read_part: Callable[[Any, str], Part]) -> str | list[Part]:
    """Return a message's content: plain text, or parts as the wire's own `read_part` reads them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong(where, f"{where} must be a text or a list of parts.", "invalid_type")
    return [read_part(part, f"{where}[{position}]") for position, part in enumerate(cast("list[Any]", content))]


def wrong(param: str, message: str, code: str = "invalid_value") -> BadRequest:
    """Make the error for a field that is there and cannot be used."""
    return BadRequest(message, code=code, param=param)


def unsupported(param: str, remedy: str) -> BadRequest:
    """Make the error for a field that this version does not serve."""
    return BadRequest(f"{param!r} is not supported here. {remedy}", code="unsupported_parameter", param=param)


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


def _explained(error: msgspec.ValidationError) -> BadRequest:
    text = str(error)
    match = _PATH.search(text)
    if match is None:
        missing = re.search(r"missing required field `([^`]+)`", text)
        param = missing.group(1) if missing else None
        code = "missing_required_parameter" if missing else "invalid_type"
        if missing:
            text = f"Missing required parameter: '{param}'"
        return BadRequest(f"{text}.", code=code, param=param)
    param = match["path"].removeprefix("$").removeprefix(".")
    return BadRequest(
        f"Invalid value for '{param}': {_lowered(text[: match.start()])}.", code="invalid_type", param=param or None
    )


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:].replace("`", "'")
