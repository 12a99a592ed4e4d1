"""Bytes as providers send them: shapes and quirks of real streams, with invented content."""

from __future__ import annotations

import json
from typing import Any


def chunk(delta: dict[str, Any] | None, reason: str | None = None, **more: Any) -> bytes:
    """A chunk as OpenAI sends it."""
    body: dict[str, Any] = {
        "id": "chatcmpl-CabC1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-5-mini-2025-08-07",
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        "usage": None,
        "obfuscation": "a1B2",
        **more,
    }
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
}
DONE = b"data: [DONE]\n\n"

TEXT = b"".join(
    [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Grüße"}),
        chunk({"content": ", 世界 "}),
        chunk({"content": "🛎️\n"}),
        chunk({}, "stop"),
        chunk(None, usage=USAGE),
        DONE,
    ]
)
TOOLS = b"".join(
    [
        chunk({"role": "assistant", "content": None}),
        chunk(
            {
                "tool_calls": [
                    {"index": 0, "id": "call_a", "type": "function", "function": {"name": "weather", "arguments": ""}}
                ]
            }
        ),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
        chunk(
            {
                "tool_calls": [
                    {"index": 1, "id": "call_b", "type": "function", "function": {"name": "time", "arguments": ""}}
                ]
            }
        ),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ' "Köln"}'}}]}),
        chunk({}, "tool_calls"),
        chunk(None, usage=USAGE),
        DONE,
    ]
)
# DeepSeek and vLLM: thinking before the answer; CRLF, comments and event names in between; usage
# in the chunk of the last choice; no blank line after [DONE].
THINKING = (
    b": keep-alive\r\n\r\n"
    + (chunk({"role": "assistant", "reasoning_content": "Hm… "}) + chunk({"reasoning_content": "so."})).replace(
        b"\n\n", b"\r\n\r\n"
    )
    + b"event: message\r\n"
    + (chunk({"content": "42"}) + chunk({"content": ""}, "length", usage=USAGE)).replace(b"\n\n", b"\r\n\r\n")
    + b"data: [DONE]"
)
# Some servers end after the finish_reason, without [DONE].
WITHOUT_DONE = chunk({"content": "whole"}) + chunk({}, "stop")
REFUSAL = (
    chunk({"role": "assistant", "refusal": "I cannot "}) + chunk({"refusal": "do that."}) + chunk({}, "stop") + DONE
)
ERROR_INSIDE = (
    chunk({"role": "assistant", "content": "Half an "})
    + chunk({"content": "answer"})
    + b'data: {"error": {"message": "The server had an error", "type": "server_error", "code": "overloaded"}}\n\n'
    + DONE
)
CUT = chunk({"content": "Half"}) + chunk({"content": " an"})[:-40]
MALFORMED = chunk({"content": "Half"}) + b'data: {"choices": [{]}\n\n' + DONE
BAD_UTF8 = chunk({"content": "Half"}) + chunk({"content": "XY"}).replace(b"XY", b"\xff\xfe") + DONE
WRONG_TYPE = chunk({"content": "Half"}) + chunk({"content": 7}) + DONE
EMPTY = DONE
SILENT_END = b""
