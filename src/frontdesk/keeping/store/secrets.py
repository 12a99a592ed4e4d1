"""The secret that seals what is given away and comes back, the same for all processes."""

from __future__ import annotations

import secrets

from sqlalchemy import bindparam, select

from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import setting

_NAME = "compaction_secret"
_BYTES = 32


async def compaction_secret(database: Database) -> bytes:
    """The secret; made when first asked for. Raises StorageError."""
    where = {"tenant": DEFAULT_TENANT, "name": _NAME}
    rows = await database.read(_FIND, where)
    if not rows:
        _, rows = await database.write(Step(_ADD, {**where, "value": secrets.token_bytes(_BYTES)}), Step(_FIND, where))
    return rows[0][0]


_ADD = Query(insert(setting).on_conflict_do_nothing())
_FIND = Query(
    select(setting.c.value).where(setting.c.tenant == bindparam("tenant"), setting.c.name == bindparam("name"))
)
