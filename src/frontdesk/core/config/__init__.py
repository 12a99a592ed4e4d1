"""The configuration: one YAML file, every key optional, unknown keys refused by name.

`${NAME}` in a value reads the environment, `${NAME:-text}` with a default. This is the only module
that reads the environment. The shapes of the settings are `shapes`; what their values may be says
`checks`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from frontdesk.core.config.checks import check_values
from frontdesk.core.config.files import read_files
from frontdesk.core.config.problems import ConfigError, Lines, Problems
from frontdesk.core.config.reading import is_unicode, read_settings
from frontdesk.core.config.shapes import (
    ALGORITHMS,
    CLIENTS_OWN,
    FIELDS_OF_KIND,
    FIELDS_OF_STRATEGY,
    FIELDS_OF_TYPE,
    PRIORITIES,
    Alerts,
    Algorithm,
    App,
    Attestation,
    Auth,
    Batches,
    Breaker,
    Budget,
    Capability,
    ClaimNames,
    Clients,
    Config,
    Context,
    ContextStrategy,
    Cors,
    Feature,
    Files,
    FollowUps,
    Guards,
    Issuer,
    Jobs,
    Limits,
    Live,
    Model,
    ModelKind,
    PersonBudget,
    Price,
    PriceChange,
    Priority,
    Provider,
    ProviderKind,
    RateLimit,
    Rates,
    Retention,
    Retries,
    Shadow,
    Slots,
    Summaries,
    Sync,
    Tier,
    Titles,
    Variable,
    VariableType,
    WhenSpent,
)

__all__ = [
    "ALGORITHMS",
    "CLIENTS_OWN",
    "FIELDS_OF_KIND",
    "FIELDS_OF_STRATEGY",
    "FIELDS_OF_TYPE",
    "PRIORITIES",
    "Alerts",
    "Algorithm",
    "App",
    "Attestation",
    "Auth",
    "Batches",
    "Breaker",
    "Budget",
    "Capability",
    "ClaimNames",
    "Clients",
    "Config",
    "ConfigError",
    "Context",
    "ContextStrategy",
    "Cors",
    "Environment",
    "Feature",
    "Files",
    "FollowUps",
    "Guards",
    "Issuer",
    "Jobs",
    "Limits",
    "Live",
    "Loaded",
    "Model",
    "ModelKind",
    "PersonBudget",
    "Price",
    "PriceChange",
    "Priority",
    "Provider",
    "ProviderKind",
    "RateLimit",
    "Rates",
    "Retention",
    "Retries",
    "Shadow",
    "Slots",
    "Summaries",
    "Sync",
    "Tier",
    "Titles",
    "Variable",
    "VariableType",
    "WhenSpent",
    "development_config",
    "load",
    "load_config",
    "parse_config",
    "read_environment",
]


class Environment(msgspec.Struct, frozen=True):
    """What Frontdesk reads from the environment besides `${NAME}` in the configuration."""

    home: Path
    admin_key: str | None
    config_file: Path | None
    openai_api_key: str | None
    openai_base_url: str | None
    openai_model: str | None


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read the environment; empty variables count as unset. Raises ConfigError for a text that is not UTF-8."""
    given = {name: value for name, value in (os.environ if variables is None else variables).items() if value}
    for name in _TEXTS:
        if not is_unicode(given.get(name, "")):
            raise ConfigError(f"{name} is not UTF-8 in the environment. Set it anew.")
    data_home = given.get("XDG_DATA_HOME") or str(Path(given.get("HOME", "~")).expanduser() / ".local" / "share")
    config_file = given.get("FRONTDESK_CONFIG")
    return Environment(
        home=Path(given.get("FRONTDESK_HOME") or Path(data_home) / "frontdesk"),
        admin_key=given.get("FRONTDESK_ADMIN_KEY", "").strip() or None,
        config_file=Path(config_file) if config_file else None,
        openai_api_key=given.get("OPENAI_API_KEY"),
        openai_base_url=given.get("OPENAI_BASE_URL"),
        openai_model=given.get("OPENAI_MODEL"),
    )


# All but paths, which may be any bytes.
_TEXTS = ("FRONTDESK_ADMIN_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL")

Check = Callable[[Config, Problems], None]
"""A check that core cannot make, since it knows neither wire nor providers."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what it was read from.

    `instructions_from` are the files of instructions, as they were written, by their features.
    """

    config: Config
    lines: Lines
    instructions_from: Mapping[str, str]


def load(path: Path, variables: Mapping[str, str] | None = None, checks: Iterable[Check] = ()) -> Loaded:
    """Read and check a configuration file. Raises ConfigError with all that is wrong."""
    name = os.fsencode(path).decode(errors="replace")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The configuration {name!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The configuration {name!r} is not UTF-8.") from None
    return _parse(text, os.environ if variables is None else variables, Lines(name), path.parent, checks)


def load_config(path: Path, variables: Mapping[str, str] | None = None) -> Config:
    """Read and check a configuration file, without what only wire and providers can check. Raises ConfigError."""
    return load(path, variables).config


def parse_config(text: str, variables: Mapping[str, str], folder: Path = Path()) -> Config:
    """Check a configuration's text, whose paths are relative to `folder`. Raises ConfigError."""
    return _parse(text, variables, Lines(), folder, ()).config


def _parse(text: str, variables: Mapping[str, str], lines: Lines, folder: Path, checks: Iterable[Check]) -> Loaded:
    problems = Problems(lines)
    config = msgspec.convert(read_settings(text, Config, variables, problems), Config)
    instructions_from = read_files(config, folder, problems)
    check_values(config, problems)
    for check in checks:
        check(config, problems)
    problems.raise_any()
    return Loaded(config, lines, instructions_from)


def development_config(environment: Environment) -> Config:
    """What `make run` serves where no file is given: a real small model on this machine, and OpenAI
    before it where a key is in the environment.
    """
    providers = {
        "local": Provider(kind="local", model="smollm2-135m"),
        "local-embeddings": Provider(kind="local", model="minilm-l6-v2"),
    }
    route = ["local/smollm2-135m"]
    models: dict[str, Model] = {}
    if environment.openai_api_key:
        providers["openai"] = Provider(
            kind="openai", api_key=environment.openai_api_key, base_url=environment.openai_base_url
        )
        route.insert(0, f"openai/{environment.openai_model or _OPENAI_MODEL}")
        models["text-embedding-3-small"] = Model(route=["openai/text-embedding-3-small"], kind="embeddings")
    models = {
        "fast": Model(route=[*route], title="Fast"),
        "embed": Model(route=["local-embeddings/minilm-l6-v2"], kind="embeddings"),
        **models,
    }
    # The small model makes no titles that anybody would want: without another one, people's own words are theirs.
    titles = Titles(model="fast" if environment.openai_api_key else None, enabled=True)
    config = Config(providers=providers, models=models, default_model="fast", titles=titles, auth=Auth(anonymous=True))
    problems = Problems()
    check_values(config, problems)
    problems.raise_any()
    return config


_OPENAI_MODEL = "gpt-5-mini"
