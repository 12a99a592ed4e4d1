"""Locks seals on their way out and opens them on their way back, with a key that only this provider's settings make.

What a model thought may repeat what no caller is to read, and no guard looks into a seal. A locked one tells nothing,
and none can be made elsewhere (AES-256-GCM). Those of another key are left as they are, which no dialect can read.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import secrets
from typing import Any, cast

import msgspec

from frontdesk.providers.seals import Tag, is_foreign
from frontdesk.turn.events import Event, ReasoningEncrypted
from frontdesk.turn.items import Item, Prompt, Unknown

_NONCE_BYTES = 12
_MOST_CHARS = 12 * 1024 * 1024


class SealBox:
    """The seals of one dialect, under one secret."""

    def __init__(self, tag: Tag, secret: str) -> None:
        self._tag: Tag = tag
        self._key = hashlib.sha256(b"frontdesk seal\0" + tag.encode() + secret.encode()).digest()
        self._cipher: Any = None

    def locked(self, events: list[Event]) -> list[Event]:
        """Return events whose seals nobody can read."""
        for event in events:
            if type(event) is ReasoningEncrypted:
                return [self._locked(each) if type(each) is ReasoningEncrypted else each for each in events]
        return events

    def opened(self, prompt: Prompt) -> Prompt:
        """Return a prompt whose seals are as the dialect made them, as far as they were locked here."""
        items = [self._opened(item) if _has_seal(item) else item for item in prompt.items]
        return prompt if all(map(_same, items, prompt.items)) else msgspec.structs.replace(prompt, items=items)

    def _locked(self, event: ReasoningEncrypted) -> ReasoningEncrypted:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = nonce + self._aes().encrypt(nonce, event.content.encode(), self._tag.encode())
        return ReasoningEncrypted(event.output, self._tag + base64.b64encode(text).decode())

    def _opened(self, item: Item) -> Item:
        assert isinstance(item, Unknown)
        seal = item.raw["encrypted_content"]
        if is_foreign(self._tag, seal) or len(seal) > _MOST_CHARS:
            return item
        # What cannot be opened must not be taken for a seal of the dialect's: anybody could have written it.
        text = self._text(seal.removeprefix(self._tag))
        return Unknown({**item.raw, "encrypted_content": text}, item.dialect)

    def _text(self, locked: str) -> str | None:
        try:
            raw = base64.b64decode(locked, validate=True)
            text = self._aes().decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._tag.encode())
        except ValueError:
            return None
        except self._invalid:
            return None
        return cast("bytes", text).decode()

    def _aes(self) -> Any:
        """The cipher; `cryptography` is loaded with the first seal, for most servers never see one."""
        if self._cipher is None:
            ciphers: Any = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
            self._cipher = ciphers.AESGCM(self._key)
        return self._cipher

    @property
    def _invalid(self) -> type[Exception]:
        return cast("Any", importlib.import_module("cryptography.exceptions")).InvalidTag


def _has_seal(item: Item) -> bool:
    return (
        isinstance(item, Unknown)
        and item.raw.get("type") == "reasoning"
        and isinstance(item.raw.get("encrypted_content"), str)
    )


def _same(one: object, other: object) -> bool:
    return one is other
