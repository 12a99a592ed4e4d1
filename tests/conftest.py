"""What all tests share."""

from __future__ import annotations

import gc
import os

from hypothesis import settings

pytest_plugins = ["tests.engines", "tests.edges.sites"]

# How long an example takes says more of the machine than of the code. `make test` draws the same examples every time,
# so that it fails for what was changed; `make test-slow` sets this variable and looks for what nobody has seen yet.
settings.register_profile("the same", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("new ones", deadline=None)
settings.load_profile("new ones" if os.environ.get("FRONTDESK_NEW_EXAMPLES") else "the same")


def pytest_collection_finish() -> None:
    """Spare the collector what was imported and collected: it stays, and there is much of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
