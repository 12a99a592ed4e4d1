"""The Python peers run in an environment of their own: see tests/peers/run.py."""

from __future__ import annotations

collect_ignore = ["python"]
