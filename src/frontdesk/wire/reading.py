"""Bytes of a request become a dict and a typed view of it, or a clear 400.

A body is parsed once. The dict is kept for what we carry untouched; the struct holds the fields
that we read. Messages say which field, which value's type, and what would be right.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec

from frontdesk.core.errors import BadRequest

# Above this size the braces are counted before parsing: 5 MB of tiny objects would hold the event
# loop for 44 ms, while 20 MB of one picture take 2.
_SMALL_BYTES = 64 * 1024
_MAX_OBJECTS = 50_000

_decode = msgspec.json.Decoder().decode
_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_PATH = re.compile(r" - at `(?P<path>[^`]*)`$")


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; raises BadRequest (`invalid_json`) for all else."""
    if len(body) > _SMALL_BYTES and body.count(b"{") + body.count(b"[") > _MAX_OBJECTS:
        raise BadRequest(
            f"The body has more than {_MAX_OBJECTS:,} objects and lists. Send fewer, larger parts.", code="too_complex"
        )
    try:
        raw = _decode(body)
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    except RecursionError:
        raise BadRequest("The body's JSON is nested too deeply.", code="invalid_json") from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not valid UTF-8.", code="invalid_json") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.", code="invalid_json")
    return cast("dict[str, Any]", raw)


def view(raw: dict[str, Any], shape: type[_Shape]) -> _Shape:
    """Check the fields that `shape` names and return them typed; raises BadRequest naming the field."""
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        raise _explained(error) from None


def wrong(param: str, message: str, code: str = "invalid_value") -> BadRequest:
    """Make the error for a field that is there and cannot be used."""
    return BadRequest(message, code=code, param=param)


def unsupported(param: str, remedy: str) -> BadRequest:
    """Make the error for a field that this version does not serve."""
    return BadRequest(f"{param!r} is not supported here. {remedy}", code="unsupported_parameter", param=param)


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
