"""Text beside each delta that hides how long the delta is.

Who watches an encrypted stream sees the sizes of its events, and can guess words from them. So each
event is filled up to a multiple of 32 bytes of text, and by a random number of bytes more.
"""

from __future__ import annotations

import secrets

_BLOCK_BYTES = 32
_END = b"}\n\n"


def obfuscated(frame: bytes, delta: bytes) -> bytes:
    """Return an event with `obfuscation` as its last field; `delta` is the JSON of its text."""
    size = -len(delta) % _BLOCK_BYTES + secrets.randbelow(_BLOCK_BYTES)
    filler = secrets.token_hex(size // 2 + 1)[:size].encode()
    return frame.removesuffix(_END) + b',"obfuscation":"' + filler + b'"' + _END
