"""JSON schemas in a configuration: what is certainly none, by the metaschema of JSON Schema 2020-12.

Not a validator: which keywords a provider follows, and what patterns and references say, it does not ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from frontdesk.core.config.problems import Place, Problems, remedy_for, spelled

_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")


def check_schema(problems: Problems, place: Place, schema: Any) -> None:
    """Tell what makes a value no schema. Keywords that are unknown are annotations, and pass."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        _refuse(problems, place, schema, "a schema: a mapping, true or false")
        return
    for keyword, value in cast("dict[str, Any]", schema).items():
        check = _CHECKS.get(keyword)
        if check is not None:
            check(problems, (*place, keyword), value)


def _refuse(problems: Problems, place: Place, value: Any, wanted: str) -> None:
    problems.add(place, f"{spelled(place)} is {_told(value)}. It must be {wanted}.")


def _told(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return repr(value)


# --- what keywords take -------------------------------------------------------------------------


def _check_type(problems: Problems, place: Place, value: Any) -> None:
    if not isinstance(value, list):
        _check_type_name(problems, place, value)
        return
    if not value:
        _refuse(problems, place, value, "a type, or a list of types")
    for position, name in enumerate(cast("list[Any]", value)):
        _check_type_name(problems, (*place, position), name)


def _check_type_name(problems: Problems, place: Place, name: Any) -> None:
    if name is None:
        problems.add(place, f"{spelled(place)} is null, which is no text to YAML. Write it in quotes: 'null'.")
    elif not isinstance(name, str):
        _refuse(problems, place, name, f"one of {', '.join(_TYPES)}")
    elif name not in _TYPES:
        problems.add(place, f"{spelled(place)} is {name!r}, which is no type of JSON. {remedy_for(name, _TYPES)}")


def _check_names(problems: Problems, place: Place, value: Any) -> None:
    if not isinstance(value, list):
        _refuse(problems, place, value, "a list of names")
        return
    for position, name in enumerate(cast("list[Any]", value)):
        if not isinstance(name, str):
            # `no` and 5 are names where they are keys of `properties`, and none in a list.
            _refuse(problems, (*place, position), name, "a name. Write it in quotes")


def _check_schemas_by_name(problems: Problems, place: Place, value: Any) -> None:
    if not isinstance(value, dict):
        _refuse(problems, place, value, "a mapping of names to schemas")
        return
    for name, schema in cast("dict[str, Any]", value).items():
        check_schema(problems, (*place, name), schema)


def _check_schemas(problems: Problems, place: Place, value: Any) -> None:
    if not isinstance(value, list) or not value:
        _refuse(problems, place, value, "a list of schemas")
        return
    for position, schema in enumerate(cast("list[Any]", value)):
        check_schema(problems, (*place, position), schema)


def _check_items(problems: Problems, place: Place, value: Any) -> None:
    """A schema; until 2019-09 also a list of them."""
    if isinstance(value, list):
        _check_schemas(problems, place, value)
    else:
        check_schema(problems, place, value)


def _check_list(problems: Problems, place: Place, value: Any) -> None:
    if not isinstance(value, list):
        _refuse(problems, place, value, "a list of values")


def _check_text(problems: Problems, place: Place, value: Any) -> None:
    if not isinstance(value, str):
        _refuse(problems, place, value, "a text. Write it in quotes")


def _check_count(problems: Problems, place: Place, value: Any) -> None:
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if not is_whole or value < 0:
        _refuse(problems, place, value, "an integer from 0")


Check = Callable[[Problems, Place, Any], None]
_CHECKS: Mapping[str, Check] = {
    "type": _check_type,
    "required": _check_names,
    "enum": _check_list,
    "items": _check_items,
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), _check_schemas_by_name),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _check_schemas),
    **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames", "additionalProperties"), check_schema),
    **dict.fromkeys(("$ref", "pattern", "format", "title", "description"), _check_text),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _check_count),
    **dict.fromkeys(("minProperties", "maxProperties"), _check_count),
}
