"""What differs between servers of one dialect, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """How a server understands OpenAI's dialects.

    `reads_open_reasoning`: whether it takes earlier reasoning back that is not sealed. OpenAI looks
    such an item up by its id instead, and what was not stored is not found.
    """

    max_tokens_name: Literal["max_completion_tokens", "max_tokens"]
    has_developer_role: bool
    reads_open_reasoning: bool


OPENAI = Profile(max_tokens_name="max_completion_tokens", has_developer_role=True, reads_open_reasoning=False)
COMPATIBLE = Profile(max_tokens_name="max_tokens", has_developer_role=False, reads_open_reasoning=True)
