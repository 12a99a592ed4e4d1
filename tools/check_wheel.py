"""Build the wheel and try it as a stranger would: in an environment of its own, with neither Node nor compiler.

python -m tools.check_wheel
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
import venv
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MUST_HAVE = (
    "frontdesk/web/chat/index.html",
    "frontdesk/py.typed",
    "frontdesk/storage/migrations/versions/*.py",
    "frontdesk/limits/take.lua",
    "frontdesk/prices/snapshot.json",
    "*.dist-info/licenses/LICENSE",
)


def main() -> int:
    """Build, look inside, install, start. Returns the exit code."""
    wheel = build(ROOT / "dist")
    with zipfile.ZipFile(wheel) as archive:
        findings = list(check_names(archive.namelist()))
    if not findings:
        with tempfile.TemporaryDirectory(prefix="frontdesk-wheel-") as folder:
            findings = list(try_out(wheel, Path(folder)))
    for finding in findings:
        print(f"{wheel.name}: {finding}")
    if not findings:
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, installs and starts")
    return 1 if findings else 0


def build(folder: Path) -> Path:
    """Build the wheel with the locked build backend and return where it lies."""
    for old in folder.glob("frontdesk-*.whl"):
        old.unlink()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("frontdesk-*.whl")
    return wheel


def check_names(names: Iterable[str]) -> Iterator[str]:
    """Yield what a wheel with these files lacks or has too much."""
    paths = [Path(name) for name in names]
    for pattern in MUST_HAVE:
        if not any(path.match(pattern) for path in paths):
            yield f"lacks {pattern}"
    for path in paths:
        if path.parts[0] != "frontdesk" and not path.parts[0].endswith(".dist-info"):
            yield f"has {path}, which is not of the package"
        if path.suffix in {".map", ".pyc", ".db"}:
            yield f"has {path}, which nobody needs"


def try_out(wheel: Path, folder: Path) -> Iterator[str]:
    """Yield what fails when the wheel is installed without its extras into a fresh environment and started."""
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    programs = environment / "bin"
    # Nothing of the machine's on PATH: no Node, no compiler.
    bare = {**os.environ, "PATH": str(programs), "HOME": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    constraints = folder / "constraints.txt"
    constraints.write_text(versions_of((ROOT / "requirements/run.txt").read_text(encoding="utf-8")), encoding="utf-8")
    pip = (str(programs / "python"), "-m", "pip", "--quiet", "--no-input", "install", "--only-binary=:all:")
    frontdesk = str(programs / "frontdesk")
    for command in (
        (*pip, "--constraint", str(constraints), str(wheel)),
        (frontdesk, "--help"),
        (frontdesk, "migrate"),
    ):
        done = subprocess.run(command, cwd=folder, env=bare, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
            return
    yield from _serve(frontdesk, folder, bare)


def versions_of(lock: str) -> str:
    """The lock file without its hashes: pip takes no hash of a wheel that was built a moment ago."""
    return "\n".join(re.findall(r"^[\w.-]+==[^\\\n]*", lock, re.MULTILINE))


def _serve(frontdesk: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    empty = folder / "frontdesk.yaml"
    empty.write_text("{}", encoding="utf-8")
    command = (frontdesk, "serve", "--port", "0", "--config", str(empty))
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
        watch = threading.Timer(_PATIENCE_S, server.kill)
        watch.start()
        try:
            greeting = server.stdout.readline() if server.stdout else ""
            address = re.search(r"http://\S+", greeting)
            if address is None:
                yield f"{' '.join(command)} did not say where it serves, but {greeting!r}"
                return
            with urllib.request.urlopen(address[0], timeout=_PATIENCE_S) as page:  # noqa: S310 - our own server
                if b"<html" not in page.read():
                    yield "serves no page at /"
        finally:
            watch.cancel()
            server.terminate()


_PATIENCE_S = 30.0


if __name__ == "__main__":
    sys.exit(main())
