"""POST /v1/responses/compact: what was said, made shorter: the messages of the person as they are, all else in a seal.

A turn like any other, whose prompt ends with the wish for a summary. What comes of it is given to the client sealed,
and told to the model in the place of what it stands for when the client sends it back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol, cast

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.files.owner import Owner, owner_of
from frontdesk.policies.history import Recalled
from frontdesk.turn.events import Event, TurnCompleted
from frontdesk.turn.facts import Facts, ToldTurn
from frontdesk.turn.items import Item, Message, Reference
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_listed_items import listed_input, listed_message
from frontdesk.wire.openai_responses import read_compact
from frontdesk.wire.openai_responses_render import ResponsesBody
from frontdesk.wire.reading import read_object
from frontdesk.wire.refusing import wrong

Json = dict[str, Any]

_WISH = """\
Stop here and do not answer what was said. Write a summary of the whole conversation up to this point instead. It will \
take the place of everything in it but the user's own messages, for whoever goes on with it has nothing else to read: \
so leave nothing out that they may need.

Cover, as far as there is anything to say of it: what the user wants, and what they asked for to be kept to; what was \
found out, with every name, number, date, address, path, identifier and quotation exactly as it was; what was \
decided, and why; which tools were called, with what, and what came of it; what is done, what is under way, and what \
was to come next; what is still open or went wrong. Where the conversation begins with an earlier summary, carry over \
all of it.

Write dense plain text in the language of the conversation, in the order of its subjects, without an introduction and \
without addressing anybody. Call no tool."""


class Seals(Protocol):
    """Seals summaries for who they belong to (`keeping.compactions`)."""

    def seal(self, owner: Owner, response_id: str, summary: str) -> str:
        """The summary that a response is, for its owner: the same whenever it is told again."""
        ...


class Earlier(Protocol):
    """Knows what callers said before, and what they were answered (`keeping.history`)."""

    def chain(self, caller: Caller, response_id: str) -> Awaitable[Sequence[Recalled]]:
        """What was said up to the end of the caller's own response of this id. Raises BadRequest."""
        ...

    def items(self, caller: Caller, ids: Sequence[str]) -> Awaitable[Mapping[str, Recalled]]:
        """The caller's own items of these ids; those that are not there are left out. Raises BadRequest."""
        ...


class CompactDoor:
    """Makes conversations shorter."""

    def __init__(self, desk: Desk, seals: Seals, earlier: Earlier) -> None:
        self._desk = desk
        self._seals = seals
        self._earlier = earlier

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        body = visit.take_body()
        asked = read_compact(body)
        if asked.model is None:
            raise wrong("model", "Missing required parameter: 'model'.", "missing_required_parameter")
        given = read_object(body).get("input")
        before: Sequence[Recalled] = (
            () if asked.previous is None else await self._earlier.chain(visit.caller, asked.previous)
        )
        owner = owner_of(visit.caller)
        items = [*asked.prompt.items, Message("user", _WISH)]
        turn = self._desk.begin("responses", visit, asked.model, msgspec.structs.replace(asked.prompt, items=items), {})
        turn.is_aside = True  # it sums up all that was said, whatever of that the feature's model would be told
        named = await self._named(visit.caller, before, asked.prompt.items)

        def render(facts: Facts) -> CompactionBody:
            new = zip(asked.prompt.items, listed_input(given, facts.id), strict=True)
            kept = [*_persons_before(before, named), *_persons_now(new, named)]
            return CompactionBody(facts, kept, owner, self._seals)

        await self._desk.collect(turn, visit, render)

    async def _named(self, caller: Caller, before: Sequence[Recalled], new: Sequence[Item]) -> Mapping[str, Recalled]:
        """The items that others only name."""
        ids = [item.id for item in (*(each.item for each in before), *new) if isinstance(item, Reference)]
        return await self._earlier.items(caller, list(dict.fromkeys(ids))) if ids else {}


def _persons_before(items: Iterable[Recalled], named: Mapping[str, Recalled]) -> Iterator[Json]:
    """The messages of users among what was said before, as they are listed."""
    for each in items:
        meant = named.get(each.item.id) if isinstance(each.item, Reference) else each
        if meant is not None and isinstance(meant.item, Message) and meant.item.role == "user":
            yield listed_message(meant.item, meant.id)


def _persons_now(items: Iterable[tuple[Item, Json]], named: Mapping[str, Recalled]) -> Iterator[Json]:
    """The same among what a request brings, each beside how it is listed."""
    for item, listed in items:
        if isinstance(item, Reference):
            yield from _persons_before([Recalled(item.id, item)], named)
        elif isinstance(item, Message) and item.role == "user":
            yield listed


class CompactionBody:
    """Renders an answer, which is a summary, as one `response.compaction` object, behind the items that are kept."""

    __slots__ = ("_answer", "_facts", "_has_ended", "_kept", "_owner", "_seals")

    def __init__(self, facts: Facts, kept: list[Json], owner: Owner, seals: Seals) -> None:
        self._facts = facts
        self._kept = kept
        self._owner = owner
        self._seals = seals
        self._answer = ResponsesBody(ToldTurn(facts.id, facts.model, facts.started_at))
        self._has_ended = False

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        self._answer.add(events)
        self._has_ended = bool(events) and isinstance(events[-1], TurnCompleted)

    def body(self) -> bytes:
        """Return the object as JSON. Raises FrontdeskError where the model wrote no whole summary."""
        answer = self._answer.response()
        summary = "\n\n".join(_texts(answer["output"])).strip()
        if not summary or not self._has_ended:
            raise _no_summary(self._facts.model)
        facts = self._facts
        sealed = self._seals.seal(self._owner, facts.id, summary)
        compaction = {"id": f"cmp_{facts.id.partition('_')[2]}", "type": "compaction", "encrypted_content": sealed}
        told = {
            "id": facts.id,
            "object": "response.compaction",
            "created_at": int(facts.started_at),
            "output": [*self._kept, compaction],
            "usage": answer["usage"] or _NO_USAGE,
        }
        return msgspec.json.encode(told)


# Of a provider that told of none.
_NO_USAGE: Json = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def _texts(output: list[Json]) -> list[str]:
    parts = [part for item in output if item["type"] == "message" for part in cast("list[Json]", item["content"])]
    return [part["text"] for part in parts if part["type"] == "output_text"]


def _no_summary(model: str) -> FrontdeskError:
    return FrontdeskError(
        f"The model {model!r} wrote no whole summary. Ask again, name another one, or send less at once.",
        code="no_summary",
        status=502,
    )
