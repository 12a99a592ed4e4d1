"""The commands say in one sentence why they cannot, and `check` what is effective."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frontdesk.cli import _route, main
from frontdesk.core.config import Model, Shadow

SCRIPTED = "providers: {s: {kind: scripted}}\nmodels:\n  fast: {route: [s/echo, s/words-3]}\n"


def check(folder: Path, text: str, *options: str) -> None:
    """Run `frontdesk check` on a configuration."""
    path = folder / "frontdesk.yaml"
    path.write_text(text)
    main(["check", "--config", str(path), *options])


@pytest.mark.parametrize("port", ["99999", "-1", "65536", "http", "1.5"])
def test_a_port_that_cannot_be(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--port", port])

    assert caught.value.code == 2
    assert f"argument --port: '{port}' is no port" in capsys.readouterr().err


def test_one_command_is_one_process() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--workers", "4"])

    assert str(caught.value.code) == (
        "frontdesk: --workers is 4, and this version runs one process a command. Start several, behind a load "
        "balancer, with one PostgreSQL 'database' and one 'valkey' between them."
    )


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
        f"frontdesk: {tmp_path}/frontdesk.yaml:3: models.fast.route has 's/nonsense'. "
        "The scripted provider has no script 'nonsense'. Known: echo, "
    )


@pytest.mark.parametrize("command", ["check", "serve", "migrate"])
def test_every_command_tells_all_that_is_wrong_and_where(tmp_path: Path, command: str) -> None:
    path = tmp_path / "frontdesk.yaml"
    path.write_text(f"{SCRIPTED}default_modle: fast\ntiers:\n  free: {{models: [fats]}}\ndefault_tier: free\n")

    with pytest.raises(SystemExit) as caught:
        main([command, "--config", str(path)])

    assert str(caught.value.code) == (
        "frontdesk: The configuration has 2 problems:\n"
        f"{path}:4: The setting 'default_modle' is unknown. Did you mean 'default_model'?\n"
        f"{path}:6: tiers.free.models names 'fats', which is not configured. Did you mean 'fast'?"
    )


def test_what_check_shows_is_itself_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, f"{SCRIPTED}default_model: fast")
    shown = capsys.readouterr().out.split("\n\n", 1)[1].split("\n\nWho may call:", 1)[0]

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


def test_check_tells_programs_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        check(tmp_path, "\nlimitz: {}", "--json")

    told = json.loads(capsys.readouterr().out)
    assert (caught.value.code, told["ok"], told["problems"][0]["line"]) == (1, False, 2)


def test_check_tells_programs_what_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, SCRIPTED, "--json")

    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], list(told["effective"]["models"])) == (True, ["fast"])


def test_warnings_fail_only_where_they_must_not_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, SCRIPTED)
    with pytest.raises(SystemExit) as caught:
        check(tmp_path, SCRIPTED, "--strict")

    assert caught.value.code == 1
    assert "! " in capsys.readouterr().out


def test_a_configuration_without_warnings_is_good_in_the_strict_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(
        tmp_path,
        f"{SCRIPTED}default_model: fast\nfeatures: {{chat: {{}}}}\ntiers: {{free: {{}}}}\ndefault_tier: free\n",
        "--strict",
    )

    assert "!" not in capsys.readouterr().out


def test_check_fetches_the_keys_of_issuers_unless_it_is_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "auth: {jwt: [{issuer: i, audience: a, jwks_url: 'http://127.0.0.1:1/keys'}]}"

    check(tmp_path, text)
    asked = capsys.readouterr().out
    check(tmp_path, text, "--offline")
    offline = capsys.readouterr().out

    assert f"! {tmp_path}/frontdesk.yaml:1: auth.jwt[0] gives no keys: http://127.0.0.1:1/keys cannot be" in asked
    assert "gives no keys" not in offline


def test_the_routes_that_are_shown_name_what_is_asked_besides() -> None:
    step = {"a/x": 95.0, "b/y": 5.0}

    assert _route(Model(["a/x"])) == "a/x"
    assert _route(Model([step, "c/z"], hedge_after_s=2.5)) == "a/x 95 or b/y 5, then c/z; hedge_after_s 2.5"
    assert _route(Model(["a/x"], shadow=Shadow("d/w", 0.1))) == "a/x; shadow d/w 0.1"
