"""Rows of kept turns, and their texts.

    (nothing) ──enter──► queued | in_progress ──end──► completed | incomplete | failed | cancelled
                  ▲              │      │
                  └──forget──────┘      └──take, by another process──► carried on, or ended as failed

Whatever a process does to a turn under way it does as its carrier: where another has taken it over, nothing happens.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    null,
    or_,
    select,
    update,
)

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.files.owner import Owner
from frontdesk.keeping.rows import Asked, ResponseRow, Status, decode_asked
from frontdesk.memory.store.summaries import forget_behind
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import idempotency_key, person, response, response_event, response_text
from frontdesk.turn.log import Entry, decode_entries
from frontdesk.turn.turn import Door


class End(NamedTuple):
    """How a turn ended. `answer` are its entries, put together, where they are kept."""

    status: Status
    finished_at_ms: int
    events_until_ms: int | None
    expires_at_ms: int | None
    answer: bytes | None


class Page(NamedTuple):
    """Which stored turns are asked for: from behind the id `after`, which may be '', of a model, with some metadata."""

    after: str
    limit: int
    is_ascending: bool
    model: str = ""
    metadata: Mapping[str, str] = MappingProxyType({})


def put(row: ResponseRow, asked: bytes | None) -> Generator[Step, list[Row], None]:
    """Keep a turn that begins; part of a transaction. `asked` is what there is to keep of its request."""
    values = msgspec.structs.asdict(row)
    values["owner"] = values.pop("carrier")
    yield Step(_PUT, values)
    if asked is not None:
        yield Step(_PUT_TEXT, {"tenant": row.tenant, "response": row.id, "part": _ASKED, "content": asked})


def end(tenant: str, response_id: str, carrier: str, ended: End) -> Generator[Step, list[Row], bool]:
    """End a turn; part of a transaction. False, and nothing was changed, where it is not this carrier's to end."""
    it = {"of_tenant": tenant, "of_id": response_id, "of_carrier": carrier}
    values = {
        "new_status": ended.status,
        "ended_at_ms": ended.finished_at_ms,
        "events_ms": ended.events_until_ms,
        "expires_ms": ended.expires_at_ms,
    }
    if not (yield Step(_END, {**it, **values})):
        return False
    if ended.answer is not None:
        content = {"tenant": tenant, "response": response_id, "part": _ANSWER, "content": ended.answer}
        yield Step(_PUT_TEXT, content)
    return True


def forget(tenant: str, response_id: str) -> Generator[Step, list[Row], None]:
    """Remove a turn and all that is kept of it; part of a transaction."""
    it = {"of_tenant": tenant, "of_id": response_id}
    for statement in (_DELETE, _DELETE_TEXTS, _DELETE_EVENTS):
        yield Step(statement, it)


def carried(tenant: str, response_id: str, carrier: str) -> Step:
    """Brings a row where a turn is under way and this carrier's; nobody can take it over or remove it then until the
    transaction has ended.
    """
    return Step(_CARRIED, {"of_tenant": tenant, "of_id": response_id, "of_carrier": carrier})


def give_key_back(owner: Owner, response_id: str) -> Step:
    """Give back the key of a turn, where nobody knows it any more: all that its owner has are looked at."""
    return Step(
        _GIVE_KEY_BACK, {**{f"of_{name}": value for name, value in owner._asdict().items()}, "of_id": response_id}
    )


def dispatched(tenant: str, response_id: str, carrier: str) -> Step:
    """Note that a provider is being asked for a turn under way; brings a row where it is this carrier's."""
    return Step(_DISPATCH, {"of_tenant": tenant, "of_id": response_id, "of_carrier": carrier})


def hand_over(tenant: str, response_id: str, carrier: str) -> Step:
    """Let another process carry a turn that no provider was asked for yet."""
    return Step(_HAND_OVER, {"of_tenant": tenant, "of_id": response_id, "of_carrier": carrier})


