"""`frontdesk keys` makes keys with what they may and until when, and shows what became of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from frontdesk.cli import main

Run = Callable[..., str]


@pytest.fixture
def keys(sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `frontdesk keys` on a database of its own; returns what it says."""
    config = tmp_path / "frontdesk.yaml"
    config.write_text(f"database: {sqlite_url}\n")

    def run(action: str, *arguments: str) -> str:
        main(["keys", action, "--config", str(config), *arguments])
        return capsys.readouterr().out

    return run


def id_in(text: str) -> str:
    found = re.search(r"key_[0-9a-f]{32}", text)
    assert found is not None
    return found[0]


def test_a_key_is_a_servers_for_everything_and_for_ever_where_nothing_else_is_said(keys: Run) -> None:
    said = keys("create", "billing")

    assert said.startswith("fd_sk_")
    assert re.search(
        r"\(billing\): role server, all scopes, made 20\d\d-.* UTC, never ends, never used\. It is not shown again\.",
        said,
    )
    assert keys("list").splitlines()[0].endswith("  billing")


def test_a_key_is_what_it_is_told_to_be(keys: Run) -> None:
    said = keys("create", "ci", "--role", "operator", "--scopes", "users, turns", "--expires-in", "30")

    listed = keys("list")

    assert id_in(said) in listed
    assert said.split("\n")[0] not in listed
    assert re.search(r"role operator, scopes turns, users, made .* UTC, ends 20\d\d-.* UTC, never used", listed)


def test_each_tenant_has_its_own(keys: Run) -> None:
    theirs = id_in(keys("create", "web", "--tenant", "acme"))

    assert keys("list").startswith("There are no keys.")
    assert theirs in keys("list", "--tenant", "acme")
    with pytest.raises(SystemExit, match=f"There is no key '{theirs}' that holds"):
        keys("revoke", theirs)

    keys("revoke", theirs, "--tenant", "acme")

    assert keys("list", "--tenant", "acme").startswith("There are no keys.")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scopes", "turns,all"], "'scopes' has 'all'. Known: turns, sessions, users, keys, usage, feedback."),
        (["--scopes", ","], "'scopes' is empty"),
        (["--tenant", ""], "'tenant' must be 1 to 128"),
    ],
)
def test_what_no_key_can_have_is_told(keys: Run, arguments: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as caught:
        keys("create", "web", *arguments)

    assert str(caught.value.code).startswith(f"frontdesk: {says}")


@pytest.mark.parametrize("arguments", [["--role", "user"], ["--expires-in", "0"], ["--expires-in", "1.5"]])
def test_what_cannot_be_read_is_told(keys: Run, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        keys("create", "web", *arguments)

    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
