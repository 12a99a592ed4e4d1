"""Bytes as Anthropic's Messages API sends them, made by hand after its documentation of streams (2026-11)."""

from __future__ import annotations

import json
from typing import Any

USAGE = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 2000,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 1,
    "service_tier": "standard",
}
LAST_USAGE = {"output_tokens": 15, "output_tokens_details": {"thinking_tokens": 7}}


def event(payload: dict[str, Any]) -> bytes:
    """An event, named for its type, its characters as they are."""
    return f"event: {payload['type']}\ndata: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


PING = event({"type": "ping"})


def started(usage: dict[str, Any] = USAGE) -> bytes:
    """The beginning of an answer."""
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return event({"type": "message_start", "message": message})


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    """A block with its deltas."""
    pieces = [event({"type": "content_block_start", "index": index, "content_block": begun})]
    pieces += [event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
    pieces.append(event({"type": "content_block_stop", "index": index}))
    return b"".join(pieces)


def text(index: int, *words: str) -> bytes:
    """A block of text."""
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": each} for each in words))


def call(index: int, name: str, call_id: str, *pieces: str) -> bytes:
    """A call of a tool, its arguments in pieces."""
    begun = {"type": "tool_use", "id": call_id, "name": name, "input": {}, "caller": {"type": "direct"}}
    return block(index, begun, *({"type": "input_json_delta", "partial_json": each} for each in ("", *pieces)))


def thinking(index: int, signature: str, *words: str) -> bytes:
    """A block of thoughts."""
    return block(
        index,
        {"type": "thinking", "thinking": "", "signature": ""},
        *({"type": "thinking_delta", "thinking": each} for each in words),
        {"type": "signature_delta", "signature": signature},
    )


def ended(reason: str | None, usage: dict[str, Any] = LAST_USAGE, **more: Any) -> bytes:
    """The end of an answer."""
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    return event({"type": "message_delta", "delta": delta, "usage": usage}) + event({"type": "message_stop"})


TEXT = started() + PING + text(0, "Grüße", ", 世界 ", "🛎️\n") + PING + ended("end_turn")
TOOLS = (
    started()
    + text(0, "Let me see.")
    + call(1, "weather", "toolu_a", '{"city":', ' "Kö', 'ln"}')
    + call(2, "time", "toolu_b")
    + ended("tool_use")
)
THINKING = started() + thinking(0, "c2lnbmVk", "Hm… ", "so.") + text(1, "42") + ended("end_turn")
REDACTED = (
    started()
    + block(0, {"type": "redacted_thinking", "data": "b3BhcXVl"})
    + thinking(1, "c2ln")
    + text(2, "42")
    + ended("end_turn")
)
CUT = started() + text(0, "One, two") + call(1, "weather", "toolu_a", '{"ci') + ended("max_tokens")
CUSTOM = started() + call(0, "shell", "toolu_a", '{"inp', 'ut": "ls\\n\\u00e9 \\ud83d', '\\udece"}') + ended("tool_use")
ANSWER = started() + call(0, "person", "toolu_a", '{"name":', ' "Ada"}') + ended("tool_use")
WEB = {
    "type": "web_search_result_location",
    "url": "https://example.com/a",
    "title": "A",
    "encrypted_index": "x",
    "cited_text": "…",
}
PAGE = {
    "type": "page_location",
    "document_index": 1,
    "document_title": "report.pdf",
    "file_id": None,
    "start_page_number": 1,
    "end_page_number": 2,
    "cited_text": "…",
}
FOUND = {
    "type": "search_result_location",
    "source": "shelf 4",
    "title": None,
    "search_result_index": 3,
    "start_block_index": 0,
    "end_block_index": 1,
    "cited_text": "…",
}
CITED = (
    started()
    + text(0, "It says ")
    + block(
        1,
        {"type": "text", "text": "", "citations": []},
        {"type": "text_delta", "text": "so"},
        {"type": "citations_delta", "citation": WEB},
        {"type": "citations_delta", "citation": PAGE},
    )
    + block(
        2,
        {"type": "text", "text": ""},
        {"type": "citations_delta", "citation": FOUND},
        {"type": "text_delta", "text": " and so."},
    )
    + ended("end_turn")
)
HOSTED = (
    started()
    + text(0, "I look. ")
    + block(
        1,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query": "x"}'},
    )
    + block(2, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"text": {"odd": 1}}]})
    + text(3, "Found.")
    + ended("pause_turn")
)
STRANGE = (
    b": a comment\n\n"
    + started()
    + event({"type": "weather_report", "message": 5, "delta": {"type": "text_delta", "text": {}}})
    + block(
        0,
        {"type": "text", "text": ""},
        {"type": "glow_delta", "text": {"colour": "red"}},
        {"type": "text_delta", "text": "calm"},
    )
    + ended("some_new_reason")
)
DECLINED = (
    started()
    + text(0, "Sure, first")
    + ended("refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "This is not for us."})
)
EARLY_DECLINED = started() + ended("refusal", stop_details={"type": "refusal", "explanation": None})
WINDOW = started() + text(0, "long") + ended("model_context_window_exceeded")
STOPPED = started() + text(0, "one") + ended("stop_sequence", stop_sequence="two")
OVERLOADED = (
    started()
    + text(0, "One")
    + event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"})
)
BROKEN_OFF = started() + text(0, "One")


def body(*content: dict[str, Any], reason: str | None = "end_turn", **more: Any) -> bytes:
    """A whole message."""
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {**USAGE, **LAST_USAGE},
        **more,
    }
    return json.dumps(message).encode()
