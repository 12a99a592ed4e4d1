"""Rows of accounts as tests need them: whole, but for what they are about."""

from __future__ import annotations

from typing import Any

from frontdesk.accounts.store import KeyRow, PersonRow, SessionRow


def a_key(key_id: str, **values: Any) -> KeyRow:
    """A key that holds."""
    usual: dict[str, Any] = {
        "tenant": "default",
        "id": key_id,
        "name": "web",
        "role": "server",
        "hint": "abcd",
        "scopes": None,
        "created_at_ms": 1_000,
        "expires_at_ms": None,
        "last_used_at_ms": None,
        "revoked_at_ms": None,
    }
    return KeyRow(**{**usual, **values})


def a_person(person_id: str, **values: Any) -> PersonRow:
    """Somebody of whom nothing is said."""
    usual: dict[str, Any] = {
        "tenant": "default",
        "id": person_id,
        "tier": None,
        "assigned_tier": None,
        "became": None,
        "created_at_ms": 1_000,
        "revoked_before_ms": None,
    }
    return PersonRow(**{**usual, **values})


def a_session(session_id: str, **values: Any) -> SessionRow:
    """A session of u1 from 1 s to 9 s after 1970, which has no refresh token."""
    usual: dict[str, Any] = {
        "tenant": "default",
        "id": session_id,
        "person": "u1",
        "tier": None,
        "groups": (),
        "features": None,
        "app": None,
        "is_anonymous": False,
        "lifetime_s": 8,
        "refresh_number": None,
        "refreshed_at_ms": None,
        "used_at_ms": None,
        "created_at_ms": 1_000,
        "expires_at_ms": 9_000,
        "not_after_ms": 90_000,
        "revoked_at_ms": None,
    }
    return SessionRow(**{**usual, **values})
