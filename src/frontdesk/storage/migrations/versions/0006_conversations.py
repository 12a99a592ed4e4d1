"""Responses and conversations that are kept, and keys under which requests are done once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("process", sa.Column("fenced_at_ms", sa.BigInteger(), nullable=True))
    _create_response()
    _create_response_text()
    _create_response_event()
    _create_idempotency_key()
    _create_conversation()
    _create_conversation_branch()
    _create_conversation_item()
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_what_the_new_tables_are_like()


def _create_response() -> None:
    op.create_table(
        "response",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_stored", sa.Boolean(), nullable=False),
        sa.Column("is_background", sa.Boolean(), nullable=False),
        sa.Column("is_dispatched", sa.Boolean(), nullable=False),
        sa.Column("wants_cancel", sa.Boolean(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=True),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("events_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_response")),
        sqlite_with_rowid=False,
    )
    _create_partial_index("ix_response_events_until_ms", "response", "events_until_ms", "events_until_ms IS NOT NULL")
    _create_partial_index("ix_response_expires_at_ms", "response", "expires_at_ms", "expires_at_ms IS NOT NULL")
    _create_partial_index("ix_response_open", "response", "owner", "finished_at_ms IS NULL")
    op.create_index("ix_response_owner", "response", ["tenant", "person", "credential", "id"], unique=False)


def _create_response_text() -> None:
    op.create_table(
        "response_text",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "response", "part", name=op.f("pk_response_text")),
    )


def _create_response_event() -> None:
    op.create_table(
        "response_event",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "response", "first", name=op.f("pk_response_event")),
    )


def _create_idempotency_key() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "person", "credential", "route", "key", name=op.f("pk_idempotency_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_key_expires_at_ms", "idempotency_key", ["expires_at_ms"], unique=False)


def _create_conversation() -> None:
    op.create_table(
        "conversation",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("branch", sa.Integer(), nullable=False),
        sa.Column("branches", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("pinned_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_conversation")),
        sqlite_with_rowid=False,
    )
    _create_partial_index("ix_conversation_expires_at_ms", "conversation", "expires_at_ms", "expires_at_ms IS NOT NULL")
    op.create_index(
        "ix_conversation_owner", "conversation", ["tenant", "person", "credential", "changed_at_ms"], unique=False
    )


def _create_conversation_branch() -> None:
    op.create_table(
        "conversation_branch",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("fork", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "conversation", "number", name=op.f("pk_conversation_branch")),
        sqlite_with_rowid=False,
    )


def _create_conversation_item() -> None:
    op.create_table(
        "conversation_item",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("branch", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "conversation", "branch", "position", name=op.f("pk_conversation_item")),
    )
    op.create_index("uq_conversation_item_id", "conversation_item", ["tenant", "conversation", "id"], unique=True)


def _create_partial_index(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], unique=False, sqlite_where=where, postgresql_where=where)


# As in the second migration, which says why.
_STATISTICS = {
    "response": ("response", "1000000 1000000 1"),
    "ix_response_owner": ("response", "1000000 1000000 100 100 1"),
    "ix_response_open": ("response", "100 20"),
    "ix_response_expires_at_ms": ("response", "1000000 2"),
    "ix_response_events_until_ms": ("response", "10000 2"),
    "response_text": ("response_text", "2000000 2000000 2 1"),
    "response_event": ("response_event", "1000000 1000000 20 1"),
    "idempotency_key": ("idempotency_key", "100000 100000 20 20 10 1"),
    "ix_idempotency_key_expires_at_ms": ("idempotency_key", "100000 2"),
    "conversation": ("conversation", "100000 100000 1"),
    "ix_conversation_owner": ("conversation", "100000 100000 20 20 1 1"),
    "ix_conversation_expires_at_ms": ("conversation", "100000 2"),
    "conversation_branch": ("conversation_branch", "100000 100000 1 1"),
    "conversation_item": ("conversation_item", "1000000 1000000 20 15 1"),
    "uq_conversation_item_id": ("conversation_item", "1000000 1000000 20 1"),
}


def _tell_sqlite_what_the_new_tables_are_like() -> None:
    statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    rows = [{"tbl": table, "idx": index, "stat": numbers} for index, (table, numbers) in _STATISTICS.items()]
    op.bulk_insert(statistics, rows)
