"""Rows of files, and their bytes in pieces. Everything is written by the lane of bulk, so that no turn waits for it.

begin ──► add_piece, again and again ──► finish          a file
                  │
                  └─ nobody goes on for an hour ──► swept, as deleted and expired ones are
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    true,
    update,
)

from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import batch, file, file_piece, person

_SWEPT_AT_ONCE = 20
# Some megabytes: no transaction of the sweep is longer than those of an upload.
_PIECES_AT_ONCE = 16
_BEHIND_ALL = "file-" + "g" * 32


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is there. Times are milliseconds since 1970."""

    tenant: str
    id: str
    purpose: str
    filename: str
    media_type: str
    bytes: int
    created_at_ms: int
    expires_at_ms: int | None


class Allowance(msgspec.Struct, frozen=True):
    """How many files a person may have, and how many bytes of them."""

    files: int
    bytes: int


class FileStore:
    """The files of one owner."""

    def __init__(self, database: Database, owner: Owner) -> None:
        self._database = database
        self._owner = owner

    # --- reading ----------------------------------------------------------------------------

    async def find(self, file_id: str, now_ms: int) -> FileRow | None:
        """The file of this id, if it is this owner's."""
        rows = await self._database.read(_FIND, {**self._owned, "id": file_id, "now_ms": now_ms})
        return _read(rows[0]) if rows else None

    async def list(
        self, purpose: str, after: str, limit: int, order: Literal["asc", "desc"], now_ms: int
    ) -> list[FileRow]:
        """The owner's files by their ids, from behind the id `after`; of a purpose, where that is not empty."""
        page = {**self._owned, "purpose": purpose, "limit": limit, "now_ms": now_ms}
        query, begin = (_LIST, "") if order == "asc" else (_LIST_BACKWARDS, _BEHIND_ALL)
        return [_read(row) for row in await self._database.read(query, {**page, "after": after or begin})]

    async def piece(self, file_id: str, number: int) -> bytes | None:
        """A piece of a file that `find` has found."""
        of_piece = {"tenant": self._owner.tenant, "file": file_id, "number": number}
        rows = await self._database.read(_PIECE, of_piece)
        return bytes(rows[0][0]) if rows else None

    # --- writing ----------------------------------------------------------------------------

    async def begin(
        self, file_id: str, size_bytes: int, allowance: Allowance | None, now_ms: int, until_ms: int
    ) -> tuple[int, int] | None:
        """Make room for a file of at most this size, to be gone on with before `until_ms`.

        Where a person's files then passed their allowance nothing is done: returns how many they have, and of
        how many bytes.
        """
        row = {
            **self._owned,
            "id": file_id,
            "purpose": "",
            "filename": "",
            "media_type": "",
            "bytes": size_bytes,
            "is_whole": False,
            "created_at_ms": now_ms,
            "expires_at_ms": until_ms,
        }

        def make_room() -> Generator[Step, list[Row], tuple[int, int] | None]:
            if allowance is not None:
                yield Step(_LOCK_PERSON, {"tenant": self._owner.tenant, "person": self._owner.person})
                ((files, kept_bytes),) = yield Step(_KEPT, {**self._owned, "now_ms": now_ms})
                if files >= allowance.files or kept_bytes + size_bytes > allowance.bytes:
                    return files, kept_bytes
            yield Step(_BEGIN, row)
            return None

        return await self._database.transact(make_room, Lane.BULK)

    async def add_piece(self, file_id: str, number: int, content: bytes, now_ms: int, until_ms: int) -> bool:
        """Add the next piece of a file that was begun, and time to go on; False where it was given up meanwhile."""
        it = self._unfinished(file_id, now_ms)
        added, _ = await self._database.write(
            Step(_ADD_PIECE, {**it, "number": number, "content": content}),
            Step(_GO_ON, {**it, "until_ms": until_ms}),
            lane=Lane.BULK,
        )
        return bool(added)

    def finished(
        self,
        file_id: str,
        size_bytes: int,
        purpose: str,
        filename: str,
        media_type: str,
        now_ms: int,
        expires_at_ms: int | None,
    ) -> Step:
        """The step that makes a file of all its pieces. It returns the file, or nothing where it was given up."""
        told = {
            "size_bytes": size_bytes,
            "new_purpose": purpose,
            "new_filename": filename,
            "new_media_type": media_type,
            "expire_at_ms": expires_at_ms,
        }
        return Step(_FINISH, {**self._unfinished(file_id, now_ms), **told})

    async def finish(self, finished: Step) -> FileRow | None:
        """Run such a step."""
        (rows,) = await self._database.write(finished, lane=Lane.BULK)
        return _read(rows[0]) if rows else None

    async def give_up(self, file_id: str, now_ms: int) -> None:
        """End a file that was begun and is not whole."""
        await self._database.write(Step(_GIVE_UP, self._unfinished(file_id, now_ms)), lane=Lane.EVENTS)

    async def delete(self, file_id: str, now_ms: int) -> bool:
        """End a file; False where there is none of this owner."""
        it = {f"of_{name}": value for name, value in self._owned.items()}
        (ended,) = await self._database.write(
            Step(_DELETE, {**it, "of_id": file_id, "now_ms": now_ms}), lane=Lane.EVENTS
        )
        return bool(ended)

    @property
    def _owned(self) -> dict[str, str]:
        return self._owner._asdict()

    def _unfinished(self, file_id: str, now_ms: int) -> dict[str, object]:
        return {"of_tenant": self._owner.tenant, "of_id": file_id, "now_ms": now_ms}


