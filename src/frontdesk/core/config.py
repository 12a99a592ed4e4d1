"""The configuration: one YAML file, every key optional, unknown keys refused by name.

`${NAME}` in a value reads the environment, `${NAME:-text}` with a default. This is the only module
that reads the environment.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import SplitResult, urlsplit

import msgspec
import yaml


class ConfigError(Exception):
    """The configuration cannot be used; the message names the key, its value and the remedy."""


class Cors(msgspec.Struct, forbid_unknown_fields=True):
    """Which web pages may call from another origin."""

    origins: list[str] = []


ProviderKind = Literal["openai", "openai-compatible", "local", "scripted"]


class Provider(msgspec.Struct, forbid_unknown_fields=True):
    """A source of answers. `FIELDS_OF_KIND` says which settings are whose."""

    kind: ProviderKind
    base_url: str | None = None
    api_key: str | None = None
    idle_timeout_s: float = 120.0
    api: Literal["auto", "chat", "responses"] | None = None
    model: str | None = None
    path: str | None = None
    threads: int | None = None
    context_tokens: int | None = None


ModelKind = Literal["chat", "embeddings"]


class Model(msgspec.Struct, forbid_unknown_fields=True):
    """A name that apps use. `route` lists `provider/model` in order: the next one is the fallback."""

    route: list[str]
    kind: ModelKind = "chat"
    title: str | None = None


Capability = Literal["instructions", "tools", "json_schema", "images", "audio", "files", "parameters"]
VariableType = Literal["text", "integer", "number", "boolean", "choice"]


class Variable(msgspec.Struct, forbid_unknown_fields=True):
    """A value that a request puts into a feature's instructions. One without a default must be sent.

    `max_chars` and `is_multiline` are for texts, `least` and `most` for numbers, `choices` for a choice.
    """

    type: VariableType = "text"
    default: str | None = None
    max_chars: int = 200
    is_multiline: bool = msgspec.field(default=False, name="multiline")
    least: float | None = msgspec.field(default=None, name="min")
    most: float | None = msgspec.field(default=None, name="max")
    choices: list[str] = []


class Feature(msgspec.Struct, forbid_unknown_fields=True):
    """What end users may do for one purpose.

    `instructions` are a text, or a file's path that ends in .md or .txt. `client_may` names what a request
    may bring itself. `parameters` are defaults, `ceilings` the most that a request may ask for, both in the
    spelling of Chat Completions, as is `response_format`.
    """

    models: list[str] | None = None
    default_model: str | None = None
    instructions: str | None = None
    variables: dict[str, Variable] = {}
    client_may: list[Capability] = []
    max_output_tokens: int | None = None
    parameters: dict[str, Any] = {}
    ceilings: dict[str, float] = {}
    response_format: dict[str, Any] | None = None


class Tier(msgspec.Struct, forbid_unknown_fields=True):
    """What people of a tier may do; what is left out is not limited."""

    models: list[str] | None = None
    features: list[str] | None = None
    requests_per_minute: int | None = None


Algorithm = Literal["RS256", "ES256", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")


class ClaimNames(msgspec.Struct, forbid_unknown_fields=True):
    """Which claims of a token say who its user is: a name, or a path with dots into nested claims."""

    user: str = "sub"
    tier: str | None = None
    group: str | None = None
    features: str | None = None


class Issuer(msgspec.Struct, forbid_unknown_fields=True):
    """An identity provider whose tokens are accepted.

    Keys come from `jwks_url` or `jwks_file`. `audience_claim` is for providers that say it elsewhere, `require`
    for claims that must have a value. `tiers` maps what the claim says to our names. `user_prefix` keeps people
    of several issuers apart. `app` binds its tokens to one of `auth.apps`.
    """

    issuer: str
    audience: str | list[str]
    jwks_url: str | None = None
    jwks_file: str | None = None
    algorithms: list[Algorithm] = msgspec.field(default_factory=lambda: list(ALGORITHMS))
    audience_claim: str = "aud"
    claims: ClaimNames = msgspec.field(default_factory=ClaimNames)
    tiers: dict[str, str] = {}
    require: dict[str, str | int | bool] = {}
    user_prefix: str = ""
    app: str | None = None
    leeway_s: float = 30.0


class Attestation(msgspec.Struct, forbid_unknown_fields=True):
    """Who attests that a request comes from the app itself, as Firebase App Check. `subject` is the app's id there."""

    issuer: str
    audience: str | list[str]
    jwks_url: str | None = None
    jwks_file: str | None = None
    algorithms: list[Algorithm] = msgspec.field(default_factory=lambda: list(ALGORITHMS))
    subject: str | list[str] | None = None
    leeway_s: float = 30.0


