"""What was said, in few words that its owner carries and cannot read: `encrypted_content` of compaction items.

The words are a model's own, of what it was told, the server's instructions perhaps among that. Nobody else can send
them in the owner's place, and nobody can write some and pass them for the server's.

    fdc1. [anon_… .] base64     the anonymous person whose it is stands before it: so it opens for who they became
"""

from __future__ import annotations

import hashlib
import secrets

from frontdesk.core.ids import ANONYMOUS_PREFIX
from frontdesk.core.sealing import Cipher
from frontdesk.files.owner import Owner

_PREFIX = "fdc1."
_KEY_BYTES = 32
_NONCE_BYTES = 12
_MOST_CHARS = 4 * 1024 * 1024
_MOST_NAMED_CHARS = 64


class Compactions:
    """Seals summaries and opens them. Until it is told the secret it opens none of before."""

    def __init__(self) -> None:
        self.use(secrets.token_bytes(_KEY_BYTES))

    def use(self, secret: bytes) -> None:
        """Seal and open with what this secret makes."""
        self._key = hashlib.sha256(b"frontdesk compaction\0" + secret).digest()
        self._cipher = Cipher(self._key)

    def seal(self, owner: Owner, response_id: str, summary: str) -> str:
        """The summary that a response is, for its owner: the same whenever it is told again."""
        seed = f"{response_id}\0{summary}".encode()
        nonce = hashlib.blake2b(seed, key=self._key, digest_size=_NONCE_BYTES, person=b"fd compaction").digest()
        named = f"{owner.person}." if owner.person.startswith(ANONYMOUS_PREFIX) else ""
        return _PREFIX + named + self._cipher.seal(summary, _bound_to(owner), nonce)

    def open_compaction(self, owner: Owner, sealed: str) -> str | None:
        """The summary; None where it is not this owner's, or was not sealed here."""
        if not sealed.startswith(_PREFIX) or len(sealed) > _MOST_CHARS:
            return None
        named, _, text = sealed.removeprefix(_PREFIX).rpartition(".")
        if named and named != owner.person:
            return None
        return self._cipher.unseal(text, _bound_to(owner))


def anonymous_owner_in(sealed: str) -> str | None:
    """The anonymous person whom a summary says that it is of; None where it says nothing."""
    named = sealed.removeprefix(_PREFIX).rpartition(".")[0]
    is_one = sealed.startswith(_PREFIX) and named.startswith(ANONYMOUS_PREFIX) and len(named) <= _MOST_NAMED_CHARS
    return named if is_one and named.isascii() and named.isprintable() else None


def _bound_to(owner: Owner) -> bytes:
    return "\0".join(owner).encode()
