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
        (("requests_per_minute: 20", "requests_per_minute: 0"), "must be at least 1"),
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
        (("auth: {anonymous: false}", "budgets: []"), "'budgets' is not served by this version"),
        (("auth: {anonymous: false}", "auth: {jwt: []}"), "'auth.jwt' is not served by this version"),
        (("requests_per_minute: 20", "tokens_per_day: 5"), "'tiers.free.tokens_per_day' is not served"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(change: tuple[str, str], words: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD

    with pytest.raises(ConfigError) as caught:
        parse_config(text, {"OPENAI_API_KEY": "sk-test"})

    assert words in str(caught.value)
    assert "sk-test" not in str(caught.value)


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
