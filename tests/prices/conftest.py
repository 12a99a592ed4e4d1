"""What the tests of prices share."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.prices import snapshot
from tests.prices.books import write_snapshot


@pytest.fixture
def small_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Books read the small snapshot in place of the one that came with this version."""
    write_snapshot(tmp_path / "snapshot.json")
    monkeypatch.setattr(snapshot, "FILE", tmp_path / "snapshot.json")
