"""What is spent: windows of budgets, holds, alerts, prices, and what each attempt costs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("turn", sa.Column("tier", sa.Text(), nullable=True))
    op.add_column("turn", sa.Column("cost_micros", sa.BigInteger(), nullable=True))
    for name in (
        "cost_micros",
        "audio_input_tokens",
        "image_input_tokens",
        "tool_tokens",
        "audio_output_tokens",
        "image_output_tokens",
    ):
        op.add_column("attempt", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("attempt", sa.Column("cost_source", sa.Text(), nullable=True))
    op.add_column("attempt", sa.Column("price", sa.Text(), nullable=True))
    op.create_table(
        "budget_window",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("spent_micros", sa.BigInteger(), nullable=False),
        sa.Column("held_micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "scope", "period", "starts_at_ms", name=op.f("pk_budget_window")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hold",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("turn", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("windows", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("swept_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "turn", name=op.f("pk_hold")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("raised_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "scope", "period", "starts_at_ms", "kind", name=op.f("pk_alert")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_alert_undelivered",
        "alert",
        ["next_try_at_ms"],
        unique=False,
        sqlite_where=sa.text("delivered_at_ms IS NULL"),
        postgresql_where=sa.text("delivered_at_ms IS NULL"),
    )
    op.create_table(
        "price",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("rates", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "route", "since_ms", name=op.f("pk_price")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivery",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_delivery")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_what_the_new_tables_are_like()


# As in the migration before, which says why.
_STATISTICS = {
    "alert": ("alert", "1000 1000 20 10 2 1"),
    "ix_alert_undelivered": ("alert", "10 1"),
    "budget_window": ("budget_window", "1000000 1000000 30 30 1"),
    "delivery": ("delivery", "10 1"),
    "hold": ("hold", "100 100 1"),
    "price": ("price", "100 100 3 1"),
}


def _tell_sqlite_what_the_new_tables_are_like() -> None:
    statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    rows = [{"tbl": table, "idx": index, "stat": numbers} for index, (table, numbers) in _STATISTICS.items()]
    op.bulk_insert(statistics, rows)
