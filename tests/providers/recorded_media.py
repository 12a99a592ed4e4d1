"""Bytes of endpoints that are no chat, as providers send them: real shapes, invented content."""

from __future__ import annotations

import base64
import json
from typing import Any


def event(payload: dict[str, Any], *, is_named: bool = False) -> bytes:
    """An event of a stream."""
    name = f"event: {payload['type']}\n" if is_named else ""
    return f"{name}data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


HEARD = {
    "type": "tokens",
    "total_tokens": 45,
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    "output_tokens": 31,
}
SPOKEN = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
DRAWN = {
    "input_tokens": 50,
    "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
    "output_tokens": 272,
    "total_tokens": 322,
}
TRANSCRIPT = b"".join(
    [
        event({"type": "transcript.text.delta", "delta": "Grüße", "logprobs": [{"token": "Gr", "logprob": -0.1}]}),
        event({"type": "transcript.text.segment", "id": "s1", "start": 0, "end": 1.5, "text": "Grüße", "speaker": "A"}),
        event({"type": "transcript.text.delta", "delta": ", 世界 🛎️"}),
        event({"type": "transcript.text.done", "text": "Grüße, 世界 🛎️", "logprobs": [], "usage": HEARD}),
    ]
)
SOUND = [bytes(range(256)), b"\r\n\r\n", b"\0"]
SPEECH = b"".join(
    [
        *(event({"type": "speech.audio.delta", "audio": base64.b64encode(each).decode()}) for each in SOUND),
        event({"type": "speech.audio.done", "usage": SPOKEN}),
    ]
)
_PICTURE = {"size": "1024x1024", "quality": "high", "background": "opaque", "output_format": "png"}
STEP = {"b64_json": "AAAA", "created_at": 1_790_000_000, **_PICTURE, "partial_image_index": 0}
PICTURES = b"".join(
    [
        event({"type": "image_generation.partial_image", **STEP}, is_named=True),
        event({"type": "image_generation.completed", "b64_json": "AQID", **_PICTURE, "usage": DRAWN}, is_named=True),
    ]
)
ABOUT = _PICTURE
JUDGED: dict[str, Any] = {
    "id": "modr-0d9740456c391e43c445bf0f010940c7",
    "model": "omni-moderation-2024-09-26",
    "results": [
        {
            "flagged": True,
            "categories": {"violence": True, "sexual": False},
            "category_scores": {"violence": 0.86, "sexual": 0.000002},
            "category_applied_input_types": {"violence": ["image"], "sexual": ["text", "image"]},
        }
    ],
}
