"""The API as types: web/client/src/contract.ts, made of contract/openapi.json.

python -m tools.client_types            says whether it is what the document makes of it
python -m tools.client_types --write    writes it

What a device speaks of is in it, with all that this is made of, and nothing else. Everything is readonly. What the
document leaves open is `unknown`. Bounds of numbers and texts are no matter of types: the server tells those.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = Path("contract/openapi.json")
TYPES = Path("web/client/src/contract.ts")

OPERATIONS = frozenset(
    {
        "sync",
        "events",
        "bootstrap",
        "createSession",
        "refreshSession",
        "csrfToken",
        "upgradeSession",
        "currentSession",
        "endSession",
        "listConversations",
        "conversation",
        "listBranches",
        "listPlacedItems",
        "retrieveResponse",
        "cancelResponse",
        "sayFeedback",
        "listOwnFeedback",
        "takeFeedbackBack",
        "listFacts",
        "addFact",
        "retrieveFact",
        "changeFact",
        "eraseFact",
        "me",
    }
)
"""What a device calls."""

_WIDTH = 100
_REFERENCE = "#/components/schemas/"
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*\Z")
_HEAD = """\
// What the server says and takes, as types. Made of contract/openapi.json by `python -m tools.client_types --write`;
// changed there, never here.

export interface components {
  readonly schemas: {
"""

Json = Any  # as json.loads makes it
Schema = Mapping[str, Json]


def main(arguments: list[str]) -> int:
    """Check the types, or write them. Returns the exit code."""
    made = types_of(json.loads((ROOT / DOCUMENT).read_text(encoding="utf-8")))
    path = ROOT / TYPES
    if arguments == ["--write"]:
        path.write_text(made, encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == made:
        return 0
    print(f"{TYPES}: is not what {DOCUMENT} says; `python -m tools.client_types --write` writes it")
    return 1


def types_of(document: Schema, operations: Iterable[str] = OPERATIONS) -> str:
    """The TypeScript of all schemas that these operations speak of.

    Raises KeyError where there is no such operation, and ValueError at a schema of a kind that it does not know.
    """
    schemas: Schema = document["components"]["schemas"]
    paths: Mapping[str, Schema] = document["paths"]
    spoken = {method["operationId"]: method for methods in paths.values() for method in methods.values()}
    begun = ["Error", *(name for each in operations for name in references(spoken[each]))]
    lines = [line for name in sorted(reachable(schemas, begun)) for line in _declared(name, schemas[name])]
    return _HEAD + "\n".join(lines) + "\n  };\n}\n"


def reachable(schemas: Schema, begun: Iterable[str]) -> set[str]:
    """The names of these schemas and of all that they are made of."""
    found: set[str] = set()
    left = list(begun)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(references(schemas[name]))
    return found


def references(value: Json) -> Iterator[str]:
    """Yield the names of the schemas that a piece of the document refers to, some of them more than once."""
    match value:
        case {**fields}:
            parts: Iterable[Json] = fields.values()
        case [*items]:
            parts = items
        case _:
            parts = ()
    for part in parts:
        if isinstance(part, str) and part.startswith(_REFERENCE):
            yield part.removeprefix(_REFERENCE)
        else:
            yield from references(part)


def _declared(name: str, schema: Schema) -> Iterator[str]:
    yield from _comment(schema, "    ")
    yield f"    readonly {name}:{_after_colon(type_of(schema, '    '))};"


def type_of(schema: Schema, indent: str) -> str:
    """A schema as a type. `indent` is that of the line on which it begins; one of several lines begins with a break."""
    options = list(dict.fromkeys(_options(schema, indent)))
    line = " | ".join(options)
    if len(options) == 1 or ("\n" not in line and len(indent) + len(line) <= _WIDTH - 30):
        return line
    return "".join(f"\n{indent}  | {option}" for option in dict.fromkeys(_options(schema, indent + "    ")))


def _options(schema: Schema, indent: str) -> Iterator[str]:
    match schema:
        case {"$ref": reference}:
            yield f'components["schemas"]["{reference.removeprefix(_REFERENCE)}"]'
        case {"enum": values}:
            yield from (json.dumps(value, ensure_ascii=False) for value in values)
        case {"anyOf": options}:
            for option in options:
                yield from _options(option, indent)
        case {"items": item}:
            inner = type_of(item, indent)
            end = f"\n{indent}" if inner.startswith("\n") else ""
            yield f"readonly ({inner}{end})[]" if "anyOf" in item or "enum" in item else f"readonly {inner}[]"
        case {"type": "array"}:
            yield "readonly unknown[]"
        case {"type": "object"}:
            yield _object(schema, indent)
        case {"type": "integer" | "number"}:
            yield "number"
        case {"type": "string" | "boolean" | "null" as same}:
            yield same
        case _ if not schema:
            yield "unknown"
        case _:
            raise ValueError(f"No type is known for {schema!r}.")


def _object(schema: Schema, indent: str) -> str:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    lines: list[str] = []
    for name, inner in properties.items():
        lines += _comment(inner, indent + "  ")
        key = name if _IDENTIFIER.match(name) else json.dumps(name)
        mark = "" if name in schema.get("required", ()) else "?"
        lines.append(f"{indent}  readonly {key}{mark}:{_after_colon(type_of(inner, indent + '  '))};")
    if not properties:
        rest: Json = schema.get("additionalProperties", {})
        if rest is False:
            return "Readonly<Record<string, never>>"
        value = type_of({} if rest is True else rest, indent)
        return f"Readonly<Record<string,{_after_colon(value)}>>"
    return "\n".join(["{", *lines, indent + "}"])


def _after_colon(kind: str) -> str:
    return kind if kind.startswith("\n") else f" {kind}"


def _comment(schema: Schema, indent: str) -> Iterator[str]:
    """The first paragraph of what is said of it."""
    said = " ".join(str(schema.get("description", "")).split("\n\n", 1)[0].split()).replace("*/", "*\\/")
    if not said:
        return
    if len(indent) + len(said) + 7 <= _WIDTH:
        yield f"{indent}/** {said} */"
        return
    yield f"{indent}/**"
    yield from (f"{indent} * {line}" for line in wrap(said, _WIDTH - len(indent) - 3))
    yield f"{indent} */"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
