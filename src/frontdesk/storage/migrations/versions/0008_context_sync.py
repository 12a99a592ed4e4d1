"""What models are told, and what devices know: summaries, facts, changes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("turn", sa.Column("max_output_tokens", sa.BigInteger(), nullable=True))
    op.add_column("turn", sa.Column("context", sa.Text(), nullable=True))
    op.add_column("conversation", sa.Column("read_item", sa.Text(), nullable=True))
    op.add_column("conversation", sa.Column("read_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("conversation_item", sa.Column("pinned_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("conversation_item", sa.Column("tokens", sa.Integer(), nullable=True))
    op.add_column("conversation_item", sa.Column("tokens_by", sa.Text(), nullable=True))
    _create_partial_index(
        "ix_conversation_item_deleted",
        "conversation_item",
        ("tenant", "conversation", "branch", "position"),
        "content IS NULL",
    )
    _create_partial_index(
        "ix_conversation_item_pinned", "conversation_item", ("tenant", "conversation"), "pinned_at_ms IS NOT NULL"
    )
    _create_partial_index("ix_response_previous", "response", ("tenant", "previous"), "previous IS NOT NULL")
    _create_summary()
    _create_fact()
    _create_changes()
    _tell_what_is_there()
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_what_the_new_tables_are_like()


def _create_summary() -> None:
    op.create_table(
        "summary",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("anchor", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "conversation", "anchor", name=op.f("pk_summary")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_summary_owner", "summary", ["tenant", "person", "credential"], unique=False)


def _create_fact() -> None:
    op.create_table(
        "fact",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "person", "id", name=op.f("pk_fact")),
        sqlite_with_rowid=False,
    )


def _create_changes() -> None:
    op.create_table(
        "change",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "person", "conversation", "kind", "id", name=op.f("pk_change")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_change_seq", "change", ["tenant", "person", "seq"], unique=True)
    _create_partial_index("ix_change_deleted", "change", ("at_ms",), "is_deleted")
    op.create_table(
        "sync_head",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "person", name=op.f("pk_sync_head")),
        sqlite_with_rowid=False,
    )


def _create_partial_index(name: str, table: str, columns: Sequence[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, list(columns), unique=False, sqlite_where=where, postgresql_where=where)


# What people have by now, as if it had changed in the order in which it did; a conversation is behind its items.
_WHAT_IS_THERE = """
INSERT INTO change (tenant, person, conversation, kind, id, seq, is_deleted, state, at_ms)
SELECT tenant, person, conversation, kind, id,
       row_number() OVER (PARTITION BY tenant, person ORDER BY at_ms, conversation, place, number, id),
       false, NULL, at_ms
FROM (
    SELECT tenant, person, id AS conversation, 'conversation' AS kind, '' AS id, changed_at_ms AS at_ms,
           2 AS place, 0 AS number
    FROM conversation WHERE person <> ''
    UNION ALL
    SELECT c.tenant, c.person, c.id, 'item', i.id, i.created_at_ms, 1, i.position
    FROM conversation c JOIN conversation_item i ON i.tenant = c.tenant AND i.conversation = c.id
    WHERE c.person <> '' AND i.branch >= 0 AND i.content IS NOT NULL
    UNION ALL
    SELECT tenant, person, '', 'feedback', response, changed_at_ms, 3, 0
    FROM feedback WHERE person <> ''
) AS found
"""
_THEIR_HEADS = """
INSERT INTO sync_head (tenant, person, head, floor, epoch)
SELECT tenant, person, max(seq), 0, :epoch FROM change GROUP BY tenant, person
"""


def _tell_what_is_there() -> None:
    op.execute(sa.text(_WHAT_IS_THERE))
    op.execute(sa.text(_THEIR_HEADS).bindparams(epoch=secrets.token_hex(4)))


# As in the second migration, which says why.
_STATISTICS = {
    "summary": ("summary", "10000 10000 2 1"),
    "ix_summary_owner": ("summary", "10000 10000 20 20"),
    "fact": ("fact", "100000 100000 20 1"),
    "change": ("change", "1000000 1000000 1000 20 10 1"),
    "uq_change_seq": ("change", "1000000 1000000 1000 1"),
    "ix_change_deleted": ("change", "10000 2"),
    "sync_head": ("sync_head", "100000 100000 1"),
    "ix_conversation_item_deleted": ("conversation_item", "100000 100000 2 2 1"),
    "ix_conversation_item_pinned": ("conversation_item", "100000 100000 3"),
    "ix_response_previous": ("response", "1000000 1000000 1"),
}


def _tell_sqlite_what_the_new_tables_are_like() -> None:
    statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    rows = [{"tbl": table, "idx": index, "stat": numbers} for index, (table, numbers) in _STATISTICS.items()]
    op.bulk_insert(statistics, rows)
