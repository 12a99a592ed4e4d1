import subprocess
from pathlib import Path

import pytest

from tools.check_tree import MOST_BYTES, check_file, check_text, tree_files

# Each is put together from two pieces, so that this file passes its own check.
FORBIDDEN = [
    "# from https://pyp" + "i.org/simple",
    "https://registry." + "npmjs.org/vite",
    "--extra-" + "index-url https://packages.example/simple",
    "--find-" + "links wheels",
    "registry" + "=https://packages.example",
    '      "resolved"' + ': "https://packages.example/vite.tgz",',
    "cd /" + "work/main",
    'Path("/' + 'root/.cache")',
    "see /" + "home/someone/notes",
    "-----BEGIN " + "PRIVATE KEY-----",
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "key = 'sk-" + "proj-" + "a1" * 20 + "'",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "# TO" + "DO: later",
    "x = 1  # FIX" + "ME",
    "<<<<" + "<<< HEAD",
]
ALLOWED = [
    '    "resolved": "chat",',
    "GET https://api.example/home/rooms",
    "../home/notes.md and ~/home/notes.md and src/home/page.ts",
    "/usr/share/fonts",
    "api_key: ${OPENAI_API_KEY}",
    "sk-test",
    "# TO" + "DO: https://tracker.example/12 says how",
    "todo lists, XXXL shirts",
    "</" + "home/x>",
]


@pytest.mark.parametrize("line", FORBIDDEN)
def test_line_that_must_not_be_committed_is_found(line: str) -> None:
    assert len(list(check_text(Path("file"), f"first\n{line}\n"))) == 1


@pytest.mark.parametrize("line", ALLOWED)
def test_innocent_line_passes(line: str) -> None:
    assert list(check_text(Path("file"), line)) == []


def test_finding_names_file_line_and_remedy() -> None:
    (finding,) = check_text(Path("a.py"), "one\n# TO" + "DO\n")

    assert finding == "a.py:2: 'TO" + "DO' is an open end; finish it, or link where it is discussed"


def test_large_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"\0" * (MOST_BYTES + 1))
    (tmp_path / "small").write_bytes(b"\0" * MOST_BYTES)

    assert list(check_file(tmp_path, Path("large"))) == ["large: has 700,001 bytes; the most is 700,000"]
    assert list(check_file(tmp_path, Path("small"))) == []


def test_files_are_those_that_git_tracks_or_would_add(tmp_path: Path) -> None:
    for name in ("tracked", "deleted", "new", "ignored"):
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_text("ignored\n")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "tracked", "deleted"], check=True)
    (tmp_path / "deleted").unlink()

    assert tree_files(tmp_path) == [Path(".gitignore"), Path("new"), Path("tracked")]
