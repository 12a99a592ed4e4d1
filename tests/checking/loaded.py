"""Settings of a configuration's text, as `frontdesk check` has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.checking.settings import Settings, read_settings
from frontdesk.core.config import ConfigError


def settings_of(folder: Path, text: str) -> Settings:
    """The settings of a good configuration."""
    path = folder / "frontdesk.yaml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


def problems_of(folder: Path, text: str) -> list[str]:
    """What is wrong with a bad one, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        settings_of(folder, text)
    return [str(problem).removeprefix(f"{folder}/frontdesk.yaml:") for problem in caught.value.problems]
