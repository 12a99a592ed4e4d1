"""Why each provider was called: to answer, again, instead of another, beside one that is slow, or to compare."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # None in rows that are older: what they were for is not known.
    op.add_column("attempt", sa.Column("purpose", sa.Text(), nullable=True))
