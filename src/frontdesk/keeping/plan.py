"""What is to be kept of a turn: what its door has read out of the request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from frontdesk.files.owner import Owner
from frontdesk.keeping.rows import Asked
from frontdesk.turn.facts import Facts, ResponseFacts
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.log import Entry
from frontdesk.turn.seams import Sink
from frontdesk.turn.sinks import Headers

Form = Callable[[Facts, Headers], Sink]
"""Makes the sink that answers one request, of whatever turn: the one that it began, or one that it attaches to."""


class ClaimedKey(NamedTuple):
    """The key under which a request is done once, for this route; `fingerprint` tells another body from the same."""

    route: str
    key: str
    fingerprint: bytes


@dataclass(slots=True)
class Plan:
    """What is kept, and for whom.

    `facts` are the live turn's, `response_facts` the same where it answers with a Response. `stores` is whether its
    owner may retrieve it by its id. Without `keeps_texts` nothing is kept of what was said. `brings` are the items of
    the request as a conversation keeps them, `says` those of the answer.
    """

    owner: Owner
    asked: Asked
    facts: Facts
    response_facts: ResponseFacts | None
    stores: bool
    keeps_texts: bool
    is_background: bool = False
    claim: ClaimedKey | None = None
    conversation: ConversationNamed | None = None
    previous: str | None = None
    metadata: str | None = None
    brings: Sequence[dict[str, Any]] = ()
    says: Callable[[Facts, list[Entry]], list[dict[str, Any]]] | None = None

    @property
    def is_promised(self) -> bool:
        """Whether somebody counts on it that it is done, once: then it is done after a crash that came before it."""
        return self.is_background or self.claim is not None or self.conversation is not None
