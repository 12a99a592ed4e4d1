"""What /api answers, for the OpenAPI document: nothing is written from these. Times are Unix seconds.

Contract tests hold every answer against them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from frontdesk.alerts.crossings import CrossingType
from frontdesk.core.config import Priority, WhenSpent
from frontdesk.core.periods import Period
from frontdesk.http.callers import KeyScope
from frontdesk.limits.rules import Per, Unit
from frontdesk.reports.question import Dimension
from frontdesk.wire import openai_conversation_answers as stored


class Session(Struct):
    """A session that began or goes on, with its tokens or, where they are in cookies, its `csrf_token`."""

    id: str
    user: str
    expires_at: int
    refresh_expires_at: int | UnsetType = UNSET
    token: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    csrf_token: str | UnsetType = UNSET


class CurrentSession(Struct):
    """The session, or the token of an identity provider, that asks. `csrf_token` is for sessions in a cookie."""

    id: str
    user: str
    tier: str | None
    expires_at: int
    csrf_token: str | UnsetType = UNSET


class CsrfToken(Struct):
    """What a page must send beside the cookies of this session."""

    id: str
    csrf_token: str


class Upgrade(Struct):
    """`was` has become `user`."""

    object: Literal["upgrade"]
    user: str
    was: str


class SessionListed(Struct):
    """A session that holds. `expires_at` is that of its last token."""

    id: str
    object: Literal["session"]
    user: str
    anonymous: bool
    app: str | None
    refreshable: bool
    created_at: int
    expires_at: int


class SessionList(Struct):
    """A page of a user's sessions, the latest first."""

    object: Literal["list"]
    data: list[SessionListed]
    first_id: str | None
    last_id: str | None
    has_more: bool


class SessionEnded(Struct):
    """A session that ended."""

    id: str
    object: Literal["session"]
    deleted: Literal[True]


class SessionsEnded(Struct):
    """How many sessions of a user ended."""

    user: str
    sessions_ended: int


class AllSessionsEnded(Struct):
    """All sessions of all users ended."""

    object: Literal["sessions"]
    deleted: Literal[True]


class LimitLeft(Struct):
    """What is left of one of the caller's own limits. `per` is null for what counts while it is under way; `resets_at`
    tells when it is whole again, null where it is, or where no time brings it back.
    """

    kind: Unit
    per: Per | None
    limit: int
    remaining: int
    resets_at: int | None


class BudgetLeft(Struct):
    """How a budget stands. `step` counts the steps of `degrade_at` that are passed; `feature` is there for a feature's.

    Users read `user` or `shared` for its `scope`, and amounts, in US dollars, of their own ones alone.
    """

    scope: str
    per: Period
    state: Literal["ok", "degraded", "spent"]
    step: int
    when_spent: WhenSpent
    resets_at: int | None
    feature: str | UnsetType = UNSET
    usd: float | UnsetType = UNSET
    spent_usd: float | UnsetType = UNSET
    held_usd: float | UnsetType = UNSET
    left_usd: float | UnsetType = UNSET


class Works(Struct):
    """The models that would answer a small question now, and those of them that can do so for nothing."""

    models: list[str]
    free_models: list[str]


class MeAsUser(Struct):
    """A user, what they may, and how much of it is left; `features` is null where none are configured."""

    role: Literal["user"]
    id: str
    expires_at: int
    models: list[str]
    user: str
    anonymous: bool
    tier: str | None
    groups: list[str]
    features: list[str] | None
    app: str | None
    limits: list[LimitLeft]
    budgets: list[BudgetLeft]
    works: Works


class MeAsKey(Struct):
    """A secret key, and what it may; `scopes` is null where it may all that its role may. It has no `limits`."""

    role: Literal["server", "operator", "reviewer"]
    id: str
    expires_at: int | None
    models: list[str]
    scopes: list[KeyScope] | None
    limits: list[LimitLeft]
    budgets: list[BudgetLeft]
    works: Works


class Usage(Struct):
    """What was used. Tokens are those of all attempts: of input and output each, the parts share none and `plain_…` is
    the rest. Costs are US dollars, exact to the millionth, in all and by how they are known: the provider's own
    figure, its usage at our price, our own count at our price, and what was put aside for turns whose process died.
    `unpriced_attempts` are of models whose price nobody knows; they are in no cost.
    """

    turns: int
    attempts: int
    failed_attempts: int
    unpriced_attempts: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    audio_input_tokens: int
    image_input_tokens: int
    tool_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_output_tokens: int
    image_output_tokens: int
    plain_input_tokens: int
    plain_output_tokens: int
    cost_usd: float
    provider_cost_usd: float
    usage_cost_usd: float
    estimate_cost_usd: float
    crash_cost_usd: float


class UsageGroup(Usage, kw_only=True):
    """The sums of a group. It has the fields that it was grouped by, null where a turn has none; hours, days and months
    are as 2026-07-01T13:00:00Z, 2026-07-01 and 2026-07.
    """

    id: str
    object: Literal["usage.group"]
    user: str | UnsetType | None = UNSET
    feature: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    provider: str | UnsetType | None = UNSET
    provider_model: str | UnsetType | None = UNSET
    purpose: str | UnsetType | None = UNSET
    tier: str | UnsetType | None = UNSET
    status: str | UnsetType | None = UNSET
    role: str | UnsetType | None = UNSET
    hour: str | UnsetType = UNSET
    day: str | UnsetType = UNSET
    month: str | UnsetType = UNSET