class ResponseStore:
    """The kept turns of one owner, of one door. What has expired is not there, swept or not."""

    def __init__(self, database: Database, owner: Owner, door: Door, clock: Clock) -> None:
        self._database = database
        self._owner = owner
        self._door = door
        self._clock = clock

    async def find(self, response_id: str) -> ResponseRow | None:
        """The owner's own turn of this id, where it is stored."""
        rows = await self._database.read(_FIND_OWN, {**self._own(), "id": response_id})
        return _read(rows[0]) if rows else None

    async def list_answered(self, page: Page) -> list[tuple[ResponseRow, list[Entry]]]:
        """Those that have an answer, whole or cut short, with it, in the order of their ids."""
        query, first = (_LIST_UP, page.after) if page.is_ascending else (_LIST_DOWN, page.after or _BEHIND_ALL)
        found: list[tuple[ResponseRow, list[Entry]]] = []
        while len(found) < page.limit:
            slice_ = {
                **self._own(),
                "after": first,
                "limit": page.limit,
                "asked_model": page.model,
                "pattern": _pattern_of(page.metadata),
            }
            rows = await self._database.read(query, slice_)
            for *columns, answer in rows:
                row = _read(tuple(columns))
                if _has_metadata(row, page.metadata):
                    found.append((row, decode_entries(answer)))
                first = row.id
            if len(rows) < page.limit:
                break
        return found[: page.limit]

    async def change_metadata(self, response_id: str, metadata: str | None) -> bool:
        """Say other metadata of a stored turn; False where there is none."""
        it = self._own_to_change(response_id)
        (rows,) = await self._database.write(Step(_CHANGE_METADATA, {**it, "said": metadata}), lane=Lane.EVENTS)
        return bool(rows)

    async def delete(self, response_id: str) -> bool:
        """Remove a stored turn; False where there is none."""
        it = self._own_to_change(response_id)

        def remove() -> Generator[Step, list[Row], bool]:
            if not (yield Step(_DELETE_OWN, it)):
                return False
            yield from forget(self._owner.tenant, response_id)
            yield from forget_behind(self._owner.tenant, response_id)
            return True

        return await self._database.transact(remove, Lane.EVENTS)

    async def want_cancel(self, response_id: str) -> None:
        """Note that a turn under way is to end."""
        await self._database.write(Step(_WANT_CANCEL, self._own_to_change(response_id)), lane=Lane.EVENTS)

    def _own(self) -> dict[str, Any]:
        return {**self._owner._asdict(), "door": self._door, "now_ms": unix_ms(self._clock)}

    def _own_to_change(self, response_id: str) -> dict[str, Any]:
        return {**{f"of_{name}": value for name, value in self._own().items()}, "of_id": response_id}


