"""History: a request may go on with what was said before; that goes along in front of what is new.

    previous_response_id     the requests and answers of that response, and of those that it went on with
    conversation             the items of its chosen branch, or of the way to one of them
    item_reference           the item itself, in its place
    compaction               the summary that it is, in its place

Before `Features`: what a feature does not allow is no more allowed for having been said elsewhere. What the server
itself answered then (`Prompt.answered`) needs no leave to come back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import msgspec

from frontdesk.context.blocks import stays
from frontdesk.context.wording import told_summary
from frontdesk.core.errors import BadRequest, NotFound, store_unavailable
from frontdesk.storage.errors import StorageError
from frontdesk.turn.context import Past
from frontdesk.turn.items import Compaction, ConversationNamed, Item, Message, Prompt, Reference
from frontdesk.turn.pairs import answers_call, call_of, is_models, is_thought
from frontdesk.turn.turn import Caller, Turn

_FEW = 64
_PEOPLE = frozenset({"user", "assistant"})
_STAND_INS = frozenset({Reference, Compaction})
_MOST_TOLD_CHARS = 128


class Recalled(NamedTuple):
    """An item of before. `is_answer` is whether this server made it, `is_cut` whether its answer broke off.

    `response` is the one of a chain that said it, whether it brought or made it; "" in a conversation. One that
    `is_plain` is a message of words alone, which stands for nothing else and is no instruction.
    """

    id: str
    item: Item
    is_answer: bool = False
    is_cut: bool = False
    response: str = ""
    is_plain: bool = False


Reach = Callable[[Turn], int | None]
"""How many characters a turn's model can be told of what came before, at most; None where nobody says."""


class Library(Protocol):
    """Knows what callers said before, and what they were answered."""

    async def chain(self, caller: Caller, response_id: str) -> Sequence[Recalled]:
        """What was said up to the end of the caller's own response of this id. Raises BadRequest."""
        ...

    async def conversation(
        self, caller: Caller, named: ConversationNamed, brought_by: str | None
    ) -> tuple[int, Sequence[Recalled]]:
        """The version of the caller's own conversation, and its items; without those that the response `brought_by`
        has put in already. Raises NotFound, BadRequest.
        """
        ...

    async def items(self, caller: Caller, ids: Sequence[str]) -> Mapping[str, Recalled]:
        """The caller's own items of these ids; those that are not there are left out. Raises BadRequest."""
        ...

    async def summary(self, caller: Caller, sealed: str) -> str | None:
        """What a compaction says; None where it is not the caller's own."""
        ...


class History:
    """Puts what was said before into the requests that go on with it. After `Access`, before `Features`."""

    def __init__(self, library: Library, reach: Reach | None = None) -> None:
        self._library = library
        self._reach = reach

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Put it in. Raises BadRequest, NotFound for what is not there, or not the caller's; Unavailable."""
        prompt = turn.request
        if type(prompt) is not Prompt or prompt.dialect != "responses":
            return None
        if prompt.previous is None and prompt.conversation is None and not _has_stand_ins(prompt.items):
            return None
        return self._recall(turn, prompt)

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""

    async def _recall(self, turn: Turn, prompt: Prompt) -> None:
        try:
            before = await self._before(turn, prompt)
            far = before[: self._beyond(turn, before)]
            before = before[len(far) :]
            new = [Recalled("", item, place in prompt.answered) for place, item in enumerate(prompt.items)]
            if _has_stand_ins(each.item for each in (*before, *new)):
                before, new = await self._replaced(turn.caller, prompt, before, new)
        except StorageError:
            raise store_unavailable() from None
        whole = sound(before, new)
        said = [*whole, *new]
        turn.past = _past(prompt, far, whole)
        turn.request = msgspec.structs.replace(
            prompt,
            items=[each.item for each in said],
            answered=frozenset([place for place, each in enumerate(said) if each.is_answer]),
            previous=None,
            conversation=None,
        )

    async def _before(self, turn: Turn, prompt: Prompt) -> Sequence[Recalled]:
        if prompt.previous is not None:
            return await self._library.chain(turn.caller, prompt.previous)
        if prompt.conversation is None:
            return ()
        # A turn that is asked again after a crash has put its input there before it.
        brought_by = turn.id if turn.entrance is None else None
        try:
            turn.seen_version, items = await self._library.conversation(turn.caller, prompt.conversation, brought_by)
        except NotFound as error:
            if not prompt.conversation.or_new or error.code != "conversation_not_found":
                raise
            turn.seen_version, items = 0, ()  # as it begins
        return items

    # --- what stands for something else -----------------------------------------------------------

    async def _replaced(
        self, caller: Caller, prompt: Prompt, before: Sequence[Recalled], new: Sequence[Recalled]
    ) -> tuple[list[Recalled], list[Recalled]]:
        """Both with items in the place of what stands for them. What was named before and is gone is left out."""
        named = [each.item.id for each in (*before, *new) if type(each.item) is Reference]
        found: Mapping[str, Recalled] = {}
        if named:
            found = await self._library.items(caller, list(dict.fromkeys(named)))
        field = "conversation" if prompt.previous is None else "previous_response_id"
        old = [await self._opened(caller, each, field) for each in _put_in(before, found)]
        for place, each in enumerate(new):
            if type(each.item) is Reference and each.item.id not in found:
                raise _no_item(each.item.id, place)
        # One for one: all are there.
        ours = [
            await self._opened(caller, each, f"input[{place}].encrypted_content")
            for place, each in enumerate(_put_in(new, found))
        ]
        return old, ours

    async def _opened(self, caller: Caller, each: Recalled, param: str) -> Recalled:
        if type(each.item) is not Compaction:
            return each
        summary = await self._library.summary(caller, each.item.sealed)
        if summary is None:
            raise BadRequest(
                "The 'encrypted_content' of a compaction cannot be opened: it was made elsewhere, or for others, or "
                "was changed. Send the item as /v1/responses/compact gave it, or what it stands for.",
                code="invalid_encrypted_content",
                param=param,
            )
        return Recalled(each.id, told_summary(summary), is_answer=True, response=each.response)

    def _beyond(self, turn: Turn, before: Sequence[Recalled]) -> int:
        """How many of the first items are out of reach, and so plain that nobody need look at them."""
        chars = self._reach(turn) if self._reach is not None and len(before) > _FEW else None
        return 0 if chars is None else out_of_reach(before, chars)