class UsageList(Struct):
    """A page of groups, in the order of their names. `totals` are over all groups of the range `from` ≤ time < `to`."""

    object: Literal["list"]
    data: list[UsageGroup]
    first_id: str | None
    last_id: str | None
    has_more: bool
    from_: int = field(name="from")
    to: int
    group_by: list[Dimension]
    totals: Usage


class PriceRates(Struct):
    """US dollars for a million tokens of each bucket or spoken characters (`character`), and for one call (`request`),
    minute of sound (`audio_minute`) or picture (`image`).
    """

    input: float
    cached: float
    cache_write: float
    cache_write_hour: float
    audio_input: float
    image_input: float
    tool: float
    output: float
    reasoning: float
    audio_output: float
    image_output: float
    request: float
    audio_minute: float
    character: float
    image: float


class PriceStep(Struct):
    """The rates of calls that read more tokens than this."""

    above_input_tokens: int
    rates: PriceRates


class PriceTerms(Struct):
    """What calls cost; `rates` is null where nobody knows it."""

    rates: PriceRates | None
    steps: list[PriceStep]


class DailyTerms(PriceTerms, kw_only=True):
    """What calls cost at these hours of each day, UTC, as 16:30."""

    from_: str = field(name="from")
    until: str


class RoutePrice(PriceTerms):
    """What a route costs now, by whose `book`, until when; `unpriced` says in words why there is no price."""

    route: str
    object: Literal["price"]
    book: str | None
    unpriced: str | None
    service_tiers: dict[str, PriceTerms]
    context_tokens: int | None
    next_change_at: int | None


class PriceList(Struct):
    """The prices of all configured routes, in the configuration's order."""

    object: Literal["list"]
    data: list[RoutePrice]


class RouteSlots(Struct):
    """The slots of a route's provider, which all of its routes share; `shed` were refused one since the start."""

    concurrent: int
    spare: int
    in_use: int
    waiting: int
    shed: int


class FirstEvents(Struct):
    """How long first words took, in seconds, of the last 500 that came."""

    count: int
    p50: float | None
    p99: float | None


class Route(Struct):
    """How a route is. `failures` of `attempts` were so within the breaker's window; a route without one is closed."""

    object: Literal["route"]
    route: str
    provider: str
    model: str
    health: Literal["ok", "resting"]
    state: Literal["closed", "open", "half_open"]
    rests_s: float
    failures: int
    attempts: int
    retries_left: float | None
    slots: RouteSlots | None
    local_model: Literal["stopped", "starting", "ready", "failed"] | None
    first_event_s: FirstEvents


class RouteList(Struct):
    """All configured routes, in the configuration's order."""

    object: Literal["list"]
    data: list[Route]


class PriceChanged(PriceTerms):
    """What held since then."""

    since: int
    book: str | None
    daily: list[DailyTerms]
    service_tiers: dict[str, PriceTerms]


class RoutePriceWithHistory(RoutePrice):
    """What a route costs now, and what it cost before, the latest change first."""

    configured: bool
    history: list[PriceChanged]


class AlertDetails(Struct):
    """The budget that an alert is of, as it stood. Times are as 2026-12-01T00:00:00.000Z, null for all time."""

    tenant: str
    scope: str
    period: Period
    starts_at: str | None
    ends_at: str | None
    usd: float
    spent_usd: float
    held_usd: float
    fraction: float
    threshold: float
    when_spent: WhenSpent


class Alert(Struct):
    """What was told of a budget. `delivery` is `none` where there was no webhook when it was raised."""

    id: str
    object: Literal["alert"]
    type: CrossingType
    created_at: int
    data: AlertDetails
    delivery: Literal["delivered", "pending", "given_up", "none"]
    tries: int
    next_try_at: int | None
    delivered_at: int | None


class AlertList(Struct):
    """A page of alerts, the latest first."""

    object: Literal["list"]
    data: list[Alert]
    first_id: str | None
    last_id: str | None
    has_more: bool


class BudgetNotice(Struct):
    """What a budget changed of an answer, for who asks by `Frontdesk-Events: status`. `until` is null for all time."""

    type: Literal["frontdesk.budget"]
    state: Literal["degraded", "free_only"]
    measure: Literal["cheaper_model", "shorter_answer", "free_models"]
    scope: Literal["user", "shared"]
    per: Period
    until: int | None
    max_output_tokens: int | None


class WaitingNotice(Struct):
    """Where a stream stands among those that wait for a slot, for who asks by `Frontdesk-Events: status`.

    `place` is from 1; `expected_s` is how long that means, null where nothing was measured yet.
    """

    type: Literal["frontdesk.waiting"]
    place: int
    waiting: int
    priority: Priority
    expected_s: float | None


class StartedNotice(Struct):
    """That a stream which waited got its slot."""

    type: Literal["frontdesk.started"]
    waited_s: float


