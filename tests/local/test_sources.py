from __future__ import annotations

import io
import sys
import urllib.error
import urllib.request
from http.client import HTTPMessage
from pathlib import Path

import pytest

from frontdesk.local.catalogue import WebSource
from frontdesk.local.sources import FetchFailed, OnlyHttps, copy_reporting, fetch, installer_command, megabytes


def test_progress_is_told_at_every_tenth(tmp_path: Path) -> None:
    lines: list[str] = []

    copy_reporting(io.BytesIO(bytes(20_000_000)), tmp_path / "file", 20_000_000, lines.append)

    assert (tmp_path / "file").stat().st_size == 20_000_000
    assert len(lines) == 10
    assert lines[-1] == "20 MB of 20 MB"


def test_more_than_was_expected_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="more than the 1,000 bytes"):
        copy_reporting(io.BytesIO(bytes(1001)), tmp_path / "file", 1000, print)


def test_a_package_is_never_built(tmp_path: Path) -> None:
    with_pip = installer_command("p==1", tmp_path, has_pip=True, which=lambda _: None)
    with_uv = installer_command("p==1", tmp_path, has_pip=False, which=lambda name: f"/bin/{name}")
    with_other = installer_command("p==1", tmp_path, has_pip=False, which={"pip3": "/bin/pip3"}.get)

    assert with_pip[:4] == [sys.executable, "-m", "pip", "download"]
    assert with_uv[:3] == ["/bin/uv", "pip", "install"]
    assert with_other[:2] == ["/bin/pip3", "download"]
    for command in (with_pip, with_uv, with_other):
        assert {"--no-deps", "--only-binary=:all:", "p==1"} <= set(command)


def test_without_an_installer_it_says_which_to_install(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="neither pip nor uv"):
        installer_command("p==1", tmp_path, has_pip=False, which=lambda _: None)


def test_only_https_is_followed(tmp_path: Path) -> None:
    request = urllib.request.Request("https://example.com/a")

    with pytest.raises(urllib.error.URLError, match="away from https"):
        OnlyHttps().redirect_request(request, io.BytesIO(), 302, "Found", HTTPMessage(), "http://127.0.0.1/b")
    with pytest.raises(FetchFailed, match="is not an https address"):
        fetch(WebSource("file:///etc/passwd"), tmp_path / "file", 1000, print)


def test_an_address_that_does_not_answer_is_said(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="URLError"):
        fetch(WebSource("https://127.0.0.1:1/m.gguf"), tmp_path / "file", 1000, print)


def test_sizes_are_told_as_people_read_them() -> None:
    assert [megabytes(size) for size in (466_247, 98_362_432, 1_117_320_736)] == ["0.5 MB", "98 MB", "1,117 MB"]
