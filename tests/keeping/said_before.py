"""Stored responses as the tests of what comes before a request need them, written without a provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from frontdesk.conversations.entering import enter, leave
from frontdesk.conversations.service import Conversations
from frontdesk.core.clock import unix_ms
from frontdesk.core.ids import new_id
from frontdesk.files.owner import Owner
from frontdesk.keeping.compactions import Compactions
from frontdesk.keeping.history import OwnHistory
from frontdesk.keeping.rows import Asked, ResponseRow, Status, encode_asked
from frontdesk.keeping.store.responses import End, ResponseStore, end, put
from frontdesk.policies.history import Recalled
from frontdesk.storage.database import Database
from frontdesk.turn.events import (
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
)
from frontdesk.turn.facts import ToldTurn
from frontdesk.turn.items import ConversationNamed, Message
from frontdesk.turn.log import Entry, Failure, encode_entries, put_together
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_listed_items import listed_input
from frontdesk.wire.openai_responses_render import output_items
from tests.fakes import HandClock

ANN = Caller("user", "sess_1", "ann", "free")
BOB = Caller("user", "sess_2", "bob", "free")
NAMESAKE = Caller("user", "sess_3", "ann", "free", "other")
KEY = Caller("server", "key_1")
OTHER_KEY = Caller("server", "key_2")
CARRIER = "proc_1"
LAST: dict[Status, Entry] = {
    "completed": TurnCompleted(),
    "incomplete": TurnIncomplete("max_output_tokens"),
    "cancelled": TurnCancelled(),
    "failed": Failure("It broke.", "provider_error", 502, "server_error"),
}
Input = str | list[dict[str, Any]] | None


def owner(caller: Caller) -> Owner:
    if caller.person is not None:
        return Owner(caller.tenant, caller.person, "")
    return Owner(caller.tenant, "", caller.credential_id)


def message(text: str, output: int = 0, item_id: str | None = None, *, is_whole: bool = True) -> list[Event]:
    events: list[Event] = [MessageStarted(output, item_id or new_id("msg_")), TextDelta(output, text)]
    return [*events, ItemFinished(output)] if is_whole else events


def thought(text: str, output: int = 0, *, is_whole: bool = True) -> list[Event]:
    events: list[Event] = [ReasoningStarted(output, new_id("rs_")), ReasoningDelta(output, text)]
    return [*events, ItemFinished(output)] if is_whole else events


def call(call_id: str, output: int = 0, item_id: str | None = None, *, is_whole: bool = True) -> list[Event]:
    events: list[Event] = [
        ToolCallStarted(output, item_id or new_id("fc_"), call_id, "look"),
        ToolArgumentsDelta(output, "{}" if is_whole else "{"),
    ]
    return [*events, ItemFinished(output)] if is_whole else events


def output_of(call_id: str, text: str = "found") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


class Shelf:
    """Everybody's stored responses, and a library of them."""

    def __init__(self, database: Database, clock: HandClock | None = None) -> None:
        self.database = database
        self.clock = clock or HandClock()
        self.conversations = Conversations(database, self.clock)
        self.compactions = Compactions()
        self.library = self.new_library()

    def new_library(self) -> OwnHistory:
        """One that knows nothing yet, as another process has."""
        return OwnHistory(self.database, self.conversations, self.compactions, self.clock)

    async def begin(
        self,
        given: Input,
        *,
        caller: Caller = ANN,
        previous: str | None = None,
        conversation: str | None = None,
        is_stored: bool = True,
        after: str | None = None,
    ) -> str:
        """Store a response that is being made, with what was asked for it."""
        response_id = new_id("resp_")
        who = owner(caller)
        row = ResponseRow(
            tenant=who.tenant,
            id=response_id,
            person=who.person,
            credential=who.credential,
            caller="{}",
            door="responses",
            carrier=CARRIER,
            status="in_progress",
            is_stored=is_stored,
            is_background=False,
            is_dispatched=True,
            wants_cancel=False,
            conversation=conversation,
            previous=previous,
            model="fast",
            feature="default",
            metadata=None,
            created_at_ms=unix_ms(self.clock),
            finished_at_ms=None,
            events_until_ms=None,
            expires_at_ms=None,
        )
        body = {"model": "fast", "instructions": "Never carried over.", "tools": [], "metadata": {"input": "no"}}
        asked = encode_asked(Asked(msgspec.json.encode(body if given is None else {**body, "input": given})))
        now_ms = unix_ms(self.clock)

        def work() -> Any:
            if conversation is not None:
                named = ConversationNamed(conversation) if after is None else ConversationNamed(conversation, after)
                refusal = yield from enter(who, named, None, response_id, listed_input(given, response_id), now_ms)
                assert refusal is None, refusal
            yield from put(row, asked)

        await self.database.transact(work)
        return response_id

    async def finish(
        self,
        response_id: str,
        said: Sequence[Event] = (),
        status: Status = "completed",
        *,
        caller: Caller = ANN,
        conversation: str | None = None,
        expires_at_ms: int | None = None,
    ) -> None:
        """End it with these events."""
        entries = put_together([*said, LAST[status]])
        ended = End(status, unix_ms(self.clock), None, expires_at_ms, encode_entries(entries))

        def work() -> Any:
            assert (yield from end(caller.tenant, response_id, CARRIER, ended))
            if conversation is not None:
                items = output_items(ToldTurn(response_id, "fast", 0), entries)
                yield from leave(caller.tenant, conversation, response_id, items, unix_ms(self.clock), "answered")

        await self.database.transact(work)

    async def ask(
        self, given: Input, said: Sequence[Event] | str = (), status: Status = "completed", **options: Any
    ) -> str:
        """Store a response that has ended, with its answer."""
        response_id = await self.begin(given, **options)
        events = message(said) if isinstance(said, str) else said
        told = {name: value for name, value in options.items() if name in ("caller", "conversation")}
        await self.finish(response_id, events, status, **told)
        return response_id

    async def delete(self, response_id: str, caller: Caller = ANN) -> None:
        """Remove it, as another process does: the library is not told."""
        assert await ResponseStore(self.database, owner(caller), "responses", self.clock).delete(response_id)


def words(recalled: Sequence[Recalled]) -> list[str]:
    """What messages say."""
    return [str(each.item.content) for each in recalled if isinstance(each.item, Message)]
