"""Bytes as Gemini sends them: shapes and quirks of real answers, with invented content."""

from __future__ import annotations

import json
from typing import Any

USAGE = {
    "promptTokenCount": 19,
    "candidatesTokenCount": 8,
    "totalTokenCount": 32,
    "cachedContentTokenCount": 4,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 16}, {"modality": "IMAGE", "tokenCount": 3}],
    "thoughtsTokenCount": 5,
}
TOTALS = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
SIGNATURE = "CiQBjz1rX3Rob3VnaHRzLW9mLXRoZS1tb2RlbA=="


def answer(
    *parts: dict[str, Any],
    reason: str | None = None,
    usage: dict[str, Any] | None = TOTALS,
    index: int = 0,
    **candidate: Any,
) -> dict[str, Any]:
    """An answer, or a chunk of one: one candidate with these parts."""
    fields: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}} if parts else {"content": {}}
    if reason is not None:
        fields["finishReason"] = reason
    return {
        "candidates": [{**fields, "index": index, **candidate}],
        **({} if usage is None else {"usageMetadata": usage}),
        "modelVersion": "gemini-3.8-flash",
        "responseId": "q5GsaJ6dHJ2vkdUP",
    }


def event(fields: dict[str, Any]) -> bytes:
    """An event of a stream: Google ends its lines with CRLF."""
    return b"data: " + json.dumps(fields, ensure_ascii=False).encode() + b"\r\n\r\n"


def chunk(*parts: dict[str, Any], **more: Any) -> bytes:
    """A chunk of a stream."""
    return event(answer(*parts, **more))


def body(fields: dict[str, Any]) -> bytes:
    """A whole body, in lines, as Google writes it."""
    return json.dumps(fields, ensure_ascii=False, indent=2).encode()


def call(name: str, arguments: dict[str, Any] | None, call_id: str | None = None) -> dict[str, Any]:
    """A part with a call."""
    said = {"name": name, **({} if arguments is None else {"args": arguments})}
    return {"functionCall": said if call_id is None else {**said, "id": call_id}}


TEXT = b"".join(
    [
        chunk({"text": "Grüße"}),
        chunk({"text": ", 世界 "}),
        chunk({"text": "🛎️\n"}, reason="STOP", usage=USAGE),
    ]
)
# Third generation: thoughts as asked for, then words whose signature comes in a part without any.
THINKING = b"".join(
    [
        chunk({"text": "**Weighing it**\n\nTwo ", "thought": True}),
        chunk({"text": "answers fit.", "thought": True}),
        chunk({"text": "It is "}),
        chunk({"text": "42."}),
        chunk({"text": "", "thoughtSignature": SIGNATURE}, reason="STOP", usage=USAGE),
    ]
)
# Calls come whole. Of those made at once, only the first is signed; older models give no ids.
TOOLS = b"".join(
    [
        chunk({"text": "Let me look.\n"}),
        chunk(
            {**call("weather", {"city": "Köln", "days": 2}, "c1a2"), "thoughtSignature": SIGNATURE},
            call("time", {}, "c1a3"),
        ),
        chunk({"text": ""}, reason="STOP", usage=USAGE),
    ]
)
# First generation: a reason with every chunk.
EVERY_CHUNK_ENDS = b"".join(chunk({"text": text}, reason="STOP") for text in ("One", ", two", "."))
GROUNDED_TEXT = "Köln hat 1,1 Mio. Einwohner. Der Dom ist 157 m hoch."
GROUNDING = {
    "webSearchQueries": ["Köln Einwohner"],
    "groundingChunks": [
        {"web": {"uri": "https://stadt.example/zahlen", "title": "stadt.example"}},
        {"web": {"uri": "https://dom.example/hoehe", "title": "dom.example"}},
    ],
    "groundingSupports": [
        {
            "segment": {"endIndex": 29, "text": "Köln hat 1,1 Mio. Einwohner."},
            "groundingChunkIndices": [0],
        },
        {
            "segment": {"startIndex": 30, "endIndex": 54, "text": "Der Dom ist 157 m hoch."},
            "groundingChunkIndices": [0, 1],
        },
    ],
}
BLOCKED = {
    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
    "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
}


def error(code: int, message: str, status: str, *details: dict[str, Any]) -> dict[str, Any]:
    """An error as Google's servers tell it."""
    said: dict[str, Any] = {"code": code, "message": message, "status": status}
    return {"error": {**said, "details": list(details)} if details else said}


WRONG_KEY = error(
    400,
    "API key not valid. Please pass a valid API key.",
    "INVALID_ARGUMENT",
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    },
    {
        "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
        "locale": "en-US",
        "message": "API key not valid. Please pass a valid API key.",
    },
)
TOO_MANY = error(
    429,
    "You exceeded your current quota, please check your plan and billing details.",
    "RESOURCE_EXHAUSTED",
    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerMinute-FreeTier"}]},
    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"},
)
TOO_LONG = error(
    400, "The input token count (1204115) exceeds the maximum number of tokens allowed (1048576).", "INVALID_ARGUMENT"
)
WRONG_FIELD = error(
    400,
    "* GenerateContentRequest.generation_config.temperature: must be in the range [0.0, 2.0]\n",
    "INVALID_ARGUMENT",
    {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "generation_config.temperature", "description": "must be in the range"}],
    },
)