class Texts:
    """The texts and events of kept turns, whoever's they are: who asks has found the row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: str, response_id: str) -> ResponseRow | None:
        """A kept turn, of any owner, stored or not."""
        rows = await self._database.read(_FIND, {"tenant": tenant, "id": response_id})
        return _read(rows[0]) if rows else None

    async def asked(self, tenant: str, response_id: str) -> Asked | None:
        """What was asked; None where nothing of it was stored."""
        content = await self._text(tenant, response_id, _ASKED)
        return None if content is None else decode_asked(content)

    async def answer(self, tenant: str, response_id: str) -> list[Entry] | None:
        """The whole answer, put together; None where there is none, or nothing of it was stored."""
        content = await self._text(tenant, response_id, _ANSWER)
        return None if content is None else decode_entries(content)

    async def entries_from(self, tenant: str, response_id: str, first: int) -> list[tuple[int, list[Entry]]]:
        """The entries as they came that are stored, in batches, each with the place of its first, from the batch on in
        which the place `first` is.
        """
        rows = await self._database.read(_FIND_EVENTS, {"tenant": tenant, "response": response_id, "place": first})
        return [(begins, decode_entries(content)) for begins, content in rows]

    async def _text(self, tenant: str, response_id: str, part: str) -> bytes | None:
        rows = await self._database.read(_FIND_TEXT, {"tenant": tenant, "response": response_id, "part": part})
        return rows[0][0] if rows else None


def _pattern_of(metadata: Mapping[str, str]) -> str:
    """What `LIKE` finds of the stored metadata that has these: by one pair, the longest, and whatever its case."""
    pairs = (_encode({name: value}).decode()[1:-1] for name, value in metadata.items())
    escaped = re.sub(r"([\\%_])", r"\\\1", max(pairs, key=len, default=""))
    return f"%{escaped}%"


def _has_metadata(row: ResponseRow, metadata: Mapping[str, str]) -> bool:
    if not metadata:
        return True
    stored: dict[str, str] = {} if row.metadata is None else msgspec.json.decode(row.metadata)
    return metadata.items() <= stored.items()


_encode = msgspec.json.Encoder().encode
_ASKED = "asked"
_ANSWER = "answer"
_BEHIND_ALL = "z"  # ids begin with their door's prefix, in any collation before this
_FIELDS = ResponseRow.__struct_fields__
_COLUMNS = [response.c["owner" if name == "carrier" else name] for name in _FIELDS]
_FLAGS = ("is_stored", "is_background", "is_dispatched", "wants_cancel")


def read_row(row: Row) -> ResponseRow:
    """A row of `COLUMNS`."""
    return _read(row)


def _read(row: Row) -> ResponseRow:
    values: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
    for name in _FLAGS:
        values[name] = bool(values[name])  # SQLite has no booleans of its own
    return ResponseRow(**values)


# --- statements ---------------------------------------------------------------------------------

COLUMNS = _COLUMNS
"""What `read_row` reads."""
_PUT = Query(insert(response))
_PUT_TEXT = Query(insert(response_text))

_it = and_(response.c.tenant == bindparam("of_tenant"), response.c.id == bindparam("of_id"))
_carried = and_(_it, response.c.owner == bindparam("of_carrier"), response.c.finished_at_ms.is_(None))
_END = Query(
    update(response)
    .where(_carried)
    .values(
        status=bindparam("new_status"),
        finished_at_ms=bindparam("ended_at_ms"),
        events_until_ms=bindparam("events_ms"),
        expires_at_ms=bindparam("expires_ms"),
    )
    .returning(response.c.id)
)
_CARRIED = Query(select(response.c.id).where(_carried).with_for_update())
_DISPATCH = Query(
    update(response).where(_carried).values(is_dispatched=True, status="in_progress").returning(response.c.id)
)
_HAND_OVER = Query(
    update(response).where(_carried).values(owner=null(), status="queued", is_dispatched=False).returning(response.c.id)
)
_DELETE = Query(delete(response).where(_it))
_DELETE_TEXTS = Query(
    delete(response_text).where(
        response_text.c.tenant == bindparam("of_tenant"), response_text.c.response == bindparam("of_id")
    )
)
_DELETE_EVENTS = Query(
    delete(response_event).where(
        response_event.c.tenant == bindparam("of_tenant"), response_event.c.response == bindparam("of_id")
    )
)
_key = idempotency_key.c
# Who asked may have become somebody else since, and the key is theirs.
_became = (
    select(person.c.became)
    .where(person.c.tenant == bindparam("of_tenant"), person.c.id == bindparam("of_person"))
    .scalar_subquery()
)
_GIVE_KEY_BACK = Query(
    delete(idempotency_key).where(
        _key.tenant == bindparam("of_tenant"),
        or_(_key.person == bindparam("of_person"), _key.person == _became),
        _key.credential == bindparam("of_credential"),
        _key.response == bindparam("of_id"),
    )
)


def _is_kept_at(name: str) -> ColumnElement[bool]:
    return or_(response.c.expires_at_ms.is_(None), response.c.expires_at_ms > bindparam(name, type_=BigInteger))


_own = and_(
    response.c.tenant == bindparam("tenant"),
    response.c.person == bindparam("person"),
    response.c.credential == bindparam("credential"),
    response.c.door == bindparam("door"),
    response.c.is_stored,
    _is_kept_at("now_ms"),
)
_own_to_change = and_(
    response.c.tenant == bindparam("of_tenant"),
    response.c.person == bindparam("of_person"),
    response.c.credential == bindparam("of_credential"),
    response.c.door == bindparam("of_door"),
    response.c.id == bindparam("of_id"),
    response.c.is_stored,
    _is_kept_at("of_now_ms"),
)
_FIND_OWN = Query(select(*_COLUMNS).where(_own, response.c.id == bindparam("id")))
_FIND = Query(select(*_COLUMNS).where(response.c.tenant == bindparam("tenant"), response.c.id == bindparam("id")))
_answered = and_(
    _own,
    or_(response.c.status == "completed", response.c.status == "incomplete"),
    or_(bindparam("asked_model", type_=Text) == "", response.c.model == bindparam("asked_model", type_=Text)),
    func.coalesce(response.c.metadata, "").like(bindparam("pattern"), escape="\\"),
)
_with_answers = select(*_COLUMNS, response_text.c.content).join_from(
    response,
    response_text,
    and_(
        response_text.c.tenant == response.c.tenant,
        response_text.c.response == response.c.id,
        response_text.c.part == _ANSWER,
    ),
)
_LIST_UP = Query(
    _with_answers.where(_answered, response.c.id > bindparam("after")).order_by(response.c.id).limit(bindparam("limit"))
)
_LIST_DOWN = Query(
    _with_answers.where(_answered, response.c.id < bindparam("after"))
    .order_by(response.c.id.desc())
    .limit(bindparam("limit"))
)
_CHANGE_METADATA = Query(
    update(response).where(_own_to_change).values(metadata=cast(bindparam("said"), Text)).returning(response.c.id)
)
_DELETE_OWN = Query(delete(response).where(_own_to_change).returning(response.c.id))
_WANT_CANCEL = Query(
    update(response).where(_own_to_change, response.c.finished_at_ms.is_(None)).values(wants_cancel=True)
)
_FIND_TEXT = Query(
    select(response_text.c.content).where(
        response_text.c.tenant == bindparam("tenant"),
        response_text.c.response == bindparam("response"),
        response_text.c.part == bindparam("part"),
    )
)
_FIND_EVENTS = Query(
    select(response_event.c.first, response_event.c.content)
    .where(
        response_event.c.tenant == bindparam("tenant"),
        response_event.c.response == bindparam("response"),
        response_event.c.last >= bindparam("place"),
    )
    .order_by(response_event.c.first)
    .limit(100_000)
)
