"""One server with short patience for all tests of bad clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import SCRIPTED, Served, serving


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = {"body_mb": 20, "header_timeout_s": 1, "body_timeout_s": 1, "slow_reader_s": 1}
    with serving(tmp_path_factory.mktemp("edges"), {**SCRIPTED, "limits": limits, "hangup_drain_s": 1}) as server:
        yield server