Notice = BudgetNotice | WaitingNotice | StartedNotice
"""What is told besides of an answer, to who asks for it."""


class User(Struct):
    """A user. `tier` counts unless a token claims another one; `became` is whom an anonymous one upgraded to."""

    id: str
    object: Literal["user"]
    tier: str | None
    assigned_tier: str | None
    became: str | None
    created_at: int


class UserList(Struct):
    """A page of users, in order of their ids."""

    object: Literal["list"]
    data: list[User]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Key(Struct):
    """A secret key without its secret: `hint` is how it ends."""

    id: str
    object: Literal["key"]
    name: str
    role: Literal["server", "operator", "reviewer"]
    scopes: list[KeyScope] | None
    hint: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class NewKey(Key):
    """A secret key that was made. `key` is shown only here."""

    key: str


class KeyList(Struct):
    """A page of the keys that were not revoked, the newest first."""

    object: Literal["list"]
    data: list[Key]
    first_id: str | None
    last_id: str | None
    has_more: bool


class KeyRevoked(Struct):
    """A key that was revoked."""

    id: str
    object: Literal["key"]
    deleted: Literal[True]


# As they are listed. A provider's own kinds, which are carried without being read, are none of these.
KeptItem = (
    stored.ListedMessage
    | stored.ListedFunctionCall
    | stored.ListedFunctionCallOutput
    | stored.ListedCustomToolCall
    | stored.ListedCustomToolCallOutput
    | stored.ListedReasoning
    | stored.ListedCompaction
)


class OwnConversation(Struct):
    """A conversation as an app lists it. `branch` is the chosen one of `branches`; `response_id` is what is being made
    in it. It expires as long after its next change as it does after its last one, `changed_at`.
    """

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]
    title: str | None
    pinned: bool
    changed_at: int
    expires_at: int | None
    branch: int
    branches: int
    response_id: str | None


class OwnConversationList(Struct):
    """A page of the caller's own conversations: those that are pinned first, then those that changed last."""

    object: Literal["list"]
    data: list[OwnConversation]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ConversationBranch(Struct):
    """A branch: along its parent up to the position `fork`, then items of its own up to `length`."""

    number: int
    object: Literal["conversation.branch"]
    parent: int | None
    fork: int
    length: int
    first_words: str
    chosen: bool


class ConversationBranchList(Struct):
    """All branches of a conversation, in the order of their numbers."""

    object: Literal["list"]
    data: list[ConversationBranch]


class ConversationFollowUps(Struct):
    """What may be asked next behind this response; null while nobody has thought about it."""

    object: Literal["conversation.follow_ups"]
    response_id: str | None
    data: list[str]


class Sibling(Struct):
    """An item that follows on the same one, and the branch that it begins or belongs to."""

    id: str
    branch: int


class PlacedItem(Struct):
    """An item of a conversation and where it is: its branch, the item before, those that follow on the same one, itself
    included. `response_id` is what made it or brought it along.
    """

    id: str
    object: Literal["conversation.item"]
    item: KeptItem
    branch: int
    position: int
    parent: str | None
    siblings: list[Sibling]
    response_id: str | None
    created_at: int
    pinned: bool


class PlacedItemList(Struct):
    """A page of them. It has fewer than were asked for where they are large."""

    object: Literal["list"]
    data: list[PlacedItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


class BootstrapModel(Struct):
    """A model that a new person may chat with."""

    id: str
    title: str


class ProtocolSpoken(Struct):
    """Which protocol apps speak with this server, and the oldest one that it still understands."""

    version: int
    minimum: int


class SyncTermsTold(Struct):
    """How apps keep up: a connection that is silent for longer than `heartbeat_s` is lost; who has none asks again
    after `poll_after_s`; so many entries, and bytes, may be brought at once.
    """

    heartbeat_s: float
    poll_after_s: float
    most_entries: int
    most_bytes: int


class Bootstrap(Struct):
    """What a client needs to know at its start.

    `features` are those that a new person may name, `default_feature` is the one of requests that name none, and
    `models` are its models for chats. Where one must be named, `models` is empty. `minimum_client` is the least version
    of each app that is served, `switches` is what apps follow without an update; `revision` is another one when any of
    it is.
    """

    name: str
    version: str
    development: bool
    anonymous: bool
    features: list[str]
    default_feature: str | None
    default_model: str | None
    models: list[BootstrapModel]
    protocol: ProtocolSpoken
    minimum_client: dict[str, str]
    switches: dict[str, bool | float | str]
    sync: SyncTermsTold
    revision: str


class Health(Struct):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Struct):
    """Whether the process can serve: its store works. Of routes and local models it says how many are how.

    `limits` are `shared` by Valkey, `degraded` while it is away, `alone` where there is none.
    """

    status: Literal["ok", "failing"]
    store: Literal["ok", "failing"]
    ledger: Literal["ok", "behind", "lossy"]
    limits: Literal["shared", "degraded", "alone"]
    routes: dict[Literal["ok", "resting"], int]
    local_models: dict[Literal["stopped", "starting", "ready", "failed"], int]
