"""Whether a value fits a JSON schema: all of draft 2020-12 that structured outputs and tools use.

Types, enum, const, $ref into the schema itself, anyOf, oneOf, allOf, not, if; of objects properties, required,
additionalProperties, patternProperties, propertyNames, dependentRequired and counts; of lists items, prefixItems,
contains, uniqueItems and counts; bounds of numbers, lengths and patterns of texts. `format` only describes, and
so does every keyword that is not named here.

A schema is a stranger's. What is wrong in it is told before anything is paid for; what it may cost is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NoReturn, cast
from urllib.parse import unquote

from frontdesk.core.errors import BadRequest
from frontdesk.providers.structured_patterns import Pattern

_MOST_STEPS = 200_000  # parts of schema and value looked at: some 0.15 s
_MOST_DEPTH = 128
_MOST_PARTS = 20_000  # of a schema
_MOST_EXPONENT = 1e300  # beyond, whole numbers and fractions do not mix


class TooComplex(Exception):
    """A value took more steps to check than any that is meant well."""


class Schema:
    """One schema, read. Raises BadRequest (`invalid_schema`) for what is none, or has a reference to nowhere."""

    __slots__ = ("_patterns", "_root", "_steps_left")

    def __init__(self, root: Any) -> None:
        self._root = root
        self._patterns: dict[str, Pattern] = {}
        self._steps_left = 0
        self._read_all()

    def fits(self, value: Any) -> bool:
        """Whether a value, of what JSON decodes to, fits. Raises TooComplex."""
        self._steps_left = _MOST_STEPS
        return self._fits(value, self._root, 0)

    # --- reading: every part of it once

    def _read_all(self) -> None:
        todo = [(self._root, 0)]
        seen: set[int] = set()
        while todo:
            schema, depth = todo.pop()
            if isinstance(schema, bool) or id(schema) in seen:
                continue
            seen.add(id(schema))
            if len(seen) > _MOST_PARTS or depth > _MOST_DEPTH:
                _refuse("is too large, or nested too deeply")
            todo.extend((part, depth + 1) for part in self._read(_object_of(schema, "a schema")))

    def _read(self, fields: dict[str, Any]) -> list[Any]:
        """Check one schema's own keywords, and return the schemas in it."""
        for kind in _types_of(fields):
            if not isinstance(kind, str) or kind not in _IS_OF_TYPE:
                _refuse(f"has a type {kind!r:.80} that does not exist")
        for name in _COUNTS:
            if name in fields and _whole(fields[name]) is None:
                _refuse(f"has a {name!r} that is no whole number from 0")
        for name in _BOUNDS:
            if name in fields and not _is_usual(fields[name]):
                _refuse(f"has a {name!r} that is no number of a usual size")
        if fields.get("multipleOf", 1) <= 0:
            _refuse("has a 'multipleOf' that is not above 0")
        if "pattern" in fields:
            self._pattern(fields["pattern"])
        for name in _object_of(fields.get("patternProperties", {}), "'patternProperties'"):
            self._pattern(name)
        _list_of(fields.get("enum", []), "enum")
        _check_names(fields.get("required", []), "required")
        for names in _object_of(fields.get("dependentRequired", {}), "'dependentRequired'").values():
            _check_names(names, "dependentRequired")
        parts = [fields[name] for name in _ONE_SCHEMA if name in fields]
        if "$ref" in fields:
            parts.append(self._resolved(fields["$ref"]))
        parts += [part for name in _LISTS for part in _list_of(fields.get(name, []), name)]
        return parts + [part for name in _MAPS for part in _object_of(fields.get(name, {}), repr(name)).values()]

    def _pattern(self, source: Any) -> Pattern:
        pattern = self._patterns.get(source) if isinstance(source, str) else None
        if pattern is not None:
            return pattern
        if not isinstance(source, str):
            _refuse("has a 'pattern' that is not a text")
        try:
            pattern = self._patterns[source] = Pattern(source)
        except ValueError as error:
            _refuse(f"has a pattern {source!r:.80} that {error}")
        return pattern

    def _resolved(self, reference: Any) -> Any:
        """What a reference into the schema itself stands for."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            _refuse(f"has a '$ref' {reference!r:.80} that does not point into itself")
        found: Any = self._root
        for piece in reference.split("/")[1:]:
            name = unquote(piece).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = cast("dict[str, Any]", found)[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(cast("list[Any]", found)):
                found = cast("list[Any]", found)[int(name)]
            else:
                _refuse(f"has a '$ref' {reference!r:.80} to nowhere")
        return found

    # --- checking

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise TooComplex

    def _fits(self, value: Any, schema: Any, depth: int) -> bool:
        self._spend(1)
        if depth > _MOST_DEPTH:
            raise TooComplex
        if isinstance(schema, bool):
            return schema
        fields = cast("dict[str, Any]", schema)
        types = _types_of(fields)
        if types and not any(_IS_OF_TYPE[kind](value) for kind in types if kind in _IS_OF_TYPE):
            return False
        if "const" in fields and _key(value) != _key(fields["const"]):
            return False
        if "enum" in fields:
            self._spend(len(fields["enum"]))
            if _key(value) not in {_key(each) for each in fields["enum"]}:
                return False
        return self._fits_kind(value, fields, depth) and self._fits_others(value, fields, depth + 1)

    def _fits_kind(self, value: Any, fields: dict[str, Any], depth: int) -> bool:
        if isinstance(value, dict):
            return self._fits_object(cast("dict[str, Any]", value), fields, depth + 1)
        if isinstance(value, list):
            return self._fits_list(cast("list[Any]", value), fields, depth + 1)
        if isinstance(value, str):
            return _is_within(len(value), fields, "minLength", "maxLength") and (
                "pattern" not in fields or self._pattern(fields["pattern"]).is_found_in(value, self._spend)
            )
        return not _is_number(value) or _fits_bounds(value, fields)

    def _fits_others(self, value: Any, fields: dict[str, Any], depth: int) -> bool:
        """Whether it fits what is said by other schemas, about the same value."""
        if "$ref" in fields and not self._fits(value, self._resolved(fields["$ref"]), depth):
            return False
        if not all(self._fits(value, each, depth) for each in fields.get("allOf", ())):
            return False
        if "anyOf" in fields and not any(self._fits(value, each, depth) for each in fields["anyOf"]):
            return False
        if "oneOf" in fields and sum(self._fits(value, each, depth) for each in fields["oneOf"]) != 1:
            return False
        if "not" in fields and self._fits(value, fields["not"], depth):
            return False
        if "if" in fields:
            branch = "then" if self._fits(value, fields["if"], depth) else "else"
            return self._fits(value, fields.get(branch, True), depth)
        return True

    def _fits_object(self, value: dict[str, Any], fields: dict[str, Any], depth: int) -> bool:
        if not _is_within(len(value), fields, "minProperties", "maxProperties"):
            return False
        if any(name not in value for name in fields.get("required", ())):
            return False
        for name, needed in fields.get("dependentRequired", {}).items():
            if name in value and any(each not in value for each in needed):
                return False
        properties, patterns = fields.get("properties", {}), fields.get("patternProperties", {})
        for name, each in value.items():
            schemas = [
                schema for source, schema in patterns.items() if self._pattern(source).is_found_in(name, self._spend)
            ]
            if name in properties:
                schemas.append(properties[name])
            if not schemas:
                schemas.append(fields.get("additionalProperties", True))
            if "propertyNames" in fields and not self._fits(name, fields["propertyNames"], depth):
                return False
            if not all(self._fits(each, schema, depth) for schema in schemas):
                return False
        return True

    def _fits_list(self, value: list[Any], fields: dict[str, Any], depth: int) -> bool:
        if not _is_within(len(value), fields, "minItems", "maxItems"):
            return False
        first = fields.get("prefixItems", [])
        if not all(self._fits(each, schema, depth) for each, schema in zip(value, first, strict=False)):
            return False
        rest = fields.get("items", True)
        if rest is not True and not all(self._fits(each, rest, depth) for each in value[len(first) :]):
            return False
        if "contains" in fields:
            found = sum(self._fits(each, fields["contains"], depth) for each in value)
            if not fields.get("minContains", 1) <= found <= fields.get("maxContains", math.inf):
                return False
        if fields.get("uniqueItems") is True:
            self._spend(len(value))
            return len({_key(each) for each in value}) == len(value)
        return True


_ONE_SCHEMA = ("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_COUNTS = (
    *("minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains"),
    *("minProperties", "maxProperties"),
)
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_IS_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _types_of(fields: dict[str, Any]) -> list[Any]:
    kinds = fields.get("type", [])
    return cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]


def _is_within(count: int, fields: dict[str, Any], least: str, most: str) -> bool:
    return fields.get(least, 0) <= count <= fields.get(most, math.inf)


def _fits_bounds(value: float, fields: dict[str, Any]) -> bool:
    if not fields.get("minimum", -math.inf) <= value <= fields.get("maximum", math.inf):
        return False
    low, high = fields.get("exclusiveMinimum"), fields.get("exclusiveMaximum")
    if (low is not None and value <= low) or (high is not None and value >= high):
        return False
    step = fields.get("multipleOf")
    # The decimals as they were written: 0.3 is a multiple of 0.1, the binary fractions next to them are not.
    return step is None or not _is_usual(value) or Fraction(str(value)) % Fraction(str(step)) == 0


def _key(value: Any) -> Any:
    """A value as JSON compares it: 1 is 1.0 and not true, the order of an object's names is nothing."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return type(value).__name__, value
    if isinstance(value, dict):
        return "dict", frozenset((name, _key(each)) for name, each in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        return "list", tuple(_key(each) for each in cast("list[Any]", value))
    return "number", value


def _is_usual(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and abs(value) <= _MOST_EXPONENT


def _whole(value: Any) -> int | None:
    return int(value) if _is_whole(value) and 0 <= value <= _MOST_EXPONENT else None


def _object_of(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(f"has {name} that is not an object")
    return cast("dict[str, Any]", value)


def _list_of(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        _refuse(f"has {name!r}, which must be a list")
    return cast("list[Any]", value)


def _check_names(value: Any, name: str) -> None:
    if not all(isinstance(each, str) for each in _list_of(value, name)):
        _refuse(f"has {name!r}, which must be a list of names")


def _refuse(what: str) -> NoReturn:
    raise BadRequest(f"The JSON schema {what}.", code="invalid_schema")
