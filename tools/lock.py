"""Write requirements/ from pyproject.toml, with hashes and without any address: `make lock`.

Keeps the versions that are there already; `make lock ARGS=--upgrade` takes the newest.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"


def main(arguments: Sequence[str]) -> int:
    """Write all lock files. The versions of run.txt hold for the others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    everything = ["pyproject.toml", *(f"--extra={extra}" for extra in project["project"]["optional-dependencies"])]
    lock("run", [*(each for each in everything if each not in _LARGE), *arguments])
    lock("dev", [*everything, "--group=dev", "--constraint=requirements/run.txt", *arguments])
    same_as_dev = ["--constraint=requirements/dev.txt", *arguments]
    lock("node", ["--group=node", *same_as_dev])
    lock("lock", ["--group=lock", *same_as_dev])
    lock("peers", ["--group=peers", *arguments])
    lock("build", ["-", *same_as_dev], given="\n".join(project["build-system"]["requires"]))
    return 0


# 41 MB that only matter where a budget is nearly spent, and 260 MB for speech; who wants them installs the extra.
_LARGE = ("--extra=tokens", "--extra=whisper")


def lock(name: str, arguments: Sequence[str], given: str = "") -> None:
    """Write requirements/NAME.txt."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version=3.11"),
        "--system-certs",
        *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *(f"--output-file=requirements/{name}.txt", *arguments),
    ]
    if subprocess.run(command, cwd=ROOT, input=given, text=True, check=False).returncode != 0:
        sys.exit(f"requirements/{name}.txt was not written")
    path = FOLDER / f"{name}.txt"
    path.write_text(f"{_HEADER}\n{_without_header(path.read_text(encoding='utf-8'))}", encoding="utf-8")
    print(f"requirements/{name}.txt: {sum('==' in line for line in path.read_text().splitlines())} packages")


_HEADER = "# Written by `make lock` from pyproject.toml. Hashes are of every file of a version, for all platforms."


def _without_header(text: str) -> str:
    return text.removeprefix(f"{_HEADER}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
