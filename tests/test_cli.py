"""The commands say in one sentence why they cannot, and `check` what is effective."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.cli import main

SCRIPTED = "providers: {s: {kind: scripted}}\nmodels:\n  fast: {route: [s/echo, s/words-3]}\n"


def check(folder: Path, text: str) -> None:
    """Run `frontdesk check` on a configuration."""
    path = folder / "frontdesk.yaml"
    path.write_text(text)
    main(["check", "--config", str(path)])


@pytest.mark.parametrize("port", ["99999", "-1", "65536", "http", "1.5"])
def test_a_port_that_cannot_be(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--port", port])

    assert caught.value.code == 2
    assert f"argument --port: '{port}' is no port" in capsys.readouterr().err


def test_a_host_that_cannot_be(tmp_path: Path) -> None:
    config = tmp_path / "frontdesk.yaml"
    config.write_text("")

    with pytest.raises(SystemExit) as caught:
        main(["serve", "--config", str(config), "--port", "0", "--host", "a" * 70 + ".example"])

    assert str(caught.value.code).startswith("frontdesk: ")


def test_a_script_that_is_unknown_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        check(tmp_path, SCRIPTED.replace("s/words-3", "s/nonsense"))

    assert str(caught.value.code).startswith(
        "frontdesk: models.fast.route has 's/nonsense'. The scripted provider has no script 'nonsense'. Known: echo, "
    )


def test_what_check_shows_is_itself_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, f"{SCRIPTED}default_model: fast")
    shown = capsys.readouterr().out.split("\n\n", 1)[1].split("\n!", 1)[0]

    check(tmp_path, shown)

    assert shown in capsys.readouterr().out


def test_embeddings_need_no_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, f"{SCRIPTED}  vectors: {{route: [s/any], kind: embeddings}}\n")

    assert "The configuration is good" in capsys.readouterr().out


def test_check_tells_how_many_anonymous_sessions_may_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, f"{SCRIPTED}auth: {{anonymous: true, anonymous_sessions_per_hour: 7}}")

    said = capsys.readouterr().out
    assert "anonymous_sessions_per_hour: 7" in said
    assert "may begin sessions without a credential, 7 an hour from one address." in said


def test_check_tells_no_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(
        tmp_path,
        "database: postgresql://u:hidden@h/n\n"
        "providers:\n"
        "  a: {kind: openai, api_key: sk-hidden}\n"
        "  b: {kind: openai-compatible, base_url: 'http://u:hidden@h/v1'}\n",
    )

    assert "hidden" not in capsys.readouterr().out
