"""A value that fits a JSON schema: the smallest, always the same one.

It knows what structured output and tools use: types, enum, const, anyOf/oneOf/allOf, $ref into the
schema's own $defs, required and all other properties, lengths and bounds.
"""

from __future__ import annotations

from typing import Any, cast

_MAX_DEPTH = 24


def sample(schema: dict[str, Any]) -> Any:
    """Return a value that fits. Beyond a depth of 24, a recursive schema ends in null."""
    return _sample(schema, schema, 0)


def _sample(schema: Any, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    fields = cast("dict[str, Any]", schema)
    if "$ref" in fields:
        return _sample(_resolve(cast("str", fields["$ref"]), root), root, depth + 1)
    if "const" in fields:
        return fields["const"]
    if fields.get("enum"):
        return fields["enum"][0]
    if "allOf" in fields:
        merged: dict[str, Any] = {}
        for part in fields["allOf"]:
            merged = _merged(merged, _resolved(part, root))
        return _sample(_merged(merged, {k: v for k, v in fields.items() if k != "allOf"}), root, depth + 1)
    for union in ("anyOf", "oneOf"):
        if fields.get(union):
            return _sample(_simplest(fields[union], depth), root, depth + 1)
    return _of_type(fields, root, depth)


def _of_type(fields: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    kind = fields.get("type") or ("object" if "properties" in fields else "string")
    if isinstance(kind, list):
        kinds = cast("list[str]", kind)
        kind = kinds[0] if depth < _MAX_DEPTH // 2 or "null" not in kinds else "null"
    match kind:
        case "object":
            return _object(fields, root, depth)
        case "array":
            count = max(int(fields.get("minItems", 0)), 1 if depth < _MAX_DEPTH // 2 else 0)
            return [_sample(fields.get("items", {}), root, depth + 1) for _ in range(count)]
        case "integer" | "number":
            return _number(fields)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "text".ljust(int(fields.get("minLength", 0)), "x")[: int(fields.get("maxLength", 1 << 30))]


def _object(fields: dict[str, Any], root: dict[str, Any], depth: int) -> dict[str, Any]:
    required = set(cast("list[str]", fields.get("required", [])))
    return {
        name: _sample(value, root, depth + 1)
        for name, value in cast("dict[str, Any]", fields.get("properties", {})).items()
        if name in required or depth < _MAX_DEPTH // 4
    }


def _number(fields: dict[str, Any]) -> int | float:
    low = fields.get("minimum", fields.get("exclusiveMinimum"))
    value = 1 if low is None else low + (1 if "exclusiveMinimum" in fields else 0)
    high = fields.get("maximum", fields.get("exclusiveMaximum"))
    if high is not None and value > high:
        value = high - (1 if "exclusiveMaximum" in fields else 0)
    step = fields.get("multipleOf")
    return -(-value // step) * step if step else value


def _simplest(options: list[Any], depth: int) -> Any:
    """The first option; deep down the one that ends a recursion, null."""
    if depth > _MAX_DEPTH // 2:
        for option in options:
            if isinstance(option, dict) and cast("dict[str, Any]", option).get("type") == "null":
                return cast("dict[str, Any]", option)
    return options[0]


def _resolved(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    fields = cast("dict[str, Any]", schema)
    return _resolve(cast("str", fields["$ref"]), root) if "$ref" in fields else fields


def _resolve(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {})
    return cast("dict[str, Any]", found)


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    merged = {**first, **second}
    for name in ("properties", "required"):
        if name in first and name in second:
            one, two = first[name], second[name]
            merged[name] = {**one, **two} if isinstance(one, dict) else [*one, *two]
    return merged
