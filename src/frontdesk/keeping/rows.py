"""What is kept of a turn, as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from frontdesk.accounts.absent import CallerThen
from frontdesk.files.owner import Owner
from frontdesk.turn.events import TurnCancelled
from frontdesk.turn.facts import ToldTurn
from frontdesk.turn.log import Entry, Failure
from frontdesk.turn.turn import Door

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
"""How a kept turn is, in the words of Responses."""
ENDED: frozenset[Status] = frozenset({"completed", "incomplete", "failed", "cancelled"})


class Asked(msgspec.Struct, frozen=True):
    """A request as it is kept: enough to tell of it, and to carry it out where its process died before it could.

    `body` is what came, at `path`. `said` (JSON) and `include` are what a Response repeats (`turn.facts`). The rest is
    what its headers said, and where it came from: of `context` what its feature has variables for, and no more.
    """

    body: bytes
    content_type: str | None = None
    said: bytes = b"{}"
    include: frozenset[str] = frozenset()
    feature: str | None = None
    priority: str | None = None
    address: str = ""
    path: str = ""
    context: str | None = None


class ResponseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A kept turn. Times are milliseconds since 1970. `caller` (a CallerThen) and `metadata` are JSON.

    `carrier` is the process that carries it.
    """

    tenant: str
    id: str
    person: str
    credential: str
    caller: str
    door: Door
    carrier: str | None
    status: Status
    is_stored: bool
    is_background: bool
    is_dispatched: bool
    wants_cancel: bool
    conversation: str | None
    previous: str | None
    model: str
    feature: str
    metadata: str | None
    created_at_ms: int
    finished_at_ms: int | None
    events_until_ms: int | None
    expires_at_ms: int | None

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return Owner(self.tenant, self.person, self.credential)

    @property
    def has_ended(self) -> bool:
        """Whether its answer is final."""
        return self.finished_at_ms is not None

    def has_expired(self, now_ms: int) -> bool:
        """Whether it is kept no longer, and only waits for being swept."""
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms

    def caller_then(self) -> CallerThen:
        """Who asked, as they were then."""
        return msgspec.json.decode(self.caller, type=CallerThen)

    def told(self, asked: Asked | None) -> ToldTurn:
        """Its facts, for who tells it again."""
        return ToldTurn(
            self.id,
            self.model,
            self.created_at_ms / 1000,
            None if self.finished_at_ms is None else self.finished_at_ms / 1000,
            {} if asked is None else msgspec.json.decode(asked.said),
            frozenset() if asked is None else asked.include,
        )


encode_asked = msgspec.msgpack.Encoder().encode
decode_asked = msgspec.msgpack.Decoder(Asked).decode


def state_of(last: Entry, said: Sequence[object]) -> str:
    """How a turn in a conversation ended, for the devices of its person (`conversations.noting.turn_is`).

    One that was cancelled has answered all the same where it `said` something.
    """
    if isinstance(last, Failure):
        return f"failed:{last.code}"
    return "failed:cancelled" if isinstance(last, TurnCancelled) and not said else "answered"
