"""Schemas as Anthropic's structured outputs take them: nothing that a schema says is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.providers.anthropic_schemas import closed_schema
from frontdesk.upstream.anthropic_schemas import check_schema


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["n"]},
            {
                "type": "object",
                "properties": {"n": {"type": "integer", "description": "{minimum: 1, maximum: 9}"}},
                "required": ["n"],
                "additionalProperties": False,
            },
        ),
        (
            record(a={"type": "string", "description": "A name.", "pattern": "^x", "format": "date"}),
            record(a={"type": "string", "description": 'A name.\n\n{pattern: "^x"}', "format": "date"}),
        ),
        (
            record(a={"type": "string", "format": "phone"}),
            record(a={"type": "string", "description": '{format: "phone"}'}),
        ),
        (
            record(a={"type": "array", "items": {"oneOf": [{"type": "null"}, record()]}, "minItems": 1, "maxItems": 2}),
            record(
                a={
                    "type": "array",
                    "items": {"anyOf": [{"type": "null"}, record()]},
                    "minItems": 1,
                    "description": "{maxItems: 2}",
                }
            ),
        ),
        (
            {
                **record(a={"$ref": "#/$defs/b", "description": "A b."}),
                "$defs": {"b": {"enum": ["x", None]}},
                "$schema": "x",
            },
            {
                **record(a={"description": "A b.", "anyOf": [{"$ref": "#/$defs/b"}]}),
                "$defs": {"b": {"enum": ["x", None]}},
            },
        ),
        (
            record(a={"oneOf": [{"type": "null"}], "anyOf": [{"type": "string"}]}),
            record(a={"anyOf": [{"type": "null"}], "description": '{anyOf: [{"type":"string"}]}'}),
        ),
        ({**record(a={"type": "string"}), "additionalProperties": True}, record(a={"type": "string"})),
        ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, record(a={"type": ["string", "null"]})),
    ],
)
def test_what_is_not_known_there_is_told_in_words(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert closed_schema(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "object", "patternProperties": {"^x": {}}}}},
        record(next={"$ref": "#"}),
        {
            **record(a={"$ref": "#/$defs/a"}),
            "$defs": {"a": record(b={"$ref": "#/$defs/b"}), "b": record(a={"$ref": "#/$defs/a"})},
        },
        {
            **record(a={"type": "array", "items": {"$ref": "#/definitions/a"}}),
            "definitions": {"a": record(a={"$ref": "#/definitions/a"})},
        },
        record(a={"$ref": "#/$defs/nobody"}),
        record(a={"$ref": "https://example.com/schema"}),
    ],
)
def test_what_cannot_be_said_there_is_none(schema: dict[str, Any]) -> None:
    assert closed_schema(schema) is None


LEAVES = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "number", "boolean", "null"])},
    optional={
        "description": st.just("«said»"),
        "minLength": st.integers(0, 9),
        "pattern": st.sampled_from(["^a", "\\d+"]),
        "format": st.sampled_from(["date", "phone"]),
        "multipleOf": st.integers(1, 9),
        "examples": st.just(["«example»"]),
    },
) | st.fixed_dictionaries({"enum": st.just(["a", 1, None, 0.5, True])})


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("ab"), inner, min_size=1)},
            optional={"required": st.just(["a"]), "additionalProperties": st.booleans(), "minProperties": st.just(1)},
        )
        | st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 3), "maxItems": st.just(7), "uniqueItems": st.booleans()},
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)})
    )


SCHEMAS = st.dictionaries(st.sampled_from("abc"), st.recursive(LEAVES, nested, max_leaves=8), min_size=1)


def words_of(value: Any) -> set[str]:
    """All keywords and texts of a schema, wherever they stand."""
    if isinstance(value, dict):
        found = {str(name) for name in value if name not in {"oneOf", "additionalProperties"}}
        return found.union(*map(words_of, value.values()))
    if isinstance(value, list):
        return set[str]().union(*map(words_of, value))
    return {value} if isinstance(value, str) else set()


@settings(max_examples=300, deadline=None)
@given(SCHEMAS)
def test_any_schema_is_taken_and_nothing_of_it_is_lost(properties: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": properties}
    before = json.dumps(schema)
    closed = closed_schema(schema)

    assert closed is not None
    check_schema(closed, "schema")  # as the provider does
    said = json.dumps(closed, ensure_ascii=False).replace("\\", "")
    assert all(word.replace("\\", "") in said for word in words_of(schema))
    assert json.dumps(schema) == before
