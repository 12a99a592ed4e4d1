"""Models as they lie on this machine, `HOME/models/NAME/FILE`, and how they are run.

A known model's files are known; one that was pulled by address has a `model.json` beside its file;
one that the configuration names by path lies wherever it likes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from frontdesk.local.catalogue import Kind, KnownModel, Sampling, known_model

_DESCRIPTION = "model.json"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model and how to run it. `files` begin with the model itself, and need not be there yet."""

    name: str
    kind: Kind
    files: tuple[Path, ...]
    remedy: str
    context_tokens: int
    slots: int
    threads: int
    sampling: Sampling

    def obstacle(self) -> str | None:
        """Say why it cannot run, and the remedy; None where its files are there."""
        missing = next((path for path in self.files if not path.is_file()), None)
        return None if missing is None else f"the file of the local model {self.name!r} is missing: {self.remedy}"


class Description(msgspec.Struct, frozen=True):
    """What is written beside a model that was pulled by address."""

    file: str
    size_bytes: int
    sha256: str
    source: str


def models_folder(home: Path) -> Path:
    """The folder of all models."""
    return home / "models"


def installed(name: str, home: Path) -> Path | None:
    """The file of a model that was pulled whole, else None.

    Sizes are compared; the hash was when it was pulled, and is again by pulling it once more.
    """
    folder = models_folder(home) / name
    known = known_model(name)
    if known is not None:
        sizes = {file.name: file.size_bytes for file in known.files}
    else:
        description = _read_description(folder)
        if description is None:
            return None
        sizes = {description.file: description.size_bytes}
    paths = [folder / file for file in sizes]
    return paths[0] if all(_size_of(path) == sizes[path.name] for path in paths) else None


def find_model(
    name: str,
    home: Path,
    *,
    path: Path | None = None,
    threads: int | None = None,
    context_tokens: int | None = None,
    slots: int | None = None,
) -> LocalModel | None:
    """The model of this name, or None where nothing is known of it.

    `path` takes a GGUF from there instead, under this name. `threads` are half the cores where it is None.
    """
    known = known_model(name)
    if path is not None:
        path = path.expanduser().absolute()
        files, remedy = (path,), f"there is no {path}; correct `path` in the configuration"
    elif known is not None:
        folder = models_folder(home) / name
        files, remedy = tuple(folder / file.name for file in known.files), f"run `frontdesk models pull {name}`"
    else:
        description = _read_description(models_folder(home) / name)
        if description is None:
            return None
        file = models_folder(home) / name / description.file
        files = (file,)
        remedy = f"run `frontdesk models pull {description.source} --sha256 {description.sha256} --name {name}`"
    defaults = known or _UNKNOWN
    return LocalModel(
        name=name,
        kind=defaults.kind,
        files=files,
        remedy=remedy,
        context_tokens=context_tokens or defaults.context_tokens,
        slots=slots or defaults.slots,
        threads=threads or default_threads(),
        sampling=defaults.sampling,
    )


_UNKNOWN = KnownModel(name="", kind="chat", licence="", files=(), context_tokens=4096, slots=2)


def default_threads() -> int:
    """Half of the cores that this process may use, so that the server keeps the others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // 2)


def write_description(folder: Path, description: Description) -> None:
    """Describe the model that lies in this folder; there at once or not at all."""
    partial = folder / f".{_DESCRIPTION}"
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(description)))
    partial.replace(folder / _DESCRIPTION)


def _read_description(folder: Path) -> Description | None:
    try:
        return msgspec.json.decode((folder / _DESCRIPTION).read_bytes(), type=Description)
    except (OSError, msgspec.MsgspecError):
        return None


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
