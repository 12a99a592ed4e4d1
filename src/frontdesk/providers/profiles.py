"""What differs between servers of one dialect, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ChatProfile:
    """How a server understands Chat Completions."""

    max_tokens_name: Literal["max_completion_tokens", "max_tokens"]
    has_developer_role: bool


OPENAI = ChatProfile(max_tokens_name="max_completion_tokens", has_developer_role=True)
COMPATIBLE = ChatProfile(max_tokens_name="max_tokens", has_developer_role=False)
