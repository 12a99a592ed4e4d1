"""Anthropic's dialect: Messages, the count of their tokens, and Models.

Shapes: the types of Anthropic's Python package, 2.12, and its API reference (2026-11).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.core.ids import new_id
from frontdesk.providers.scripts import script_names
from frontdesk.upstream.anthropic_answer import MessagesAnswer
from frontdesk.upstream.anthropic_request import NO_THREADS, count_messages, read_messages
from frontdesk.upstream.dialects import Answer, Asked, Reply
from frontdesk.upstream.openai import bearer
from frontdesk.upstream.prompt_cache import PromptCache
from frontdesk.wire.reading import read_object

_encode = msgspec.json.Encoder().encode
_MESSAGES, _MODELS = "/v1/messages", "/v1/models"
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_USUAL_PAGE, _LARGEST_PAGE = 20, 1000


class AnthropicDialect:
    """What Anthropic understands: /v1/messages, and /v1/models where the request is one of its clients'."""

    def __init__(self, clock: Clock) -> None:
        self._cache = PromptCache(clock)

    def claims(self, asked: Asked) -> bool:
        """Whether a request is Anthropic's; of the paths that it shares with OpenAI the headers tell."""
        if asked.path == _MESSAGES or asked.path.startswith(f"{_MESSAGES}/"):
            return True
        is_shared = asked.path == _MODELS or asked.path.startswith(f"{_MODELS}/")
        return is_shared and ("anthropic-version" in asked.headers or "x-api-key" in asked.headers)

    def read(self, asked: Asked) -> Answer | Reply:
        """Return what is asked; raises NotFound where the path is not ours."""
        if "anthropic-version" not in asked.headers:
            raise BadRequest("anthropic-version: header is required", param="anthropic-version")
        is_beta = "anthropic-beta" in asked.headers
        match asked.method, asked.path:
            case "POST", "/v1/messages":
                request = read_messages(read_object(asked.body), is_beta=is_beta)
                return MessagesAnswer(request, lambda: self._cache.charge(request.model, request.pieces))
            case "POST", "/v1/messages/count_tokens":
                return self._told({"input_tokens": count_messages(read_object(asked.body), is_beta=is_beta)})
            case "GET", "/v1/models":
                return self._told(_page(asked.query))
            case "GET", path if path.startswith(f"{_MODELS}/"):
                return self._told(_model(unquote(path.removeprefix(f"{_MODELS}/"))))
            case _:
                raise NotFound("Not Found")

    def refusal(
        self,
        status: int,
        message: str,
        code: str | None,
        param: str | None,  # noqa: ARG002 - the message says it
        retry_after_s: float | None = None,
    ) -> Reply:
        """Return Anthropic's error."""
        headers = dict(self.headers(status))
        if retry_after_s is not None:
            headers["retry-after"] = str(math.ceil(retry_after_s))
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        error: dict[str, Any] = {"type": kind, "message": message}
        if code == NO_THREADS:
            error["details"] = {"error_code": code}
        body = {"type": "error", "error": error, "request_id": headers["request-id"]}
        return Reply(status, _encode(body), headers)

    def headers(self, status: int) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Return what Anthropic tells with every answer."""
        return {"request-id": new_id("req_"), "anthropic-organization-id": "00000000-0000-0000-0000-000000000000"}

    def key_of(self, asked: Asked) -> str | None:
        """Return the key, or the token of who has one of those."""
        return asked.headers.get("x-api-key") or bearer(asked.headers)

    def unauthenticated(self, key: str | None) -> Reply:
        """Return what Anthropic answers to a missing or wrong key."""
        return self.refusal(401, "invalid x-api-key" if key else "x-api-key header is required", None, None)

    def _told(self, body: Any) -> Reply:
        return Reply(200, _encode(body), self.headers(200))


def _model(name: str) -> dict[str, Any]:
    if not name:
        raise NotFound("model: ")
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2025-01-01T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": None,
    }


def _page(query: Mapping[str, str]) -> dict[str, Any]:
    """The models after `after_id`, or before `before_id`, `limit` at most."""
    limit = query.get("limit", str(_USUAL_PAGE))
    if not limit.isdecimal() or not 1 <= int(limit[:5]) <= _LARGEST_PAGE:
        raise BadRequest(f"limit: Input should be from 1 to {_LARGEST_PAGE}", param="limit")
    names, most = script_names(), int(limit)
    after, before = query.get("after_id"), query.get("before_id")
    start = names.index(after) + 1 if after in names else 0
    end = names.index(before) if before in names else len(names)
    page = names[max(start, end - most) : end] if before else names[start : start + most]
    return {
        "data": [_model(name) for name in page],
        "has_more": len(page) < end - start,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
