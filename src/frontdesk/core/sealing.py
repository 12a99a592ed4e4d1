"""Texts that are given away and come back: nobody else reads them, and none can be made elsewhere (AES-256-GCM)."""

from __future__ import annotations

import base64
import importlib
import secrets
from typing import Any, cast

_NONCE_BYTES = 12


class Cipher:
    """Seals texts under one key, of 32 bytes."""

    __slots__ = ("_aes", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._aes: Any = None

    def seal(self, text: str, bound_to: bytes, nonce: bytes | None = None) -> str:
        """The text, sealed, in base64. It opens where `bound_to` is the same alone.

        A `nonce` of 12 bytes makes the same of the same; no two texts may have the same one.
        """
        nonce = nonce or secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._loaded().encrypt(nonce, text.encode(), bound_to)).decode()

    def unseal(self, sealed: str, bound_to: bytes) -> str | None:
        """The text; None where it was sealed with something else, or is no seal at all."""
        invalid: type[Exception] = cast("Any", importlib.import_module("cryptography.exceptions")).InvalidTag
        try:
            raw = base64.b64decode(sealed, validate=True)
            return cast("bytes", self._loaded().decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound_to)).decode()
        except (ValueError, invalid):
            return None

    def _loaded(self) -> Any:
        """The cipher; `cryptography` is loaded with the first seal, for most servers never see one."""
        if self._aes is None:
            ciphers: Any = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
            self._aes = ciphers.AESGCM(self._key)
        return self._aes
