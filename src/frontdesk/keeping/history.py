"""What callers said before, and what they were answered, as their requests go on with it.

A chain of responses costs two round trips, however long it is: one walks it, one brings the texts that are not known
here already (`recent`). A response that was deleted, or is kept no longer, is forgotten: the chain begins behind it. A
conversation costs as little (`recent_conversations`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from frontdesk.conversations.service import Conversations
from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.files.owner import Owner, owner_of
from frontdesk.keeping.compactions import Compactions, anonymous_owner_in
from frontdesk.keeping.recent import Recent, Said
from frontdesk.keeping.recent_conversations import Counts, RecentConversations, is_broken, plain, recalled_of
from frontdesk.keeping.rows import decode_asked
from frontdesk.keeping.store.history import HistoryStore, KeptTexts, Link
from frontdesk.keeping.store.responses import Texts
from frontdesk.policies.history import Recalled, is_plain
from frontdesk.storage.database import Database
from frontdesk.turn.events import Started
from frontdesk.turn.facts import ToldTurn
from frontdesk.turn.items import ConversationNamed, Message
from frontdesk.turn.log import Entry, decode_entries
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_listed_items import listed_input
from frontdesk.wire.openai_responses import read_items
from frontdesk.wire.openai_responses_render import output_items

Json = dict[str, Any]

MOST_RESPONSES = 1_000
"""Of a chain."""
MOST_REFERENCES = 1_000
"""Of a request, with what it goes on with."""
MOST_READ_MB = 64
"""How much of what was said before a request goes on with."""

_MEGABYTE = 1024 * 1024
_MOST_ID_CHARS = 128
_BROUGHT_ID = re.compile(r"[a-z]+_(?P<response>[0-9a-f]{32})[0-9a-f]{2,}")  # see `openai_listed_items`
_MADE_ID = re.compile(r"[a-z]+_(?P<ms>[0-9a-f]{12})[0-9a-f]{20}")  # see `core.ids`
_CLOCKS_DIFFER_MS = 5_000
_LOOKED_AT = 4
_MOST_LOOKED_AT = 200
_MOST_MISSED = 3
_MOST_IN_CONVERSATIONS = 100


class OwnHistory:
    """What whoever asks said before; see `policies.history.Library`."""

    def __init__(
        self,
        database: Database,
        conversations: Conversations,
        compactions: Compactions,
        clock: Clock,
        counts: Counts | None = None,
    ) -> None:
        self._database = database
        self._conversations = RecentConversations(conversations, clock, counts)
        self._compactions = compactions
        self._texts = Texts(database)
        self._clock = clock
        self._recent = Recent(clock)

    def forget(self, tenant: str, response_id: str) -> None:
        """Keep nothing of a response in memory that was deleted."""
        self._recent.forget(tenant, response_id)

    # --- chains ---------------------------------------------------------------------------------

    async def chain(self, caller: Caller, response_id: str) -> list[Recalled]:
        """What was said up to the end of the caller's own response of this id, the first item first.

        Raises BadRequest where there is none that has ended, or it is more than a request may go on with.
        """
        owner = owner_of(caller)
        store = HistoryStore(self._database, owner, self._clock)
        links = await store.walk(response_id, MOST_RESPONSES + 1) if _is_id(response_id) else []
        if not links:
            raise _no_response(response_id)
        if not links[-1].has_ended:
            raise _under_way(response_id)
        if len(links) > MOST_RESPONSES:
            raise _too_long(response_id)
        _check_size(links, "previous_response_id")
        said = await self._said(store, owner, links)
        if response_id not in said:  # deleted just now
            raise _no_response(response_id)
        first = links[0]
        before: list[Recalled] = []
        if first.conversation is not None and first.id in said:
            before = await self._before(owner, first.conversation, said[first.id])
        for link in links:
            if link.id in said:
                before += said[link.id].brought
                before += said[link.id].answered
        return before

    async def _said(self, store: HistoryStore, owner: Owner, links: Sequence[Link]) -> dict[str, Said]:
        """What these responses said, those that have ended; without those that were deleted meanwhile."""
        tenant = owner.tenant
        known = {link.id: self._recent.find(tenant, link.id) for link in links}
        missing = [link for link in links if known[link.id] is None]
        texts = await store.texts(link.id for link in missing) if missing else {}
        for link in missing:
            if link.id not in texts:
                continue
            said = known[link.id] = _read(link, texts[link.id])
            if link.has_ended:
                self._recent.add(tenant, link.id, said, link.size_bytes)
        return {response_id: said for response_id, said in known.items() if said is not None}

    async def _before(self, owner: Owner, conversation: str, said: Said) -> list[Recalled]:
        """What a response was told of the conversation that it was made in; nothing where that was deleted."""
        own = [each.id for each in (*said.brought, *said.answered)]
        for item_id in own:
            try:
                _, before = await self._conversations.read(owner, ConversationNamed(conversation, item_id))
            except NotFound:  # the conversation, or this item of it
                continue
            return [each for each in before if each.id not in own]
        return []

    # --- conversations --------------------------------------------------------------------------

    async def conversation(
        self, caller: Caller, named: ConversationNamed, brought_by: str | None
    ) -> tuple[int, list[Recalled]]:
        """The version of the caller's own conversation, and its items in order, the first one first.

        Those that the response `brought_by` has put in itself are left out. Raises NotFound, BadRequest.
        """
        owner = owner_of(caller)
        version, items = await self._conversations.read(owner, named)
        if brought_by is not None and items and (asked := await self._texts.asked(owner.tenant, brought_by)):
            own = {item["id"] for item in listed_input(_input_of(asked.body), brought_by)}
            items = [each for each in items if each.id not in own]
        return version, items

    # --- single items ---------------------------------------------------------------------------

    async def items(self, caller: Caller, ids: Sequence[str]) -> Mapping[str, Recalled]:
        """The caller's own items of these ids: of answers, of stored requests, of conversations. Raises BadRequest."""
        if len(ids) > MOST_REFERENCES:
            raise BadRequest(
                f"The request names {len(ids)} items by their ids. It may name {MOST_REFERENCES}. Send the others "
                "themselves.",
                code="too_many_references",
                param="input",
            )
        owner = owner_of(caller)
        store = HistoryStore(self._database, owner, self._clock)
        sought = {each for each in ids if _is_id(each)}
        sources = {each: f"resp_{brought['response']}" for each in sought if (brought := _BROUGHT_ID.fullmatch(each))}
        sources |= await _answers_of(store, sought - sources.keys())
        found = await self._in_responses(store, owner, sources) if sources else {}
        rest = sorted(sought - found.keys())[:_MOST_IN_CONVERSATIONS]
        if rest:
            contents = await store.conversation_items(rest)
            found |= {each.id: each for each in recalled_of([_decode(content) for content in contents.values()])}
        return found

    async def _in_responses(self, store: HistoryStore, owner: Owner, sources: Mapping[str, str]) -> dict[str, Recalled]:
        links = await store.links(set(sources.values()))
        _check_size(links, "input")
        found: dict[str, Recalled] = {}
        for response_id, said in (await self._said(store, owner, links)).items():
            for each in (*said.brought, *said.answered):
                if sources.get(each.id) == response_id:
                    found[each.id] = each
        return found

    # --- summaries ------------------------------------------------------------------------------

    async def summary(self, caller: Caller, sealed: str) -> str | None:
        """What a compaction says; None where it is not the caller's own, nor of who they were before they signed in."""
        owner = owner_of(caller)
        was = anonymous_owner_in(sealed)
        if was is None or was == owner.person:
            return self._compactions.open_compaction(owner, sealed)
        if not await HistoryStore(self._database, owner, self._clock).was(was):
            return None
        return self._compactions.open_compaction(owner._replace(person=was), sealed)


