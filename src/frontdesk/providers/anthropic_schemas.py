"""JSON Schemas as Anthropic's structured outputs take them (platform documentation "Structured outputs", 2026-11).

They know types, properties, enumerations, unions and references; every object is closed. What else a schema says goes
into its description, where the model reads it: nothing holds it to that. What cannot be said at all is recursion, and
objects whose names are not known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_SAYS_NOTHING = frozenset({"$schema", "$id", "$comment"})
_KEPT = frozenset({"$ref", "type", "title", "description", "default"})
_UNIONS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_DEFINITIONS = frozenset({"$defs", "definitions"})

_encode = msgspec.json.encode


def closed_schema(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return a schema that structured outputs take, or None where they cannot hold an answer to it.

    What matches the result matches the schema, but for what its descriptions only ask for.
    """
    if _has_open_names(schema) or _is_recursive(schema):
        return None
    return _closed(schema)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema and schema.keys() - _DEFINITIONS - {"$ref"} and not _UNIONS.keys() & schema.keys():
        # Nothing may stand beside a reference: it becomes a union of one.
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        return _closed({**beside, "anyOf": [{"$ref": schema["$ref"]}]})
    closed: dict[str, Any] = {}
    asked: list[str] = []
    for name, value in schema.items():
        if name in _SAYS_NOTHING:
            continue
        if name in _KEPT or _is_known(name, value):
            closed[name] = value
        elif name in _UNIONS and _UNIONS[name] not in closed and isinstance(value, list):
            closed[_UNIONS[name]] = [_inner(each) for each in cast("list[Any]", value)]
        elif (name in _DEFINITIONS or name == "properties") and isinstance(value, dict):
            closed[name] = {key: _inner(each) for key, each in cast("dict[str, Any]", value).items()}
        elif name == "items" and isinstance(value, dict):
            closed[name] = _closed(cast("dict[str, Any]", value))
        elif name != "additionalProperties":
            asked.append(f"{name}: {_encode(value).decode()}")
    if _is_object(schema):
        closed.setdefault("properties", {})
        closed["additionalProperties"] = False
    if asked:
        words = f"{{{', '.join(asked)}}}"
        said = closed.get("description")
        closed["description"] = f"{said}\n\n{words}" if said else words
    return closed


def _inner(schema: Any) -> Any:
    return _closed(cast("dict[str, Any]", schema)) if isinstance(schema, dict) else schema


def _is_known(name: str, value: Any) -> bool:
    """Whether structured outputs know a keyword with this value."""
    match name:
        case "required":
            return isinstance(value, list)
        case "enum":
            return isinstance(value, list) and all(map(_is_plain, cast("list[Any]", value)))
        case "const":
            return _is_plain(value)
        case "format":
            return value in _FORMATS if isinstance(value, str) else False
        case "minItems":
            return value in (0, 1)
        case _:
            return False


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema


def _has_open_names(schema: dict[str, Any]) -> bool:
    """Whether an object of it has names that the schema does not say: a map, and not a record."""
    for each in _all_schemas(schema):
        if "patternProperties" in each or isinstance(each.get("additionalProperties"), dict):
            return True
        is_bare = _is_object(each) and not each.get("properties") and not _UNIONS.keys() & each.keys()
        if is_bare and each.get("additionalProperties") is not False:
            return True
    return False


def _is_recursive(schema: dict[str, Any]) -> bool:
    """Whether a reference leads back to where it stands, or to nothing that is a definition."""
    targets: dict[str, set[str]] = {"#": {_ref(each) for each in _all_schemas(schema, definitions=False)}}
    for place in sorted(_DEFINITIONS):
        for name, inner in _named(schema, place):
            targets[f"#/{place}/{name}"] = {_ref(each) for each in _all_schemas(inner)}
    left = {place: refs - {""} for place, refs in targets.items()}
    while left:  # those without references go first, then those that led to them alone
        ended = [place for place, refs in left.items() if not refs]
        if not ended:
            return True
        for place in ended:
            del left[place]
        left = {place: refs.difference(ended) for place, refs in left.items()}
    return False


def _ref(schema: dict[str, Any]) -> str:
    ref = schema.get("$ref")
    return ref if isinstance(ref, str) else ""


def _named(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in cast("dict[str, Any]", schema.get(place) or {}).items():
        if isinstance(inner, dict):
            yield name, cast("dict[str, Any]", inner)


def _all_schemas(schema: dict[str, Any], *, definitions: bool = True) -> Iterator[dict[str, Any]]:
    """Yield a schema and all that it is made of."""
    yield schema
    places = ("properties", *_DEFINITIONS) if definitions else ("properties",)
    for place in places:
        if isinstance(schema.get(place), dict):
            for _, inner in _named(schema, place):
                yield from _all_schemas(inner)
    for name in ("items", "additionalProperties", *_UNIONS):
        value = schema.get(name)
        for each in cast("list[Any]", value) if isinstance(value, list) else (value,):
            if isinstance(each, dict):
                yield from _all_schemas(cast("dict[str, Any]", each))
