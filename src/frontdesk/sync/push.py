"""What was done on a device, done here: entry by entry, each once, however often it is sent.

    asks a model    at the door of all responses, in the background, with the entry's id as its key; a message is an
                    item under an id made of the entry's, so that it is known for as long as its conversation, and
                    so is the first of what a device's tools said. Its answer is made as a stream, for it is
                    followed
    all else        in one transaction with the claim of the entry's id, and with what became of it

What cannot be done now waits, and with it all that follows in the same conversation, or on the same fact or response:
there the order counts. What is refused is forgotten; the same entry may be sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from frontdesk.conversations import steps
from frontdesk.conversations.items import title_line
from frontdesk.conversations.refusals import locked
from frontdesk.conversations.service import Conversations, Until
from frontdesk.conversations.steps import Changes, Steps
from frontdesk.conversations.tree import cut
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import (
    BadRequest,
    FrontdeskError,
    NotFound,
    RateLimited,
    Unavailable,
    store_unavailable,
)
from frontdesk.doors.present import AskedInBackground, Presence
from frontdesk.feedback.rows import FeedbackRow, Said
from frontdesk.feedback.service import Feedback
from frontdesk.feedback.store import put as put_feedback
from frontdesk.feedback.store import remove as remove_feedback
from frontdesk.files.owner import Owner, owner_of
from frontdesk.idempotency.key import fingerprint_of
from frontdesk.idempotency.refusals import key_reused
from frontdesk.idempotency.store import answered, claim, find, release
from frontdesk.memory.facts import erasing, keeping, line_of
from frontdesk.storage.database import Database
from frontdesk.storage.errors import StorageError
from frontdesk.sync.outputs import answering, output_id
from frontdesk.sync.shapes import (
    ENTRIES,
    AnswerEntry,
    Asking,
    CancelEntry,
    ChooseEntry,
    ConversationEntry,
    DeleteEntry,
    EditEntry,
    Entry,
    FactEntry,
    FeedbackEntry,
    Json,
    MessageEntry,
    MetadataEntry,
    OutputsEntry,
    PinEntry,
    PinItemEntry,
    ReadEntry,
    RenameEntry,
    Result,
)
from frontdesk.sync.store import SyncStore
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.turn import Caller
from frontdesk.wire.refusing import unsupported

ROUTE = "/api/sync"
"""For which entries are claimed."""

_log = logging.getLogger("frontdesk.sync")
_OK = 200
_MOST_ID_CHARS = 64
_LOOKED_BACK = 256  # an answer of so many items makes no calls that are answered any more
_FIELDS = {"response_id": "response"}  # what entries call otherwise
_BROKE = "Something went wrong here. It was logged; try again."
_LATER = frozenset({"conversation_locked", "conversation_changed", "idempotency_key_in_use"})
_DONE_AND_FORGOTTEN = "idempotency_answer_not_kept"
_OURS = ("conversation", "input", "background", "store", "stream", "stream_options", "previous_response_id", "prompt")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_decode_result = msgspec.json.Decoder(Result).decode


class Asker(Protocol):
    """Asks for responses in the background."""

    async def ask(self, presence: Presence, asked: AskedInBackground) -> str:
        """See `doors.present.PresentAsker`."""
        ...


class Responses(Protocol):
    """Knows the responses that are kept."""

    async def want_end(self, caller: Caller, response_id: str) -> None:
        """Have one ended that is being made. Raises NotFound."""
        ...


class Terms(NamedTuple):
    """Which process does it, for how long an entry is known, and how long a caller's conversations are kept."""

    process: str
    known_ms: int
    until_for: Callable[[Caller], Until | None]


