"""The turn: one request on its way down the line, the only mutable value in it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Literal

from frontdesk.core.ids import new_id

if TYPE_CHECKING:
    from frontdesk.core.clock import Clock
    from frontdesk.core.errors import FrontdeskError
    from frontdesk.turn.events import Usage
    from frontdesk.turn.items import Request

Door = Literal["chat", "responses", "embeddings"]
Status = Literal["running", "completed", "incomplete", "failed", "cancelled", "refused", "abandoned"]


class Interruption(enum.Enum):
    """Why the server ends a turn before its answer does."""

    HANGUP = "hangup"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"


class Caller:
    """Who calls: an app's own server by a secret key, or a person by a session."""

    __slots__ = ("credential_id", "kind", "person", "tenant", "tier")

    def __init__(
        self,
        kind: Literal["server", "user"],
        credential_id: str,
        person: str | None,
        tier: str | None,
        tenant: str = "default",
    ) -> None:
        self.kind: Literal["server", "user"] = kind
        self.credential_id = credential_id
        self.person = person
        self.tier = tier
        self.tenant = tenant


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