class App(msgspec.Struct, forbid_unknown_fields=True):
    """An app that people use. With `attestation` its requests must carry a token of it as well."""

    attestation: Attestation | None = None


class Auth(msgspec.Struct, forbid_unknown_fields=True):
    """How callers are known.

    `anonymous` lets anybody begin a session, so many an hour from one address and one device. `cookies` lets
    pages of the same site keep their session in a cookie. A refresh token holds for `refresh_ttl_s`; one that was
    used answers again for `refresh_grace_s`, since replies get lost, and then ends its session.
    """

    anonymous: bool = False
    anonymous_sessions_per_hour: int = 20
    anonymous_sessions_per_device: int = 5
    anonymous_tier: str | None = None
    jwt: list[Issuer] = []
    apps: dict[str, App] = {}
    cookies: bool = False
    refresh_ttl_s: float = 2_592_000.0
    refresh_grace_s: float = 60.0


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """What a request may be, and how long a client may take."""

    body_mb: float = 20.0
    header_timeout_s: float = 10.0
    body_timeout_s: float = 20.0
    slow_reader_s: float = 30.0
    turn_timeout_s: float = 1800.0
    keep_alive_s: float = 10.0


class Guards(msgspec.Struct, forbid_unknown_fields=True):
    """What is screened on its way out and back."""

    credentials: Literal["off", "mask", "refuse"] = "off"


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """All settings."""

    database: str = "sqlite:///frontdesk.db"
    cors: Cors = msgspec.field(default_factory=Cors)
    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    default_model: str | None = None
    features: dict[str, Feature] = {}
    default_feature: str | None = None
    tiers: dict[str, Tier] = {}
    default_tier: str | None = None
    auth: Auth = msgspec.field(default_factory=Auth)
    trusted_proxies: list[str] = []
    limits: Limits = msgspec.field(default_factory=Limits)
    guards: Guards = msgspec.field(default_factory=Guards)
    hangup_drain_s: float = 10.0
    shutdown_grace_s: float = 10.0


