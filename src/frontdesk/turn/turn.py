"""The turn: one request on its way down the line, the only mutable value in it."""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Literal

from frontdesk.core.ids import new_id

if TYPE_CHECKING:
    from frontdesk.core.clock import Clock
    from frontdesk.core.errors import FrontdeskError
    from frontdesk.turn.events import Usage
    from frontdesk.turn.items import Request

Door = Literal["chat", "responses", "embeddings"]
Role = Literal["user", "reviewer", "operator", "server"]
"""A person; who reviews answers; who runs Frontdesk; an app's own server."""
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


class Attempt:
    """One call of one provider on behalf of a turn. Times are seconds since 1970."""

    __slots__ = ("error", "finished_at", "first_event_at", "model", "provider", "started_at", "status", "usage")

    def __init__(self, provider: str, model: str, started_at: float) -> None:
        self.provider = provider
        self.model = model
        self.started_at = started_at
        self.first_event_at: float | None = None
        self.finished_at: float | None = None
        self.status: Status = "running"
        self.error: FrontdeskError | None = None
        self.usage: Usage | None = None


class Turn:
    """One request, its caller, and what became of it.

    Written by            fields
    routes                id door caller model feature request started_at
    features              request instructions
    router                attempts
    outgoing              usage first_event_at answered_chars
    live (hang-ups)       interruption
    run                   status error finished_at
    """

    __slots__ = (
        "answered_chars",
        "attempts",
        "caller",
        "clock",
        "door",
        "error",
        "feature",
        "finished_at",
        "first_event_at",
        "id",
        "instructions",
        "interruption",
        "model",
        "request",
        "started_at",
        "status",
        "usage",
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
        self.model = model
        self.feature = feature
        self.request = request
        self.instructions: str | None = None  # the server's own, which no caller may read
        self.clock = clock
        self.started_at = clock.now()
        self.attempts: list[Attempt] = []
        self.usage: Usage | None = None
        self.first_event_at: float | None = None
        self.answered_chars = 0
        self.interruption: Interruption | None = None
        self.status: Status = "running"
        self.error: FrontdeskError | None = None
        self.finished_at: float | None = None


_ID_PREFIX: dict[Door, str] = {"chat": "chatcmpl-", "responses": "resp_", "embeddings": "embd_"}
