"""What clients are written against says what the document says of what a device speaks of, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tools.client_types import reachable, type_of, types_of


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def test_only_what_the_operations_speak_of_is_declared() -> None:
    schemas: dict[str, Any] = {
        "Error": {"type": "object"},
        "Note": {
            "type": "object",
            "description": "What somebody\n    wrote.\n\n    Of no length.",
            "properties": {"at": {"type": "integer", "description": "Unix seconds."}, "by": reference("Person")},
            "required": ["at"],
        },
        "Person": {"type": "string"},
        "Price": {"type": "number"},
    }
    document = {
        "components": {"schemas": schemas},
        "paths": {
            "/notes": {"get": {"operationId": "notes", "responses": {"200": {"schema": reference("Note")}}}},
            "/prices": {"get": {"operationId": "prices", "responses": {"200": {"schema": reference("Price")}}}},
        },
    }

    made = types_of(document, ["notes"])

    assert made.split("readonly schemas: {\n")[1] == (
        "    readonly Error: Readonly<Record<string, unknown>>;\n"
        "    /** What somebody wrote. */\n"
        "    readonly Note: {\n"
        "      /** Unix seconds. */\n"
        "      readonly at: number;\n"
        '      readonly by?: components["schemas"]["Person"];\n'
        "    };\n"
        "    readonly Person: string;\n"
        "  };\n"
        "}\n"
    )


def test_operation_that_is_not_there_is_told() -> None:
    document = {"components": {"schemas": {"Error": {}}}, "paths": {}}

    with pytest.raises(KeyError, match="notes"):
        types_of(document, ["notes"])


def test_schemas_that_refer_to_each_other_end() -> None:
    schemas = {"One": {"items": reference("Other")}, "Other": {"anyOf": [reference("One"), {"type": "null"}]}}

    assert reachable(schemas, ["One"]) == {"One", "Other"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "unknown"),
        ({"type": "integer", "minimum": 0}, "number"),
        ({"enum": ["a", True, None]}, '"a" | true | null'),
        ({"anyOf": [{"type": "string"}, {"anyOf": [{"type": "null"}, {"type": "string"}]}]}, "string | null"),
        ({"type": "array", "items": {"type": "string"}}, "readonly string[]"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, 'readonly ("a" | "b")[]'),
        ({"type": "array"}, "readonly unknown[]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "Readonly<Record<string, string>>"),
        ({"type": "object", "additionalProperties": False}, "Readonly<Record<string, never>>"),
        (
            {"type": "object", "properties": {"a-b": {"type": "null"}}, "additionalProperties": False},
            '{\n  readonly "a-b"?: null;\n}',
        ),
    ],
)
def test_schema_becomes_its_type(schema: dict[str, Any], expected: str) -> None:
    assert type_of(schema, "") == expected


def test_schema_of_an_unknown_kind_is_told_rather_than_open() -> None:
    with pytest.raises(ValueError, match="allOf"):
        type_of({"allOf": [{"type": "string"}]}, "")


def test_description_cannot_end_its_comment() -> None:
    made = type_of({"type": "object", "properties": {"path": {"type": "string", "description": "As in /*/ here."}}}, "")

    assert made == "{\n  /** As in /*\\/ here. */\n  readonly path?: string;\n}"
