"""What turns are told of: one statement for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Select, Text, bindparam, cast, literal_column, null, select, union_all

from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.query import Query
from frontdesk.storage.tables import conversation_item, fact, summary

MOST_FACTS = 200
"""Of a person."""
MOST_SUMMARIES = 8
"""Of a conversation: the latest, and as many that say nothing. Who goes on from further back is told an earlier one."""

_MOST_PINNED = 100
_MOST_ANCHORS = 1_000


class ToldSummary(NamedTuple):
    """A summary, as it is told."""

    anchor: str
    items: int
    content: str


class Told(NamedTuple):
    """What there is. Facts are in the order in which they got their words; summaries are in none.

    `vain` are the anchors up to which nobody could sum up.
    """

    facts: list[str]
    summaries: list[ToldSummary]
    pinned: frozenset[str]
    vain: frozenset[str]


class ToldStore:
    """What owners' turns are told. `person` is whose facts are, "" for none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_conversation(self, owner: Owner, conversation: str, person: str) -> Told:
        """Of a conversation, which was found to be the owner's."""
        return await self._read(_OF_CONVERSATION, {**_of(owner, person), "conversation": conversation})

    async def of_chain(self, owner: Owner, responses: Iterable[str], person: str) -> Told:
        """Of a chain of these responses, which were found to be the owner's."""
        anchors = as_json({"anchor": each} for each in responses)
        return await self._read(_OF_CHAIN, {**_of(owner, person), "anchors": anchors})

    async def of_nothing(self, owner: Owner, person: str) -> Told:
        """Of what goes on with nothing: the facts alone."""
        return await self._read(_OF_NOTHING, _of(owner, person))

    async def _read(self, query: Query, parameters: Mapping[str, object]) -> Told:
        rows = await self._database.read(query, parameters)
        facts = sorted((at_ms, fact_id, words) for kind, fact_id, at_ms, words in rows if kind == "fact")
        summaries = [ToldSummary(anchor, items, content) for kind, anchor, items, content in rows if kind == "summary"]
        return Told(
            [words for _, _, words in facts],
            [each for each in summaries if each.content],
            frozenset(item_id for kind, item_id, _, _ in rows if kind == "pinned"),
            frozenset(each.anchor for each in summaries if not each.content),
        )


def _of(owner: Owner, person: str) -> dict[str, object]:
    return {"tenant": owner.tenant, "person": owner.person, "credential": owner.credential, "facts_of": person}


# --- statements ---------------------------------------------------------------------------------


def _kind(name: str) -> Any:
    return literal_column(f"'{name}'", Text).label("kind")


_NONE: Any = cast(null(), Text)
_NUMBER: Any = literal_column("0", BigInteger).label("number")
_of_owner = (
    summary.c.tenant == bindparam("tenant", type_=Text),
    summary.c.person == bindparam("person", type_=Text),
    summary.c.credential == bindparam("credential", type_=Text),
)
_SUMMARY = (_kind("summary"), summary.c.anchor, cast(summary.c["items"], BigInteger).label("number"), summary.c.content)
# As tables of their own: SQLite has no order and no limit in a part of a union.
_facts = (
    select(_kind("fact"), fact.c.id, fact.c.changed_at_ms.label("number"), fact.c.words)
    .where(fact.c.tenant == bindparam("tenant", type_=Text), fact.c.person == bindparam("facts_of", type_=Text))
    .order_by(fact.c.id.desc())
    .limit(MOST_FACTS)
    .subquery("facts")
)
_pinned = (
    select(_kind("pinned"), conversation_item.c.id, _NUMBER, _NONE.label("content"))
    .where(
        conversation_item.c.tenant == bindparam("tenant", type_=Text),
        conversation_item.c.conversation == bindparam("conversation", type_=Text),
        conversation_item.c.pinned_at_ms.is_not(None),
        conversation_item.c.content.is_not(None),
    )
    .limit(_MOST_PINNED)
    .subquery("pinned")
)
_latest = (
    select(*_SUMMARY)
    .where(*_of_owner, summary.c.conversation == bindparam("conversation", type_=Text))
    .order_by(summary.c.created_at_ms.desc(), summary.c["items"].desc())
    .limit(2 * MOST_SUMMARIES)  # with those that say nothing
    .subquery("latest")
)
_anchors = json_rows("anchors", summary.c.anchor)
_anchored = (
    select(*_SUMMARY)
    .where(
        *_of_owner,
        summary.c.conversation == literal_column("''", Text),
        # Joined, SQLite would rather look through all of an owner's for each.
        summary.c.anchor.in_(select(_anchors.c.anchor)),
    )
    .limit(_MOST_ANCHORS)
    .subquery("anchored")
)


def _all_of(*parts: Any) -> Query:
    wanted: list[Select[Any]] = [select(part) for part in parts]
    return Query(union_all(*wanted) if len(wanted) > 1 else wanted[0])


_OF_CONVERSATION = _all_of(_latest, _pinned, _facts)
_OF_CHAIN = _all_of(_anchored, _facts)
_OF_NOTHING = _all_of(_facts)
