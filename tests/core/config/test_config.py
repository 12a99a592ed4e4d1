"""The configuration: what is wrong is named with its remedy, what nothing enforces is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.core.config import (
    ConfigError,
    development_config,
    load_config,
    parse_config,
    read_environment,
)

GOOD = """
database: sqlite:///x.db
cors: {origins: ["https://app.example"]}
providers:
  openai: {kind: openai, api_key: "${OPENAI_API_KEY}"}
  vllm: {kind: openai-compatible, base_url: "${BASE:-http://127.0.0.1:9000/v1}"}
  local: {kind: local, model: smollm2-135m}
models:
  fast: {route: [openai/gpt-5-mini, vllm/meta/llama, local/smollm2-135m]}
  embed: {route: [vllm/e5], kind: embeddings}
default_model: fast
tiers:
  free: {models: [fast], requests_per_minute: 20}
default_tier: free
auth: {anonymous: false}
hangup_drain_s: 5
"""


def test_a_good_file_is_read_with_its_environment() -> None:
    config = parse_config(GOOD, {"OPENAI_API_KEY": "sk-test"})

    assert config.providers["openai"].api_key == "sk-test"
    assert config.providers["vllm"].base_url == "http://127.0.0.1:9000/v1"
    assert [provider.api for provider in config.providers.values()] == ["auto", "chat", None]
    assert config.models["fast"].route[1] == "vllm/meta/llama"
    assert config.tiers["free"].requests_per_minute == 20
    assert config.hangup_drain_s == 5
    assert config.shutdown_grace_s == 10


def test_an_empty_file_is_the_defaults_without_models() -> None:
    config = parse_config("", {})

    assert (config.models, config.auth.anonymous) == ({}, False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("default_model: fast", "default_modell: fast"), "'default_modell' is unknown. Did you mean 'default_model'"),
        (("requests_per_minute", "request_per_minute"), "'tiers.free.request_per_minute' is unknown. Did you mean"),
        (("kind: local", "kind: lokal"), "lokal"),
        (("models: [fast]", "models: [fats]"), "names 'fats', which is not configured. Did you mean 'fast'"),
        (("default_model: fast", "default_model: slow"), "default_model names 'slow'"),
        (("default_model: fast", "default_model: embed"), "which does not chat"),
        (("default_tier: free", "default_tier: gold"), "default_tier names 'gold'"),
        (("default_tier: free", ""), "no default_tier"),
        (("[openai/gpt-5-mini, vllm", "[opnai/gpt-5-mini, vllm"), "Did you mean 'openai'"),
        (("[vllm/e5]", "[]"), "models.embed.route is empty"),
        (("[vllm/e5]", "[e5]"), "Write it as 'provider/model'"),
        (("requests_per_minute: 20", "requests_per_minute: 0"), "requests_per_minute is 0. It must be from 1 to"),
        (("requests_per_minute: 20", "requests_per_minute: many"), "requests_per_minute"),
        (("https://app.example", "app.example"), "An origin is a scheme and a host"),
        (("https://app.example", "https://app.example/path"), "An origin is a scheme and a host"),
        (("hangup_drain_s: 5", "hangup_drain_s: -1"), "hangup_drain_s is -1"),
        (("hangup_drain_s: 5", "limits: {body_mb: 0}"), "limits.body_mb is 0"),
        (("${BASE:-http://127.0.0.1:9000/v1}", "ftp://x"), "must begin with http"),
        (("${OPENAI_API_KEY}", "${NOT_SET}"), "reads ${NOT_SET}, which is not set"),
        (("${OPENAI_API_KEY}", ""), "providers.openai.api_key is missing"),
        (("kind: local, model: smollm2-135m", "kind: local"), "providers.local.model is missing"),
        (("auth: {anonymous: false}", "auth: [1"), "not valid YAML"),
        (("auth: {anonymous: false}", "cache: {exact: {scope: user}}"), "'cache' is not served by this version"),
        (("hangup_drain_s: 5", "retention: {responses_days: -1}"), "retention.responses_days is -1. It must be 0"),
        (("hangup_drain_s: 5", "retention: {responses_days: 0.01}"), "or from 0.042 (an hour) to 3660"),
        (("hangup_drain_s: 5", "retention: {conversations_days: .nan}"), "retention.conversations_days is nan"),
        (("hangup_drain_s: 5", "retention: {events_hours: -1}"), "retention.events_hours is -1. It must be from 0 to"),
        (("hangup_drain_s: 5", "retention: {keys_hours: 0}"), "retention.keys_hours is 0. It must be from 1 to 87840"),
        (("hangup_drain_s: 5", "retention: {turns_days: 0}"), "retention.turns_days is 0. It must be from 1 to 3660"),
        (("hangup_drain_s: 5", "retention: {alerts_days: 0.5}"), "retention.alerts_days is 0.5. It must be from 1"),
        (("requests_per_minute: 20", "keep_days: -1"), "tiers.free.keep_days is -1. It must be 0 (nothing is stored)"),
        (("hangup_drain_s: 5", "features: {f: {keep_days: 4000}}"), "features.f.keep_days is 4000"),
        (("smollm2-135m]", "smollm2-135m], context_tokens: 0"), "models.fast.context_tokens is 0"),
        (("[vllm/e5], kind", "[vllm/e5], context_tokens: 5, kind"), "models.embed.context_tokens means nothing"),
        (
            ("smollm2-135m]", "smollm2-135m], context_tokens: 500, max_output_tokens: 500"),
            "models.fast.context_tokens is 500, which max_output_tokens (500) fills",
        ),
        (("requests_per_minute: 20", "tokens_per_day: 0"), "tokens_per_day is 0. It must be from 1 to 1000000000000"),
        (("[vllm/e5], kind", "[vllm/e5], max_output_tokens: 5, kind"), "models.embed.max_output_tokens means nothing"),
        (("smollm2-135m]", "smollm2-135m], max_output_tokens: 0"), "models.fast.max_output_tokens is 0"),
        (("hangup_drain_s: 5", "limits: {body_mb: .inf}"), "limits.body_mb is inf. It must be from 0.001 to 10000"),
        (("hangup_drain_s: 5", "limits: {body_mb: .nan}"), "limits.body_mb is nan"),
        (("hangup_drain_s: 5", "limits: {body_mb: 1.0e-9}"), "limits.body_mb is 1e-09"),
        (("hangup_drain_s: 5", "limits: {slow_reader_s: .inf}"), "limits.slow_reader_s is inf"),
        (("hangup_drain_s: 5", "limits: {keep_alive_s: 60}"), "limits.keep_alive_s is 60. It must be from 0.001 to 30"),
        (("hangup_drain_s: 5", "hangup_drain_s: .nan"), "hangup_drain_s is nan. It must be from 0 to 86400"),
        (("kind: openai,", "kind: openai, api: completions,"), "completions"),
        (("kind: local,", "kind: local, threads: 0,"), "providers.local.threads is 0"),
        (("kind: local,", "kind: local, context_tokens: -1,"), "providers.local.context_tokens is -1"),
        (("models: [fast]", "models: []"), "tiers.free.models is empty"),
        (("auth: {anonymous: false}", "auth: {anonymous_sessions_per_hour: 0}"), "anonymous_sessions_per_hour is 0"),
        (("sqlite:///x.db", "mysql://u:hidden@h/n"), "database is of the unknown kind 'mysql'"),
        (("sqlite:///x.db", "x.db"), "database is no address"),
        (("sqlite:///x.db", "sqlite://x.db"), "names no file"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(change: tuple[str, str], words: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD

    with pytest.raises(ConfigError) as caught:
        parse_config(text, {"OPENAI_API_KEY": "sk-test"})

    assert words in str(caught.value)
    assert "sk-test" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ("kind: scripted, api_key: x", "api_key"),
        ("kind: scripted, base_url: http://h/v1", "base_url"),
        ("kind: scripted, threads: -4", "threads"),
        ("kind: scripted, idle_timeout_s: 5", "idle_timeout_s"),
        ("kind: openai, api_key: x, model: y", "model"),
        ("kind: openai, api_key: x, path: y", "path"),
        ("kind: openai-compatible, base_url: http://h/v1, context_tokens: 5", "context_tokens"),
        ("kind: local, model: x, idle_timeout_s: 5", "idle_timeout_s"),
        ("kind: local, model: x, api: chat", "api"),
        ("kind: scripted, api: responses", "api"),
        ("kind: scripted, reports_cost: true", "reports_cost"),
        ("kind: local, model: x, reports_cost: false", "reports_cost"),
        ('kind: "${KIND}", threads: 2', "threads"),
    ],
)
def test_a_setting_of_another_kind_of_provider_is_refused(settings: str, field: str) -> None:
    with pytest.raises(ConfigError, match=f"'providers.p.{field}' means nothing to a provider of kind"):
        parse_config(f"providers: {{p: {{{settings}}}}}", {"KIND": "scripted"})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://h:99999/v1", "a port is from 1 to 65535"),
        ("http://h:0/v1", "a port is from 1 to 65535"),
        ("http://h:/v1", "a port is from 1 to 65535"),
        ("http://h:x/v1", "a port is from 1 to 65535"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://:80/v1", "names no host"),
        ("http://a b/v1", "characters that no address has"),
        ("http://h/v 1", "characters that no address has"),
        ("http://h/v1\n", "characters that no address has"),
        ("http://münchen.example/v1", "xn--"),
        ("http://[::zz]/v1", "cannot be"),
        ("http://[::1/v1", "cannot be"),
        ("http://h/v1?key=1", "would be lost"),
        ("http://h/v1#x", "would be lost"),
        ("http://u:hidden@h/v1", "One request carries only one"),
        ("http://u:hidden@h:99999/v1", "'http://h:99999/v1'"),
    ],
)
def test_an_address_that_cannot_be_called_is_refused(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config('providers: {p: {kind: openai-compatible, api_key: x, base_url: "${URL}"}}', {"URL": url})

    assert words in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://vllm_1:9000/v1", "https://[::1]:9000/v1", "http://u:p@h/v1", "https://a.b./v1"]
)
def test_an_address_that_can_be_called_is_taken(url: str) -> None:
    config = parse_config('providers: {p: {kind: openai-compatible, base_url: "${URL}"}}', {"URL": url})

    assert config.providers["p"].base_url == url


@pytest.mark.parametrize(
    ("origin", "normal"),
    [
        ("https://App.Example", "https://app.example"),
        ("HTTPS://app.example", "https://app.example"),
        ("https://app.example/", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://app.example:08080", "http://app.example:8080"),
        ("https://u:p@x", "https://x"),
        ("http://[0:0::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_with_the_right_one(origin: str, normal: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f'cors: {{origins: ["{origin}"]}}', {})

    assert str(caught.value) == f"line 1: cors.origins has {origin!r}, which no browser sends. Write it as {normal!r}."
    assert parse_config(f'cors: {{origins: ["{normal}"]}}', {}).cors.origins == [normal]


@pytest.mark.parametrize("origin", ["https://app.example:99999", "https://", "https://münchen.example", "null"])
def test_an_origin_that_cannot_be_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"cors\.origins"):
        parse_config(f'cors: {{origins: ["{origin}"]}}', {})


def test_white_space_around_a_key_is_no_part_of_it() -> None:
    config = parse_config('providers: {p: {kind: openai, api_key: "${KEY}"}}', {"KEY": " sk-test\r\n"})
    environment = read_environment({"HOME": "/h", "FRONTDESK_ADMIN_KEY": "fd_sk_test\n", "OPENAI_API_KEY": "sk-test\n"})

    assert config.providers["p"].api_key == "sk-test"
    assert environment.admin_key == "fd_sk_test"
    assert development_config(environment).providers["openai"].api_key == "sk-test"


@pytest.mark.parametrize("key", ["sk-\nhidden", "sk-\x00hidden", "sk-hiddené", "sk-\u200bhidden"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(ConfigError, match=r"providers\.p\.api_key has") as caught:
        parse_config('providers: {p: {kind: openai, api_key: "${KEY}"}}', {"KEY": key})

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "text", "7"])
def test_a_file_that_is_no_mapping(text: str) -> None:
    with pytest.raises(ConfigError, match="mapping"):
        parse_config(text, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml", {})


def test_development_has_a_local_model_and_anonymous_sessions() -> None:
    config = development_config(read_environment({"HOME": "/h"}))

    assert config.models["fast"].route == ["local/smollm2-135m"]
    assert config.auth.anonymous


def test_development_asks_openai_first_where_there_is_a_key() -> None:
    environment = read_environment(
        {"HOME": "/h", "OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_MODEL": "m"}
    )

    config = development_config(environment)

    assert config.models["fast"].route == ["openai/m", "local/smollm2-135m"]
    assert config.providers["openai"].base_url == "http://127.0.0.1:1/v1"


def test_the_home_of_models() -> None:
    assert read_environment({"HOME": "/h"}).home == Path("/h/.local/share/frontdesk")
    assert read_environment({"HOME": "/h", "XDG_DATA_HOME": "/x"}).home == Path("/x/frontdesk")
    assert read_environment({"FRONTDESK_HOME": "/f"}).home == Path("/f")
