"""A value that fits a JSON schema: what was said where the schema leaves that free, else the smallest.

It knows what structured output and tools use: types, enum, const, anyOf/oneOf/allOf, $ref into the
schema's own $defs, required and all other properties, lengths and bounds.

A schema is a stranger's: what is no schema is refused, and so is one whose sample would be large or
long to make, for a few lines of `$ref` can ask for more than a machine holds.
"""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any, NoReturn, cast
from urllib.parse import unquote

from frontdesk.core.errors import BadRequest
from frontdesk.providers.schema_hints import Hints

_MAX_DEPTH = 24
_MAX_VALUES = 10_000
_MAX_STEPS = 200_000  # parts of the schema looked at, whether or not a value comes of it: some 50 ms
_CHARACTERS_A_VALUE = 100  # a long text counts as several values
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})


def sample(schema: Any, hints: Hints | None = None) -> Any:
    """Return a value that fits. Beyond a depth of 24, a recursive schema ends in null.

    Takes from the hints what fits; the same schema and hints give the same value.
    Raises BadRequest: `invalid_schema` where it is no schema or nothing fits it, `too_complex` where
    the value would hold more than 10,000 values; 100 characters of a text count as one.
    """
    return _Sampler(schema, hints or Hints("")).value(schema, 0)


class _Sampler:
    """One schema, and what may still be spent on it."""

    __slots__ = ("_hints", "_root", "_steps_left", "_values_left")

    def __init__(self, root: Any, hints: Hints) -> None:
        self._root = root
        self._hints = hints
        self._values_left = _MAX_VALUES
        self._steps_left = _MAX_STEPS

    def value(self, schema: Any, depth: int, name: str = "") -> Any:
        self._step(1)
        if depth > _MAX_DEPTH or schema is True:
            self._produce(0)
            return None
        if schema is False:
            _refuse("asks for a value where its own false allows none")
        fields = _object_of(schema, "a schema")
        if "$ref" in fields:
            return self.value(self._resolve(fields["$ref"]), depth + 1, name)
        if "const" in fields:
            return self._given(fields["const"])
        if options := _list_in(fields, "enum"):
            return self._given(self._chosen(options, self._hints.named(name, fields.get("title"))))
        if "allOf" in fields:
            return self.value(self._merged(fields), depth + 1, name)
        for union in ("anyOf", "oneOf"):
            if options := _list_in(fields, union):
                return self.value(self._simplest(options, depth), depth + 1, name)
        return self._of_type(fields, depth, name)

    def _of_type(self, fields: dict[str, Any], depth: int, name: str) -> Any:
        said = self._hints.named(name, fields.get("title"))
        match self._type_of(fields, depth):
            case "object":
                return self._object(fields, depth)
            case "array":
                return self._array(fields, depth)
            case "string":
                return self._text(fields, said)
            case "boolean":
                value = said is None or said.casefold() != "false"
            case "null":
                value = None
            case kind:
                value = self._number(fields, said, is_whole=kind == "integer")
        self._produce(0)
        return value

    def _type_of(self, fields: dict[str, Any], depth: int) -> str:
        if "type" not in fields:
            return "object" if "properties" in fields else "string"
        given = fields["type"]
        kinds = cast("list[Any]", given) if isinstance(given, list) else [given]
        self._step(len(kinds))
        if not kinds or not all(isinstance(kind, str) and kind in _TYPES for kind in kinds):
            _refuse("has a 'type' that is none of JSON's")
        return "null" if depth >= _MAX_DEPTH // 2 and "null" in kinds else kinds[0]

    def _object(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = _object_of(fields.get("properties", {}), "'properties'")
        required = _list_in(fields, "required")
        self._step(len(properties) + len(required))
        if not all(isinstance(name, str) for name in required):
            _refuse("has a 'required' that is no list of names")
        names = dict.fromkeys(required)
        self._hints.expect(properties.keys() | names.keys())
        self._produce(0)
        value: dict[str, Any] = {}
        for name, schema in properties.items():
            if name in names or (depth < _MAX_DEPTH // 4 and schema is not False):
                self._step(len(name) // _CHARACTERS_A_VALUE)
                value[name] = self.value(schema, depth + 1, name)
        for name in names:
            if name not in properties:
                value[name] = self.value(fields.get("additionalProperties", True), depth + 1, name)
        return value

    def _array(self, fields: dict[str, Any], depth: int) -> list[Any]:
        items = fields.get("items", True)
        least = _size_in(fields, "minItems", 0)
        usual = 1 if depth < _MAX_DEPTH // 2 and items is not False else 0
        count = max(least, min(usual, _size_in(fields, "maxItems", 1)))
        if count > self._values_left:
            self._run_out()
        self._produce(0)
        return [self.value(items, depth + 1) for _ in range(count)]

    def _text(self, fields: dict[str, Any], said: str | None) -> str:
        least = _size_in(fields, "minLength", 0)
        most = _size_in(fields, "maxLength", sys.maxsize)
        text = None
        if "pattern" not in fields:  # a stranger's could take for ever to match
            text = self._hints.text(said, lambda text: least <= len(text) <= most)
        self._produce(least if text is None else len(text))
        return "text".ljust(least, "x")[:most] if text is None else text

    def _number(self, fields: dict[str, Any], said: str | None, *, is_whole: bool) -> int | float:
        bounds = _Bounds(fields, is_whole=is_whole)
        number = self._hints.number(said, bounds.fit)
        if number is None:
            return _lowest(bounds)
        return int(number) if is_whole else number

    def _chosen(self, options: list[Any], said: str | None) -> Any:
        """The option that is named, or the first."""
        if said is None:
            return options[0]
        self._step(len(options))
        return said if said in options else options[0]

    def _given(self, value: Any) -> Any:
        """A value that the schema itself holds. It may be large, and be asked for many times."""
        left = [value]
        while left:
            each = left.pop()
            if isinstance(each, dict):
                fields = cast("dict[str, Any]", each)
                self._produce(sum(map(len, fields)))
                left.extend(fields.values())
            elif isinstance(each, list):
                self._produce(0)
                left.extend(cast("list[Any]", each))
            else:
                self._produce(len(each) if isinstance(each, str) else 0)
        return value

    def _simplest(self, options: list[Any], depth: int) -> Any:
        """The first option; deep down the one that ends a recursion, null."""
        if depth > _MAX_DEPTH // 2:
            self._step(len(options))
            for option in options:
                if isinstance(option, dict) and cast("dict[str, Any]", option).get("type") == "null":
                    return cast("dict[str, Any]", option)
        return options[0]

    def _merged(self, fields: dict[str, Any]) -> dict[str, Any]:
        """`allOf` and what stands beside it as one schema. The later wins; properties and required add up."""
        properties: dict[str, Any] = {}
        required: list[Any] = []
        merged: dict[str, Any] = {}
        for part in [*_list_in(fields, "allOf"), {name: fields[name] for name in fields if name != "allOf"}]:
            one = self._resolved(part)
            more, names = _object_of(one.get("properties", {}), "'properties'"), _list_in(one, "required")
            self._step(1 + len(one) + len(more) + len(names))
            merged.update(one)
            properties.update(more)
            required += names
        if "properties" in merged:
            merged["properties"] = properties
        if "required" in merged:
            merged["required"] = required
        return merged

    def _resolved(self, part: Any) -> dict[str, Any]:
        schema = {} if part is True else _object_of(part, "a part of 'allOf'")
        return _object_of(self._resolve(schema["$ref"]), "what '$ref' names") if "$ref" in schema else schema

    def _resolve(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            _refuse("has a '$ref' that does not point into it, as '#/$defs/name' does")
        self._step(len(reference))
        found = self._root
        for step in unquote(reference[1:]).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name[:9]) < len(cast("list[Any]", found)):
                found = cast("list[Any]", found)[int(name[:9])]
            elif isinstance(found, dict) and name in found:
                found = cast("dict[str, Any]", found)[name]
            else:
                _refuse(f"has a '$ref' to {reference[:100]!r}, where there is nothing")
        return found

    def _produce(self, characters: int) -> None:
        self._values_left -= 1 + characters // _CHARACTERS_A_VALUE
        if self._values_left < 0:
            self._run_out()

    def _step(self, count: int) -> None:
        self._steps_left -= count
        if self._steps_left < 0:
            self._run_out()

    def _run_out(self) -> NoReturn:
        raise BadRequest(
            f"A sample of this JSON schema would be too large: the scripted provider makes {_MAX_VALUES:,} values"
            " at most. Ask for fewer items, shorter texts or less recursion.",
            code="too_complex",
        )


def _lowest(bounds: _Bounds) -> int | float:
    """The lowest that is allowed, or 1; else something near the highest, or between the two."""
    low, high = bounds.low, bounds.high
    tries: list[int | float] = [1, 0]
    if low is not None:
        tries = [low, low + 1]
    if high is not None:
        tries += [high, high - 1]
    if low is not None and high is not None:
        tries.append((low + high) / 2)
    fitting = next((each for value in tries for each in bounds.stepped(value) if bounds.allow(each)), None)
    if fitting is None:
        _refuse("has bounds that no number fits")
    return fitting


class _Bounds:
    """What a number must heed."""

    __slots__ = ("_above", "_below", "_is_whole", "_step", "high", "low")

    def __init__(self, fields: dict[str, Any], *, is_whole: bool) -> None:
        least, most = _number_in(fields, "minimum"), _number_in(fields, "maximum")
        self._above, self._below = _number_in(fields, "exclusiveMinimum"), _number_in(fields, "exclusiveMaximum")
        self.low = max((bound for bound in (least, self._above) if bound is not None), default=None)
        self.high = min((bound for bound in (most, self._below) if bound is not None), default=None)
        self._is_whole = is_whole
        self._step = _number_in(fields, "multipleOf")
        if self._step is not None and self._step <= 0:
            _refuse("has a 'multipleOf' that is not above 0")
        if is_whole:
            # 2.5 and whole: 5. The decimal as written, not the binary fraction next to it.
            self._step = 1 if self._step is None else Fraction(str(self._step)).numerator

    def stepped(self, value: float) -> list[int | float]:
        """The value, or where it must be a multiple those around it, the higher first."""
        if self._step is None:
            return [value]
        above = -(-value // self._step) * self._step
        below = value // self._step * self._step
        return [int(each) if self._is_whole else each for each in (above, below) if math.isfinite(each)]

    def allow(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self._above is None or value > self._above)
            and (self._below is None or value < self._below)
        )

    def fit(self, value: float) -> bool:
        """Whether the value is allowed, and a multiple where it must be: as decimals, for 0.3 is one of 0.1."""
        step = self._step
        return self.allow(value) and (step is None or Fraction(str(value)) % Fraction(str(step)) == 0)


def _number_in(fields: dict[str, Any], name: str) -> int | float | None:
    value = fields.get(name)
    if value is None and name not in fields:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MAX_NUMBER:
        _refuse(f"has a {name!r} that is no number of a usual size")
    return value


_MAX_NUMBER = 1e300  # beyond, Python's whole numbers and its fractions do not mix


def _size_in(fields: dict[str, Any], name: str, default: int) -> int:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_NUMBER or value % 1:
        _refuse(f"has a {name!r} that is no whole number from 0")
    return int(value)


def _list_in(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name, [])
    if not isinstance(value, list):
        _refuse(f"has {name!r}, which must be a list")
    return cast("list[Any]", value)


def _object_of(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(f"has {name} that is not an object")
    return cast("dict[str, Any]", value)


def _refuse(what: str) -> NoReturn:
    raise BadRequest(f"The JSON schema {what}.", code="invalid_schema")