class Pushing:
    """Does what was done on devices."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        conversations: Conversations,
        feedback: Feedback,
        responses: Responses,
        asker: Asker,
        terms: Terms,
    ) -> None:
        self._database = database
        self._store = SyncStore(database)
        self._clock = clock
        self._conversations = conversations
        self._feedback = feedback
        self._responses = responses
        self._asker = asker
        self._terms = terms

    async def push(self, presence: Presence, entries: Sequence[Json]) -> list[Result]:
        """Do some entries of a person's, in order, and return what became of each."""
        held: dict[str, float | None] = {}
        results: list[Result] = []
        for place, raw in enumerate(entries):
            where = f"push[{place}]"
            try:
                entry = _read(raw, where)
            except FrontdeskError as error:
                results.append(_failed(_id_of(raw), error))
                continue
            thing = _thing_of(entry)
            if thing in held:
                results.append(Result(id=entry.id, status="waiting", retry_after_s=held[thing]))
                continue
            result = await self._outcome(presence, entry, raw, where)
            if result.status == "waiting":
                held[thing] = result.retry_after_s
            results.append(result)
        return results

    async def _outcome(self, presence: Presence, entry: Entry, raw: Json, where: str) -> Result:
        try:
            return await self._done(presence, entry, raw, where)
        except FrontdeskError as error:
            return _failed(entry.id, _in_entry(error, where))
        except StorageError as error:
            _log.error("store_failed path=%s reason=%s", ROUTE, error)
            return _failed(entry.id, store_unavailable())
        except Exception:  # noqa: BLE001 - a bug, that must not hold up all that is behind it
            _log.exception("entry_broke type=%s", type(entry).__name__)
            return Result(id=entry.id, status="waiting", error=FrontdeskError(_BROKE).body()["error"])

    async def _done(self, presence: Presence, entry: Entry, raw: Json, where: str) -> Result:
        """Do an entry. Raises what it is refused for, or has to wait for."""
        caller = presence.caller
        owner = owner_of(caller)
        done = Result(id=entry.id, status="done")
        match entry:
            case MessageEntry():
                return await self._say(presence, entry, entry.content, entry.after, where)
            case EditEntry():
                after = None
                # One that was done needs no place: what it stands beside may be gone by now.
                if await self._store.brought_by(owner, entry.conversation, _item_id(entry.id)) is None:
                    after = await self._conversations.item_before(owner, entry.conversation, entry.item)
                return await self._say(presence, entry, entry.content, after, where)
            case AnswerEntry():
                return await self._answer(presence, entry, raw, where)
            case OutputsEntry():
                return await self._return(presence, entry, where)
            case CancelEntry():
                await self._responses.want_end(caller, entry.response)
                return done
            case DeleteEntry():
                await self._once(owner, raw, done, partial(_delete, owner, entry, unix_ms(self._clock)))
                if entry.item is None:
                    await self._conversations.remove(owner, entry.conversation)
                return done
            case _:
                return await self._once(owner, raw, done, await self._work_of(caller, entry))

    # --- what asks a model ----------------------------------------------------------------------

    async def _say(
        self,
        presence: Presence,
        entry: MessageEntry | EditEntry,
        content: str | list[Json],
        after: str | UnsetType | None,
        where: str,
    ) -> Result:
        """Put a message in and ask for an answer, where that was not done."""
        item_id = _item_id(entry.id)

        async def begin() -> str:
            await self._check_free(presence, entry.conversation)
            item = {"type": "message", "role": "user", "id": item_id, "content": content}
            may_begin = isinstance(entry, MessageEntry) and self._terms.until_for(presence.caller) is not None
            or_new = may_begin and steps.is_devices_id(entry.conversation)
            asked = _asked(entry, [item], after, where)._replace(or_new=or_new)
            return await self._ask(presence, asked, where, {"input[0].": f"{where}."})

        return await self._bring(presence, entry, item_id, begin)

    async def _check_free(self, presence: Presence, conversation_id: str) -> None:
        """Raise Conflict while a response is being made in a conversation.

        The door would find that too, at the price of a turn that is noted as refused each time that this is sent.
        """
        with suppress(NotFound):
            row = await self._conversations.find(owner_of(presence.caller), conversation_id)
            if row.response is not None:
                raise locked(row)

    async def _return(self, presence: Presence, entry: OutputsEntry, where: str) -> Result:
        """Put in what a device's tools said and ask what comes of it, where that was not done."""
        item_id = output_id(entry.id)

        async def begin() -> str:
            owner, named = owner_of(presence.caller), ConversationNamed(entry.conversation, entry.after)
            version, before = await self._before(owner, named)
            items = answering(entry.outputs, before, f"{where}.outputs")
            items[0]["id"] = item_id
            asked = _asked(entry, items, entry.after, where)._replace(version=version)
            return await self._ask(presence, asked, where, {"input[": f"{where}.outputs["})

        return await self._bring(presence, entry, item_id, begin)

    async def _before(self, owner: Owner, named: ConversationNamed) -> tuple[int, list[Json]]:
        """The version of a conversation, and the last items of what an output would come behind."""
        seen = await self._conversations.see(owner, named.id)
        if seen.row.response is not None:
            raise locked(seen.row)  # the calls may be in what is being put in just now
        path = await self._conversations.path_for(owner, seen, named)
        until = path[-1].until if path else 0
        told = await self._conversations.told(owner, seen, cut(path, until - _LOOKED_BACK, until))
        return seen.row.version, [_decode(item.content) for item in told]

    async def _bring(
        self, presence: Presence, entry: Asking, item_id: str, begin: Callable[[], Awaitable[str]]
    ) -> Result:
        """Begin what puts an item in, where that is not there."""
        owner = owner_of(presence.caller)
        response = await self._store.brought_by(owner, entry.conversation, item_id)
        if response is None:
            try:
                response = await begin()
            except FrontdeskError:
                # It may be there all the same: by another request, at the same time or with other words around it.
                response = await self._store.brought_by(owner, entry.conversation, item_id)
                if response is None:
                    raise
        return Result(id=entry.id, status="done", item=item_id, response=response or None)

    async def _answer(self, presence: Presence, entry: AnswerEntry, raw: Json, where: str) -> Result:
        """Ask for another answer, where that was not done.

        The key at the door is known for some days; that of the entry, for as long as those of all others, is looked
        at first.
        """
        owner = owner_of(presence.caller)
        known = await find(self._database, owner, ROUTE, entry.id, unix_ms(self._clock))
        if known is not None and known.answer is not None:
            if known.fingerprint != fingerprint_of(_encode(raw)):
                raise key_reused(entry.id)
            return _decode_result(known.answer)
        response = await self._ask(presence, _asked(entry, [], entry.after, where), where, {})
        return await self._once(owner, raw, Result(id=entry.id, status="done", response=response or None), _nothing)

    async def _ask(self, presence: Presence, asked: AskedInBackground, where: str, places: Mapping[str, str]) -> str:
        """Ask, and return the id of the response; "" where there was one, of which nothing is kept.

        `places` are where the entry has what the request says elsewhere.
        """
        try:
            return await self._asker.ask(presence, asked)
        except FrontdeskError as error:
            if error.code == _DONE_AND_FORGOTTEN:
                return ""
            raise _placed(error, where, places) from None

    # --- all else -------------------------------------------------------------------------------

    async def _work_of(self, caller: Caller, entry: Entry) -> Callable[[], Steps]:
        """What an entry does, as part of a transaction. Raises what it is refused for."""
        owner, now_ms = owner_of(caller), unix_ms(self._clock)
        match entry:
            case ConversationEntry():
                return self._begin(caller, entry, now_ms)
            case RenameEntry():
                changes = Changes(title=title_line(entry.title))
            case PinEntry():
                changes = Changes(is_pinned=entry.pinned)
            case ChooseEntry():
                changes = Changes(branch=entry.branch)
            case MetadataEntry():
                changes = Changes(metadata=entry.metadata)
            case PinItemEntry():
                return partial(steps.pin_item, owner, entry.conversation, entry.item, now_ms, is_pinned=entry.pinned)
            case ReadEntry():
                return partial(steps.read, owner, entry.conversation, entry.item, now_ms)
            case FeedbackEntry(rating=None):
                return partial(_take_back, owner, entry.response, now_ms)
            case FeedbackEntry():
                assert entry.rating is not None  # as the case before says
                said = Said(entry.rating, entry.reason, entry.comment, entry.correction)
                return partial(_rate, await self._feedback.row_of(owner, entry.response, said), now_ms)
            case FactEntry(words=None):
                return partial(_forget, owner, entry.fact, now_ms)
            case FactEntry():
                assert entry.words is not None  # as the case before says
                return partial(keeping, owner.tenant, owner.person, entry.fact, line_of(entry.words), now_ms)
            case _:
                raise AssertionError(f"{type(entry).__name__} is done elsewhere.")
        return partial(steps.change, owner, entry.conversation, changes, now_ms)

    def _begin(self, caller: Caller, entry: ConversationEntry, now_ms: int) -> Callable[[], Steps]:
        until_ms = self._terms.until_for(caller)
        if until_ms is None:
            raise BadRequest(
                "This server keeps no conversations of yours. Send the earlier messages with each request.",
                code="conversations_not_kept",
            )
        owner, title = owner_of(caller), title_line(entry.title)
        row = steps.new_row(owner, entry.conversation, entry.metadata, now_ms, until_ms(now_ms), title)
        return partial(steps.begin, owner, row, now_ms)

    async def _once(self, owner: Owner, raw: Json, result: Result, work: Callable[[], Steps]) -> Result:
        """Do some work and keep its result, in one transaction, where the entry was not done before."""
        assert result.id is not None  # entries have ids
        entry_id, process = result.id, self._terms.process
        fingerprint, now_ms = fingerprint_of(_encode(raw)), unix_ms(self._clock)
        until_ms, told = now_ms + self._terms.known_ms, _encode(result)

        def once() -> Steps:
            done = yield from claim(owner, ROUTE, entry_id, fingerprint, None, process, now_ms, until_ms)
            if done is not None:
                return None if done.fingerprint == fingerprint else key_reused(entry_id)
            refusal = yield from work()
            if refusal is None:
                yield answered(owner, ROUTE, entry_id, process, _OK, told)
            else:
                yield release(owner, ROUTE, entry_id, None, process)
            return refusal

        refusal = await self._database.transact(once)
        if refusal is not None:
            raise refusal
        return result


