from pathlib import Path

import pytest

from tools.check_unused import unused

FINDINGS = {
    "function": "def alone(): ...",
    "method": "class _Used:\n    def alone(self): ...\n_Used()",
    "attribute": "class _Used:\n    def __init__(self):\n        self.alone = 1\n_Used()",
    "import": "import alone",
    "class": "class alone: ...",
}
FALSE_ALARMS = {
    "parameter": "def used(alone): ...\nused(1)",
    "field of a row": "class Used:\n    alone: int\nUsed()",
    "setting of a library": "params = object()\nparams.alone = 1",
    "name that is called by others": "class Used:\n    def connection_lost(self): ...\nUsed()",
    "line with a reason": "def alone(): ...  # noqa: V103 - called by the shell",
}


@pytest.mark.parametrize("source", FINDINGS.values(), ids=FINDINGS)
def test_what_nothing_uses_is_found(tmp_path: Path, source: str) -> None:
    (tmp_path / "a.py").write_text(source)

    assert [item.name for item in unused([tmp_path])] == ["alone"]


@pytest.mark.parametrize("source", FALSE_ALARMS.values(), ids=FALSE_ALARMS)
def test_what_vulture_cannot_judge_passes(tmp_path: Path, source: str) -> None:
    (tmp_path / "a.py").write_text(source)

    assert list(unused([tmp_path])) == []


def test_setting_that_nothing_reads_is_found(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "shapes.py").write_text("class Config:\n    alone: int\nConfig()")

    assert [item.name for item in unused([tmp_path])] == ["alone"]
