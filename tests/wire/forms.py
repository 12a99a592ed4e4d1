"""Forms as clients send them."""

from __future__ import annotations

from typing import Any

from frontdesk.providers.forms import FormWriter
from frontdesk.turn.items import Upload

WAV = Upload(b"RIFF-some-sound", "a.wav", "audio/wav")
PNG = Upload(b"\x89PNG-some-picture", "a.png", "image/png")


def a_form(**fields: Any) -> tuple[bytes, bytes]:
    """A form of these fields, and its content type. Lists become `name[]`, objects `name[inner]`."""
    writer = FormWriter()
    return b"".join(writer.pieces(fields.items())), writer.content_type.encode()
