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


def raw(*chunks: dict[str, Any]) -> bytes:
    """Chunks of a server that sends other fields than OpenAI, as compact as most do."""
    return b"".join(
        b"data: " + json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n" for each in chunks
    )


def _choice(delta: dict[str, Any] | None, reason: str | None = None, **more: Any) -> list[dict[str, Any]]:
    return [{"index": 0, **({} if delta is None else {"delta": delta}), "finish_reason": reason, **more}]


def _head(name: str, **more: Any) -> dict[str, Any]:
    return {"id": f"chatcmpl-{name}", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "m", **more}


TOTALS = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}

# Azure: what its filter found of the prompt, before any choice; of the answer, with each of its chunks and after them.
_SAFE = {"hate": {"filtered": False, "severity": "safe"}}
AZURE = (
    raw(
        {
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE}],
        },
        {
            **_head("AzB1", system_fingerprint="fp_az", obfuscation="x1"),
            "choices": _choice({"content": "", "refusal": None, "role": "assistant"}, content_filter_results={}),
        },
        {
            **_head("AzB1", system_fingerprint="fp_az"),
            "choices": _choice({"content": "Hi."}, content_filter_results=_SAFE, logprobs=None),
        },
        {**_head("AzB1", system_fingerprint="fp_az"), "choices": _choice({}, "stop", content_filter_results={})},
        {
            **_head("", system_fingerprint=None),
            "choices": _choice(
                None,
                content_filter_results=_SAFE,
                content_filter_offsets={"check_offset": 44, "start_offset": 44, "end_offset": 47},
            ),
        },
        {**_head("AzB1", system_fingerprint="fp_az"), "choices": [], "usage": TOTALS},
    )
    + DONE
)
# OpenRouter with a model that searches: pages beside the words or behind them, some said again; one that is no page.
_PAGE = {"url": "https://example.test/bells", "title": "Glocken läuten", "start_index": 0, "end_index": 5}
SOURCES = (
    raw(
        {**_head("gen-1"), "choices": _choice({"role": "assistant", "content": "Zwei."})},
        {
            **_head("gen-1"),
            "choices": _choice({"content": "", "annotations": [{"type": "url_citation", "url_citation": _PAGE}]}),
        },
        {
            **_head("gen-1"),
            "choices": _choice(
                {
                    "content": "",
                    "annotations": [
                        {"type": "url_citation", "url_citation": _PAGE},
                        {"type": "url_citation", "url_citation": {"url": "http://example.test/", "content": "A long…"}},
                        {"type": "url_citation", "url_citation": {"url": "javascript:alert(1)"}},
                        {"type": "file", "file": {"hash": "h", "content": []}},
                        "nonsense",
                    ],
                },
                "stop",
            ),
        },
    )
    + DONE
)
# vLLM: nulls for what it did not find; the whole of a call's arguments in pieces without a type.
VLLM = (
    raw(
        {
            **_head("v1"),
            "choices": _choice({"role": "assistant", "content": ""}, logprobs=None),
            "prompt_token_ids": None,
        },
        {
            **_head("v1"),
            "choices": _choice({"reasoning_content": "Hm.", "reasoning": "Hm."}, logprobs=None, token_ids=None),
        },
        {
            **_head("v1"),
            "choices": _choice(
                {
                    "tool_calls": [
                        {
                            "id": "chatcmpl-tool-1",
                            "type": "function",
                            "index": 0,
                            "function": {"name": "f", "arguments": ""},
                        }
                    ]
                },
                logprobs=None,
            ),
        },
        {**_head("v1"), "choices": _choice({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})},
        {**_head("v1"), "choices": _choice({"content": ""}, "tool_calls", stop_reason=None)},
        {**_head("v1"), "choices": [], "usage": {**TOTALS, "prompt_tokens_details": None}},
    )
    + DONE
)
# Ollama: a fingerprint that is always the same; a role in every delta; whole calls, and "stop" after them.
OLLAMA = (
    raw(
        {
            **_head("1", system_fingerprint="fp_ollama"),
            "choices": _choice({"role": "assistant", "content": "", "reasoning": "Hm."}),
        },
        {**_head("1", system_fingerprint="fp_ollama"), "choices": _choice({"role": "assistant", "content": "Hi."})},
        {
            **_head("1", system_fingerprint="fp_ollama"),
            "choices": _choice(
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {"id": "call_1", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                }
            ),
        },
        {
            **_head("1", system_fingerprint="fp_ollama"),
            "choices": _choice({"role": "assistant", "content": ""}, "tool_calls"),
        },
        {**_head("1", system_fingerprint="fp_ollama"), "choices": [], "usage": TOTALS},
    )
    + DONE
)
# llama.cpp: its build as the fingerprint, fields in its own order, timings at the end.
LLAMA_CPP = (
    raw(
        {"choices": _choice({"role": "assistant", "content": None}), **_head("l1", system_fingerprint="b6123-abcdef")},
        {"choices": _choice({"content": "Hi."}), **_head("l1", system_fingerprint="b6123-abcdef")},
        {"choices": _choice({}, "stop"), **_head("l1", system_fingerprint="b6123-abcdef")},
        {
            "choices": [],
            **_head("l1", system_fingerprint="b6123-abcdef"),
            "usage": TOTALS,
            "timings": {"prompt_n": 5, "prompt_ms": 12.5, "predicted_n": 2},
        },
    )
    + DONE
)
# Mistral: the content of its reasoning models in parts; usage with the last choice; its own reasons.
MISTRAL = (
    raw(
        {**_head("m1"), "choices": _choice({"role": "assistant", "content": ""})},
        {
            **_head("m1"),
            "choices": _choice(
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True}]}
            ),
        },
        {
            **_head("m1"),
            "choices": _choice(
                {"content": [{"type": "text", "text": "Hi."}, {"type": "reference", "reference_ids": [1]}]}
            ),
        },
        {**_head("m1"), "choices": _choice({"content": ""}, "model_length"), "usage": TOTALS},
    )
    + DONE
)
# Groq: usage in a field of its own.
GROQ = (
    raw(
        {
            **_head("g1", system_fingerprint="fp_g"),
            "choices": _choice({"role": "assistant", "content": ""}, logprobs=None),
            "x_groq": {"id": "req_1"},
        },
        {**_head("g1", system_fingerprint="fp_g"), "choices": _choice({"content": "Hi."}, logprobs=None)},
        {
            **_head("g1", system_fingerprint="fp_g"),
            "choices": _choice({}, "stop", logprobs=None),
            "x_groq": {"id": "req_1", "usage": {"queue_time": 0.01, **TOTALS, "total_time": 0.1}},
        },
    )
    + DONE
)
# DeepSeek: null where it only thinks, its own counts of its cache.
DEEPSEEK_USAGE = {
    **TOTALS,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1},
    "prompt_cache_hit_tokens": 4,
    "prompt_cache_miss_tokens": 1,
}
DEEPSEEK = (
    b": keep-alive\n\n"
    + raw(
        {
            **_head("d1", system_fingerprint="fp_d"),
            "choices": _choice({"role": "assistant", "content": None, "reasoning_content": ""}, logprobs=None),
        },
        {
            **_head("d1", system_fingerprint="fp_d"),
            "choices": _choice({"content": None, "reasoning_content": "Hm."}, logprobs=None),
        },
        {
            **_head("d1", system_fingerprint="fp_d"),
            "choices": _choice({"content": "Hi.", "reasoning_content": None}, logprobs=None),
        },
        {
            **_head("d1", system_fingerprint="fp_d"),
            "choices": _choice({"content": "", "reasoning_content": None}, "stop", logprobs=None),
            "usage": DEEPSEEK_USAGE,
        },
    )
    + DONE
)
# OpenRouter: comments, thoughts twice, a choice with the usage after the choice's end.
OPENROUTER = (
    b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
    + raw(
        {
            **_head("gen-1", provider="X"),
            "choices": _choice(
                {
                    "role": "assistant",
                    "content": "",
                    "reasoning": "Hm.",
                    "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}],
                },
                native_finish_reason=None,
            ),
        },
        {**_head("gen-1", provider="X"), "choices": _choice({"role": "assistant", "content": "Hi."})},
        {
            **_head("gen-1", provider="X"),
            "choices": _choice({"role": "assistant", "content": ""}, "stop", native_finish_reason="stop"),
        },
        {
            **_head("gen-1", provider="X"),
            "choices": _choice({"role": "assistant", "content": ""}),
            "usage": {**TOTALS, "cost": 0.00001},
        },
    )
    + DONE
)
_OPENROUTER_BEGUN = raw({**_head("gen-1"), "choices": _choice({"role": "assistant", "content": "Half"})})
OPENROUTER_ERROR = _OPENROUTER_BEGUN + raw(
    {
        **_head("gen-1"),
        "error": {"code": "server_error", "message": "Provider disconnected unexpectedly"},
        "choices": _choice({"content": ""}, "error"),
    }
)
OPENROUTER_ERROR_IN_CHOICE = (
    _OPENROUTER_BEGUN
    + raw({**_head("gen-1"), "choices": _choice({"content": ""}, "stop", error={"code": 502, "message": "x"})})
    + DONE
)
UNKNOWN_PART = _OPENROUTER_BEGUN + raw({**_head("m1"), "choices": _choice({"content": [{"type": "image_url"}]})}) + DONE