class AllFiles:
    """The files of all tenants, for who removes those that have ended. It never shows what is in them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def kept_bytes(self) -> int:
        """How much they hold, those that are being uploaded and those that have ended and are not removed yet included.

        Uploads that begin at the same moment do not see each other.
        """
        return (await self._database.read(_ALL_KEPT, {}))[0][0]

    async def sweep(self, now_ms: int) -> int:
        """Remove what has ended, some files at a time; returns how many. What an open batch still reads stays."""
        ended = await self._database.read(_ENDED, {"now_ms": now_ms})
        for tenant, file_id in ended:
            it = {"of_tenant": tenant, "of_id": file_id}
            while (await self._database.write(Step(_REMOVE_PIECES, it), lane=Lane.BULK))[0]:
                pass
            await self._database.write(Step(_REMOVE, {**it, "now_ms": now_ms}), lane=Lane.BULK)
        return len(ended)


def _read(row: Row) -> FileRow:
    return FileRow(**dict(zip(FileRow.__struct_fields__, row, strict=True)))


# --- statements ---------------------------------------------------------------------------------

_COLUMNS = [file.c[name] for name in FileRow.__struct_fields__]
_NOW = bindparam("now_ms", type_=BigInteger)
_LASTS = or_(file.c.expires_at_ms.is_(None), file.c.expires_at_ms > _NOW)
_IS_THERE = and_(file.c.is_whole == true(), _LASTS)
_IS_UNFINISHED = and_(
    file.c.tenant == bindparam("of_tenant"), file.c.id == bindparam("of_id"), file.c.is_whole == false(), _LASTS
)
_IS_OWNERS: ColumnElement[bool] = and_(*(file.c[name] == bindparam(name) for name in Owner._fields))


def _list(place: ColumnElement[bool], order: ColumnElement[str]) -> Select[tuple[object, ...]]:
    purpose = bindparam("purpose", type_=Text)
    return (
        select(*_COLUMNS)
        .where(_IS_OWNERS, _IS_THERE, place, or_(purpose == "", file.c.purpose == purpose))
        .order_by(order)
        .limit(bindparam("limit"))
    )


_FIND = Query(select(*_COLUMNS).where(_IS_OWNERS, _IS_THERE, file.c.id == bindparam("id")))
_LIST = Query(_list(file.c.id > bindparam("after"), file.c.id.asc()))
_LIST_BACKWARDS = Query(_list(file.c.id < bindparam("after"), file.c.id.desc()))
_PIECE = Query(
    select(file_piece.c.content).where(
        file_piece.c.tenant == bindparam("tenant"),
        file_piece.c.file == bindparam("file"),
        file_piece.c.number == bindparam("number"),
    )
)
_LOCK_PERSON = Query(
    select(person.c.id)
    .where(person.c.tenant == bindparam("tenant"), person.c.id == bindparam("person"))
    .with_for_update()
)
_KEPT = Query(
    select(func.count(), cast(func.coalesce(func.sum(file.c.bytes), 0), BigInteger)).where(_IS_OWNERS, _LASTS)
)
_ALL_KEPT = Query(select(cast(func.coalesce(func.sum(file.c.bytes), 0), BigInteger)))
_BEGIN = Query(insert(file))
_ADD_PIECE = Query(
    insert(file_piece)
    .from_select(
        ["tenant", "file", "number", "content"],
        select(
            file.c.tenant, file.c.id, bindparam("number", type_=Integer), bindparam("content", type_=LargeBinary)
        ).where(_IS_UNFINISHED),
    )
    .returning(file_piece.c.number)
)
_GO_ON = Query(update(file).where(_IS_UNFINISHED).values(expires_at_ms=bindparam("until_ms")))
_FINISH = Query(
    update(file)
    .where(_IS_UNFINISHED)
    .values(
        is_whole=True,
        bytes=bindparam("size_bytes"),
        purpose=bindparam("new_purpose"),
        filename=bindparam("new_filename"),
        media_type=bindparam("new_media_type"),
        expires_at_ms=bindparam("expire_at_ms"),
    )
    .returning(*_COLUMNS)
)
_GIVE_UP = Query(update(file).where(_IS_UNFINISHED).values(expires_at_ms=_NOW))
_DELETE = Query(
    update(file)
    .where(
        *(file.c[name] == bindparam(f"of_{name}") for name in Owner._fields),
        file.c.id == bindparam("of_id"),
        _IS_THERE,
    )
    .values(expires_at_ms=_NOW)
    .returning(file.c.id)
)
_IS_READ = exists().where(
    batch.c.tenant == file.c.tenant, batch.c.input_file == file.c.id, batch.c.open_at_ms.is_not(None)
)
_ENDED = Query(
    select(file.c.tenant, file.c.id)
    .where(file.c.expires_at_ms.is_not(None), file.c.expires_at_ms <= _NOW, ~_IS_READ)
    .order_by(file.c.expires_at_ms)
    .limit(_SWEPT_AT_ONCE)
)
_OF_FILE = and_(file_piece.c.tenant == bindparam("of_tenant"), file_piece.c.file == bindparam("of_id"))
_SOME_PIECES = select(file_piece.c.number).where(_OF_FILE).order_by(file_piece.c.number).limit(_PIECES_AT_ONCE)
_REMOVE_PIECES = Query(
    delete(file_piece).where(_OF_FILE, file_piece.c.number.in_(_SOME_PIECES)).returning(file_piece.c.number)
)
_REMOVE = Query(
    delete(file).where(
        file.c.tenant == bindparam("of_tenant"),
        file.c.id == bindparam("of_id"),
        file.c.expires_at_ms.is_not(None),
        file.c.expires_at_ms <= _NOW,
    )
)
