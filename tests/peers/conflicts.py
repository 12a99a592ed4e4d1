"""Where what we answer is not what OpenAI's document says, and why: the whole list.

Each is shown by a request, and a test asserts that it is still there, by the edition of the document
that the tests bring: what is gone leaves the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.peers.document import Finding


@dataclass(frozen=True, slots=True)
class Conflict:
    """One known conflict. `where` and `says` are patterns that match a finding wholly.

    `shown_by` is a path and what is posted there, None where it is read, or another `method` asks; `FILE` in either is
    the id of a file that a batch can be made of, `STORED` and `CHAT` those of a stored response and chat completion.
    """

    name: str
    where: str
    says: str
    why: str
    shown_by: tuple[str, dict[str, Any] | None]
    method: str | None = None

    def is_in(self, finding: Finding) -> bool:
        """Whether this finding is of this conflict."""
        return bool(re.fullmatch(self.where, finding.where) and re.fullmatch(self.says, finding.says, re.DOTALL))


FILE = "<file>"
STORED = "<stored>"
CHAT = "<chat>"
_RESPONSE: dict[str, Any] = {"model": "fast", "input": "hello"}

_CUSTOM_TOOL: dict[str, Any] = {
    "model": "fast",
    "messages": [{"role": "user", "content": "hello"}],
    "tools": [{"type": "custom", "custom": {"name": "run"}}],
    "stream": True,
}

CONFLICTS = (
    Conflict(
        name="callers",
        where=r"(POST|GET) /responses\S* (response\.\w+ response\.)?(safety_identifier|prompt_cache_key)",
        says='null is not of type "string"',
        why="Open Responses asks for null where the request has none; newer editions of the document allow it.",
        shown_by=("/responses", _RESPONSE),
    ),
    Conflict(
        name="usage",
        where=r"(POST|GET) /responses\S* (response\.\w+ response\.)?usage",
        says='null is not of type "object"',
        why="Before the end there is no usage: OpenAI itself and Open Responses say null; the document knows no null.",
        shown_by=("/responses", {**_RESPONSE, "stream": True}),
    ),
    Conflict(
        name="deleted",
        where=r"DELETE /responses/\{response_id\}",
        says="is not in the document",
        why="OpenAI's reference says what a deletion is answered with; the document has no body there.",
        shown_by=(f"/responses/{STORED}", None),
        method="DELETE",
    ),
    Conflict(
        name="nobody",
        where=r"GET /chat/completions (first_id|last_id)",
        says='null is not of type "string"',
        why="A list without anything in it has no first one; the document knows no empty lists.",
        shown_by=("/chat/completions?model=thinking", None),
    ),
    Conflict(
        name="roles",
        where=r"GET /chat/completions/\{completion_id\}/messages data\.\*\.role",
        says='"(system|developer|user|tool|function)" is not one of "assistant"',
        why="The messages of a request have the roles that they came with, as in the document's own example.",
        shown_by=(f"/chat/completions/{CHAT}/messages", None),
    ),
    Conflict(
        name="base64",
        where=r"POST /embeddings data\.\*\.embedding",
        says=r'"[A-Za-z0-9+/]+=*"? is not of type "array"|"[A-Za-z0-9+/=]+',
        why="`encoding_format: base64` asks for a text, as OpenAI's clients do; the document describes numbers only.",
        shown_by=("/embeddings", {"model": "embed", "input": "hello", "encoding_format": "base64"}),
    ),
    Conflict(
        name="custom",
        where=r"POST /chat/completions choices\.\*\.delta\.tool_calls\.\*\.type",
        says='"custom" is not one of "function"',
        why="The document has custom tools in whole answers and forgets them in chunks.",
        shown_by=("/chat/completions", _CUSTOM_TOOL),
    ),
    Conflict(
        name="batches",
        where=r"(GET|POST) /batches\S* (data\.\*\.)?\w+",
        says='null is not of type "(object|string|integer)"',
        why="What has not happened yet is null in OpenAI's own answers and examples; the document knows no null.",
        shown_by=("/batches", {"input_file_id": FILE, "endpoint": "/v1/embeddings", "completion_window": "24h"}),
    ),
    Conflict(
        name="content",
        where=r"GET /files/\{file_id\}/content",
        says="is application/octet-stream",
        why="OpenAI answers with the bytes; the document describes a JSON text.",
        shown_by=(f"/files/{FILE}/content", None),
    ),
)


def unknown(findings: Iterable[Finding]) -> list[Finding]:
    """Those of the findings that are of no known conflict."""
    return [finding for finding in findings if not any(conflict.is_in(finding) for conflict in CONFLICTS)]
