"""What is wrong with a request, in words for people: the field by its path, what it holds, what would be right."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest

_MAX_TOLD_CHARS = 64


def wrong(param: str, message: str, code: str = "invalid_value") -> BadRequest:
    """Make the error for a field that is there and cannot be used."""
    return BadRequest(message, code=code, param=param)


def unsupported(param: str, remedy: str) -> BadRequest:
    """Make the error for a field that this version does not serve."""
    return BadRequest(f"{param!r} is not supported here. {remedy}", code="unsupported_parameter", param=param)


def told(value: Any) -> str:
    """A value as an error tells it: short, and long ones by their kind."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(cast('list[Any]', value))}"
    if isinstance(value, str):
        return repr(value) if len(value) <= _MAX_TOLD_CHARS else f"a text of {len(value)} characters"
    return msgspec.json.encode(value).decode()[:_MAX_TOLD_CHARS]


def explained(error: msgspec.ValidationError, raw: Any, shape: Any, where: str) -> BadRequest:
    """Make the error of a conversion to `shape`; `where` is the path of the object `raw`, "" for a body."""
    text = str(error)
    match = _PATH.search(text)
    path = match["path"] if match else ""
    said = text[: match.start()] if match else text
    param = (where + path).replace("[...]", "").removeprefix(".")
    missing, unknown = _MISSING.match(said), _UNKNOWN.match(said)
    if missing:
        param = f"{param}.{missing[1]}".removeprefix(".")
        return wrong(param, f"Missing required parameter: '{param}'.", "missing_required_parameter")
    if unknown:
        param = f"{param}.{unknown[1][:_MAX_TOLD_CHARS]}".removeprefix(".")
        return unsupported(param, "It is not known here; leave it out.")
    found = list(_found(raw, path))
    if said.startswith("Invalid "):  # a value that is none of an enumeration's, or a kind that nothing has
        choices = _choices(shape, path)
        remedy = f" It must be one of {', '.join(choices)}." if choices else ""
        return wrong(param, f"Invalid value for '{param}': {told(found[0]) if found else 'this'}.{remedy}")
    if match and match["key"]:
        return wrong(param, f"Invalid value for '{param}': {_expected(said)} as each key.")
    code = "invalid_type" if "got `" in said else "invalid_value"
    instead = f", not {told(found[0])}" if found else ""
    return wrong(param, f"Invalid value for '{param}': {_expected(said)}{instead}.", code)


_PATH = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_EXPECTED = re.compile(r"Expected (?P<what>.+?)(?:, got `.*`)?$")
_NO_LINE_BEHIND = r"(?!\\n)"  # of a pattern: Python's "$" alone would let a line's end pass
_TYPES = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}


def _expected(said: str) -> str:
    """`Expected `float | null`, got `str`` becomes: expected a number or null."""
    said = said.replace(_NO_LINE_BEHIND, "")
    match = _EXPECTED.match(said)
    if match is None:
        return said[:1].lower() + said[1:].replace("`", "'")
    kinds = re.match(r"`([a-z| ]+)`(.*)", match["what"])
    if kinds is None:
        return f"expected {match['what']}".replace("`", "'")
    names = " or ".join(_TYPES.get(name, name) for name in kinds[1].split(" | "))
    return f"expected {names}{kinds[2]}"


def _found(value: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a path of msgspec's; nothing where it names no single place."""
    for step in _STEP.finditer(path):
        try:
            if step["any"]:
                return
            value = value[step["name"]] if step["name"] else value[int(step["index"])]
        except (KeyError, IndexError, TypeError):
            return
    yield value


def _choices(shape: Any, path: str) -> list[str]:
    """The values that an enumeration at this path has, or the kinds that its objects may have."""
    kinds = [shape]
    for step in _STEP.finditer(path):
        if step["name"]:
            kinds = [inner for kind in kinds for inner in _field_types(kind, step["name"])]
        else:
            kinds = [inner for kind in kinds for inner in _flat(typing.get_args(kind)[-1:])]
    return [
        repr(value) for kind in kinds if typing.get_origin(kind) is typing.Literal for value in typing.get_args(kind)
    ]


def _field_types(kind: Any, name: str) -> list[Any]:
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return []
    config = kind.__struct_config__
    if name == config.tag_field:
        return [typing.Literal[config.tag]]
    for field in msgspec.structs.fields(kind):
        if field.encode_name == name:
            return _flat([field.type])
    return []


def _flat(kinds: Any) -> list[Any]:
    """Types without their unions and annotations."""
    flat: list[Any] = []
    for kind in kinds:
        origin = typing.get_origin(kind)
        if origin in (typing.Union, types.UnionType):
            flat += _flat(typing.get_args(kind))
        elif origin is typing.Annotated:
            flat += _flat(typing.get_args(kind)[:1])
        else:
            flat.append(kind)
    return flat