def out_of_reach(before: Sequence[Recalled], chars: int) -> int:
    """How many of the first items lie behind the last so many characters: plain ones up to a question, or none."""
    place = len(before)
    while place and (chars > 0 or not _is_question(before, place)):
        place -= 1
        item = before[place].item
        if type(item) is Message and type(item.content) is str:
            chars -= len(item.content)
    return place if all(each.is_plain for each in before[:place]) else 0


def is_plain(item: Item) -> bool:
    """Whether an item is a message of words alone, which stands for nothing else and is no instruction."""
    return (
        type(item) is Message
        and type(item.content) is str
        and item.extra is None
        and item.role in _PEOPLE
        and not stays(item)
    )


def _is_question(before: Sequence[Recalled], place: int) -> bool:
    each = before[place]
    return each.is_plain and type(each.item) is Message and each.item.role == "user"


def _past(prompt: Prompt, far: Sequence[Recalled], near: Sequence[Recalled]) -> Past:
    before = [*far, *near]
    ids = [each.id for each in before]
    told = cast("tuple[Message, ...]", tuple(each.item for each in far))
    if prompt.conversation is not None:
        return Past(prompt.conversation.id, ids, ids, told)
    return Past("", [each.response for each in before], ids, told)


def sound(before: Sequence[Recalled], new: Sequence[Recalled]) -> list[Recalled]:
    """What came before, without what no provider reads by itself: outputs of calls that were deleted, calls whose
    outputs were, or of an answer that broke off before anybody answered them, thoughts that led to nothing.
    """
    if all(type(each.item) is Message for each in before):
        return [*before]  # the usual case, and the quick one
    # What is behind it has been said since: nobody will answer a call before that.
    said_since = next((place for place in reversed(range(len(before))) if _goes_on(before[place].item)), -1)
    answered = {answers_call(each.item) for each in (*before, *new) if type(each.item) is not Message}
    made: set[str] = set()
    kept: list[Recalled] = []
    for place, each in enumerate(before):
        if type(each.item) is Message:
            kept.append(each)
            continue
        call, output = call_of(each.item), answers_call(each.item)
        is_left = call is not None and (each.is_cut or place < said_since) and call not in answered
        if is_left or (output is not None and output not in made):
            continue
        if call is not None:
            made.add(call)
        kept.append(each)
    whole: list[Recalled] = []
    leads_on = bool(new) and is_models(new[0].item)
    for each in reversed(kept):
        if type(each.item) is not Message and is_thought(each.item):
            if not leads_on:
                continue
        else:
            leads_on = is_models(each.item)
        whole.append(each)
    return whole[::-1]


def _goes_on(item: Item) -> bool:
    """Whether a conversation has gone on with an item, past any call before it that still waits."""
    return call_of(item) is None and answers_call(item) is None and not is_thought(item)


def _put_in(items: Iterable[Recalled], found: Mapping[str, Recalled]) -> Iterator[Recalled]:
    for each in items:
        if type(each.item) is not Reference:
            yield each
        elif each.item.id in found:
            yield found[each.item.id]._replace(id=each.id, response=each.response)  # it is said here


def _has_stand_ins(items: Iterable[Item]) -> bool:
    return not _STAND_INS.isdisjoint(map(type, items))


def _no_item(item_id: str, place: int) -> NotFound:
    return NotFound(
        f"There is no item {item_id[:_MOST_TOLD_CHARS]!r}. Items are kept of responses with 'store': true, until those "
        "are deleted. Send the item itself, or leave it out.",
        code="item_not_found",
        param=f"input[{place}]",
    )
