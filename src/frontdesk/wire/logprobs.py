"""Logprobs of tokens, in the spellings of both doors.

Providers send either spelling. Chat Completions has `bytes`, which may be null; a Response's parts
have a list there; its events have none at all.
"""

from __future__ import annotations

from typing import Any

import msgspec


class _Top(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Token(_Top):
    top_logprobs: list[_Top] = []


def chat_logprobs(given: list[Any]) -> list[dict[str, Any]]:
    """Logprobs as Chat Completions has them."""
    return [{**_chat(token), "top_logprobs": [_chat(top) for top in token.top_logprobs]} for token in _read(given)]


def part_logprobs(given: list[Any]) -> list[dict[str, Any]]:
    """Logprobs as a part of a Response has them."""
    return [{**_part(token), "top_logprobs": [_part(top) for top in token.top_logprobs]} for token in _read(given)]


def event_logprobs(given: list[Any]) -> list[dict[str, Any]]:
    """Logprobs as the events of a Response have them."""
    return [{**_event(token), "top_logprobs": [_event(top) for top in token.top_logprobs]} for token in _read(given)]


def _read(given: list[Any]) -> list[_Token]:
    """What a provider sent, as far as it can be read: an answer does not fail for its statistics."""
    try:
        return msgspec.convert(given, list[_Token])
    except msgspec.ValidationError:
        return []


def _chat(top: _Top) -> dict[str, Any]:
    return {"token": top.token, "logprob": top.logprob, "bytes": top.bytes}


def _part(top: _Top) -> dict[str, Any]:
    return {"token": top.token, "logprob": top.logprob, "bytes": top.bytes or []}


def _event(top: _Top) -> dict[str, Any]:
    return {"token": top.token, "logprob": top.logprob}
