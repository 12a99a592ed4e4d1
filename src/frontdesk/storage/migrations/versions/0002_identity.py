"""Who people are: assigned tiers, refreshed sessions, keys with scopes and expiry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("app_key", sa.Column("scopes", sa.Text(), nullable=True))
    op.add_column("app_key", sa.Column("expires_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("app_key", sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("person", sa.Column("assigned_tier", sa.Text(), nullable=True))
    op.add_column("person", sa.Column("became", sa.Text(), nullable=True))
    op.add_column("person", sa.Column("changed_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("person", sa.Column("revoked_before_ms", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_person_changed_at_ms",
        "person",
        ["changed_at_ms"],
        unique=False,
        sqlite_where=sa.text("changed_at_ms IS NOT NULL"),
        postgresql_where=sa.text("changed_at_ms IS NOT NULL"),
    )
    op.create_index(
        "ix_person_became",
        "person",
        ["changed_at_ms"],
        unique=False,
        sqlite_where=sa.text("became IS NOT NULL"),
        postgresql_where=sa.text("became IS NOT NULL"),
    )
    op.add_column("session", sa.Column("groups", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("features", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("app", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("lifetime_s", sa.Integer(), nullable=True))
    op.add_column("session", sa.Column("refresh_number", sa.Integer(), nullable=True))
    op.add_column("session", sa.Column("refreshed_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("session", sa.Column("not_after_ms", sa.BigInteger(), nullable=True))
    op.drop_index("ix_session_revoked_at_ms", "session")
    op.create_index(
        "ix_session_revoked_at_ms",
        "session",
        ["revoked_at_ms"],
        unique=False,
        sqlite_where=sa.text("revoked_at_ms IS NOT NULL"),
        postgresql_where=sa.text("revoked_at_ms IS NOT NULL"),
    )
    op.create_index("ix_turn_person", "turn", ["tenant", "person", "started_at_ms"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_what_tables_are_like()


# Index (a table's name is its primary key): its rows, and how many of them share the first column, the
# first two, and so on. Only the proportions matter.
_STATISTICS = {
    "app_key": ("app_key", "100 100 1"),
    "uq_app_key_hash": ("app_key", "100 1"),
    "attempt": ("attempt", "1000000 1000000 2 1"),
    "ix_attempt_running": ("attempt", "100 100 1"),
    "ix_attempt_started_at_ms": ("attempt", "1000000 1000000 2"),
    "person": ("person", "1000000 1000000 1"),
    "ix_person_became": ("person", "10000 2"),
    "ix_person_changed_at_ms": ("person", "100000 2"),
    "process": ("process", "10 1"),
    "session": ("session", "1000000 1000000 1"),
    "ix_session_expires_at_ms": ("session", "1000000 1000000 10"),
    "ix_session_person": ("session", "1000000 1000000 10"),
    "ix_session_revoked_at_ms": ("session", "100000 10"),
    "setting": ("setting", "10 10 1"),
    "turn": ("turn", "1000000 1000000 1"),
    "ix_turn_person": ("turn", "1000000 1000000 100 1"),
    "ix_turn_running": ("turn", "100 100 100"),
    "ix_turn_started_at_ms": ("turn", "1000000 1000000 2"),
}


def _tell_sqlite_what_tables_are_like() -> None:
    """Fill in the statistics that ANALYZE would gather, so that plans are the same in every database.

    Without them SQLite takes the first column of an index for one that tells rows apart. Here it is the tenant,
    which most rows share: all sessions of a tenant were read to find those of one person. A new index needs a
    line of its own. https://www.sqlite.org/lang_analyze.html allows it.
    """
    op.execute("ANALYZE process")  # makes the table
    op.execute("DELETE FROM sqlite_stat1")
    statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    rows = [{"tbl": table, "idx": index, "stat": numbers} for index, (table, numbers) in _STATISTICS.items()]
    op.bulk_insert(statistics, rows)