# --- parts of transactions ----------------------------------------------------------------------


def _delete(owner: Owner, entry: DeleteEntry, now_ms: int) -> Steps:
    """What is gone already was deleted."""
    if entry.item is None:
        refusal = yield from steps.delete(owner, entry.conversation, now_ms)
    else:
        refusal = yield from steps.delete_item(owner, entry.conversation, entry.item, now_ms)
    return None if isinstance(refusal, NotFound) else refusal


def _take_back(owner: Owner, response_id: str, now_ms: int) -> Steps:
    yield from remove_feedback(owner, response_id, now_ms)
    return None


def _rate(row: FeedbackRow, now_ms: int) -> Steps:
    yield from put_feedback(row, now_ms)
    return None


def _forget(owner: Owner, fact_id: str, now_ms: int) -> Steps:
    refusal = yield from erasing(owner.tenant, owner.person, fact_id, now_ms)
    return None if isinstance(refusal, NotFound) else refusal


def _nothing() -> Steps:
    yield from ()
    return None


# --- reading and telling ------------------------------------------------------------------------


def _read(raw: Json, where: str) -> Entry:
    """An entry, typed. Raises BadRequest, naming the field."""
    entry = ENTRIES.typed(raw, where)
    assert isinstance(entry, Entry)  # there are no others
    return entry


