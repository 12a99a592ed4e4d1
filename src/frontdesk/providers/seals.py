"""Seals: what a model thought, in a form that only its own provider reads, on its way through a client and back.

A seal of ours is a tag and the base64 of JSON. OpenAI's own have no tag and never hold a colon. A dialect is given
back its own alone: what another provider thought, or a later version of us wrote, has no place in its requests.

    gAAAAABo…                       OpenAI's
    anthropic.1:eyJtb2RlbCI6…       ours, for Anthropic's Messages
    gemini.1:eyJ…                   ours, for Gemini
"""

from __future__ import annotations

import base64
import re
from typing import Any, Literal

import msgspec

Tag = Literal["anthropic.1:", "gemini.1:"]

_TAGGED = re.compile(r"[a-z][a-z0-9_-]{0,31}\.[0-9]{1,4}:")
_MOST_CHARS = 8 * 1024 * 1024  # beyond what any answer's thoughts come to


def sealed(tag: Tag, value: Any) -> str:
    """Return a JSON value as a seal that `opened` reads with the same tag."""
    return tag + base64.b64encode(msgspec.json.encode(value)).decode()


def opened(tag: Tag, text: str) -> Any | None:
    """Return what a seal holds; None where it is not this dialect's, or nothing that `sealed` made.

    It came from a client, and may be anything: whoever opens it checks what is in it.
    """
    if not text.startswith(tag) or len(text) > _MOST_CHARS:
        return None
    try:
        return msgspec.json.decode(base64.b64decode(text[len(tag) :], validate=True))
    except (ValueError, RecursionError):
        return None


def is_foreign(tag: Tag | None, text: str) -> bool:
    """Whether a seal is another dialect's than the one of `tag`; None is OpenAI's own."""
    if tag is None:
        return _TAGGED.match(text) is not None
    return not text.startswith(tag)
