"""Usage as providers spell it, read into the one shape that events carry."""

from __future__ import annotations

from typing import Any, cast

from frontdesk.turn.events import Usage


def read_chat_usage(raw: dict[str, Any]) -> Usage | None:
    """Return usage of Chat Completions or Embeddings; None where its two totals are not counts."""
    return _read(raw, "prompt_tokens", "completion_tokens")


def read_responses_usage(raw: dict[str, Any]) -> Usage | None:
    """Return usage of Responses; None where its two totals are not counts."""
    return _read(raw, "input_tokens", "output_tokens")


def _read(raw: dict[str, Any], input_name: str, output_name: str) -> Usage | None:
    input_tokens = _count(raw.get(input_name))
    output_tokens = _count(raw.get(output_name, 0))
    if input_tokens is None or output_tokens is None:
        return None
    input_details = _details(raw, f"{input_name}_details")
    output_details = _details(raw, f"{output_name}_details")
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=_count(input_details.get("cached_tokens")),
        cache_write_tokens=_count(input_details.get("cache_write_tokens")),
        reasoning_tokens=_count(output_details.get("reasoning_tokens")),
        accepted_prediction_tokens=_count(output_details.get("accepted_prediction_tokens")),
        rejected_prediction_tokens=_count(output_details.get("rejected_prediction_tokens")),
        raw=raw,
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _details(raw: dict[str, Any], name: str) -> dict[str, Any]:
    details = raw.get(name)
    return cast("dict[str, Any]", details) if isinstance(details, dict) else {}
