"""The tables. Tenant leads every key; ids are text; times are milliseconds since 1970, UTC.

No text of prompts or answers is in any of them. `migrations` brings a database here; a test holds
the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _text_or_null(name: str) -> Column[str]:
    return Column(name, Text)


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _time_or_null(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _usage() -> list[Column[int]]:
    """Tokens; null is not known, which is not 0."""
    return [
        Column("input_tokens", BigInteger),
        Column("output_tokens", BigInteger),
        Column("cached_tokens", BigInteger),
        Column("cache_write_tokens", BigInteger),
        Column("reasoning_tokens", BigInteger),
    ]


# Settings that the program makes itself, such as the secret that signs session tokens.
setting = Table(
    "setting",
    metadata,
    _key("tenant"),
    _key("name"),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# End users. They come into being on first mention. `tier` is what an app's server said last,
# `assigned_tier` what an operator says over it. Credentials issued before `revoked_before_ms` do not
# count. `became` is the person that an anonymous one turned out to be. `changed_at_ms` moves with all
# of these, so that other processes find what changed.
person = Table(
    "person",
    metadata,
    _key("tenant"),
    _key("id"),
    _text_or_null("tier"),
    _text_or_null("assigned_tier"),
    _text_or_null("became"),
    _time("created_at_ms"),
    _time_or_null("changed_at_ms"),
    _time_or_null("revoked_before_ms"),
    sqlite_with_rowid=False,
)
Index(
    "ix_person_changed_at_ms",
    person.c.changed_at_ms,
    sqlite_where=person.c.changed_at_ms.is_not(None),
    postgresql_where=person.c.changed_at_ms.is_not(None),
)
# A sweep looks for the few that were upgraded lately, again and again.
Index(
    "ix_person_became",
    person.c.changed_at_ms,
    sqlite_where=person.c.became.is_not(None),
    postgresql_where=person.c.became.is_not(None),
)

# Secret keys: only their SHA-256 is kept, and their last four characters for people. `scopes` is a
# JSON list, null for all that the role may do.
app_key = Table(
    "app_key",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("name"),
    _text("role"),
    Column("hash", LargeBinary, nullable=False),
    _text("hint"),
    _text_or_null("scopes"),
    _time("created_at_ms"),
    _time_or_null("expires_at_ms"),
    _time_or_null("last_used_at_ms"),
    _time_or_null("revoked_at_ms"),
    # Alone: the tenant comes from the key, not the other way round.
    Index("uq_app_key_hash", "hash", unique=True),
    sqlite_with_rowid=False,
)

# `groups` and `features` are JSON lists; null features are all. `lifetime_s` is that of each of its
# tokens. `refresh_number` counts the refresh tokens that were used, null where it has none. It can
# last until `expires_at_ms`, which each refresh moves, and whatever is refreshed until `not_after_ms`.
session = Table(
    "session",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("person"),
    _text_or_null("tier"),
    _text_or_null("groups"),
    _text_or_null("features"),
    _text_or_null("app"),
    Column("is_anonymous", Boolean, nullable=False),
    Column("lifetime_s", Integer),
    Column("refresh_number", Integer),
    _time_or_null("refreshed_at_ms"),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    _time_or_null("not_after_ms"),
    _time_or_null("revoked_at_ms"),
    ForeignKeyConstraint(["tenant", "person"], ["person.tenant", "person.id"], ondelete="CASCADE"),
    Index("ix_session_person", "tenant", "person"),
    Index("ix_session_expires_at_ms", "tenant", "expires_at_ms"),
    sqlite_with_rowid=False,
)
# Of all tenants: a process recognises the sessions of each.
Index(
    "ix_session_revoked_at_ms",
    session.c.revoked_at_ms,
    sqlite_where=session.c.revoked_at_ms.is_not(None),
    postgresql_where=session.c.revoked_at_ms.is_not(None),
)

# Requests. `owner` is the process that carries it; status is running, completed, incomplete,
# failed, cancelled, refused or abandoned.
turn = Table(
    "turn",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("owner"),
    _text("door"),
    _text_or_null("person"),
    _text("caller"),
    _text_or_null("credential"),
    _text_or_null("feature"),
    _text_or_null("model"),
    Column("is_streaming", Boolean, nullable=False),
    _text("status"),
    _text_or_null("error_code"),
    Column("http_status", Integer),
    _time("started_at_ms"),
    _time_or_null("first_event_at_ms"),
    _time_or_null("finished_at_ms"),
    *_usage(),
    _text_or_null("usage_source"),
    Index("ix_turn_started_at_ms", "tenant", "started_at_ms"),
    Index("ix_turn_person", "tenant", "person", "started_at_ms"),
    sqlite_with_rowid=False,
)
Index(
    "ix_turn_running",
    turn.c.tenant,
    turn.c.owner,
    sqlite_where=turn.c.status == text("'running'"),
    postgresql_where=turn.c.status == text("'running'"),
)

# Calls of providers, numbered within their turn from 1.
attempt = Table(
    "attempt",
    metadata,
    _key("tenant"),
    _key("turn"),
    Column("number", Integer, primary_key=True),
    _text("provider"),
    _text("model"),
    _text("status"),
    _text_or_null("error_code"),
    Column("http_status", Integer),
    _time("started_at_ms"),
    _time_or_null("first_event_at_ms"),
    _time_or_null("finished_at_ms"),
    *_usage(),
    _text_or_null("usage_source"),
    _text_or_null("raw_usage"),
    Index("ix_attempt_started_at_ms", "tenant", "started_at_ms"),
    sqlite_with_rowid=False,
)

Index(
    "ix_attempt_running",
    attempt.c.tenant,
    attempt.c.turn,
    sqlite_where=attempt.c.status == text("'running'"),
    postgresql_where=attempt.c.status == text("'running'"),
)

# Serving processes: one whose heart has stopped no longer carries its turns.
process = Table(
    "process",
    metadata,
    _key("id"),
    _time("started_at_ms"),
    _time("heartbeat_at_ms"),
    sqlite_with_rowid=False,
)
