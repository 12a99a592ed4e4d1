"""Whether values fit schemas: as another validator says, and within bounds whatever the schema."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.providers.structured_schema import Schema, TooComplex

_names = st.sampled_from(["a", "b", "c"])
_texts = st.sampled_from(["", "a", "ab", "abc", "2026", "é", "🛎️"])
_numbers = st.sampled_from([-1, 0, 1, 2, 3, 10, 0.5, 1.0, 2.5, 0.3, 1e10])
_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)
_counts = st.integers(0, 3)


def _some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas with some of these keywords."""
    return st.fixed_dictionaries({}, optional=keywords)


def _schemas() -> st.SearchStrategy[Any]:
    kinds = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
    leaf = st.one_of(
        st.booleans(),
        _some(type=kinds | st.lists(kinds, min_size=1, max_size=3, unique=True)),
        _some(const=_values),
        _some(enum=st.lists(_values, min_size=1, max_size=4)),
        _some(minLength=_counts, maxLength=_counts, pattern=st.sampled_from(["^a", "b$", "^[0-9]{4}$", "^.{1,2}$"])),
        _some(
            minimum=_numbers,
            maximum=_numbers,
            exclusiveMinimum=_numbers,
            exclusiveMaximum=_numbers,
            multipleOf=st.sampled_from([1, 2, 0.5, 0.1, 3]),
        ),
        st.just({"$ref": "#/$defs/node"}),
    )

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            _some(
                type=st.just("object"),
                properties=st.dictionaries(_names, inner, max_size=3),
                required=st.lists(_names, max_size=2, unique=True),
                additionalProperties=inner,
                patternProperties=st.dictionaries(st.sampled_from(["^a", "[bc]"]), inner, max_size=2),
                propertyNames=inner,
                minProperties=_counts,
                maxProperties=_counts,
                dependentRequired=st.dictionaries(_names, st.lists(_names, max_size=2, unique=True), max_size=1),
            ),
            _some(
                type=st.just("array"),
                items=inner,
                prefixItems=some,
                contains=inner,
                minItems=_counts,
                maxItems=_counts,
                uniqueItems=st.booleans(),
            ),
            _some(anyOf=some, oneOf=some, allOf=some),
            st.fixed_dictionaries({"not": inner}),
            st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        )

    return st.recursive(leaf, nested, max_leaves=8)


_NODE = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}, "b": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@given(_schemas(), _values)
def test_a_value_fits_where_another_validator_says_so(schema: Any, value: Any) -> None:
    root = {"$defs": {"node": _NODE}, "allOf": [schema]}
    expected = jsonschema_rs.Draft202012Validator(root).is_valid(value)

    assert Schema(root).fits(value) is expected


def test_a_recursive_schema_is_followed() -> None:
    schema = Schema({"$ref": "#/$defs/node", "$defs": {"node": _NODE}})

    assert schema.fits({"a": {"a": None, "b": "x"}})
    assert not schema.fits({"a": {"a": None, "b": 7}})


def test_what_only_describes_is_no_demand() -> None:
    schema = Schema({"type": "string", "format": "email", "title": "T", "x-own": 7, "default": 3})

    assert schema.fits("no address")


@pytest.mark.parametrize(
    "schema",
    [
        None,
        "string",
        [],
        {"type": "text"},
        {"type": {}},
        {"type": None},
        {"properties": []},
        {"properties": {"a": 7}},
        {"required": "a"},
        {"required": [{}]},
        {"enum": {}},
        {"minLength": -1},
        {"maxItems": "3"},
        {"minimum": "0"},
        {"maximum": float("inf")},
        {"multipleOf": 0},
        {"pattern": 7},
        {"pattern": "(?=a)"},
        {"patternProperties": {"(": {}}},
        {"anyOf": {}},
        {"items": [{}]},
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.test/schema.json"},
        {"$ref": 7},
        {"$ref": "#/$defs/a", "$defs": {"a": 7}},
        {"$ref": "#/enum/0", "enum": [{"minLength": "x"}]},
        {"dependentRequired": {"a": "b"}},
    ],
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        Schema(schema)

    assert caught.value.code == "invalid_schema"
    assert caught.value.message.startswith("The JSON schema ")


def test_a_schema_that_is_too_large_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"items": deep}
    for schema in (deep, {"anyOf": [{"type": "string"} for _ in range(30_000)]}):
        with pytest.raises(BadRequest, match="too large"):
            Schema(schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#"}, 1),
        (
            {"$defs": {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)} | {"40": False},
             "$ref": "#/$defs/0"},
            1,
        ),
        ({"items": {"type": "integer"}}, [1] * 1_000_000),
    ],
)  # fmt: skip
def test_what_a_check_may_cost_is_bounded(schema: Any, value: Any) -> None:
    with pytest.raises(TooComplex):
        Schema(schema).fits(value)
