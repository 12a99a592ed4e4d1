"""Credentials: keys of providers and of Frontdesk itself do not pass, in either direction.

A key is a run of letters, digits, '_' and '-' that begins with a known prefix and goes on long
enough in that key's alphabet. Per run:

    undecided ──► plain    it cannot become a key any more: what was held goes out, the rest passes
        │
        └───────► key      long enough: the mask goes out instead, the rest of the run is swallowed

Only an undecided run is held back, so at most a prefix and 39 characters. All of it is said in two
patterns, which are quick: one finds the keys in a text, the other an undecided run at its end.
"""

from __future__ import annotations

import re
from string import ascii_letters, digits
from typing import Literal, NamedTuple

from frontdesk.core.errors import BadRequest
from frontdesk.turn.turn import Turn

MASK = "[credential removed]"


class _Shape(NamedTuple):
    """A key's beginning, how many characters must follow, and which they may be."""

    prefix: str
    least: int
    alphabet: str


_MIXED = "A-Za-z0-9_-"
_PLAIN = "A-Za-z0-9"
_UPPER = "A-Z0-9"
_IN_RUN = f"[{_MIXED}]"
_RUN_CHARACTERS = ascii_letters + digits + "_-"

# Prefixes and lengths as the issuers document them for secret scanning.
_SHAPES = (
    _Shape("sk-", 20, _MIXED),  # OpenAI, Anthropic, OpenRouter and many that copied them
    _Shape("fd_sk_", 20, _MIXED),  # Frontdesk's secret keys
    _Shape("fd_st_", 20, _MIXED),  # Frontdesk's session tokens
    _Shape("AIza", 35, _MIXED),  # Google
    _Shape("AKIA", 16, _UPPER),  # AWS
    _Shape("gsk_", 40, _PLAIN),  # Groq
    _Shape("hf_", 30, _PLAIN),  # Hugging Face
    _Shape("ghp_", 36, _PLAIN),  # GitHub
    _Shape("gho_", 36, _PLAIN),
    _Shape("ghs_", 36, _PLAIN),
    _Shape("github_pat_", 40, _MIXED),
)
_MAX_UNDECIDED = max(len(shape.prefix) + shape.least for shape in _SHAPES) - 1


def _key_pattern(shape: _Shape) -> str:
    """A whole key. That a run begins here is asked last: a pattern that begins with a letter is searched faster."""
    prefix, least, alphabet = shape
    unlike_words = f"(?=[a-z_-]{{0,{least - 1}}}[A-Z0-9])"  # 'sk-learn-with-many-more-words' is a name, not a key
    return f"{prefix}(?<!{_IN_RUN}{prefix}){unlike_words}[{alphabet}]{{{least}}}{_IN_RUN}*"


def _beginning_pattern(shape: _Shape) -> str:
    """A run that may become a key: s(?:k(?:-[...]{0,19})?)?, and a run must begin here."""
    first, *others = shape.prefix
    pattern = f"[{shape.alphabet}]{{0,{shape.least - 1}}}"
    for character in reversed(others):
        pattern = f"(?:{character}{pattern})?"
    return f"{first}(?<!{_IN_RUN}{first}){pattern}\\Z"


_KEY = re.compile("|".join(map(_key_pattern, _SHAPES)))
_UNDECIDED = re.compile("|".join(map(_beginning_pattern, _SHAPES)))


class CredentialGuard:
    """Masks credentials, or refuses what holds one."""

    def __init__(self, action: Literal["mask", "refuse"]) -> None:
        self._action: Literal["mask", "refuse"] = action

    def open(self, turn: Turn) -> CredentialFilter:  # noqa: ARG002 - every turn is guarded alike
        """Start a text."""
        return CredentialFilter(self._action)


class CredentialFilter:
    """One text."""

    __slots__ = ("_action", "_before", "_held", "_is_in_key")

    def __init__(self, action: Literal["mask", "refuse"]) -> None:
        self._action = action
        self._before = ""  # the last character that went out, where its run may go on
        self._held = ""
        self._is_in_key = False

    def feed(self, text: str) -> str:
        """Return what may go out now. Raises BadRequest at a credential, where it refuses them."""
        if self._is_in_key:
            text = text.lstrip(_RUN_CHARACTERS)
            if not text:
                return ""
            self._is_in_key = False
        start = len(self._before)
        text = self._before + self._held + text
        if _KEY.search(text, start) is not None:
            return self._without_keys(text, start)
        return self._released(text, start)

    def flush(self) -> str:
        """Return what was held: the run has ended and is no key."""
        held, self._held = self._held, ""
        self._before = ""
        self._is_in_key = False
        return held

    def _released(self, text: str, start: int) -> str:
        """All from `start` on but an undecided run at the end."""
        size = len(text)
        undecided = _UNDECIDED.search(text, max(start, size - _MAX_UNDECIDED))
        if undecided is None:
            self._held = ""
            self._before = text[-1:]
            return text[start:]
        end = undecided.start()
        self._held = text[end:]
        self._before = text[max(end - 1, 0) : end]
        return text[start:end]

    def _without_keys(self, text: str, start: int) -> str:
        if self._action == "refuse":
            raise BadRequest(
                "This text holds what looks like a secret key. Remove it and send again.", code="credential_found"
            )
        between: list[str] = []
        for key in _KEY.finditer(text, start):
            between.append(text[start : key.start()])
            start = key.end()
        self._is_in_key = start == len(text)
        between.append(self._released(text, start))
        if self._is_in_key:
            self._before = ""
        return MASK.join(between)
