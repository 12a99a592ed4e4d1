"""Alembic's entry: it runs this file by path, with the connection that `migrate` made."""

from __future__ import annotations

from typing import cast

from alembic import context
from sqlalchemy import Connection

from frontdesk.storage.tables import metadata

_connection = cast("Connection", context.config.attributes["connection"])

context.configure(connection=_connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
