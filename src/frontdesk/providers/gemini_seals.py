"""Signatures of Gemini's thoughts, as the seals that callers carry from an answer into their next request.

A signature belongs to one part of an answer: a call, or the end of a text. Gemini wants it back on that part, and
only the model that made it reads it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from frontdesk.providers import seals

UNSIGNED = "skip_thought_signature_validator"
"""Stands for a signature that nobody has: of calls by other models, or told without their thoughts ("Thought
signatures", FAQ).
"""


class Signature(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signature, and what it stands on: the next call, or the last `chars` characters of the text before it."""

    signature: str
    model: str
    on: Literal["call", "text"] = "call"
    chars: int = 0


def sealed(signature: Signature) -> str:
    """Return the seal of a signature."""
    return seals.sealed("gemini.1:", signature)


def unsealed(seal: str) -> Signature | None:
    """Return the signature in a seal; None where it is another dialect's, or none that was made here."""
    try:
        return msgspec.convert(seals.opened("gemini.1:", seal), Signature)
    except msgspec.ValidationError:
        return None
