"""The report: for people aligned and short, for programs the same, and never a secret or instructions in it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from frontdesk.checking.effective import effective, without_password, without_query
from frontdesk.checking.report import failure_json, make_report
from frontdesk.checking.settings import read_settings
from frontdesk.core.config import Breaker, Config, ConfigError, Retries, parse_config
from frontdesk.core.config.problems import Problem
from tests.checking.loaded import settings_of

# The public key of RFC 8037, appendix A.2.
KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
EVERYTHING = """\
database: postgresql://u:hidden@h/n
cors: {origins: ["https://app.example"]}
providers:
  openai: {kind: openai, api_key: sk-hidden, api: responses}
  vllm: {kind: openai-compatible, base_url: "http://u:hidden@h/v1", idle_timeout_s: 5}
  local: {kind: local, model: smollm2-135m, threads: 2, context_tokens: 512, path: /models/x.gguf}
  s: {kind: scripted}
models:
  fast: {route: [openai/gpt, s/echo], title: Fast, context_tokens: 9000}
  embed: {route: [vllm/e5], kind: embeddings}
default_model: fast
features:
  chat:
    models: [fast]
    default_model: fast
    instructions: prompts/chat.md
    variables:
      name: {default: you, max_chars: 20, multiline: true}
      age: {type: integer, min: 1, max: 150, default: 3}
      tone: {type: choice, choices: [kind], default: kind}
    client_may: [parameters]
    max_output_tokens: 80
    parameters: {temperature: 0.5}
    ceilings: {temperature: 1}
    response_format: {type: json_schema, json_schema: {name: a, schema: {enum: [~, 1]}}}
    context: {strategy: summary, tokens: 4000, tool_output_tokens: 100, facts: true, summary: {model: fast, words: 90}}
  inline: {models: [fast], instructions: "Hidden words.", keep_days: 0, context: {strategy: window}}
  titles: {models: [fast]}
  follow_ups: {models: [fast]}
default_feature: chat
tiers:
  free: {models: [fast], features: [chat, inline, titles, follow_ups], requests_per_minute: 5, tokens_per_minute: 900,
         tokens_per_day: 9000, concurrent: 2, concurrent_streams: 1, keep_days: 7,
         budget: [{usd: 0.05, degrade_at: [0.8], when_spent: free}, {usd: 1, per: month}]}
default_tier: free
auth:
  anonymous: true
  anonymous_sessions_per_hour: 5
  anonymous_sessions_per_device: 2
  anonymous_tier: free
  jwt:
    - issuer: https://a.example
      audience: app
      jwks_file: keys.json
      algorithms: [EdDSA]
      audience_claim: aud
      claims: {user: sub, tier: plan, group: org, features: scope}
      tiers: {pro: free}
      require: {verified: true}
      user_prefix: "a:"
      app: ios
      leeway_s: 5
  apps:
    ios: {attestation: {issuer: c, audience: p, subject: s, algorithms: [EdDSA], leeway_s: 1, jwks_url: "http://127.0.0.1:1/k?hidden"}}
  cookies: true
  refresh_ttl_s: 3600
  refresh_grace_s: 5
trusted_proxies: [10.0.0.7]
limits: {body_mb: 1, header_timeout_s: 1, body_timeout_s: 1, slow_reader_s: 1, turn_timeout_s: 1, keep_alive_s: 1}
files: {max_mb: 1, per_user_mb: 2, per_user: 3, keep_days: 4}
batches: {concurrent: 1, max_lines: 2, per_user: 3, keep_days: 4}
jobs: {at_once: 2, poll_s: 5}
sync: {keep_deleted_days: 5}
live: {per_user: 5, total: 100}
remember: [keep in mind]
clients: {minimum: {ios: 1.2.0}, switches: {voice: true, greeting: Hello}}
titles: {model: fast, enabled: true}
follow_ups: {model: fast, count: 2}
retention: {responses_days: ~, conversations_days: 90, events_hours: 1, keys_hours: 2, turns_days: 62, alerts_days: ~}
guards: {credentials: mask}
hangup_drain_s: 1
shutdown_grace_s: 1
valkey: valkey://u:hidden@127.0.0.1:6379/1?password=hidden
rate_limits:
  - {scope: address, requests_per_minute: 60, concurrent: 9}
