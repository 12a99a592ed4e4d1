"""What Anthropic's API takes of JSON Schema where it promises that an answer fits: less than the whole.

Source: Anthropic's documentation of structured outputs, JSON Schema limitations (2026-11).
"""

from __future__ import annotations

from typing import Any, cast

from frontdesk.core.errors import BadRequest

_REFUSED = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems", "contains", "prefixItems"),
    "object": ("minProperties", "maxProperties", "patternProperties"),
}
_INNER = ("items", "additionalItems", "not")
_INNER_LISTS = ("anyOf", "allOf", "oneOf")
_INNER_NAMED = ("properties", "$defs", "definitions")


def check_schema(schema: dict[str, Any], where: str) -> None:
    """Raise BadRequest for the first keyword that is not taken, naming the place of the schema in the request."""
    waiting: list[Any] = [schema]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, dict):
            continue
        inner = cast("dict[str, Any]", each)
        _check_one(inner, where)
        waiting += [inner[name] for name in _INNER if name in inner]
        waiting += [one for name in _INNER_LISTS for one in _list(inner.get(name))]
        waiting += [one for name in _INNER_NAMED for one in _dict(inner.get(name)).values()]
    _check_ends(schema, schema, where, [], set())


def _check_one(schema: dict[str, Any], where: str) -> None:
    kinds = schema.get("type")
    for kind in _list(kinds) if isinstance(kinds, list) else [kinds]:
        refused = sorted(name for name in _REFUSED.get(str(kind), ()) if name in schema)
        if refused:
            raise BadRequest(
                f"{where}: For '{kind}' type, properties {', '.join(refused)} are not supported", param=where
            )
        if kind == "object" and schema.get("additionalProperties") is not False:
            raise BadRequest(
                f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false", param=where
            )
        if kind == "array" and schema.get("minItems", 0) not in (0, 1):
            raise BadRequest(
                f"{where}: For 'array' type, 'minItems' values other than 0 or 1 are not supported", param=where
            )
    if any(isinstance(value, dict | list) for value in _list(schema.get("enum"))):
        raise BadRequest(f"{where}: Enum values must be strings, numbers, booleans or null", param=where)
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise BadRequest(f"{where}: External $ref '{reference}' is not supported", param=where)


def _check_ends(root: dict[str, Any], schema: Any, where: str, within: list[str], known: set[str]) -> None:
    """Raise BadRequest where a schema holds itself. What is `known` was seen to end."""
    if not isinstance(schema, dict):
        return
    inner = cast("dict[str, Any]", schema)
    reference = inner.get("$ref")
    if isinstance(reference, str) and reference not in known:
        if reference in within:
            raise BadRequest(f"{where}: Recursive schemas are not supported ('{reference}')", param=where)
        within.append(reference)
        _check_ends(root, _found(root, reference), where, within, known)
        known.add(within.pop())
    held = [inner.get(name) for name in _INNER]
    held += [one for name in _INNER_LISTS for one in _list(inner.get(name))]
    for one in [*held, *_dict(inner.get("properties")).values()]:
        _check_ends(root, one, where, within, known)


def _found(root: dict[str, Any], reference: str) -> Any:
    value: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        value = _dict(value).get(step.replace("~1", "/").replace("~0", "~"))
    return value


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
