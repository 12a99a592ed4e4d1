"""A version of Frontdesk to measure: a folder, or a commit of this repository.

It is copied first. Servers are started again and again, and who edits the sources meanwhile should
neither break a round nor end up in half of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT


class NoSuchTree(Exception):
    """What was asked for is no version of Frontdesk that starts."""


def copy_tree(name: str, folder: Path) -> Path:
    """Copy a version into `folder` and return what to import `frontdesk` from.

    `name` is a checkout, its `src`, or anything that git takes for a commit. Raises NoSuchTree.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        source = next((each for each in (path / "src", path) if (each / "frontdesk" / "__init__.py").is_file()), None)
        if source is None:
            raise NoSuchTree(f"There is no src/frontdesk in the folder {name!r}.")
        shutil.copytree(
            source / "frontdesk", folder / "src" / "frontdesk", ignore=shutil.ignore_patterns("__pycache__")
        )
    else:
        _unpack(name, folder)
    tree = (folder / "src").resolve()
    _check_import(tree)
    return tree


def import_from(tree: Path) -> dict[str, str]:
    """Return the environment in which Python imports from this tree, and its children as well."""
    return {"PYTHONPATH": str(tree)}


def _unpack(commit: str, folder: Path) -> None:
    done = subprocess.run(
        ["git", "archive", "--format=tar", f"{commit}^{{commit}}", "src"], cwd=ROOT, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise NoSuchTree(f"{commit!r} is no folder, and git says: {done.stderr.decode().strip()}")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--extract", "--directory", folder], input=done.stdout, check=True)


def _check_import(tree: Path) -> None:
    """Make sure that a server started with this tree runs this tree. Raises NoSuchTree."""
    done = subprocess.run(
        [sys.executable, "-c", "import frontdesk; print(frontdesk.__file__)"],
        cwd=ROOT,
        env={**os.environ, **import_from(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not Path(done.stdout.strip()).is_relative_to(tree):
        raise NoSuchTree(f"Python imports {done.stdout.strip() or 'nothing'}, not {tree}: {done.stderr.strip()}")
