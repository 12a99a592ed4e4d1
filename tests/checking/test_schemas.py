"""Schemas: what is certainly none is told with its place, and every schema that people write passes."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.checking.schemas import check_schema
from frontdesk.core.config.problems import Problems


def told(schema: Any) -> list[str]:
    problems = Problems()
    check_schema(problems, ("s",), schema)
    return [problem.message for problem in problems.found()]


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": ["string", "null"], "enum": ["a", None], "const": None, "default": 5, "examples": 7},
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": {"node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, False]}}}},
            "type": "object",
            "properties": {
                "type": {"type": "string", "pattern": "^a", "minLength": 1, "maxLength": 2.0},
                "required": {"type": "array", "items": {"type": "integer"}, "prefixItems": [{}], "minItems": 0},
                "enum": {"type": "array", "items": [{"type": "number"}, True]},
            },
            "required": ["type"],
            "additionalProperties": False,
            "x-order": ["type", 5],
            "not": {"required": []},
        },
    ],
)
def test_what_is_a_schema(schema: Any) -> None:
    assert told(schema) == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (5, "s is 5. It must be a schema: a mapping, true or false."),
        ({"type": "int"}, "s.type is 'int', which is no type of JSON. Did you mean 'integer'?"),
        (
            {"type": "text"},
            "s.type is 'text', which is no type of JSON. Known: string, number, integer, boolean, object, array, null.",
        ),
        ({"type": None}, "s.type is null, which is no text to YAML. Write it in quotes: 'null'."),
        ({"type": ["string", None]}, "s.type[1] is null, which is no text to YAML. Write it in quotes: 'null'."),
        ({"type": []}, "s.type is an empty list. It must be a type, or a list of types."),
        ({"type": True}, "s.type is true. It must be one of string, number, integer, boolean, object, array, null."),
        (
            {"type": [["string"]]},
            "s.type[0] is a list. It must be one of string, number, integer, boolean, object, array, null.",
        ),
        ({"properties": ["a"]}, "s.properties is a list. It must be a mapping of names to schemas."),
        ({"properties": {"a": "string"}}, "s.properties.a is 'string'. It must be a schema: a mapping, true or false."),
        ({"properties": {"a": None}}, "s.properties.a is null. It must be a schema: a mapping, true or false."),
        (
            {"$defs": {"a": {"type": "strng"}}},
            "s.$defs.a.type is 'strng', which is no type of JSON. Did you mean 'string'?",
        ),
        ({"required": True}, "s.required is true. It must be a list of names."),
        ({"required": ["a", False]}, "s.required[1] is false. It must be a name. Write it in quotes."),
        ({"items": {"items": 5}}, "s.items.items is 5. It must be a schema: a mapping, true or false."),
        ({"items": [5]}, "s.items[0] is 5. It must be a schema: a mapping, true or false."),
        ({"anyOf": {}}, "s.anyOf is a mapping. It must be a list of schemas."),
        ({"oneOf": []}, "s.oneOf is an empty list. It must be a list of schemas."),
        ({"allOf": [{"not": None}]}, "s.allOf[0].not is null. It must be a schema: a mapping, true or false."),
        (
            {"additionalProperties": "no"},
            "s.additionalProperties is 'no'. It must be a schema: a mapping, true or false.",
        ),
        ({"enum": "a"}, "s.enum is 'a'. It must be a list of values."),
        ({"$ref": 5}, "s.$ref is 5. It must be a text. Write it in quotes."),
        ({"minLength": -1}, "s.minLength is -1. It must be an integer from 0."),
        ({"maxItems": True}, "s.maxItems is true. It must be an integer from 0."),
        ({"maxItems": 1.5}, "s.maxItems is 1.5. It must be an integer from 0."),
    ],
)
def test_what_is_no_schema(schema: Any, words: str) -> None:
    assert told(schema) == [words]
