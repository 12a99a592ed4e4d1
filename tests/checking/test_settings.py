"""The settings of a command: from the file that is named, and checked by what core cannot know."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.checking.settings import read_settings, refuse_missing_extras
from frontdesk.core.config import ConfigError, parse_config
from frontdesk.core.config.problems import Lines, Problems
from tests.checking.loaded import problems_of, settings_of


def test_the_file_of_the_environment_is_read_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("hangup_drain_s: 3")
    monkeypatch.setenv("FRONTDESK_CONFIG", str(path))

    settings = read_settings(None)

    assert (settings.config.hangup_drain_s, settings.is_development) == (3, False)
    assert settings.lines.at(("hangup_drain_s",)) == 1


def test_without_a_file_it_is_the_development_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRONTDESK_CONFIG", raising=False)

    assert read_settings(None).is_development


def test_a_wrong_address_in_the_environment_is_told_without_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRONTDESK_CONFIG", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", "ftp://x")

    with pytest.raises(ConfigError) as caught:
        read_settings(None)

    assert str(caught.value) == "providers.openai.base_url is 'ftp://x'. It must begin with http:// or https://."


def test_what_core_and_what_others_find_is_told_together(tmp_path: Path) -> None:
    text = """\
providers: {s: {kind: scripted}, bad: {kind: none-such}}
models:
  fast:
    route: [s/echo, s/nonsense, bad/x, gone/x]
  vectors: {route: [s/anything], kind: embeddings}
features:
  f: {models: [fats], parameters: {temprature: 1}}
