"""The turn: one request on its way down the line, the only mutable value in it."""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from frontdesk.core.errors import ProviderError, Refused
from frontdesk.core.ids import new_id

if TYPE_CHECKING:
    from frontdesk.core.clock import Clock
    from frontdesk.core.config import Priority
    from frontdesk.core.errors import FrontdeskError
    from frontdesk.turn.context import ContextRecord, Past
    from frontdesk.turn.events import Usage
    from frontdesk.turn.items import Request
    from frontdesk.turn.seams import Entrance, Funds
    from frontdesk.turn.sizes import Size

Door = Literal["chat", "responses", "embeddings", "moderations", "transcriptions", "speech", "images"]
Role = Literal["user", "reviewer", "operator", "server"]
"""A person; who reviews answers; who runs Frontdesk; an app's own server."""
Purpose = Literal["first", "retry", "fallback", "hedge", "shadow"]
"""Why a provider is called: to answer; again; instead of another; beside one that is slow; to compare, unseen."""
Status = Literal["running", "completed", "incomplete", "failed", "cancelled", "refused", "abandoned"]


class Interruption(enum.Enum):
    """Why the server ends a turn before its answer does."""

    HANGUP = "hangup"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"


class Caller:
    """Who calls, and all that decides what they may: a person, or who holds a secret key.

    Tenant, groups and person say whose things are theirs: stores take them from here. Only persons
    have tiers, groups, features and apps. `claimed_tier` is what of `tier` their token says itself.
    `features` and `scopes` are None where all are meant; `expires_at`, in seconds since 1970, is when
    the credential ends.
    """

    __slots__ = (
        "app",
        "claimed_tier",
        "credential_id",
        "expires_at",
        "features",
        "groups",
        "is_anonymous",
        "person",
        "role",
        "scopes",
        "tenant",
        "tier",
    )

    def __init__(
        self,
        role: Role,
        credential_id: str,
        person: str | None = None,
        tier: str | None = None,
        tenant: str = "default",
        *,
        groups: tuple[str, ...] = (),
        features: frozenset[str] | None = None,
        scopes: frozenset[str] | None = None,
        app: str | None = None,
        is_anonymous: bool = False,
        claimed_tier: str | None = None,
        expires_at: float = math.inf,
    ) -> None:
        self.role: Role = role
        self.credential_id = credential_id
        self.person = person
        self.tier = tier
        self.tenant = tenant
        self.groups = groups
        self.features = features
        self.scopes = scopes
        self.app = app
        self.is_anonymous = is_anonymous
        self.claimed_tier = claimed_tier
        self.expires_at = expires_at

    @property
    def who(self) -> tuple[str, str]:
        """Whose requests take turns with others': the tenant, and the person or else the credential."""
        return self.tenant, self.person or self.credential_id


class Attempt:
    """One call of one provider on behalf of a turn. Times are seconds since 1970.

    `usage` is what it reported before it failed or was left without a word that anybody saw; that of the one
    that answers is the turn's.
    """

    __slots__ = (
        "error",
        "finished_at",
        "first_event_at",
        "model",
        "provider",
        "purpose",
        "started_at",
        "status",
        "usage",
    )

    def __init__(self, provider: str, model: str, started_at: float, purpose: Purpose = "first") -> None:
        self.provider = provider
        self.model = model
        self.started_at = started_at
        self.purpose: Purpose = purpose
        self.first_event_at: float | None = None
        self.finished_at: float | None = None
        self.status: Status = "running"
        self.error: FrontdeskError | None = None
        self.usage: Usage | None = None

    @property
    def was_free(self) -> bool:
        """Whether its provider did nothing that it would bill: it refused, or was never reached."""
        if self.first_event_at is not None or self.usage is not None:
            return False
        if isinstance(self.error, ProviderError):
            return self.error.upstream_status is not None or not self.error.is_sent
        return isinstance(self.error, Refused)