budgets:
  - {scope: app, usd: 100, per: month, degrade_at: [0.9], alert_at: [0.5, 1]}
prices:
  openai/gpt: {input: 1.25, output: 10, cached: 0.125, changes: [{from: 2099-12-01, input: 1, output: 8}]}
  vllm/*: {input: 0.02, request: 0.001}
alerts: {webhook: "https://hooks.example/services/hidden?token=hidden", secret: whsec_hiddenhiddenhiddenhiddenhiddenhi}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the configuration names."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/chat.md").write_text("Hidden words for {{name}}, {{age}}, {{tone}}.")
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    return tmp_path


async def test_everything_set_is_good_and_no_secret_is_told(folder: Path) -> None:
    settings = settings_of(folder, EVERYTHING)

    report = await make_report(settings, is_offline=False)

    for told in (report.text(), report.json()):
        assert "hidden" not in told.lower()
        assert "prompts/chat.md" in told
        assert "(13 characters)" in told
    assert settings.config.features["chat"].instructions == "Hidden words for {{name}}, {{age}}, {{tone}}."


async def test_every_setting_is_in_this_test(folder: Path) -> None:
    """What is set there differs from the defaults in every section, so that nothing is shown by accident."""
    config = settings_of(folder, EVERYTHING).config
    default = Config()

    assert [name for name in config.__struct_fields__ if getattr(config, name) == getattr(default, name)] == []


async def test_what_is_effective_is_itself_a_configuration(folder: Path) -> None:
    shown = effective(settings_of(folder, EVERYTHING))

    again = effective(settings_of(folder, yaml.safe_dump(shown, sort_keys=False)))

    again["features"]["inline"]["instructions"] = shown["features"]["inline"]["instructions"]
    assert again == shown


async def test_the_text_has_its_sections_and_warnings_by_their_lines(folder: Path) -> None:
    text = (await make_report(settings_of(folder, EVERYTHING), is_offline=False)).text()

    settings, callers, opens = text.split("\n\n", 1)[1].split("\n\n", 2)
    opens, kept, prices, *warnings = opens.split("\n\n")
    assert settings.startswith("database: postgresql://u:…@h/n\nvalkey: valkey://u:…@127.0.0.1:6379/1?password=…\n")
    assert "\nalerts:\n  webhook: https://hooks.example/...\n  secret: (set, and not shown here)\n" in settings
    assert prices == (
        "What a million tokens cost:\n"
        "  openai/gpt  $1.25 in, $10 out (configured, until 2099-12-01)\n"
        "  s/echo      nothing (scripted)\n"
        "  vllm/e5     $0.02 in, $0 out, $0.001 a call (configured)"
    )
    assert kept == (
        "What is kept, for how long:\n"
        "  stored responses                      for ever\n"
        "  conversations, and feedback           90 days after their last change\n"
        "  events to resume from                 1 hour after their end\n"
        "  keys of repeated requests             2 hours\n"
        "  ids of what was deleted, for devices  5 days\n"
        "  rows of requests, without texts       62 days\n"
        "  windows of budgets, and their alerts  for ever\n"
        "  files                                 4 days at most\n"
        "  batches                               4 days after their end\n"
        "  jobs                                  7 days after their end, titles and follow-ups 1 day\n"
        "  texts of tier 'free'                  7 days at most\n"
        "  texts of feature 'inline'             not stored"
    )
    assert callers.startswith("Who may call:\n  secret keys  your servers and operators: ")
    assert "\n  POST /api/sessions/refresh  the refresh token is the credential\n" in opens
    (told,) = warnings
    lines = [int(line.split(": ", 1)[0].removeprefix(f"! {folder}/frontdesk.yaml:")) for line in told.split("\n")]
    written = EVERYTHING.split("\n")
    assert [written[line - 1].split(":")[0].strip() for line in lines] == ["embed", "context", "anonymous", "ios"]


async def test_the_development_configuration_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRONTDESK_CONFIG", raising=False)

    report = await make_report(read_settings(None), is_offline=True)

    assert report.text().startswith("The development configuration is good. What is effective:\n\n")
    assert "  anonymous    anybody on this machine\n" in report.text()


async def test_programs_are_told_the_same(folder: Path) -> None:
    report = await make_report(settings_of(folder, EVERYTHING), is_offline=False)

    told = json.loads(report.json())

    assert told["ok"] is True
    assert told["effective"]["providers"]["openai"] == {
        "kind": "openai",
        "base_url": "https://api.openai.com/v1",
        "api_key": "(set)",
        "idle_timeout_s": 120.0,
        "retries": msgspec.to_builtins(Retries()),
        "breaker": msgspec.to_builtins(Breaker()),
        "api": "responses",
    }
    assert told["prices"][0] == {
        "route": "openai/gpt",
        "input": 1.25,
        "output": 10.0,
        "book": "configured",
        "until": "2099-12-01",
        "unpriced": None,
        "units": "",
    }
    assert told["kept"][0] == {"what": "stored responses", "how_long": "for ever"}
    assert {"request": "GET /healthz", "why": "whether the process answers"} in told["open"]
    assert told["callers"][0]["who"] == "secret keys"
    assert [(warning["line"], warning["place"]) for warning in told["warnings"]][-1] == (
        54,
        "auth.apps.ios.attestation",
    )


async def test_nothing_is_fetched_offline(folder: Path) -> None:
    report = await make_report(settings_of(folder, EVERYTHING), is_offline=True)

    assert [warning.place for warning in report.warnings if "gives no keys" in warning.message] == []


async def test_a_file_without_a_key_that_can_be_used_is_warned_of(folder: Path) -> None:
    (folder / "keys.json").write_text('{"keys": [{"kty": "oct", "k": "hidden"}]}')

    report = await make_report(settings_of(folder, EVERYTHING), is_offline=False)

    (told,) = [warning.message for warning in report.warnings if warning.place == ("auth", "jwt", 0)]
    assert told.startswith("auth.jwt[0] gives no keys: it has no key that can be used")


async def test_the_probe_leaves_no_lines_in_the_log(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    await make_report(settings_of(folder, EVERYTHING), is_offline=False)

    assert capfd.readouterr().err == ""


def test_what_is_wrong_is_told_to_programs() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("limits:\n  body_mb: 0\nx: 1", {})

    told = json.loads(failure_json(caught.value))
    assert (told["ok"], [(each["line"], each["place"]) for each in told["problems"]]) == (
        False,
        [(2, "limits.body_mb"), (3, "x")],
    )
    assert json.loads(failure_json(ConfigError("It cannot be read."))) == {
        "ok": False,
        "problems": [{"file": None, "line": None, "place": None, "message": "It cannot be read."}],
    }


def test_a_problem_without_a_line_says_what_it_is() -> None:
    error = ConfigError("x", [Problem("x", (), "f.yaml", None)])

    assert json.loads(failure_json(error))["problems"][0]["file"] == "f.yaml"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hidden@h/n", "postgresql://u:…@h/n"),
        ("postgresql://u@h/n", "postgresql://u@h/n"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("postgresql://h/n?user=u&password=hidden&ssl=on", "postgresql://h/n?user=u&password=…&ssl=on"),
        ("valkeys://:hidden@h:6379/0", "valkeys://:…@h:6379/0"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_queries_are_not_shown() -> None:
    assert (without_query("https://h/k?key=hidden"), without_query("https://h/k")) == ("https://h/k?...", "https://h/k")
