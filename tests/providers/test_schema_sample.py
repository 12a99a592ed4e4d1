"""A sample fits its schema, and no schema makes it large, long or an internal error."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.providers.schema_hints import Hints
from frontdesk.providers.schema_sample import sample


def fits(value: Any, schema: Any, root: Any) -> bool:
    """Whether a value fits, for the words that the generated schemas use."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "const" in schema:
        return value == schema["const"]
    if "enum" in schema:
        return value in schema["enum"]
    if "allOf" in schema:
        return all(fits(value, part, root) for part in schema["allOf"])
    if "anyOf" in schema:
        return any(fits(value, option, root) for option in schema["anyOf"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return any(fits_kind(value, kind, schema, root) for kind in kinds)


def fits_kind(value: Any, kind: str, schema: dict[str, Any], root: Any) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str) and is_within(len(value), schema.get("minLength"), schema.get("maxLength"))
        case "integer" | "number":
            kinds = int if kind == "integer" else int | float
            return isinstance(value, kinds) and not isinstance(value, bool) and fits_bounds(value, schema)
        case "array":
            return (
                isinstance(value, list)
                and is_within(len(value), schema.get("minItems"), schema.get("maxItems"))
                and all(fits(each, schema.get("items", True), root) for each in value)
            )
        case _:
            return (
                isinstance(value, dict)
                and all(name in value for name in schema.get("required", []))
                and all(fits(value[name], schema.get("properties", {}).get(name, True), root) for name in value)
            )


def fits_bounds(value: float, schema: dict[str, Any]) -> bool:
    return (
        is_within(value, schema.get("minimum"), schema.get("maximum"))
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and value % schema.get("multipleOf", value or 1) == 0
    )


def is_within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def with_range(low: str, high: str, bounds: st.SearchStrategy[Any], room: float) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.just({}),
        bounds.map(lambda bound: {low: bound}),
        bounds.map(lambda bound: {high: bound}),
        st.tuples(bounds, st.integers(0, 4)).map(lambda pair: {low: pair[0], high: pair[0] + pair[1] + room}),
    )


def typed(kind: str, fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from([kind, [kind, "null"]]), fields).map(lambda pair: {"type": pair[0], **pair[1]})


HALVES = st.integers(-6, 6).map(lambda number: number / 2)
STEPS = st.sampled_from([{}, {"multipleOf": 1}, {"multipleOf": 0.5}])
NUMBERS = st.one_of(
    with_range("minimum", "maximum", st.integers(-9, 9) | HALVES, 1),
    with_range("exclusiveMinimum", "exclusiveMaximum", st.integers(-9, 9) | HALVES, 2),
    with_range("minimum", "exclusiveMaximum", st.integers(-9, 9) | HALVES, 2),
    with_range("exclusiveMinimum", "maximum", st.integers(-9, 9) | HALVES, 2),
)
LEAVES = st.one_of(
    typed("string", with_range("minLength", "maxLength", st.integers(0, 9), 0)),
    typed("integer", st.tuples(NUMBERS, STEPS).map(lambda pair: pair[0] | pair[1])),
    typed("number", st.tuples(NUMBERS, STEPS).map(lambda pair: pair[0] | pair[1])),
    typed("boolean", st.just({})),
    st.just({"type": "null"}),
    st.sampled_from(
        [{"const": {"a": [1]}}, {"enum": ["x", 1]}, True, {"$ref": "#/$defs/leaf"}, {"$ref": "#/$defs/tree"}]
    ),
)
NAMES = st.sampled_from(["a", "b", "c/d", "ü"])


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = st.fixed_dictionaries(
        {"properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={"required": st.lists(NAMES, max_size=3, unique=True)},
    )
    return fields.map(lambda given: {"type": "object", **given})


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.tuples(inner, with_range("minItems", "maxItems", st.integers(0, 3), 0))
    return st.one_of(
        objects(inner),
        lists.map(lambda pair: {"type": "array", "items": pair[0], **pair[1]}),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        st.tuples(inner, inner).map(
            lambda pair: {
                "allOf": [
                    {"type": "object", "properties": {"one": pair[0]}, "required": ["one"]},
                    {"type": "object", "properties": {"two": pair[1]}, "required": ["two"]},
                ]
            }
        ),
    )


TREE = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}}
SCHEMAS = st.recursive(LEAVES, containers, max_leaves=6)


SAID = st.lists(st.sampled_from(["3", "-2.5", "'x'", "'longer text'", "a = 4", "b is 0.5", "c/d: word", "ü: 'u'"]))


@given(SCHEMAS, SAID)
def test_a_sample_fits_whatever_is_said(schema: Any, said: list[str]) -> None:
    definitions = {"leaf": {"type": "integer", "minimum": 2}, "tree": TREE}
    root = {"$defs": definitions, "type": "object", "properties": {"it": schema}, "required": ["it"]}

    value = sample(root, Hints(", ".join(said)))

    assert fits(value, root, root), json.dumps(value)


