"""What rows of accounts look like, and how they are read. Times are milliseconds since 1970."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Column, Table

from frontdesk.storage.query import Row
from frontdesk.storage.tables import app_key, person, session


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A secret key, without its hash. `scopes` is None for all that the role may do."""

    tenant: str
    id: str
    name: str
    role: str
    hint: str
    scopes: frozenset[str] | None
    created_at_ms: int
    expires_at_ms: int | None
    last_used_at_ms: int | None
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class PersonRow:
    """An end user. `tier` is what an app's server said, `assigned_tier` what an operator says over it.

    `became` is the person that an anonymous one turned out to be. Tokens of identity providers from
    before `revoked_before_ms` do not count.
    """

    tenant: str
    id: str
    tier: str | None
    assigned_tier: str | None
    became: str | None
    created_at_ms: int
    revoked_before_ms: int | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session of a person. None features are all.

    `lifetime_s` is that of each of its tokens; sessions of earlier versions do not tell. `refresh_number`
    counts the refresh tokens that were used, and is None where it has none. `expires_at_ms` is when its
    last token ends, as far as it was refreshed; `not_after_ms` when it ends, whatever is refreshed.
    `used_at_ms` is when the token that the last refresh told was seen first, None where it was not yet.
    """

    tenant: str
    id: str
    person: str
    tier: str | None
    groups: tuple[str, ...]
    features: frozenset[str] | None
    app: str | None
    is_anonymous: bool
    lifetime_s: int | None
    refresh_number: int | None
    refreshed_at_ms: int | None
    used_at_ms: int | None
    created_at_ms: int
    expires_at_ms: int
    not_after_ms: int | None
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that was ended, and until when one of its tokens could be shown that does not say so."""

    tenant: str
    id: str
    person: str
    until_ms: int


def _columns_of(table: Table, shape: type[KeyRow | PersonRow | SessionRow]) -> list[Column[Any]]:
    """The columns that a row of this shape is read from, in its order."""
    return [table.c[field.name] for field in dataclasses.fields(shape)]


KEY_COLUMNS = _columns_of(app_key, KeyRow)
PERSON_COLUMNS = _columns_of(person, PersonRow)
SESSION_COLUMNS = _columns_of(session, SessionRow)
ENDED_COLUMNS = [session.c[name] for name in ("tenant", "id", "person", "lifetime_s", "expires_at_ms", "revoked_at_ms")]
# A token may be made on another machine, whose clock is ahead, while its session is being ended.
LATE_MS = 60_000


def read_key(row: Row) -> KeyRow:
    """A row of KEY_COLUMNS."""
    values = dict(zip(KeyRow.__slots__, row, strict=True))
    values["scopes"] = _read_set(values["scopes"])
    return KeyRow(**values)


def read_session(row: Row) -> SessionRow:
    """A row of SESSION_COLUMNS."""
    values = dict(zip(SessionRow.__slots__, row, strict=True))
    values["groups"] = _read_names(values["groups"])
    values["features"] = _read_set(values["features"])
    values["is_anonymous"] = bool(values["is_anonymous"])  # SQLite has no booleans of its own
    return SessionRow(**values)


def read_ended(row: Row) -> EndedSession:
    """A row of ENDED_COLUMNS."""
    tenant, session_id, person_id, lifetime_s, expires_at_ms, revoked_at_ms = row
    if lifetime_s is None:
        return EndedSession(tenant, session_id, person_id, expires_at_ms)
    until_ms = min(expires_at_ms, revoked_at_ms + lifetime_s * 1000 + LATE_MS)
    return EndedSession(tenant, session_id, person_id, until_ms)


def write_names(names: Iterable[str] | None) -> str | None:
    """Names as a column keeps them: a JSON list; of a set in order."""
    if names is None:
        return None
    return msgspec.json.encode(names, order="deterministic").decode()


def _read_set(text: str | None) -> frozenset[str] | None:
    """The names of a column that may be null, which is not the same as none."""
    return None if text is None else frozenset(_read_names(text))


def _read_names(text: str | None) -> tuple[str, ...]:
    return () if text is None else msgspec.json.decode(text, type=tuple[str, ...])
