"""What the tests' jobs change: a row each time, in a table of the tests' own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from frontdesk.jobs.plan import Done
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step, insert

effect = sa.Table("effect", sa.MetaData(), sa.Column("name", sa.Text, nullable=False))

CREATE = Query(CreateTable(effect))
_ADD = Query(insert(effect))
_LIST = Query(sa.select(effect.c.name))


def effect_of(name: str) -> Done:
    """What a job of this name changes; nothing keeps it from happening twice."""

    def change() -> Generator[Step, list[Row], None]:
        yield Step(_ADD, {"name": name})

    return change


async def effects(database: Database) -> Counter[str]:
    """How often each happened."""
    return Counter(name for (name,) in await database.read(_LIST))
