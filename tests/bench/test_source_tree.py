"""A version is a folder or a commit, copied, and really what Python imports."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.processes import ROOT
from bench.source_tree import NoSuchTree, copy_tree


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    package = tmp_path / "checkout" / "src" / "frontdesk"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("# the other one\n")
    return tmp_path / "checkout"


@pytest.mark.parametrize("below", [".", "src"])
def test_a_checkout_or_its_sources_are_copied(checkout: Path, tmp_path: Path, below: str):
    tree = copy_tree(str(checkout / below), tmp_path / "copy")

    assert tree.is_relative_to(tmp_path / "copy")
    assert (tree / "frontdesk" / "__init__.py").read_text() == "# the other one\n"


def test_a_commit_is_unpacked(tmp_path: Path):
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("these sources are in no repository")

    tree = copy_tree("HEAD", tmp_path / "new")

    assert (tree / "frontdesk" / "app.py").is_file()


def test_a_folder_without_frontdesk_is_refused(tmp_path: Path):
    with pytest.raises(NoSuchTree, match="no src/frontdesk"):
        copy_tree(str(tmp_path), tmp_path / "copy")


def test_what_is_neither_folder_nor_commit_is_refused(tmp_path: Path):
    with pytest.raises(NoSuchTree, match="git says"):
        copy_tree("no-such-commit", tmp_path)


def test_a_tree_that_does_not_import_is_refused(checkout: Path, tmp_path: Path):
    (checkout / "src" / "frontdesk" / "__init__.py").write_text("raise ImportError('half a file')\n")

    with pytest.raises(NoSuchTree, match="half a file"):
        copy_tree(str(checkout), tmp_path / "copy")
