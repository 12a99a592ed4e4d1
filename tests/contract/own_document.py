"""Our own OpenAPI document holds for everything that is answered: each body, each event, each status."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator

from frontdesk.doors import api_answers, api_feedback_answers, api_live_answers, api_memory_answers
from frontdesk.wire import openai_answers, openai_conversation_answers, openai_file_answers, openai_media_answers
from tests.peers.document import Answer

_NO_JSON = {"application/octet-stream", "text/csv", "text/plain", "text/vtt"}
COMMITTED = Path(__file__).resolve().parents[2] / "contract" / "openapi.json"


class OwnDocument:
    """contract/openapi.json, ready to check answers. Counts in `checked` what it has checked, by schema."""

    def __init__(self) -> None:
        self._content: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
        # A field that is answered and not described is a mistake here, though clients must bear it. What
        # a request said comes back with the fields of strangers that it had.
        self._schemas = {
            name: _closed(schema) if _is_answers(name) else schema
            for name, schema in self._content["components"]["schemas"].items()
        }
        self._schemas["Readiness"]["additionalProperties"] = {"type": "string"}
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^?]+", path)), path, operations)
            for path, operations in sorted(self._content["paths"].items(), key=_literal_chars, reverse=True)
        ]
        self._validators: dict[str, Draft202012Validator] = {}
        self.checked: dict[str, int] = {}

    def check(self, answer: Answer) -> list[str]:
        """Say what the document has otherwise; of a path that it does not have, whether the error is one."""
        path, operation = self._operation(answer)
        where = f"{answer.method} {path} {answer.status}"
        if operation is None:
            return list(self._check_value(where, {"$ref": "#/components/schemas/Error"}, json.loads(answer.body)))
        described = operation["responses"].get(str(answer.status))
        if described is None:
            return [f"{where}: this status is not described"]
        if "$ref" in described:
            described = self._content["components"]["responses"][described["$ref"].rpartition("/")[2]]
        content_type = answer.content_type.partition(";")[0]
        if content_type not in described["content"]:
            return [f"{where}: {answer.content_type!r} is not described"]
        if content_type in _NO_JSON or content_type.startswith("audio/"):
            return []
        schema = described["content"][content_type]["schema"]
        if content_type != "text/event-stream":
            return list(self._check_value(where, schema, json.loads(answer.body))) if answer.is_whole else []
        return [finding for event in _events(answer.body) for finding in self._check_value(where, schema, event)]

    def _operation(self, answer: Answer) -> tuple[str, dict[str, Any] | None]:
        path = answer.path.partition("?")[0]
        for pattern, template, operations in self._paths:
            if pattern.fullmatch(path) and answer.method.lower() in operations:
                return template, operations[answer.method.lower()]
        return path, None

    def _check_value(self, where: str, schema: dict[str, Any], value: Any) -> Iterator[str]:
        name, key = self._chosen(schema, value), json.dumps(schema)
        self.checked[name or key] = self.checked.get(name or key, 0) + 1
        if name is not None:
            schema, key = {"$ref": f"#/components/schemas/{name}"}, name
        if key not in self._validators:
            self._validators[key] = Draft202012Validator({**schema, "components": {"schemas": self._schemas}})
        for error in self._validators[key].iter_errors(value):
            place = ".".join(map(str, error.instance_path))
            yield f"{where} {name or ''} {place}: {error.message:.300}"

    def _chosen(self, schema: dict[str, Any], value: Any) -> str | None:
        """Of several schemas the one that is meant, so that what is wrong can be told."""
        names = [option["$ref"].rpartition("/")[2] for option in schema.get("anyOf", [schema]) if "$ref" in option]
        if len(names) <= 1:
            return names[0] if names else None
        if "Error" in names and "error" in value:
            return "Error"
        for name in names if "type" in value else ():
            if self._schemas[name]["properties"].get("type", {}).get("enum", [None])[0] == value.get("type"):
                return name
        return None


def _literal_chars(path: tuple[str, Any]) -> int:
    """What of a path is not a parameter: with more of it, it is the more particular one of two that both fit."""
    return len(re.sub(r"\{\w+\}", "", path[0]))


def _is_answers(name: str) -> bool:
    if name.startswith("Listed"):
        return False  # what a request brought
    modules = (
        openai_answers,
        openai_conversation_answers,
        openai_file_answers,
        openai_media_answers,
        api_answers,
        api_feedback_answers,
        api_live_answers,
        api_memory_answers,
    )
    return any(getattr(getattr(module, name, None), "__module__", None) == module.__name__ for module in modules)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {"additionalProperties": False, **schema} if schema.get("type") == "object" else schema


def _events(body: bytes) -> Iterator[Any]:
    *blocks, _ = body.decode().split("\n\n")
    for block in blocks:
        for line in block.split("\n"):
            if line.startswith("data: ") and line != "data: [DONE]":
                yield json.loads(line.removeprefix("data: "))
