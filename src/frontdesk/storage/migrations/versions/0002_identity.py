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
    op.add_column("session", sa.Column("groups", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("features", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("app", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("lifetime_s", sa.Integer(), nullable=True))
    op.add_column("session", sa.Column("refresh_number", sa.Integer(), nullable=True))
    op.add_column("session", sa.Column("refreshed_at_ms", sa.BigInteger(), nullable=True))
    op.create_index("ix_turn_person", "turn", ["tenant", "person", "started_at_ms"], unique=False)
