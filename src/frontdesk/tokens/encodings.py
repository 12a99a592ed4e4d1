"""Which vocabulary a model of OpenAI's reads by."""

from __future__ import annotations

import re
from typing import Literal

Encoding = Literal["o200k_base", "cl100k_base"]

# Families, each with its sizes, dates and kinds behind a dash. Models that are fine-tuned are named for their base:
# ft:gpt-4o-mini-2024-07-18:owner::id. https://github.com/openai/tiktoken/blob/main/tiktoken/model.py
_NAME = re.compile(
    r"(?:ft:)?"
    r"(?:(?P<o200k_base>gpt-5(?:\.\d+)?|gpt-4\.1|gpt-4\.5|gpt-4o|chatgpt-4o|o[134])"
    r"|(?P<cl100k_base>gpt-4|gpt-3\.5|text-embedding-3|text-embedding-ada-002))"
    r"(?:-[\w.-]+)?(?::.*)?",
    re.ASCII,
)
PUBLISHED: tuple[Encoding, ...] = ("o200k_base", "cl100k_base")
"""All of them, the newer first. Each is everywhere the same."""


def encoding_of(model: str) -> Encoding | None:
    """The vocabulary of a model, by OpenAI's name of it, dated or not; None for all others."""
    found = _NAME.fullmatch(model)
    if found is None:
        return None
    return next(name for name in PUBLISHED if found[name] is not None)
