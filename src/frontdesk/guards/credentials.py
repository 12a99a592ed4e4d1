"""Credentials: keys of providers and of Frontdesk itself do not pass, in either direction.

A key is a run of letters, digits, '_' and '-' that begins with a known prefix and goes on long
enough in that key's alphabet. Per run:

    undecided ──► plain    it cannot become a key any more: what was held goes out, the rest passes
        │
        └───────► key      long enough: the mask goes out instead, the rest of the run is swallowed

Only an undecided run is held back, so at most a prefix and 40 characters.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from frontdesk.core.errors import BadRequest
from frontdesk.turn.turn import Turn

MASK = "[credential removed]"


class _Shape(NamedTuple):
    """A key's beginning, how many characters must follow, and which they may be."""

    prefix: str
    least: int
    alphabet: re.Pattern[str]


_MIXED = re.compile(r"[A-Za-z0-9_-]*")
_PLAIN = re.compile(r"[A-Za-z0-9]*")
_UPPER = re.compile(r"[A-Z0-9]*")

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
_RUNS = re.compile(r"[A-Za-z0-9_-]+|[^A-Za-z0-9_-]+")
_IN_RUN = re.compile(r"[A-Za-z0-9_-]")
_UNLIKE_WORDS = re.compile(r"[A-Z0-9]")  # 'sk-learn-with-many-more-words' is a name, not a key


class CredentialGuard:
    """Masks credentials, or refuses what holds one."""

    def __init__(self, action: Literal["mask", "refuse"]) -> None:
        self._action: Literal["mask", "refuse"] = action

    def open(self, turn: Turn) -> CredentialFilter:  # noqa: ARG002 - every turn is guarded alike
        """Start a text."""
        return CredentialFilter(self._action)


class CredentialFilter:
    """One text."""

    __slots__ = ("_action", "_held", "_state")

    def __init__(self, action: Literal["mask", "refuse"]) -> None:
        self._action = action
        self._held = ""
        self._state: Literal["undecided", "plain", "key"] = "undecided"

    def feed(self, text: str) -> str:
        """Return what may go out now. Raises BadRequest at a credential, where it refuses them."""
        released: list[str] = []
        for run in _RUNS.findall(text):
            if _IN_RUN.match(run):
                released.append(self._feed_run(run))
            else:
                released.append(self.flush())
                released.append(run)
        return "".join(released)

    def flush(self) -> str:
        """Return what was held: the run has ended and is no key."""
        held, self._held = self._held, ""
        self._state = "undecided"
        return held

    def _feed_run(self, piece: str) -> str:
        if self._state == "plain":
            return piece
        if self._state == "key":
            return ""
        run = self._held + piece
        self._state = _judge(run)
        if self._state == "undecided":
            self._held = run
            return ""
        self._held = ""
        if self._state == "plain":
            return run
        if self._action == "refuse":
            raise BadRequest(
                "This text holds what looks like a secret key. Remove it and send again.", code="credential_found"
            )
        return MASK


def _judge(run: str) -> Literal["undecided", "plain", "key"]:
    is_open = False
    for shape in _SHAPES:
        if shape.prefix.startswith(run):
            is_open = True
        elif run.startswith(shape.prefix):
            body = run[len(shape.prefix) :][: shape.least]
            if shape.alphabet.fullmatch(body) is None:
                continue
            if len(body) < shape.least:
                is_open = True
            elif _UNLIKE_WORDS.search(body):
                return "key"
    return "undecided" if is_open else "plain"