async def _answers_of(store: HistoryStore, ids: Collection[str]) -> dict[str, str]:
    """Of which responses' answers these items are. There is no index of items: an id that was made here tells when that
    was, and so nearly always of which response it is; a provider's own ones are looked for in the last answers.
    """
    sources: dict[str, str] = {}
    missed = 0
    for item_id in sorted(ids, key=_begun_before, reverse=True):
        here, anywhere = _begun_before(item_id), _begun_before(item_id, _CLOCKS_DIFFER_MS)
        few = min(max(_LOOKED_AT, len(ids) - len(sources)), _MOST_LOOKED_AT)
        for before, most in ((here, few), (here, _MOST_LOOKED_AT), (anywhere, _MOST_LOOKED_AT)):
            if item_id in sources:
                break
            for response_id, content in await store.answers(before, most):
                made = {entry.item_id for entry in decode_entries(content) if isinstance(entry, Started)}
                sources |= dict.fromkeys(made.intersection(ids) - sources.keys(), response_id)
        missed += item_id not in sources
        if missed == _MOST_MISSED:  # that is one too many, mostly
            break
    return sources


# --- what was said, read ------------------------------------------------------------------------


def said_in(response_id: str, given: str | list[Json] | None, entries: list[Entry], *, is_cut: bool) -> Said:
    """What a response said: the items of its request's `input`, which was read before, and those of its answer.

    `is_cut` is whether that broke off. What is of no use then is left out: calls and thoughts that are not whole.
    """
    listed = listed_input(given, response_id)
    brought = [Message("user", given)] if isinstance(given, str) else read_items(given or [], "input")
    answered = [item for item in output_items(ToldTurn(response_id, "", 0), entries) if not is_broken(item)]
    return Said(
        [
            Recalled(item["id"], each, response=response_id, is_plain=is_plain(each))
            for item, each in zip(listed, map(plain, brought), strict=True)
        ],
        [
            Recalled(item["id"], each, is_answer=True, is_cut=is_cut, response=response_id, is_plain=is_plain(each))
            for item, each in zip(answered, map(plain, read_items(answered, "output")), strict=True)
        ],
    )


