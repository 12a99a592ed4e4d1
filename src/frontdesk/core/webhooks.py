"""How calls of webhooks are signed: Standard Webhooks (https://www.standardwebhooks.com, 2024-10), `v1`.

A signature is the HMAC-SHA256 of `id.timestamp.body` in base64. The secret is `whsec_` and the key in base64,
as the standard's own libraries read it, or any other text, whose UTF-8 is the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

LEAST_KEY_BYTES = 24
_PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """The key of a secret. Raises ValueError, in words without the secret, where it is none or too short."""
    if not secret.startswith(_PREFIX):
        key, noun = secret.encode(), "characters"
    else:
        try:
            key, noun = base64.b64decode(secret.removeprefix(_PREFIX), validate=True), "bytes"
        except (binascii.Error, ValueError):
            raise ValueError("has no base64 behind 'whsec_'") from None
    if len(key) < LEAST_KEY_BYTES:
        raise ValueError(f"has {len(key)} {noun}, where {LEAST_KEY_BYTES} are the least")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """What stands in `webhook-signature`; `timestamp` in seconds since 1970."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
