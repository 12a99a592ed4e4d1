"""The settings, as shapes: what may stand in a configuration, of which types, with which defaults.

How a file is read is `reading`; what values may be is `checks`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from frontdesk.core.periods import Period


class Cors(msgspec.Struct, forbid_unknown_fields=True):
    """Which web pages may call from another origin."""

    origins: list[str] = []


ProviderKind = Literal["openai", "openai-compatible", "azure-openai", "anthropic", "gemini", "local", "scripted"]


class Retries(msgspec.Struct, forbid_unknown_fields=True):
    """How often a provider is asked again before the next one is.

    The pause before the n-th retry is random, up to `base_s` times two to the power of n - 1 and up to `longest_s`;
    a provider's `Retry-After` goes before it, and beyond `longest_s` the next provider is asked instead.
    `budget` is how many retries there may be for each request that was not one, so that they make no storm.
    """

    most: int = 2
    base_s: float = 0.25
    longest_s: float = 8.0
    budget: float = 0.2


class Breaker(msgspec.Struct, forbid_unknown_fields=True):
    """When a model of a provider is left alone, and for how long.

    It is once at least `least` of its attempts within `window_s` failed, and `share` of all of them. After `open_s`
    one attempt tries it; each time that fails the pause doubles, up to `longest_open_s`.
    """

    share: float = 0.5
    least: int = 5
    window_s: float = 30.0
    open_s: float = 5.0
    longest_open_s: float = 120.0


class Slots(msgspec.Struct, forbid_unknown_fields=True):
    """How many requests a provider carries at once, and who waits for a place among them.

    At most `waiting` wait, none longer than `longest_wait_s`. Who waits moves up a class after each `ageing_s`, so that
    nobody waits for ever. `spare` places are kept for those who wait for an answer themselves: where it is not set, as
    many as they turn out to need, from an eighth to a half.
    """

    concurrent: int
    waiting: int = 1000
    longest_wait_s: float = 30.0
    ageing_s: float = 10.0
    spare: int | None = None


class Provider(msgspec.Struct, forbid_unknown_fields=True):
    """A source of answers. `FIELDS_OF_KIND` says which settings are whose.

    `first_event_s` is how long its first word may take, `attempt_s` a whole answer. `prompt_cache` "auto" marks what
    is worth keeping in the provider's cache, where it wants marks.
    """

    kind: ProviderKind
    vendor: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    api_version: str | None = None
    idle_timeout_s: float = 120.0
    first_event_s: float | None = None
    attempt_s: float | None = None
    retries: Retries = msgspec.field(default_factory=Retries)
    breaker: Breaker = msgspec.field(default_factory=Breaker)
    slots: Slots | None = None
    api: Literal["auto", "chat", "responses"] | None = None
    reports_cost: bool | None = None
    prompt_cache: Literal["auto", "off"] | None = None
    model: str | None = None
    path: str | None = None
    threads: int | None = None
    context_tokens: int | None = None


ModelKind = Literal["chat", "embeddings", "moderation", "transcription", "speech", "image"]


class Shadow(msgspec.Struct, forbid_unknown_fields=True):
    """A route ("provider/model") that gets a copy of a `share` of the requests. Nobody is told what it answers."""

    to: str
    share: float = 1.0


class Model(msgspec.Struct, forbid_unknown_fields=True):
    """A name that apps use. `route` lists `provider/model` in order: the next one is the fallback.

    A step may be several with their weights, `{openai/gpt-5: 95, openai/gpt-5.2: 5}`: one of them is drawn, the same
    for the same person, and the others come after it. `max_output_tokens` is put in where a budget applies and neither
    request nor feature says one. Where a first word takes longer than `hedge_after_s`, the next route is asked as well,
    and the first to answer does. `context_tokens` is the longest prompt and answer together, where somebody says it.
    """

    route: list[str | dict[str, float]]
    kind: ModelKind = "chat"
    title: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    hedge_after_s: float | None = None
    shadow: Shadow | None = None

    @property
    def steps(self) -> list[dict[str, float]]:
        """The route as groups of weighted ways, in order; most groups have one."""
        return [{step: 1.0} if isinstance(step, str) else step for step in self.route]

    @property
    def routes(self) -> list[str]:
        """All ways ("provider/model") of the route, each once, the heavier ones of a step first."""
        return list(dict.fromkeys(way for step in self.steps for way in sorted(step, key=lambda way: -step[way])))

    @property
    def asked(self) -> list[str]:
        """All ways that requests may go: those of the route, and to the shadow."""
        return self.routes if self.shadow is None else list(dict.fromkeys([*self.routes, self.shadow.to]))


Priority = Literal["interactive", "draft", "prefetch", "background", "batch"]
"""Who waits for an answer: a person, a person later, perhaps a person, nobody, nobody today."""
PRIORITIES: tuple[Priority, ...] = ("interactive", "draft", "prefetch", "background", "batch")

Capability = Literal[
    "instructions", "tools", "json_schema", "images", "audio", "files", "parameters", "other_parameters"
]
VariableType = Literal["text", "integer", "number", "boolean", "choice", "locale", "time_zone", "location", "screen"]
CLIENTS_OWN: tuple[VariableType, ...] = ("locale", "time_zone", "location", "screen")
"""What a client also says of itself, in the header Frontdesk-Context, by these names."""


class Variable(msgspec.Struct, forbid_unknown_fields=True):
    """A value that a request puts into a feature's instructions. One without a default must be sent.

    `max_chars` and `is_multiline` are for texts (a screen's name has one as well), `least` and `most` for numbers,
    `choices` for a choice.
    """

    type: VariableType = "text"
    default: str | None = None
    max_chars: int = 200
    is_multiline: bool = msgspec.field(default=False, name="multiline")
    least: float | None = msgspec.field(default=None, name="min")
    most: float | None = msgspec.field(default=None, name="max")
    choices: list[str] = []


class Summaries(msgspec.Struct, forbid_unknown_fields=True):
    """Which model sums up what does not fit any more, the cheapest that may where none is named, and in how many words
    at most.
    """

    model: str | None = None
    words: int = 300


ContextStrategy = Literal["all", "window", "summary"]


class Context(msgspec.Struct, forbid_unknown_fields=True):
    """What a model is told of what was said before: all of it, the latest, or that and a summary of the rest.

    `tokens` is the most that all before the answer may have; where it is not set, that is the model's `context_tokens`
    less the answer. What tools returned earlier is shortened to `tool_output_tokens` before anything else goes. With
    `facts` the model is told what the person wants to be remembered.
    """

    strategy: ContextStrategy = "all"
    tokens: int | None = None
    tool_output_tokens: int = 256
    facts: bool = False
    summary: Summaries = msgspec.field(default_factory=Summaries)


class Feature(msgspec.Struct, forbid_unknown_fields=True):
    """What end users may do for one purpose.

    `instructions` are a text, or a file's path that ends in .md or .txt. `client_may` names what a request
    may bring itself. `parameters` are defaults, `ceilings` the most that a request may ask for, both in the
    spelling of Chat Completions, as is `response_format`. `priority` is the highest that its requests have.
    `keep_days` is how long its texts are kept at most, 0 for not at all.
    """

    models: list[str] | None = None
    priority: Priority = "interactive"
    default_model: str | None = None
    instructions: str | None = None
    variables: dict[str, Variable] = {}
    client_may: list[Capability] = []
    max_output_tokens: int | None = None
    parameters: dict[str, Any] = {}
    ceilings: dict[str, float] = {}
    response_format: dict[str, Any] | None = None
    keep_days: float | None = None
    context: Context | None = None


WhenSpent = Literal["refuse", "free"]


class PersonBudget(msgspec.Struct, forbid_unknown_fields=True):
    """What each person of a tier may spend in a period.

    `degrade_at` are fractions of it: at the first one cheaper models of the route answer, at the next ones
    answers get shorter. When it is spent, `free` leaves what costs nothing.
    """

    usd: float
    per: Period = "day"
    degrade_at: list[float] = []
    when_spent: WhenSpent = "refuse"


class Budget(PersonBudget, forbid_unknown_fields=True, kw_only=True):
    """What a scope may spend together: app, tier:NAME, feature:NAME, group:NAME, user:NAME.

    `alert_at` are fractions at which an operator is told.
    """

    scope: str
    alert_at: list[float] = []


class RateLimit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How much a scope may ask together: app, address, tier:NAME, feature:NAME, group:NAME, user:NAME.

    `address` is each caller's network by itself.
    """

    scope: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent: int | None = None
    concurrent_streams: int | None = None


class Tier(msgspec.Struct, forbid_unknown_fields=True):
    """What each person of a tier may do; what is left out is not limited.

    `keep_days` is how long their texts are kept at most, 0 for not at all.
    """

    models: list[str] | None = None
    features: list[str] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent: int | None = None
    concurrent_streams: int | None = None
    budget: PersonBudget | list[PersonBudget] | None = None
    keep_days: float | None = None


class Rates(msgspec.Struct, forbid_unknown_fields=True):
    """US dollars for a million tokens, and for a call (`request`).

    Left out, `cached`, `cache_write`, `audio_input`, `image_input` and `tool` are as `input`, `cache_write_hour` as
    `cache_write`, and `reasoning`, `audio_output` and `image_output` as `output`. What is not paid by tokens has
    `audio_minute` (a minute of sound that is heard), `character` (a million characters that are spoken) or `image` (a
    picture that is drawn), and may leave `input` out.
    """

    input: float | None = None
    output: float = 0.0
    cached: float | None = None
    cache_write: float | None = None
    cache_write_hour: float | None = None
    audio_input: float | None = None
    image_input: float | None = None
    tool: float | None = None
    reasoning: float | None = None
    audio_output: float | None = None
    image_output: float | None = None
    request: float = 0.0
    audio_minute: float = 0.0
    character: float = 0.0
    image: float = 0.0


class PriceChange(Rates, forbid_unknown_fields=True, kw_only=True):
    """What holds from a day on, UTC, as 2026-12-01."""

    since: str = msgspec.field(name="from")


class Price(Rates, forbid_unknown_fields=True):
    """What a model of a provider costs, and what it will."""

    changes: list[PriceChange] = []


class Alerts(msgspec.Struct, forbid_unknown_fields=True):
    """Where an operator is told, besides the log: a webhook, whose calls are signed with `secret`."""

    webhook: str | None = None
    secret: str | None = None


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
    used answers again for `refresh_grace_s` after its answer was used, and then ends its session.
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


class Clients(msgspec.Struct, forbid_unknown_fields=True):
    """What apps are told at their start: the least version of each that is served, by the app's name, and switches
    that change how it behaves without an update of it.
    """

    minimum: dict[str, str] = {}
    switches: dict[str, bool | int | float | str] = {}


class Guards(msgspec.Struct, forbid_unknown_fields=True):
    """What is screened on its way out and back."""

    credentials: Literal["off", "mask", "refuse"] = "off"


class Files(msgspec.Struct, forbid_unknown_fields=True):
    """What callers may upload: the largest file, how much and how many of each person's are kept, how much of
    everybody's, and how long.
    """

    max_mb: float = 100.0
    per_user_mb: float = 1000.0
    per_user: int = 1000
    total_mb: float = 10_000.0
    keep_days: float = 30.0


class Batches(msgspec.Struct, forbid_unknown_fields=True):
    """Requests by the file: how many of them a process asks at once, how many one may hold, how many of each person
    may be open, and how long one is told of after its end.
    """

    concurrent: int = 4
    max_lines: int = 50_000
    per_user: int = 10
    keep_days: float = 30.0


class Jobs(msgspec.Struct, forbid_unknown_fields=True):
    """Work that goes on by itself: how much of it a process does at once, and how often it looks for more."""

    at_once: int = 8
    poll_s: float = 1.0


class Live(msgspec.Struct, forbid_unknown_fields=True):
    """How many streams, sockets and polls a process has open at once that tell people what changes of their things: of
    each person, and of all.
    """

    per_user: int = 20
    total: int = 20_000


class Sync(msgspec.Struct, forbid_unknown_fields=True):
    """For how long devices that were away are told what was deleted; who was away for longer begins anew."""

    keep_deleted_days: float = 30.0


class Titles(msgspec.Struct, forbid_unknown_fields=True):
    """Whether conversations get titles, and which model gives them, as the feature `titles`.

    They do where one is named, unless `enabled` says no. Where it says yes and none is named, a title is how a
    person's own words begin.
    """

    model: str | None = None
    enabled: bool | None = None

    @property
    def are_given(self) -> bool:
        """Whether any are."""
        return self.model is not None if self.enabled is None else self.enabled


class FollowUps(msgspec.Struct, forbid_unknown_fields=True):
    """Which model writes what a person may ask next, as the feature `follow_ups`, and how many such questions.

    Without a model nobody does.
    """

    model: str | None = None
    count: int = 3


class Retention(msgspec.Struct, forbid_unknown_fields=True):
    """How long things are kept. None is for ever, 0 not at all.

    Responses from their end on, with the events of which they came for `events_hours`; conversations from their last
    change on; keys of repeated requests; turns and their attempts, which hold no texts; budgets' windows, once they
    are over, and what was told of them (`alerts_days`). A tier or a feature may say less of texts (`keep_days`).
    """

    responses_days: float | None = 30.0
    conversations_days: float | None = None
    events_hours: float = 24.0
    keys_hours: float = 48.0
    turns_days: float | None = None
    alerts_days: float | None = 400.0


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """All settings. `remember` are words by which people ask to have something remembered, where not the usual ones."""

    database: str = "sqlite:///frontdesk.db"
    valkey: str | None = None
    cors: Cors = msgspec.field(default_factory=Cors)
    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    default_model: str | None = None
    features: dict[str, Feature] = {}
    default_feature: str | None = None
    tiers: dict[str, Tier] = {}
    default_tier: str | None = None
    rate_limits: list[RateLimit] = []
    budgets: list[Budget] = []
    prices: dict[str, Price] = {}
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    auth: Auth = msgspec.field(default_factory=Auth)
    trusted_proxies: list[str] = []
    clients: Clients = msgspec.field(default_factory=Clients)
    limits: Limits = msgspec.field(default_factory=Limits)
    files: Files = msgspec.field(default_factory=Files)
    batches: Batches = msgspec.field(default_factory=Batches)
    jobs: Jobs = msgspec.field(default_factory=Jobs)
    sync: Sync = msgspec.field(default_factory=Sync)
    live: Live = msgspec.field(default_factory=Live)
    titles: Titles = msgspec.field(default_factory=Titles)
    follow_ups: FollowUps = msgspec.field(default_factory=FollowUps)
    remember: list[str] | None = None
    retention: Retention = msgspec.field(default_factory=Retention)
    guards: Guards = msgspec.field(default_factory=Guards)
    hangup_drain_s: float = 10.0
    shutdown_grace_s: float = 10.0


_RESILIENT = ("idle_timeout_s", "first_event_s", "attempt_s", "retries", "breaker", "slots")
_OVER_HTTP = ("base_url", "api_key", *_RESILIENT)
FIELDS_OF_KIND: dict[str, tuple[str, ...]] = {
    "openai": (*_OVER_HTTP, "api", "reports_cost"),
    "openai-compatible": (*_OVER_HTTP, "vendor", "api", "reports_cost", "prompt_cache"),
    "azure-openai": (*_OVER_HTTP, "api_version", "api"),
    "anthropic": (*_OVER_HTTP, "prompt_cache"),
    "gemini": _OVER_HTTP,
    "local": ("model", "path", "threads", "context_tokens", "first_event_s", "attempt_s", "slots"),
    "scripted": ("first_event_s", "attempt_s", "retries", "breaker", "slots"),
}

_OF_SHORT = ("strategy", "tokens", "tool_output_tokens", "facts")
FIELDS_OF_STRATEGY: dict[ContextStrategy, tuple[str, ...]] = {
    "all": ("strategy", "facts"),
    "window": _OF_SHORT,
    "summary": (*_OF_SHORT, "summary"),
}

FIELDS_OF_TYPE: dict[VariableType, tuple[str, ...]] = {
    "text": ("max_chars", "multiline"),
    "integer": ("min", "max"),
    "number": ("min", "max"),
    "boolean": (),
    "choice": ("choices",),
    "locale": (),
    "time_zone": (),
    "location": (),
    "screen": ("max_chars",),
}
