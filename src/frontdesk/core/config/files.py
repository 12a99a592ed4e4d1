"""The files that a configuration names: texts of instructions and keys of issuers. Paths are relative to its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from frontdesk.core.config.problems import Place, Problems, spelled
from frontdesk.core.config.reading import line_at
from frontdesk.core.config.shapes import Attestation, Config, Feature, Issuer

_MAX_INSTRUCTIONS_BYTES = 64 * 1024
_MAX_KEYS_BYTES = 512 * 1024


def read_files(config: Config, folder: Path, problems: Problems) -> dict[str, str]:
    """Put the texts of instructions in the place of their paths, and whole paths in that of relative ones.

    Returns the paths of instructions as they were written, by their features.
    """
    paths: dict[str, str] = {}
    for name, feature in config.features.items():
        if feature.instructions is not None and is_path(feature.instructions):
            paths[name] = feature.instructions.strip()
            _read_instructions(feature, folder / paths[name], ("features", name, "instructions"), problems)
    for position, issuer in enumerate(config.auth.jwt):
        _check_keys(issuer, folder, ("auth", "jwt", position, "jwks_file"), problems)
    for name, app in config.auth.apps.items():
        if app.attestation is not None:
            _check_keys(app.attestation, folder, ("auth", "apps", name, "attestation", "jwks_file"), problems)
    return paths


def is_path(instructions: str) -> bool:
    """Whether instructions are the path of a file: one line that ends in .md or .txt."""
    path = instructions.strip()
    return path.isprintable() and path.lower().endswith((".md", ".txt"))


def _read_instructions(feature: Feature, path: Path, place: Place, problems: Problems) -> None:
    content = _read(path, _MAX_INSTRUCTIONS_BYTES, place, problems)
    if content is None:
        return
    try:
        # Without the mark that some editors put before UTF-8.
        feature.instructions = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        line = line_at(content[: error.start].decode("latin-1"), error.start)
        problems.lose(place, f"{spelled(place)} is the file {str(path)!r}, which is not UTF-8 on its line {line}.")


def _check_keys(source: Issuer | Attestation, folder: Path, place: Place, problems: Problems) -> None:
    if source.jwks_file is None or problems.is_lost(place):
        return
    path = folder.absolute() / source.jwks_file
    source.jwks_file = str(path)
    content = _read(path, _MAX_KEYS_BYTES, place, problems)
    if content is None:
        return
    try:
        said: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problems.add(place, f"{spelled(place)} is {str(path)!r}, which is not JSON. {_REMEDY}")
        return
    keys: Any = cast("Mapping[str, Any]", said).get("keys") if isinstance(said, dict) else None
    if not isinstance(keys, list) or not keys:
        problems.add(place, f"{spelled(place)} is {str(path)!r}, which has no list of 'keys'. {_REMEDY}")


_REMEDY = "Write what the issuer publishes: a JSON Web Key Set (RFC 7517 §5)."


def _read(path: Path, most_bytes: int, place: Place, problems: Problems) -> bytes | None:
    if problems.is_lost(place):
        return None
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be"
        problems.lose(place, f"{spelled(place)} is the file {str(path)!r}, which cannot be read: {reason}.")
        return None
    if len(content) > most_bytes:
        problems.lose(
            place, f"{spelled(place)} is the file {str(path)!r}. It may have at most {most_bytes // 1024} kB."
        )
        return None
    return content
