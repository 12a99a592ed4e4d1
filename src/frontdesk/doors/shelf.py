"""What is kept of a request: its door says what it wishes, and here it is settled what of that is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from frontdesk.core.errors import BadRequest
from frontdesk.files.owner import owner_of
from frontdesk.http.requests import Head, Receive, Scope, Send
from frontdesk.idempotency.key import check_key, fingerprint_of
from frontdesk.keeping.keeper import Earlier, Keeper, replayed
from frontdesk.keeping.plan import ClaimedKey, Form, Plan
from frontdesk.keeping.retention import Retention
from frontdesk.keeping.rows import Asked, ResponseRow
from frontdesk.policies.access import Access
from frontdesk.turn.facts import ResponseFacts
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.log import Entry
from frontdesk.turn.sinks import send_json
from frontdesk.turn.turn import Turn


class Visited(Protocol):
    """A request as a door has it. `adopts` is the turn that it is asked for again, after a crash."""

    head: Head
    scope: Scope
    receive: Receive
    send: Send
    adopts: ResponseRow | None

    @property
    def content_type(self) -> bytes | None:
        """What the body is, as the request says."""
        ...

    @property
    def asked(self) -> bytes:
        """The body, taken or not."""
        ...

    @property
    def said(self) -> bytes | None:
        """The body as its client said it, where `asked` says more: by it the same request is known again."""
        ...

    @property
    def context(self) -> str | None:
        """What of the header Frontdesk-Context counts, as it would be said again."""
        ...


@dataclass(slots=True)
class Wish:
    """What a request wishes to be kept of it; see `keeping.plan.Plan`.

    `is_secret` is where it says that nothing may be: its key then attaches only while it is under way.
    """

    response_facts: ResponseFacts | None = None
    stores: bool = False
    is_secret: bool = False
    is_background: bool = False
    conversation: ConversationNamed | None = None
    previous: str | None = None
    metadata: str | None = None
    brings: Sequence[dict[str, Any]] = ()
    says: Callable[[Any, list[Entry]], list[dict[str, Any]]] | None = None

    @property
    def is_kept(self) -> bool:
        """Whether it wishes anything to be kept."""
        return self.stores or self.conversation is not None


class Shelf:
    """Settles what is kept of requests, and answers those of which something is."""

    def __init__(self, keeper: Keeper, retention: Retention, access: Access) -> None:
        self._keeper = keeper
        self._retention = retention
        self._access = access

    def keeps(self, turn: Turn) -> bool:
        """Whether anything of a turn may be stored."""
        return self._retention.of(self._access.tier_of(turn.caller), turn.feature).stores

    async def answer(self, turn: Turn, visit: Visited, form: Form, wish: Wish) -> None:
        """Carry a turn that is kept, and answer with it; with an earlier one where the key is that one's."""
        plan = self._plan(turn, visit, wish)
        if visit.adopts is not None:
            self._keeper.carry_on(turn, plan)
            return
        await self._keeper.carry(turn, plan, form, visit.receive, visit.scope.get("frontdesk.abort"))

    async def accept(
        self, turn: Turn, visit: Visited, accepted: Callable[[Any], bytes], form: Form, wish: Wish
    ) -> None:
        """Begin a turn in the background, and answer as soon as it is on the disk. `accepted` makes that answer of its
        facts; `form` is for where the same was asked before and has ended.
        """
        plan = self._plan(turn, visit, wish)
        if visit.adopts is not None:
            self._keeper.carry_on(turn, plan)
            return
        try:
            kept = await self._keeper.begin_in_background(turn, plan)
        except Earlier as earlier:
            await self._tell_earlier(earlier.row, visit, accepted, form)
            return
        headers = turn.headers if kept.turn is turn else replayed(kept.turn.id)
        await send_json(visit.send, 200, accepted(kept.plan.facts), headers)

    async def _tell_earlier(
        self, row: ResponseRow, visit: Visited, accepted: Callable[[Any], bytes], form: Form
    ) -> None:
        headers = replayed(row.id)
        if row.has_ended:
            await self._keeper.read(row, form, headers, visit.receive, visit.scope.get("frontdesk.abort"))
            return
        facts = await self._keeper.facts_of(row)
        await send_json(visit.send, 200, accepted(facts), headers)

    def _plan(self, turn: Turn, visit: Visited, wish: Wish) -> Plan:
        head = visit.head
        may_store = self.keeps(turn)
        if wish.is_background and not may_store:
            raise BadRequest(
                "'background': true needs a response that is stored, and for you nothing is stored here. Keep the "
                "connection open instead.",
                code="nothing_is_stored",
                param="background",
            )
        asked = Asked(
            visit.asked,
            None if (kind := visit.content_type) is None else kind.decode("latin-1"),
            feature=_text(head.feature),
            priority=_text(head.priority),
            address=turn.address,
            path=visit.scope["path"],
            context=visit.context,
        )
        return Plan(
            owner_of(turn.caller),
            asked,
            wish.response_facts or turn,
            wish.response_facts,
            stores=wish.stores and may_store,
            keeps_texts=may_store and not wish.is_secret,
            is_background=wish.is_background,
            claim=None if visit.adopts is not None else _claim(visit),
            conversation=wish.conversation if may_store else None,
            previous=wish.previous,
            metadata=wish.metadata,
            brings=wish.brings,
            says=wish.says,
        )


def _claim(visit: Visited) -> ClaimedKey | None:
    key = check_key(visit.head.idempotency_key)
    if key is None:
        return None
    said = visit.asked if visit.said is None else visit.said
    return ClaimedKey(visit.scope["path"], key, fingerprint_of(said, visit.content_type))


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")
