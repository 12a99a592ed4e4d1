"""Azure's dialect: OpenAI's, under /openai, with deployments in the path and what its content filter says.

Source: Azure OpenAI's REST reference (v1, and 2024-10-21 for deployments).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from frontdesk.core.errors import NotFound
from frontdesk.core.ids import new_id
from frontdesk.providers.scripts import Outcome
from frontdesk.turn.events import Event, Usage
from frontdesk.turn.items import Request
from frontdesk.upstream.dialects import Answer, Asked, Reply
from frontdesk.upstream.frames import each_payload, frame
from frontdesk.upstream.openai import OpenAIAnswer, OpenAIDialect, bearer
from frontdesk.wire.reading import read_object

_encode = msgspec.json.Encoder().encode
_ROOT = "/openai/"
_DEPLOYMENT = re.compile(r"/openai/deployments/(?P<name>[^/]+)(?P<rest>/.*)")
_BOUNDARY = re.compile(r'multipart/form-data;.*boundary="?([^";]+)')
_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_FILTERED = {**_SAFE, "violence": {"filtered": True, "severity": "high"}}
_CODES = {401: "401", 403: "403", 404: "404", 429: "429", 500: "InternalServerError"}


class AzureDialect:
    """What Azure OpenAI understands: /openai/v1, and /openai/deployments/NAME with an `api-version`."""

    def __init__(self, openai: OpenAIDialect) -> None:
        self._openai = openai

    def claims(self, asked: Asked) -> bool:
        """Whether a request is Azure's."""
        return asked.path.startswith(_ROOT)

    def read(self, asked: Asked) -> Answer | Reply:
        """Return what is asked; raises NotFound where the path is not ours, or lacks its `api-version`."""
        deployment = _DEPLOYMENT.fullmatch(asked.path)
        if deployment is None:
            return _with_filters(self._openai.read(asked._replace(path=asked.path.removeprefix("/openai"))))
        if asked.method != "POST" or not asked.query.get("api-version"):
            raise NotFound("Resource not found")
        body = _with_model(asked, unquote(deployment["name"]))
        return _with_filters(self._openai.read(asked._replace(path=f"/v1{deployment['rest']}", body=body)))

    def refusal(
        self, status: int, message: str, code: str | None, param: str | None, retry_after_s: float | None = None
    ) -> Reply:
        """Return the error: Azure's own, or OpenAI's where that is what stands behind it."""
        headers = dict(self.headers(status))
        if retry_after_s is not None:
            headers["retry-after"] = str(math.ceil(retry_after_s))
        if status not in _CODES:
            return self._openai.refusal(status, message, code, param)._replace(headers=headers)
        told = "DeploymentNotFound" if code == "model_not_found" else _CODES[status]
        return Reply(status, _encode({"error": {"code": told, "message": message}}), headers)

    def headers(self, status: int) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Return what Azure tells with every answer."""
        return {"apim-request-id": new_id(""), "x-request-id": new_id(""), "x-ms-region": "Nowhere"}

    def key_of(self, asked: Asked) -> str | None:
        """Return the key, or the token of who has one of those."""
        return asked.headers.get("api-key") or bearer(asked.headers)

    def unauthenticated(self, key: str | None) -> Reply:  # noqa: ARG002 - the same for both
        """Return what Azure answers to a missing or wrong key."""
        message = "Access denied due to invalid subscription key or wrong API endpoint. Check both for your resource."
        return self.refusal(401, message, None, None)


def _with_model(asked: Asked, model: str) -> bytes:
    """The body with the deployment as its model; a form keeps the model that it names."""
    boundary = _BOUNDARY.search(asked.headers.get("content-type", ""))
    if boundary is None:
        return _encode({**read_object(asked.body), "model": model})
    if b'name="model"' in asked.body:
        return asked.body
    part = f'--{boundary[1]}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
    return part.encode() + asked.body


def _with_filters(answer: Answer | Reply) -> Answer | Reply:
    return _FilteredAnswer(answer) if isinstance(answer, OpenAIAnswer) and answer.door == "chat" else answer


class _FilteredAnswer:
    """A chat's answer with what the content filter says of the prompt, and of each choice."""

    def __init__(self, answer: OpenAIAnswer) -> None:
        self.request: Request = answer.request
        self.model = answer.model
        self.is_streaming = answer.is_streaming
        self.content_type = answer.content_type
        self.tells_usage: Literal["last"] = "last"
        self._answer = answer
        self._has_begun = False

    def begin(self, script: str, outcome: Outcome) -> None:
        """Nothing depends on it."""

    def counted(self, usage: Usage) -> Usage:
        """Return the usage as it is."""
        return usage

    def render(self, events: list[Event]) -> bytes:
        """Return the server-sent events of these; the first one tells of the prompt alone."""
        frames = each_payload(self._answer.render(events), _with_choices_filtered)
        if self._has_begun:
            return frames
        self._has_begun = True
        about: dict[str, Any] = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        return frame({**about, "prompt_filter_results": _about_prompt()}) + frames

    def in_transit(self, frames: bytes) -> bytes:
        """Return the events as they are."""
        return frames

    def render_body(self, events: list[Event]) -> bytes:
        """Return the whole body."""
        body = _with_choices_filtered(msgspec.json.decode(self._answer.render_body(events)))
        return _encode({**body, "prompt_filter_results": _about_prompt()})

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:
        """Return OpenAI's error inside a 200."""
        return self._answer.render_failure(kind, message)

    def without_finish(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Return the payload without `finish_reason`."""
        return self._answer.without_finish(payload)


def _about_prompt() -> list[dict[str, Any]]:
    return [{"prompt_index": 0, "content_filter_results": _SAFE}]


def _with_choices_filtered(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "choices": [_filtered(choice) for choice in payload["choices"]]}


def _filtered(choice: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = choice.get("delta") or choice.get("message") or {}
    if choice.get("finish_reason") == "content_filter":
        return {**choice, "content_filter_results": _FILTERED}
    return {**choice, "content_filter_results": _SAFE if said.get("content") else {}}
