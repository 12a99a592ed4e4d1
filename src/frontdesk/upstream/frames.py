"""Server-sent events as bytes: made, and changed on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def frame(payload: Any) -> bytes:
    """Return the event that says this and has no name."""
    return b"data: %b\n\n" % _encode(payload)


def named_frame(payload: dict[str, Any]) -> bytes:
    """Return the event that is called as the payload's `type`."""
    return b"event: %b\ndata: %b\n\n" % (payload["type"].encode(), _encode(payload))


def each_payload(
    frames: bytes, change: Callable[[dict[str, Any]], dict[str, Any] | None], most: int | None = None
) -> bytes:
    """Change what the first `most` events say. Those that are no JSON object, as `[DONE]`, stay."""
    changed: list[bytes] = []
    for place, each in enumerate(frames.split(b"\n\n")[:-1]):
        head, mark, payload = each.partition(b"data: ")
        if payload.startswith(b"{") and (most is None or place < most):
            said = change(msgspec.json.decode(payload))
            if said is None:
                continue
            changed.append(head + mark + _encode(said) + b"\n\n")
        else:
            changed.append(each + b"\n\n")
    return b"".join(changed)
