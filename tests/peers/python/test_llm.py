"""The command llm, with Frontdesk as one of its models: what a person types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = '''
def weather(city: str) -> str:
    """Tell the weather."""
    return f"Sun over {city}"
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = {
        "model_id": "desk",
        "model_name": "fast",
        "api_base": os.environ["OPENAI_BASE_URL"],
        "api_key_name": "desk",
        "supports_tools": True,
        "supports_schema": True,
    }
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))
    (tmp_path / "keys.json").write_text(json.dumps({"desk": os.environ["OPENAI_API_KEY"]}))
    return tmp_path


def llm(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments, "-m", "desk"],
        env={**os.environ, "LLM_USER_PATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("options", [[], ["--no-stream"]])
def test_prompt_is_answered(folder: Path, options: list[str]) -> None:
    assert llm(folder, "Grüße an die 世界 🛎️", *options) == "Grüße an die 世界 🛎️"


def test_tool_is_run_and_its_result_used(folder: Path) -> None:
    assert llm(folder, "How is it in Bergen?", "--functions", TOOL) == "Sun over text"


def test_schema_is_kept_to(folder: Path) -> None:
    assert json.loads(llm(folder, "A place", "--schema", "name, population int")) == {"name": "text", "population": 1}
