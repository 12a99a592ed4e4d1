"""Files that callers upload, and batches of requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "file",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_file")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_file_owner", "file", ["tenant", "person", "credential", "id"], unique=False)
    _create_partial_index("ix_file_expires_at_ms", "file", "expires_at_ms")
    op.create_table(
        "file_piece",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "file", "number", name=op.f("pk_file_piece")),
    )
    op.create_table(
        "batch",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("input_file", sa.Text(), nullable=False),
        sa.Column("completion_window", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("output_expires_s", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("errors", sa.Text(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("output_file", sa.Text(), nullable=True),
        sa.Column("error_file", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        *(
            sa.Column(f"{name}_at_ms", sa.BigInteger(), nullable=True)
            for name in (
                "in_progress",
                "finalizing",
                "completed",
                "failed",
                "expired",
                "cancelling",
                "cancelled",
                "open",
                "forget",
            )
        ),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_batch")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_batch_owner", "batch", ["tenant", "person", "credential", "id"], unique=False)
    _create_partial_index("ix_batch_open", "batch", "open_at_ms")
    _create_partial_index("ix_batch_forget_at_ms", "batch", "forget_at_ms")
    op.create_table(
        "batch_line",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("custom_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "batch", "number", name=op.f("pk_batch_line")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_what_the_new_tables_are_like()


def _create_partial_index(name: str, table: str, column: str) -> None:
    where = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, table, [column], unique=False, sqlite_where=where, postgresql_where=where)


# As in the second migration, which says why.
_STATISTICS = {
    "file": ("file", "1000000 1000000 1"),
    "ix_file_owner": ("file", "1000000 1000000 20 20 1"),
    "ix_file_expires_at_ms": ("file", "100000 2"),
    "file_piece": ("file_piece", "1000000 1000000 10 1"),
    "batch": ("batch", "100000 100000 1"),
    "ix_batch_owner": ("batch", "100000 100000 10 10 1"),
    "ix_batch_open": ("batch", "10 1"),
    "ix_batch_forget_at_ms": ("batch", "10000 2"),
    "batch_line": ("batch_line", "1000000 1000000 1000 1"),
}


def _tell_sqlite_what_the_new_tables_are_like() -> None:
    statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    rows = [{"tbl": table, "idx": index, "stat": numbers} for index, (table, numbers) in _STATISTICS.items()]
    op.bulk_insert(statistics, rows)