class Environment(msgspec.Struct, frozen=True):
    """What Frontdesk reads from the environment besides `${NAME}` in the configuration."""

    home: Path
    admin_key: str | None
    config_file: Path | None
    openai_api_key: str | None
    openai_base_url: str | None
    openai_model: str | None


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read the environment; empty variables count as unset."""
    given = {name: value for name, value in (os.environ if variables is None else variables).items() if value}
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


def load_config(path: Path, variables: Mapping[str, str] | None = None) -> Config:
    """Read and check a configuration file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The configuration {str(path)!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The configuration {str(path)!r} is not UTF-8.") from None
    return parse_config(text, os.environ if variables is None else variables)


def parse_config(text: str, variables: Mapping[str, str]) -> Config:
    """Check a configuration's text. Raises ConfigError."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The configuration is not valid YAML: {error}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError("The configuration must be a mapping of settings.")
    _refuse_unknown(cast("dict[Any, Any]", tree), Config, "")
    tree = _with_environment(tree, variables, "")
    _refuse_other_kinds(tree)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"The configuration is wrong: {str(error).replace('$.', '')}.") from None
    _check(config)
    return config


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
        "fast": Model(route=route, title="Fast"),
        "embed": Model(route=["local-embeddings/minilm-l6-v2"], kind="embeddings"),
        **models,
    }
    config = Config(providers=providers, models=models, default_model="fast", auth=Auth(anonymous=True))
    _check(config)
    return config


_OPENAI_MODEL = "gpt-5-mini"


# --- checks -------------------------------------------------------------------------------------

# Names of the contract that this version does not serve. Accepting them would promise a limit or a
# protection that nothing enforces.
_NOT_YET = frozenset(
    {
        "alerts",
        "budgets",
        "cache",
        "prices",
        "retention",
        "valkey",
        "tiers.budget",
        "tiers.concurrent",
        "tiers.tokens_per_day",
        "tiers.tokens_per_minute",
    }
)
_NESTED: dict[str, tuple[type[msgspec.Struct], bool]] = {
    "cors": (Cors, False),
    "auth": (Auth, False),
    "limits": (Limits, False),
    "guards": (Guards, False),
    "providers": (Provider, True),
    "models": (Model, True),
    "tiers": (Tier, True),
}


def _refuse_unknown(tree: dict[Any, Any], shape: type[msgspec.Struct], where: str) -> None:
    known = shape.__struct_fields__
    for key, value in tree.items():
        if key not in known:
            raise ConfigError(_unknown_key(str(key), known, where))
        if where or not isinstance(value, dict):
            continue
        inner = cast("dict[Any, Any]", value)
        if key in _NESTED:
            inner_shape, is_named = _NESTED[key]
            for name, entry in inner.items() if is_named else ((None, inner),):
                if isinstance(entry, dict):
                    place = f"{key}.{name}" if is_named else str(key)
                    _refuse_unknown(cast("dict[Any, Any]", entry), inner_shape, place)


def _unknown_key(key: str, known: tuple[str, ...], where: str) -> str:
    place = f"{where}.{key}" if where else key
    family = f"{where.split('.', 1)[0]}.{key}" if where else key
    if family in _NOT_YET:
        return f"The setting {place!r} is not served by this version. Remove it: nothing would enforce it."
    nearest = difflib.get_close_matches(key, known, n=1)
    remedy = f"Did you mean {nearest[0]!r}?" if nearest else f"Known here: {', '.join(known)}."
    return f"The setting {place!r} is unknown. {remedy}"


_OVER_HTTP = ("base_url", "api_key", "idle_timeout_s", "api")
FIELDS_OF_KIND: dict[str, tuple[str, ...]] = {
    "openai": _OVER_HTTP,
    "openai-compatible": _OVER_HTTP,
    "local": ("model", "path", "threads", "context_tokens"),
    "scripted": (),
}


def _refuse_other_kinds(tree: dict[Any, Any]) -> None:
    """Refuse settings that this kind of provider would ignore. Shapes are checked afterwards."""
    providers = tree.get("providers")
    for name, entry in cast("dict[Any, Any]", providers).items() if isinstance(providers, dict) else ():
        fields = cast("dict[Any, Any]", entry) if isinstance(entry, dict) else {}
        kind = fields.get("kind")
        taken = FIELDS_OF_KIND.get(kind) if isinstance(kind, str) else None
        if taken is None:
            continue
        for field, value in fields.items():
            if field not in ("kind", *taken) and value is not None:
                raise ConfigError(
                    f"The setting 'providers.{name}.{field}' means nothing to a provider of kind {kind!r}. Remove it. "
                    f"This kind takes: {', '.join(taken) or 'nothing else'}."
                )


_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def _with_environment(value: Any, variables: Mapping[str, str], where: str) -> Any:
    if isinstance(value, dict):
        return {
            key: _with_environment(each, variables, f"{where}.{key}" if where else str(key))
            for key, each in cast("dict[Any, Any]", value).items()
        }
    if isinstance(value, list):
        return [
            _with_environment(each, variables, f"{where}[{place}]")
            for place, each in enumerate(cast("list[Any]", value))
        ]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        found = variables.get(match["name"], match["default"])
        if found is None:  # pyright: ignore[reportUnnecessaryComparison] - a group that did not match is None
            raise ConfigError(
                f"{where} reads ${{{match['name']}}}, which is not set in the environment. "
                f"Set it, or write ${{{match['name']}:-}} to allow it empty."
            )
        return found

    return _VARIABLE.sub(replaced, value)


def _check(config: Config) -> None:
    _check_database(config.database)
    for name, provider in config.providers.items():
        _check_provider(name, provider)
    for name, model in config.models.items():
        _check_model(name, model, config)
    if config.default_model is not None:
        _check_reference("default_model", config.default_model, config.models)
        if config.models[config.default_model].kind != "chat":
            raise ConfigError(f"default_model is {config.default_model!r}, which does not chat.")
    for name, tier in config.tiers.items():
        _check_tier(name, tier, config)
    if config.default_tier is not None:
        _check_reference("default_tier", config.default_tier, config.tiers)
    elif config.tiers:
        raise ConfigError("There are tiers but no default_tier. Name the one that counts where none is told.")
    for origin in config.cors.origins:
        _check_origin(origin)
    _check_numbers(config)


def _check_database(url: str) -> None:
    kind, separator, rest = url.partition("://")
    if not separator or kind not in ("sqlite", "postgresql", "postgres"):
        # The value may hold a password, so only its kind is told.
        named = f"of the unknown kind {kind!r}" if separator else "no address"
        raise ConfigError(f"database is {named}. Use sqlite:///path or postgresql://user:password@host/name.")
    if kind == "sqlite" and (rest[:1] != "/" or rest[1:2] in ("", ":") or "?" in rest):
        raise ConfigError(f"database is {url!r}, which names no file. Use sqlite:///path or sqlite:////absolute/path.")


def _check_provider(name: str, provider: Provider) -> None:
    place = f"providers.{name}"
    if "/" in name:
        raise ConfigError(f"The provider name {name!r} has a '/', which parts provider and model in a route.")
    _check_api_key(place, provider)
    if provider.kind == "openai-compatible" and not provider.base_url:
        raise ConfigError(f"{place}.base_url is missing. A provider of this kind needs it, ending in /v1.")
    if provider.base_url:
        _check_base_url(f"{place}.base_url", provider.base_url, has_key=bool(provider.api_key))
    if provider.kind == "openai" and not provider.api_key:
        raise ConfigError(f"{place}.api_key is missing. A provider of this kind needs it.")
    if provider.kind == "local" and not provider.model:
        raise ConfigError(f"{place}.model is missing. Name a local model, such as smollm2-135m.")
    if provider.api is None and provider.kind in ("openai", "openai-compatible"):
        provider.api = "auto" if provider.kind == "openai" else "chat"
    _check_number(f"{place}.idle_timeout_s", provider.idle_timeout_s, _MOMENT_S, _DAY_S)
    _check_number(f"{place}.threads", provider.threads, 1, 1024)
    _check_number(f"{place}.context_tokens", provider.context_tokens, 1, 10_000_000)


def _check_api_key(place: str, provider: Provider) -> None:
    """Strip white space, as a file's last newline; refuse what no header can carry (RFC 9110 §5.5)."""
    if provider.api_key is None:
        return
    provider.api_key = provider.api_key.strip()
    if not (provider.api_key.isascii() and provider.api_key.isprintable()):
        raise ConfigError(f"{place}.api_key has a line break or another character that no key has. Copy it anew.")


def _check_base_url(place: str, url: str, *, has_key: bool) -> None:
    # Without user and password, for messages too.
    bare = re.sub(r"(?<=://)[^/?#]*@", "", url)
    parts = _split_address(place, bare)
    if parts.query or parts.fragment:
        raise ConfigError(f"{place} has a '?' or '#', and what follows would be lost. End it with its path: /v1.")
    if has_key and bare != url:
        raise ConfigError(f"{place} has a user and there is an api_key. One request carries only one of them.")


def _split_address(place: str, url: str) -> SplitResult:
    """The parts of an http address whose host and port can be. Raises ConfigError."""
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{place} is {url!r}. It must begin with http:// or https://.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{place} is {url!r}. Its host or port cannot be; a port is from 1 to 65535.") from None
    if not parts.hostname:
        raise ConfigError(f"{place} is {url!r}. It names no host.")
    if port == 0 or parts.netloc.endswith(":"):
        raise ConfigError(f"{place} is {url!r}. Its port cannot be; a port is from 1 to 65535.")
    if not _is_host(parts.hostname) or not _ADDRESS.fullmatch(url):
        raise ConfigError(
            f"{place} is {url!r}. It has characters that no address has; write a name of other letters as 'xn--…'."
        )
    return parts


_ADDRESS = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _check_model(name: str, model: Model, config: Config) -> None:
    if not model.route:
        raise ConfigError(f"models.{name}.route is empty. List at least one 'provider/model'.")
    for step in model.route:
        provider, slash, rest = step.partition("/")
        if not slash or not rest:
            raise ConfigError(f"models.{name}.route has {step!r}. Write it as 'provider/model'.")
        _check_reference(f"models.{name}.route", provider, config.providers)


def _check_reference(place: str, name: str, known: Mapping[str, object]) -> None:
    if name in known:
        return
    nearest = difflib.get_close_matches(name, known, n=1)
    remedy = f"Did you mean {nearest[0]!r}?" if nearest else f"Known: {', '.join(known) or 'none'}."
    raise ConfigError(f"{place} names {name!r}, which is not configured. {remedy}")


def _check_tier(name: str, tier: Tier, config: Config) -> None:
    if tier.models is not None and not tier.models:
        raise ConfigError(
            f"tiers.{name}.models is empty: people of this tier could use no model. "
            "Name some; leave it out for all of them."
        )
    for model in tier.models or ():
        _check_reference(f"tiers.{name}.models", model, config.models)
    _check_number(f"tiers.{name}.requests_per_minute", tier.requests_per_minute, 1, 1_000_000)


def _check_origin(origin: str) -> None:
    """Refuse what no browser sends as `Origin` (RFC 6454 §6.2): it is compared letter by letter."""
    if origin == "*":
        return
    address = origin.lower()
    if re.fullmatch(r"https?://[^/?#]*/?", address) is None:
        raise ConfigError(f"cors.origins has {origin!r}. An origin is a scheme and a host: https://app.example")
    normal = _origin_of(_split_address("cors.origins", address))
    if origin != normal:
        raise ConfigError(f"cors.origins has {origin!r}, which no browser sends. Write it as {normal!r}.")


def _origin_of(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host
    is_default = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"


_MOMENT_S = 0.001
_DAY_S = 86_400.0


def _check_numbers(config: Config) -> None:
    limits = config.limits
    _check_number("limits.body_mb", limits.body_mb, 0.001, 10_000)
    # Clients take half a minute of silence for a lost connection.
    _check_number("limits.keep_alive_s", limits.keep_alive_s, _MOMENT_S, 30)
    for place, value, least in (
        ("limits.header_timeout_s", limits.header_timeout_s, _MOMENT_S),
        ("limits.body_timeout_s", limits.body_timeout_s, _MOMENT_S),
        ("limits.slow_reader_s", limits.slow_reader_s, _MOMENT_S),
        ("limits.turn_timeout_s", limits.turn_timeout_s, _MOMENT_S),
        ("hangup_drain_s", config.hangup_drain_s, 0),
        ("shutdown_grace_s", config.shutdown_grace_s, 0),
    ):
        _check_number(place, value, least, _DAY_S)
    _check_number("auth.anonymous_sessions_per_hour", config.auth.anonymous_sessions_per_hour, 1, 1_000_000)


def _check_number(place: str, value: float | None, least: float, most: float) -> None:
    if value is None or least <= value <= most:  # .nan is not: it is neither less nor more than anything
        return
    told = f"{value:g}" if isinstance(value, float) else value
    raise ConfigError(f"{place} is {told}. It must be from {least:g} to {most:.0f}.")
