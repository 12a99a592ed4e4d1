"""A small table that the tests of storage write to, and its statements."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.schema import CreateTable, DropTable

from frontdesk.storage.query import Query, insert

_metadata = sa.MetaData()
notes = sa.Table(
    "note",
    _metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.CheckConstraint("text <> 'forbidden'", name="no_forbidden_text"),
)

CREATE = Query(CreateTable(notes))
DROP = Query(DropTable(notes, if_exists=True))
ADD = Query(insert(notes))
ADD_RETURNING = Query(insert(notes).returning(notes.c.id, notes.c.text))
PUT = Query(
    insert(notes).on_conflict_do_update(index_elements=[notes.c.id], set_={"text": insert(notes).excluded.text})
)
SET = Query(
    sa.update(notes).where(notes.c.id == bindparam("of_id")).values(text=bindparam("new_text")).returning(notes.c.id)
)
APPEND = Query(sa.update(notes).where(notes.c.id == bindparam("of_id")).values(text=notes.c.text + bindparam("more")))
CLEAR = Query(sa.delete(notes))
LIST = Query(sa.select(notes.c.id, notes.c.text).order_by(notes.c.id))
COUNT = Query(sa.select(sa.func.count()).select_from(notes))


def note(number: int, text: str) -> dict[str, object]:
    return {"id": number, "text": text}
