"""Google's dialect: Gemini's models under /v1beta and /v1, with a method behind the last colon of a path.

Shapes: the types of Google's Python package google-genai, 3.4, and its API reference (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.providers.scripts import count_input, script_names
from frontdesk.upstream.dialects import Answer, Asked, Reply
from frontdesk.upstream.gemini_answer import EmbedAnswer, GeminiAnswer, modalities
from frontdesk.upstream.gemini_request import count_generate, read_embed, read_generate
from frontdesk.upstream.openai import bearer
from frontdesk.wire.reading import read_object

_encode = msgspec.json.Encoder().encode
_VERSIONS = ("/v1beta", "/v1")
METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
"""What may stand behind a model's name in a path."""

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc"
_USUAL_PAGE, _LARGEST_PAGE = 50, 1000


class GeminiDialect:
    """What Gemini's API understands."""

    def claims(self, asked: Asked) -> bool:
        """Whether a request is Google's; of the paths that it shares with OpenAI the key or the method tells."""
        if asked.path.startswith("/v1beta/"):
            return True
        if asked.path != "/v1/models" and not asked.path.startswith("/v1/models/"):
            return False
        has_method = asked.method == "POST" and unquote(asked.path).rpartition(":")[2] in METHODS
        return has_method or "x-goog-api-key" in asked.headers or "key" in asked.query

    def read(self, asked: Asked) -> Answer | Reply:
        """Return what is asked; raises NotFound where the path is not ours."""
        path = next(asked.path.removeprefix(each) for each in _VERSIONS if asked.path.startswith(f"{each}/"))
        if asked.method == "GET" and path == "/models":
            return self._told(_page(asked.query))
        if not path.startswith("/models/"):
            raise NotFound("Requested entity was not found.")
        name = unquote(path.removeprefix("/models/"))
        if asked.method == "GET":
            return self._told(_model(name))
        model, colon, method = name.rpartition(":")
        if asked.method != "POST" or not colon or not model:
            raise NotFound("Requested entity was not found.")
        return self._called(model, method, asked)

    def refusal(
        self,
        status: int,
        message: str,
        code: str | None,  # noqa: ARG002 - it has statuses instead
        param: str | None,
        retry_after_s: float | None = None,
    ) -> Reply:
        """Return Google's error. When to come again stands in its details, and in no header."""
        error: dict[str, Any] = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
        details: list[dict[str, Any]] = []
        if retry_after_s is not None:
            details.append({"@type": f"{_TYPE}.RetryInfo", "retryDelay": f"{retry_after_s:g}s"})
        if status == 400 and param is not None:
            violations = [{"field": param, "description": line} for line in message.split("\n")]
            details.append({"@type": f"{_TYPE}.BadRequest", "fieldViolations": violations})
        if details:
            error["details"] = details
        return Reply(status, _encode({"error": error}), self.headers(status))

    def headers(self, status: int) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Return what Google tells with every answer."""
        return {
            "content-type": "application/json; charset=UTF-8",
            "vary": "Origin, X-Origin, Referer",
            "server": "scaffolding on HTTPServer2",
            "server-timing": "gfet4t7; dur=1",
        }

    def key_of(self, asked: Asked) -> str | None:
        """Return the key: of a header, or of the address."""
        return asked.headers.get("x-goog-api-key") or asked.query.get("key") or bearer(asked.headers)

    def unauthenticated(self, key: str | None) -> Reply:
        """Return what Google answers to a missing or wrong key."""
        if not key:
            return self.refusal(
                403, "Method doesn't allow unregistered callers. Please use an API key to call this API.", None, None
            )
        reason = {"@type": f"{_TYPE}.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        message = "API key not valid. Please pass a valid API key."
        error = {"code": 400, "message": message, "status": "INVALID_ARGUMENT", "details": [reason]}
        return Reply(400, _encode({"error": error}), self.headers(400))

    def _called(self, model: str, method: str, asked: Asked) -> Answer | Reply:
        raw = read_object(asked.body)
        match method:
            case "generateContent":
                return GeminiAnswer(read_generate(raw, is_streaming=False), model, "body")
            case "streamGenerateContent":
                alt = asked.query.get("alt", "json")
                if alt not in ("sse", "json"):
                    raise BadRequest(f'Invalid value "{alt}" for query parameter "alt".', param="alt")
                request = read_generate(raw, is_streaming=True)
                return GeminiAnswer(request, model, "events" if alt == "sse" else "list")
            case "countTokens":
                prompt = count_generate(raw)
                tokens = count_input(prompt)
                return self._told({"totalTokens": tokens, "promptTokensDetails": modalities(prompt, tokens)})
            case "embedContent" | "batchEmbedContents":
                return EmbedAnswer(read_embed(raw, is_batch=method == "batchEmbedContents"), model)
            case _:
                raise NotFound(f"models/{model} is not found for API version v1beta, or is not supported for {method}.")

    def _told(self, body: Any) -> Reply:
        return Reply(200, _encode(body), self.headers(200))


def _model(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": "A script of the scripted provider.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": list(METHODS),
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": name.startswith("thinking"),
    }


def _page(query: Mapping[str, str]) -> dict[str, Any]:
    size, token = query.get("pageSize", str(_USUAL_PAGE)), query.get("pageToken", "0")
    if not size.isdecimal() or not token.isdecimal():
        raise BadRequest("Invalid value for query parameter 'page_size' or 'page_token'.", param="page_size")
    names, start = script_names(), int(token[:9])
    end = start + min(max(1, int(size[:9])), _LARGEST_PAGE)
    page: dict[str, Any] = {"models": [_model(name) for name in names[start:end]]}
    return {**page, "nextPageToken": str(end)} if end < len(names) else page