class Turn:
    """One request, its caller, and what became of it.

    Written by            fields
    doors                 id door caller address model feature request started_at wants_status is_aside priority
                          deadline_at tell entrance
    access                tier
    features              request instructions prompt
    history               request seen_version past
    context               request size context
    truncation            request size
    limits, budgets       size
    limits                headers
    budgets               request routes funds notices
    router                attempts answering
    slots                 slots_awaited
    outgoing              usage served_tier first_event_at answered_chars
    live (hang-ups)       interruption has_reader most_chars
    run                   most_chars status error finished_at
    """

    __slots__ = (
        "address",
        "answered_chars",
        "answering",
        "attempts",
        "caller",
        "clock",
        "context",
        "deadline_at",
        "door",
        "entrance",
        "error",
        "feature",
        "finished_at",
        "first_event_at",
        "funds",
        "has_reader",
        "headers",
        "id",
        "instructions",
        "interruption",
        "is_aside",
        "model",
        "most_chars",
        "notices",
        "past",
        "priority",
        "prompt",
        "request",
        "routes",
        "seen_version",
        "served_tier",
        "size",
        "slots_awaited",
        "started_at",
        "status",
        "tell",
        "tier",
        "usage",
        "wants_status",
    )

    def __init__(
        self,
        door: Door,
        caller: Caller,
        model: str,
        request: Request,
        clock: Clock,
        feature: str = "default",
    ) -> None:
        self.id = new_id(_ID_PREFIX[door])
        self.door: Door = door
        self.caller = caller
        self.address = ""  # that it came from, where it is known
        self.model = model
        self.feature = feature
        self.tier: str | None = None
        self.request = request
        self.size: Size | None = None  # of the request, where it was measured
        self.headers: list[tuple[bytes, bytes]] = []  # of the answer, and of a refusal
        self.wants_status = False
        self.is_aside = False  # whether the server asks it by itself, of its own accord
        self.priority: Priority = "interactive"
        self.deadline_at = math.inf  # by the clock's `monotonic`: when its answer is of no use any more
        self.notices: list[Mapping[str, object]] = []  # what a caller who wants it is told of the turn
        self.tell: Callable[[Mapping[str, object]], None] | None = None  # says something now, before the answer begins
        self.routes: tuple[str, ...] | None = None  # the model's that may answer, in order; None for all
        self.funds: Funds | None = None  # what was put aside for it
        self.entrance: Entrance | None = None  # of one that is kept
        self.seen_version: int | None = None  # of the conversation, as its items were read
        self.past: Past | None = None  # what stands in front of what it brings itself
        self.context: ContextRecord | None = None  # where its feature says what the model is told
        self.instructions: str | None = None  # the server's own, which no caller may read
        self.prompt = ""  # which version of them: the same for the same text, "" where there are none
        self.clock = clock
        self.started_at = clock.now()
        self.attempts: list[Attempt] = []  # in the order of their beginnings
        self.answering: Attempt | None = None  # the one whose words are told; with hedging, not always the last
        self.slots_awaited = 0  # at how many providers it waits for a place
        self.usage: Usage | None = None
        self.served_tier: str | None = None  # which of its service tiers the provider says that it answers in
        self.first_event_at: float | None = None
        self.answered_chars = 0
        self.most_chars = sys.maxsize  # of the answer: a longer one is ended
        self.has_reader = True
        self.interruption: Interruption | None = None
        self.status: Status = "running"
        self.error: FrontdeskError | None = None
        self.finished_at: float | None = None

    @property
    def is_asking(self) -> bool:
        """Whether a provider is being asked now."""
        return any(attempt.status == "running" for attempt in self.attempts)


_ID_PREFIX: dict[Door, str] = {
    "chat": "chatcmpl-",
    "responses": "resp_",
    "embeddings": "embd_",
    "moderations": "modr-",
    "transcriptions": "trsc_",
    "speech": "spch_",
    "images": "img_",
}