"""

    told = problems_of(tmp_path, text)

    assert [each.split(" Known")[0] for each in told] == [
        (
            "1: providers.bad.kind is 'none-such'. It must be one of anthropic, azure-openai, gemini, local, openai, "
            "openai-compatible, scripted."
        ),
        "4: models.fast.route names 'gone', which is not configured.",
        "4: models.fast.route has 's/nonsense'. The scripted provider has no script 'nonsense'.",
        "7: features.f.models names 'fats', which is not configured. Did you mean 'fast'?",
        "7: features.f.parameters.temprature is no parameter of Chat Completions. Did you mean 'temperature'?",
    ]


def feature(settings: str) -> str:
    return f"features:\n  f:\n    {settings}\n"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{temperature: 3}", "Invalid value for '{}.temperature': expected a number <= 2.0, not 3."),
        ("{temperature: hot}", "Invalid value for '{}.temperature': expected a number or null, not 'hot'."),
        ("{temperature: ~}", "{}.temperature is empty. Write a value, or leave it out."),
        ("{n: 9}", "Invalid value for '{}.n': expected an integer <= 8, not 9."),
        ("{stop: [a, b, c, d, e]}", "Invalid value for '{}.stop': expected a list of length <= 4, not a list of 5."),
        ("{verbosity: loud}", "Invalid value for '{}.verbosity': 'loud'. It must be one of 'low', 'medium', 'high'."),
        ("{logit_bias: {'5': 200}}", "Invalid value for '{}.logit_bias': expected a number <= 100.0."),
        ("{top_logprobs: 5}", "{}.top_logprobs needs logprobs: true beside it."),
        ("{max_tokens: 5}", "{}.max_tokens has a setting of its own: write features.f.max_output_tokens."),
        (
            "{max_completion_tokens: 5}",
            "{}.max_completion_tokens has a setting of its own: write features.f.max_output_tokens.",
        ),
        ("{model: fast}", "{}.model has a setting of its own: write features.f.default_model."),
        ("{messages: []}", "{}.messages has a setting of its own: write features.f.instructions."),
        ("{response_format: {}}", "{}.response_format has a setting of its own: write features.f.response_format."),
        ("{stream: true}", "{}.stream is the request's to say. Remove it."),
        ("{tools: []}", "{}.tools is the request's to say. Remove it."),
        ("{metadata: {}}", "{}.metadata is the request's to say. Remove it."),
    ],
)
def test_what_is_wrong_with_a_parameter(tmp_path: Path, settings: str, told: str) -> None:
    place = "features.f.parameters"

    assert problems_of(tmp_path, feature(f"parameters:\n      {settings}")) == [f"4: {told.replace('{}', place)}"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "ceilings: {temprature: 1}",
            "3: features.f.ceilings.temprature is no parameter that has a ceiling. Did you mean 'temperature'?",
        ),
        (
            "ceilings: {seed: 1}",
            (
                "3: features.f.ceilings.seed is no parameter that has a ceiling. "
                "Known: frequency_penalty, n, presence_penalty, temperature, top_logprobs, top_p."
            ),
        ),
        (
            "ceilings: {max_tokens: 5}",
            "3: features.f.ceilings.max_tokens has a setting of its own: write features.f.max_output_tokens.",
        ),
        (
            "ceilings: {temperature: 3}",
            "3: Invalid value for 'features.f.ceilings.temperature': expected a number <= 2.0, not 3.0.",
        ),
        (
            "ceilings: {temperature: .inf}",
            "3: features.f.ceilings.temperature is inf. It must be a number; leave it out for no ceiling.",
        ),
        (
            "ceilings: {n: -.NaN}",
            "3: features.f.ceilings.n is nan. It must be a number; leave it out for no ceiling.",
        ),
        (
            "parameters: {logit_bias: {'5': .nan}}",
            "3: features.f.parameters.logit_bias.5 is nan, which JSON has not. Write a number.",
        ),
        (
            (
                "response_format:\n      type: json_schema\n      json_schema:\n        name: a\n        schema:\n"
                "          type: object\n          properties:\n            age: {type: int}"
            ),
            (
                "10: features.f.response_format.json_schema.schema.properties.age.type is 'int', which is no type of "
                "JSON. Did you mean 'integer'?"
            ),
        ),
        ("ceilings: {n: 2.5}", "3: Invalid value for 'features.f.ceilings.n': expected an integer or null, not 2.5."),
        (
            "parameters: {temperature: 1}\n    ceilings: {temperature: 0.5}",
            (
                "4: features.f.ceilings.temperature is 0.5, less than the feature's own default, which is 1. "
                "Change one of them."
            ),
        ),
        (
            "response_format:\n      type: xml",
            (
                "4: Invalid value for 'features.f.response_format.type': 'xml'. "
                "It must be one of 'text', 'json_object', 'json_schema'."
            ),
        ),
        ("response_format: {}", "3: Missing required parameter: 'features.f.response_format.type'."),
        (
            "response_format:\n      type: json_schema\n      json_schema:\n        name: two words",
            (
                "6: Invalid value for 'features.f.response_format.json_schema.name': expected a text matching regex "
                "'^[a-zA-Z0-9_-]{1,64}$', not 'two words'."
            ),
        ),
        ("response_format: json", "3: features.f.response_format is 'json'. It must be a mapping."),
    ],
)
def test_what_is_wrong_with_ceilings_and_formats(tmp_path: Path, settings: str, told: str) -> None:
    assert problems_of(tmp_path, feature(settings)) == [told]


def test_good_parameters_ceilings_and_formats(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        feature(
            "parameters: {temperature: 0.5, n: 2, stop: [a], logprobs: true, top_logprobs: 3, reasoning_effort: low,\n"
            "      seed: 7, verbosity: low, service_tier: flex}\n"
            "    ceilings: {temperature: 1, n: 4, top_p: 0.9, frequency_penalty: 0, top_logprobs: 3}\n"
            "    response_format: {type: json_schema, json_schema: {name: a, schema: {type: object}, strict: true}}"
        ),
    )

    assert settings.config.features["f"].ceilings["n"] == 4


@pytest.mark.parametrize(
    ("text", "missing", "told"),
    [
        (
            "valkey: valkey://u:hidden@h",
            "valkey",
            "line 1: valkey needs the package 'valkey', which is not installed here: pip install 'frontdesk[valkey]'",
        ),
        (
            "database: postgresql://u:hidden@h/n",
            "asyncpg",
            (
                "line 1: database needs the package 'asyncpg', which is not installed here: "
                "pip install 'frontdesk[postgresql]'"
            ),
        ),
        ("database: sqlite:///x.db", "asyncpg", None),
        ("valkey: valkey://h", "asyncpg", None),
    ],
)
def test_a_package_that_is_not_installed_is_told_with_how_to_get_it(text: str, missing: str, told: str | None) -> None:
    problems = Problems(Lines(None, {("valkey",): 1, ("database",): 1}))

    refuse_missing_extras(parse_config(text, {}), problems, lambda name: None if name == missing else name)

    assert [str(each) for each in problems.found()] == ([] if told is None else [told])


def test_a_model_of_speech_needs_a_package_of_its_own() -> None:
    config = parse_config("providers: {ears: {kind: local, model: whisper-tiny-en}}", {})
    problems = Problems(Lines(None, {}))

    refuse_missing_extras(config, problems, lambda name: None if name == "faster_whisper" else name)

    (told,) = problems.found()
    assert told.place == ("providers", "ears", "model")
    assert told.message.endswith("pip install 'frontdesk[whisper]'")


def test_what_is_installed_here_is_not_told(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "valkey: valkey://h\ndatabase: postgresql://h/n").config.valkey == "valkey://h"
