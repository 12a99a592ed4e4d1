"""Whether what a refresh told was ever used: a reply that nobody got can be given again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # Null in rows that are older: whether theirs was used is not known, so the one before it stays good until the next.
    op.add_column("session", sa.Column("used_at_ms", sa.BigInteger(), nullable=True))
