"""What benches of the store have in common: a database of their own, one JSON object, targets that may be missed."""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import uvloop

from frontdesk.storage.migrate import migrate

S = TypeVar("S")


class Bench(NamedTuple):
    """The name of a command, what it tells of itself, and the most that its figures should be."""

    name: str
    description: str
    targets: Mapping[str, float]


def run(bench: Bench, measure: Callable[[str, S], Coroutine[Any, Any, Mapping[str, float]]], full: S, quick: S) -> int:
    """Measure on a new database, by its address, and print. Returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog=f"python -m {bench.name}", description=bench.description)
    parser.add_argument("folder", nargs="?", default=".", help="on the disk that will be used")
    parser.add_argument("--quick", action="store_true", help="less of everything: that it runs, not what it costs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        url = f"sqlite:///{Path(place) / 'bench.db'}"
        migrate(url)
        figures = uvloop.run(measure(url, quick if given.quick else full))
    described = f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    print(json.dumps({"machine": described, **figures}, indent=2))
    missed = [name for name, most in bench.targets.items() if figures[name] > most]
    return 1 if missed and not given.quick else 0
