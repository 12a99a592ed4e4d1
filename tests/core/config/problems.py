"""What a configuration's text is refused for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from frontdesk.core.config import ConfigError, parse_config


def problems_of(text: str, variables: Mapping[str, str] | None = None, folder: Path = Path()) -> list[str]:
    """The problems of a text that must have some, as they are told."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, variables or {}, folder)
    told = [str(problem) for problem in caught.value.problems]
    assert str(caught.value) == "\n".join(told)
    return told