def _thing_of(entry: Entry) -> str:
    """The conversation, the fact or the response that an entry is about: what is done to one thing has an order."""
    for name in ("conversation", "fact", "response"):
        thing: str | None = getattr(entry, name, None)
        if thing is not None:
            return thing
    raise AssertionError(f"{type(entry).__name__} is about nothing.")


def _id_of(raw: Json) -> str | None:
    """The id of an entry that could not be read, as far as it has one."""
    entry_id = raw.get("id")
    return entry_id if isinstance(entry_id, str) and len(entry_id) <= _MOST_ID_CHARS else None


def _item_id(entry_id: str) -> str:
    return "msg_" + entry_id.replace("-", "")


def _asked(entry: Asking, items: list[Json], after: str | UnsetType | None, where: str) -> AskedInBackground:
    """The request for a response that an entry stands for. Raises BadRequest for what it may not say of that."""
    request = entry.request or {}
    for name in _OURS:
        if name in request:
            raise unsupported(f"{where}.request.{name}", "The entry itself says it; leave it out.")
    conversation: Json = {"id": entry.conversation}
    if after is not UNSET:
        conversation["after"] = after
    # As a stream, for devices follow it: all else comes at once, at its end.
    way = {"background": True, "store": True, "stream": True}
    return AskedInBackground(
        entry.id, _encode({**request, "conversation": conversation, "input": items, **way}), entry.feature
    )


def _placed(error: FrontdeskError, where: str, places: Mapping[str, str]) -> FrontdeskError:
    """The error of a request, as one of the entry that it was made of."""
    param = error.param
    if param is not None:
        place = next((place for place in places if param.startswith(place)), None)
        if place is not None:
            told = f"{places[place]}{param.removeprefix(place)}"
        elif param.partition(".")[0] == "conversation":
            told = f"{where}.{param.rpartition('.')[2]}"
        else:
            told = f"{where}.request.{param}"
        error.param, error.message = told, error.message.replace(f"'{param}'", f"'{told}'")
    return error


def _in_entry(error: FrontdeskError, where: str) -> FrontdeskError:
    """An error that names a field of an entry, as one that names the entry as well."""
    if error.param is not None and not error.param.startswith(where):
        told = f"{where}.{_FIELDS.get(error.param, error.param)}"
        error.param, error.message = told, error.message.replace(f"'{error.param}'", f"'{told}'")
    return error


def _failed(entry_id: str | None, error: FrontdeskError) -> Result:
    waits = isinstance(error, RateLimited | Unavailable) or error.code in _LATER
    return Result(
        id=entry_id,
        status="waiting" if waits else "refused",
        error=error.body()["error"],
        retry_after_s=error.retry_after_s if waits else None,
    )
