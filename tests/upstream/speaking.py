"""The dialects as a test speaks them: how a request looks in each, and where its answer says what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.upstream.raw import CHAT, Seen, asking, chat, exchange
from tests.upstreams import ScriptedUpstream

MESSAGES = "/v1/messages"
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def messages(model: str, *, stream: bool = True, text: str = "one two", **fields: Any) -> dict[str, Any]:
    """A request of Anthropic's."""
    said = [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 4096, "messages": said, "stream": stream, **fields}


def contents(text: str = "one two", **fields: Any) -> dict[str, Any]:
    """A request of Google's."""
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}


def gemini_path(model: str, method: str = "generateContent", query: str = "") -> str:
    """Where a model of Google's is asked."""
    return f"/v1beta/models/{quote(model)}:{method}{query}"


@dataclass(frozen=True)
class Speech:
    """One dialect: `whole` and `streamed` make requests, the others read answers. `last` is a stream's end."""

    name: str
    request: Callable[[str, bool, str], bytes]
    text: Callable[[Seen], str]
    is_finished: Callable[[Seen], bool]
    usages: Callable[[Seen], list[tuple[int, int]]]
    error: Callable[[Seen], str]


async def speak(
    upstream: ScriptedUpstream,
    speech: Speech,
    model: str,
    *,
    stream: bool = True,
    text: str = "one two",
    patience_s: float | None = None,
) -> Seen:
    """Ask for this model."""
    return await exchange(upstream, speech.request(model, stream, text), patience_s=patience_s)


def payloads(seen: Seen) -> list[Any]:
    """What a stream said, or a body, as far as it is JSON."""
    if seen.headers["content-type"].startswith("text/event-stream"):
        lines = seen.body.replace(b"\r\n", b"\n").split(b"\n")
        return [told for line in lines if line.startswith(b"data: ") for told in _read(line[6:])]
    if seen.body.startswith(b"["):
        return [told for line in seen.body.split(b",\r\n") for told in _read(line.strip(b"[]"))]
    return _read(seen.body)


def _read(data: bytes) -> list[Any]:
    try:
        return [json.loads(data)]
    except ValueError:
        return []


# --- Anthropic ----------------------------------------------------------------------------------


def _anthropic_request(model: str, stream: bool, text: str) -> bytes:
    return asking(MESSAGES, messages(model, stream=stream, text=text), **ANTHROPIC)


def _anthropic_text(seen: Seen) -> str:
    said = payloads(seen)
    blocks = [block.get("text", "") for told in said for block in told.get("content", ())]
    return "".join(blocks) or "".join(told.get("delta", {}).get("text", "") for told in said)


def _anthropic_finished(seen: Seen) -> bool:
    said = payloads(seen)
    return any(told.get("stop_reason") or told.get("delta", {}).get("stop_reason") for told in said)


def _anthropic_usages(seen: Seen) -> list[tuple[int, int]]:
    usages = [told.get("message", told).get("usage") for told in payloads(seen)]
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return [(sum(usage[part] for part in parts), usage["output_tokens"]) for usage in usages if usage]


# --- Google -------------------------------------------------------------------------------------


def _gemini_request(query: str) -> Callable[[str, bool, str], bytes]:
    def request(model: str, stream: bool, text: str) -> bytes:
        method = "streamGenerateContent" if stream else "generateContent"
        return asking(gemini_path(model, method, query if stream else ""), contents(text))

    return request


def _candidates(seen: Seen) -> list[Any]:
    return [candidate for told in payloads(seen) for candidate in told.get("candidates", ())]


def _gemini_text(seen: Seen) -> str:
    return "".join(part.get("text", "") for each in _candidates(seen) for part in each["content"].get("parts", ()))


def _gemini_usages(seen: Seen) -> list[tuple[int, int]]:
    usages = [told.get("usageMetadata") for told in payloads(seen)]
    return [
        (usage["promptTokenCount"], usage["totalTokenCount"] - usage["promptTokenCount"]) for usage in usages if usage
    ]


# --- OpenAI, Azure ------------------------------------------------------------------------------


def _openai_request(path: Callable[[str], str], make: Callable[..., dict[str, Any]]) -> Callable[..., bytes]:
    def request(model: str, stream: bool, text: str) -> bytes:
        return asking(path(model), make(model, stream=stream, text=text))

    return request


def _chat_text(seen: Seen) -> str:
    choices = [choice for told in payloads(seen) for choice in told.get("choices", ())]
    return "".join(
        (choice.get("delta") or choice.get("message"))["content"] or "" for choice in choices if _says(choice)
    )


def _says(choice: dict[str, Any]) -> bool:
    return "content" in (choice.get("delta") or choice.get("message") or {})


def _chat_finished(seen: Seen) -> bool:
    return any(choice["finish_reason"] for told in payloads(seen) for choice in told.get("choices", ()))


def _chat_usages(seen: Seen) -> list[tuple[int, int]]:
    usages = [told.get("usage") for told in payloads(seen)]
    return [(usage["prompt_tokens"], usage["completion_tokens"]) for usage in usages if usage]


def _deployment(model: str) -> str:
    name = quote(model, safe="")
    return f"/openai/deployments/{name}/chat/completions?api-version=2024-10-21"


def _error_code(seen: Seen) -> str:
    return str(seen.json["error"].get("code"))


ANTHROPIC_SPEECH = Speech(
    "anthropic",
    _anthropic_request,
    _anthropic_text,
    _anthropic_finished,
    _anthropic_usages,
    lambda seen: seen.json["error"]["type"],
)
GEMINI_SPEECH = Speech(
    "gemini",
    _gemini_request("?alt=sse"),
    _gemini_text,
    lambda seen: any("finishReason" in each for each in _candidates(seen)),
    _gemini_usages,
    lambda seen: seen.json["error"]["status"],
)
GEMINI_LIST_SPEECH = Speech(
    "gemini-list",
    _gemini_request(""),
    _gemini_text,
    lambda seen: any("finishReason" in each for each in _candidates(seen)),
    _gemini_usages,
    lambda seen: seen.json["error"]["status"],
)
AZURE_SPEECH = Speech(
    "azure", _openai_request(_deployment, chat), _chat_text, _chat_finished, _chat_usages, _error_code
)
CHAT_SPEECH = Speech(
    "chat", _openai_request(lambda _: CHAT, chat), _chat_text, _chat_finished, _chat_usages, _error_code
)
