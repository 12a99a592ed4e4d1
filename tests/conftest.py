"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["tests.engines"]

# How long an example takes says more of the machine than of the code.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")