def _read(link: Link, texts: KeptTexts) -> Said:
    given = None if texts.asked is None else _input_of(decode_asked(texts.asked).body)
    entries = [] if texts.answer is None else decode_entries(texts.answer)
    return said_in(link.id, given, entries, is_cut=link.status != "completed")


class _Body(msgspec.Struct):
    """Of a request's body, what it brought."""

    input: str | list[Json] | None = None


_input_of_body = msgspec.json.Decoder(_Body).decode


def _input_of(body: bytes) -> str | list[Json] | None:
    return _input_of_body(body).input


_decode = msgspec.json.Decoder(Json).decode


def _begun_before(item_id: str, later_ms: int = 0) -> str:
    """What the ids are below of responses that were begun when this item was made, or before; of all where its id does
    not tell. A response may be begun by one process and go on in another one, whose clock is behind.
    """
    made = _MADE_ID.fullmatch(item_id)
    return "resp_g" if made is None else f"resp_{int(made['ms'], 16) + later_ms:012x}g"  # behind all digits


# --- refusals -----------------------------------------------------------------------------------


def _is_id(text: str) -> bool:
    return len(text) <= _MOST_ID_CHARS and text.isascii() and text.isprintable()


def _check_size(links: Iterable[Link], param: str) -> None:
    if sum(link.size_bytes for link in links) > MOST_READ_MB * _MEGABYTE:
        raise BadRequest(
            f"What this request goes on with holds more than {MOST_READ_MB} MB, which is all that may be. Begin anew, "
            "with a summary of it (/v1/responses/compact), or with the items that matter.",
            code="history_too_large",
            param=param,
        )


def _no_response(response_id: str) -> BadRequest:
    return BadRequest(
        f"There is no previous response {response_id[:_MOST_ID_CHARS]!r}. Responses are kept where they were asked for "
        "with 'store': true, until they are deleted. Send the items that it said yourself.",
        code="previous_response_not_found",
        param="previous_response_id",
    )


def _under_way(response_id: str) -> BadRequest:
    return BadRequest(
        f"The response {response_id!r} is still being made. Wait until it has ended (GET /v1/responses/{response_id}), "
        "or cancel it, and go on then.",
        code="previous_response_in_progress",
        param="previous_response_id",
    )


def _too_long(response_id: str) -> BadRequest:
    return BadRequest(
        f"The response {response_id!r} goes on with more than {MOST_RESPONSES:,} others, which is all that a chain may "
        "have. Begin a new one, with a summary of it (/v1/responses/compact), or use a conversation.",
        code="chain_too_long",
        param="previous_response_id",
    )
