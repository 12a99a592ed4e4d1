"""The lock files fit pyproject.toml: whoever changes one calls `make lock` for the others."""

import re
import tomllib
from itertools import chain
from typing import Any

import pytest

from tools.lock import FOLDER, ROOT

NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package, mostly one; with markers there are several."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==(\S+)", (FOLDER / f"{name}.txt").read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def named(requirements: list[Any]) -> dict[str, str | None]:
    """Package to the one version asked for, or None where a range is."""
    lines = [line for line in requirements if isinstance(line, str)]
    return {
        re.split(r"[^\w.-]", line, maxsplit=1)[0].lower(): line.partition("==")[2].split(" ")[0] or None
        for line in lines
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_package_has_its_hashes(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()

    packages = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]

    assert packages
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_packages_and_hashes_is_in_a_lock_file(name: str) -> None:
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()

    assert [line for line in lines if not re.match(r"#|[\w.-]+==\S+|    --hash=sha256:[0-9a-f]{64}", line)] == []


def test_locks_have_what_the_project_asks_for() -> None:
    asked = project()["project"]
    everything = named(asked["dependencies"]) | named(list(chain(*asked["optional-dependencies"].values())))
    large = {"av", "bpe-openai", "faster-whisper"}  # and seldom of use
    run = {name: version for name, version in everything.items() if name not in large}
    groups = project()["dependency-groups"]

    for name, wanted in (
        ("run", run),
        ("dev", everything | named(groups["dev"]) | named(groups["node"])),
        ("node", named(groups["node"])),
        ("lock", named(groups["lock"])),
        ("peers", named(groups["peers"])),
        ("build", named(project()["build-system"]["requires"])),
    ):
        locked = pins(name)
        assert wanted.keys() <= locked.keys()
        assert {package: {version} for package, version in wanted.items() if version}.items() <= locked.items()


def test_all_locks_agree_on_the_versions() -> None:
    everything = pins("dev")

    for name in ("run", "node", "build"):
        locked = pins(name)
        assert {package: everything.get(package) for package in locked} == locked
