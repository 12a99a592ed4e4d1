"""Locks seals on their way out and opens them on their way back, with a key that only this provider's settings make.

What a model thought may repeat what no caller is to read, and no guard looks into a seal. A locked one tells nothing,
and none can be made elsewhere (AES-256-GCM). Those of another key are left as they are, which no dialect can read.
"""

from __future__ import annotations

import hashlib

import msgspec

from frontdesk.core.sealing import Cipher
from frontdesk.providers.seals import Tag, is_foreign
from frontdesk.turn.events import Event, ReasoningEncrypted
from frontdesk.turn.items import Item, Prompt, Unknown

_MOST_CHARS = 12 * 1024 * 1024


class SealBox:
    """The seals of one dialect, under one secret."""

    def __init__(self, tag: Tag, secret: str) -> None:
        self._tag: Tag = tag
        self._cipher = Cipher(hashlib.sha256(b"frontdesk seal\0" + tag.encode() + secret.encode()).digest())

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
        return ReasoningEncrypted(event.output, self._tag + self._cipher.seal(event.content, self._tag.encode()))

    def _opened(self, item: Item) -> Item:
        assert isinstance(item, Unknown)
        seal = item.raw["encrypted_content"]
        if is_foreign(self._tag, seal) or len(seal) > _MOST_CHARS:
            return item
        # What cannot be opened must not be taken for a seal of the dialect's: anybody could have written it.
        text = self._cipher.unseal(seal.removeprefix(self._tag), self._tag.encode())
        return Unknown({**item.raw, "encrypted_content": text}, item.dialect)


def _has_seal(item: Item) -> bool:
    return (
        isinstance(item, Unknown)
        and item.raw.get("type") == "reasoning"
        and isinstance(item.raw.get("encrypted_content"), str)
    )


def _same(one: object, other: object) -> bool:
    return one is other