WORDS = st.sampled_from(
    [
        "$ref",
        "$defs",
        "const",
        "enum",
        "allOf",
        "anyOf",
        "oneOf",
        "type",
        "properties",
        "required",
        "items",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "additionalProperties",
        "a",
    ]
)
VALUES = st.sampled_from(
    [
        "object",
        "array",
        "string",
        "integer",
        "number",
        "null",
        "#",
        "#/",
        "#/a",
        "#/allOf/0",
        "#/properties/a",
        "#/items",
        "#a",
        "http://x",
    ]
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, 3, 1_000_000_000, 10**400, -(10**400), 5e-324, 1e308])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=500, deadline=None)
@given(ANYTHING)
def test_anything_is_sampled_or_refused_quickly(schema: Any) -> None:
    with contextlib.suppress(BadRequest):
        json.dumps(sample(schema), allow_nan=False)


def of_ten(schema: Any) -> dict[str, Any]:
    names = [f"p{number}" for number in range(10)]
    return {"type": "object", "properties": dict.fromkeys(names, schema), "required": names}


MANY = [f"name{number}" for number in range(20_000)]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 1_000_000_000},
        {"type": "array", "minItems": 1_000_000_000, "items": {"type": "null"}},
        {"type": "string", "minLength": 1_000_000_000},
        {"type": "array", "minItems": 9000, "items": {"type": "string", "minLength": 9000}},
        {"type": "array", "minItems": 9000, "items": {"const": "x" * 9000}},
        {"type": "array", "minItems": 9000, "items": {"enum": [[1] * 9000]}},
        {"type": "array", "minItems": 9000, "items": {"const": {"x" * 9000: 1}}},
        {"type": "array", "minItems": 9000, "items": {"properties": {"x" * 90_000: True}}},
        {"type": "array", "minItems": 9000, "items": {"type": ["string"] * 9000}},
        {"type": "array", "minItems": 9000, "items": {"$ref": "#/a" + "/" * 9000 + "b"}, "a": {}},
        {"$ref": "#/$defs/ten", "$defs": {"ten": of_ten({"$ref": "#/$defs/ten"})}},
        {"allOf": [{"$ref": "#/$defs/many"}] * 20_000, "$defs": {"many": {"properties": dict.fromkeys(MANY, True)}}},
        {"allOf": [{"required": MANY}] * 20_000},
        {"type": "array", "minItems": 9000, "items": {"type": "object", "required": MANY}},
    ],
)
def test_what_asks_for_much_is_refused_quickly(schema: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        sample(schema)

    assert caught.value.code in ("too_complex", "invalid_schema")


def test_10_000_values_are_made_and_one_more_is_not() -> None:
    assert len(sample({"type": "array", "minItems": 9999, "items": {"type": "null"}})) == 9999

    with pytest.raises(BadRequest, match="10,000 values") as caught:
        sample({"type": "array", "minItems": 10_000, "items": {"type": "null"}})
    assert caught.value.code == "too_complex"


@pytest.mark.parametrize(
    "schema",
    [
        None,
        5,
        [],
        False,
        {"$ref": 5},
        {"$ref": "#/nowhere"},
        {"$ref": "http://example.com/schema"},
        {"type": 5},
        {"type": "text"},
        {"type": []},
        {"type": [{}]},
        {"enum": 5},
        {"enum": {"a": 1}},
        {"anyOf": [5]},
        {"anyOf": 5},
        {"oneOf": ["x"]},
        {"allOf": [5]},
        {"allOf": {"a": 1}},
        {"allOf": [{"properties": {}}, {"properties": [1]}]},
        {"allOf": [{"required": ["a"]}, {"required": 5}]},
        {"allOf": [{"$ref": 5}]},
        {"properties": [1]},
        {"properties": {"a": 5}},
        {"type": "object", "required": 5},
        {"type": "object", "required": [[]]},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "array", "items": 5},
        {"type": "array", "minItems": "x"},
        {"type": "array", "minItems": True},
        {"type": "array", "minItems": -1},
        {"type": "array", "maxItems": 1.5},
        {"type": "string", "minLength": []},
        {"type": "string", "maxLength": None},
        {"type": "integer", "minimum": "x"},
        {"type": "number", "multipleOf": 0},
        {"type": "number", "multipleOf": -1},
        {"type": "number", "minimum": 10**400, "multipleOf": 0.5},
        {"type": "integer", "minimum": 5, "maximum": 3},
    ],
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        sample(schema)

    assert caught.value.code == "invalid_schema"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "text"),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"type": "array", "maxItems": 0}, []),
        ({"type": "array", "items": False}, []),
        ({"type": "object", "properties": {"a": False}}, {}),
        ({"type": "string", "minLength": 6, "maxLength": 8}, "textxx"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "integer", "minimum": 1.5}, 2),
        ({"type": "integer", "minimum": 4, "multipleOf": 2.5}, 5),
        ({"$ref": "#/$defs/a%20b~1c", "$defs": {"a b/c": {"const": 7}}}, 7),
        ({"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}}, {"a": 1}),
    ],
)
def test_the_smallest_that_fits(schema: Any, expected: Any) -> None:
    assert sample(schema) == expected
