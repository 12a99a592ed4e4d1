"""What was said before, as requests go on with it: chains of responses, and single items by their ids.

A chain is walked in one statement, however long it is; the texts of all of its responses are another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, Text, and_, bindparam, cast, func, literal, or_, select

from frontdesk.conversations.store.writing import IS_OWNERS, IS_THERE, LASTS
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.files.owner import Owner
from frontdesk.keeping.rows import ENDED
from frontdesk.storage.database import Database
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.query import Query
from frontdesk.storage.tables import conversation, conversation_item, person, response, response_text

_DOOR = "responses"
_MOST_ITEMS = 10_000
_MOST_CONVERSATIONS = 200


class Link(NamedTuple):
    """A response of a chain. `size_bytes` is how much is kept of what was asked and answered."""

    id: str
    status: str
    conversation: str | None
    size_bytes: int

    @property
    def has_ended(self) -> bool:
        """Whether its answer is final."""
        return self.status in ENDED


class KeptTexts(NamedTuple):
    """What is kept of a response: the request's `body` inside of `asked`, the entries of its answer."""

    asked: bytes | None
    answer: bytes | None


class HistoryStore:
    """What one owner's stored responses and conversations said. What has expired is not there, swept or not."""

    def __init__(self, database: Database, owner: Owner, clock: Clock) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock

    async def walk(self, response_id: str, most: int) -> list[Link]:
        """The response of this id and those that it went on with, the oldest first; `most` of them, counted from it.

        None where it is not the owner's, or is not stored. The chain ends where one is not there any more.
        """
        rows = await self._database.read(_WALK, {**self._owned, "id": response_id, "most": most})
        return [Link(*row) for row in rows if row[1] is not None]  # behind the last one that is there comes nothing

    async def links(self, ids: Iterable[str]) -> list[Link]:
        """Those of these responses that are the owner's and stored."""
        wanted = as_json({"id": each} for each in ids)
        return [Link(*row) for row in await self._database.read(_LINKS, {**self._owned, "wanted": wanted})]

    async def texts(self, ids: Iterable[str]) -> dict[str, KeptTexts]:
        """The texts of these responses, which were found to be the owner's."""
        wanted = as_json({"response": each} for each in ids)
        found: dict[str, dict[str, bytes]] = {}
        rows = await self._database.read(_TEXTS, {"tenant": self._owner.tenant, "wanted": wanted})
        for response_id, part, content in rows:
            found.setdefault(response_id, {})[part] = content
        return {each: KeptTexts(parts.get("asked"), parts.get("answer")) for each, parts in found.items()}

    async def answers(self, before: str, most: int) -> list[tuple[str, bytes]]:
        """The owner's last answers that were begun before the response id `before`, the last one first."""
        asked = {**self._owned, "before": before, "most": most}
        return [(made_by, bytes(content)) for made_by, content in await self._database.read(_ANSWERS, asked)]

    async def conversation_items(self, item_ids: Iterable[str]) -> dict[str, bytes]:
        """Items of the owner's conversations, of those that were changed last, by their ids."""
        wanted = as_json({"id": each} for each in item_ids)
        rows = await self._database.read(_SAID_IN, {**self._owned, "wanted": wanted})
        return {item: bytes(content) for item, content in rows}

    async def was(self, anonymous: str) -> bool:
        """Whether the owner was this anonymous person before they signed in."""
        asked = {"tenant": self._owner.tenant, "person": self._owner.person, "anonymous": anonymous}
        return bool(await self._database.read(_WAS, asked))

    @property
    def _owned(self) -> dict[str, Any]:
        return {**self._owner._asdict(), "now_ms": unix_ms(self._clock)}


# --- statements ---------------------------------------------------------------------------------

_is_owners = and_(
    response.c.tenant == bindparam("tenant"),
    response.c.person == bindparam("person"),
    response.c.credential == bindparam("credential"),
    response.c.door == _DOOR,
    response.c.is_stored,
    or_(response.c.expires_at_ms.is_(None), response.c.expires_at_ms > bindparam("now_ms", type_=BigInteger)),
)
# By subqueries for each link: joined, an engine may rather read all responses of an owner, for each of them again.
_first = select(cast(bindparam("id"), Text).label("id"), literal(0, Integer).label("back")).cte("chain", recursive=True)
_chain = _first.union_all(
    select(
        select(response.c.previous).where(_is_owners, response.c.id == _first.c.id).scalar_subquery(), _first.c.back + 1
    ).where(_first.c.id.is_not(None), _first.c.back + 1 < bindparam("most", type_=Integer))
)


def _size_of(column: Any) -> Any:
    """How much is kept of a response, without reading it."""
    return (
        select(cast(func.coalesce(func.sum(func.length(response_text.c.content)), 0), BigInteger))
        .where(response_text.c.tenant == bindparam("tenant"), response_text.c.response == column)
        .scalar_subquery()
    )


_of_link = and_(_is_owners, response.c.id == _chain.c.id)
_WALK = Query(
    select(
        _chain.c.id,
        select(response.c.status).where(_of_link).scalar_subquery(),
        select(response.c.conversation).where(_of_link).scalar_subquery(),
        _size_of(_chain.c.id),
    )
    .order_by(_chain.c.back.desc())
    .limit(bindparam("most", type_=Integer))
)
_wanted_ids = json_rows("wanted", response.c.id)
_LINKS = Query(
    select(response.c.id, response.c.status, response.c.conversation, _size_of(response.c.id))
    .join_from(_wanted_ids, response, and_(_is_owners, response.c.id == _wanted_ids.c.id))
    .limit(_MOST_ITEMS)
)
_wanted_texts = json_rows("wanted", response_text.c.response)
_TEXTS = Query(
    select(response_text.c.response, response_text.c.part, response_text.c.content)
    .join_from(
        _wanted_texts,
        response_text,
        and_(response_text.c.tenant == bindparam("tenant"), response_text.c.response == _wanted_texts.c.response),
    )
    .limit(_MOST_ITEMS)
)
_ANSWERS = Query(
    select(response.c.id, response_text.c.content)
    .join_from(
        response,
        response_text,
        and_(
            response_text.c.tenant == response.c.tenant,
            response_text.c.response == response.c.id,
            response_text.c.part == "answer",
        ),
    )
    .where(_is_owners, response.c.id < bindparam("before"))
    .order_by(response.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_WAS = Query(
    select(person.c.id).where(
        person.c.tenant == bindparam("tenant"),
        person.c.id == bindparam("anonymous"),
        person.c.became == bindparam("person"),
    )
)
_wanted_items = json_rows("wanted", conversation_item.c.id)
_latest = (
    select(conversation.c.id)
    .where(IS_OWNERS, LASTS)
    .order_by(conversation.c.changed_at_ms.desc())
    .limit(_MOST_CONVERSATIONS)
    .subquery("latest")
)
_SAID_IN = Query(
    select(conversation_item.c.id, conversation_item.c.content)
    .join_from(
        _latest,
        conversation_item,
        and_(
            conversation_item.c.tenant == bindparam("tenant"),
            conversation_item.c.conversation == _latest.c.id,
            conversation_item.c.branch >= 0,
            IS_THERE,
        ),
    )
    .join(_wanted_items, conversation_item.c.id == _wanted_items.c.id)
    .limit(_MOST_ITEMS)
)
