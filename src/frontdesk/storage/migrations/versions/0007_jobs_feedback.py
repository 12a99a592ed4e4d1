"""Work that goes on by itself, and what people say of answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("turn", sa.Column("prompt", sa.Text(), nullable=True))
    op.add_column("conversation", sa.Column("follow_ups", sa.Text(), nullable=True))
    _create_job()
    _create_feedback()
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_what_the_new_tables_are_like()


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("dedupe", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("run_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("wants_cancel", sa.Boolean(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("finished_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_job")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_person", "job", ["tenant", "person"], unique=False)
    _create_partial_index("ix_job_waiting", ["kind", sa.text("priority DESC"), "run_at_ms"], "status = 'waiting'")
    _create_partial_index("ix_job_running", ["owner"], "status = 'running'")
    _create_partial_index("ix_job_finished_at_ms", ["finished_at_ms"], "finished_at_ms IS NOT NULL")
    _create_partial_index("uq_job_dedupe", ["tenant", "kind", "dedupe"], "finished_at_ms IS NULL", unique=True)


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rating", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("feature", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "person", "credential", "response", name=op.f("pk_feedback")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_feedback_id", "feedback", ["tenant", "id"], unique=True)
    op.create_index("ix_feedback_owner", "feedback", ["tenant", "person", "credential", "id"], unique=False)
    op.create_index("ix_feedback_created_at_ms", "feedback", ["tenant", "created_at_ms"], unique=False)
    expires = sa.text("expires_at_ms IS NOT NULL")
    op.create_index(
        "ix_feedback_expires_at_ms",
        "feedback",
        ["expires_at_ms"],
        unique=False,
        sqlite_where=expires,
        postgresql_where=expires,
    )


def _create_partial_index(
    name: str, columns: list[str | sa.TextClause], condition: str, *, unique: bool = False
) -> None:
    where = sa.text(condition)
    op.create_index(name, "job", columns, unique=unique, sqlite_where=where, postgresql_where=where)


# As in the second migration, which says why.
_STATISTICS = {
    "job": ("job", "100000 100000 1"),
    "ix_job_person": ("job", "100000 100000 10"),
    "ix_job_waiting": ("job", "1000 250 100 1"),
    "ix_job_running": ("job", "100 20"),
    "ix_job_finished_at_ms": ("job", "100000 2"),
    "uq_job_dedupe": ("job", "1000 1000 100 1"),
    "feedback": ("feedback", "100000 100000 20 20 1"),
    "uq_feedback_id": ("feedback", "100000 100000 1"),
    "ix_feedback_owner": ("feedback", "100000 100000 20 20 1"),
    "ix_feedback_created_at_ms": ("feedback", "100000 100000 2"),
    "ix_feedback_expires_at_ms": ("feedback", "100000 2"),
}


def _tell_sqlite_what_the_new_tables_are_like() -> None:
    statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    rows = [{"tbl": table, "idx": index, "stat": numbers} for index, (table, numbers) in _STATISTICS.items()]
    op.bulk_insert(statistics, rows)
