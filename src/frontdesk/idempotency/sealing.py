"""Answers as they are kept: sealed with the very key that they are kept under, which the store does not have.

So whoever reads the store reads neither texts nor secrets there, and who sends the request again brings what opens
its answer. Of an answer that holds a secret the credential is part of that as well (AES-256-GCM, a salt for each).
"""

from __future__ import annotations

import hashlib
import importlib
import secrets
from typing import Any, cast

import msgspec

from frontdesk.http.once import Reply

_SALT_BYTES = 16
_NONCE = bytes(12)  # no cipher is used twice
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reply).decode


def seal(reply: Reply, key: str, credential: bytes) -> bytes:
    """An answer that the same key and credential open; `credential` is empty where any may."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return salt + cast("bytes", _cipher(salt, key, credential).encrypt(_NONCE, _encode(reply), None))


def unseal(sealed: bytes, key: str, credential: bytes) -> Reply | None:
    """The answer; None where it was sealed with something else."""
    salt = sealed[:_SALT_BYTES]
    invalid: type[Exception] = cast("Any", importlib.import_module("cryptography.exceptions")).InvalidTag
    try:
        return _decode(_cipher(salt, key, credential).decrypt(_NONCE, sealed[_SALT_BYTES:], None))
    except invalid:
        return None


def _cipher(salt: bytes, key: str, credential: bytes) -> Any:
    # No key has a zero byte in it, so the two cannot be mistaken for another two.
    secret = key.encode() + b"\0" + credential
    made = hashlib.blake2b(secret, digest_size=32, salt=salt, person=b"frontdesk answer").digest()
    # Loaded with the first key that somebody sends, for many servers never see one.
    ciphers: Any = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
    return ciphers.AESGCM(made)
