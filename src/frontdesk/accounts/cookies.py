"""Sessions in cookies (RFC 6265): their names, how they are read, set and cleared.

A browser sends `__Host-` cookies only to the host that set them, by https; a page of a neighbouring
host cannot plant one. Plain http has names of its own, so that what was set without that protection
is never read where it is expected. The refresh token goes to the one path that takes it.
"""

from __future__ import annotations

from frontdesk.accounts.service import Session
from frontdesk.core.errors import BadRequest

REFRESH_PATH = "/api/sessions/refresh"
_SESSION = "frontdesk_session"
_REFRESH = "frontdesk_refresh"
_MOST_BYTES = 4096  # of name and value, which browsers keep


def session_token(cookie: bytes, *, is_secure: bool) -> bytes | None:
    """The session token of a Cookie header. Raises BadRequest where there are several."""
    return _value(cookie, _session_name(is_secure=is_secure).encode())


def refresh_token(cookie: bytes, *, is_secure: bool) -> bytes | None:
    """The refresh token of a Cookie header. Raises BadRequest where there are several."""
    return _value(cookie, _refresh_name(is_secure=is_secure).encode())


def fit(session: Session) -> bool:
    """Whether browsers keep a session of this size."""
    longest = max(len(session.token), len(session.refresh_token or ""))
    return longest + len(_refresh_name(is_secure=True)) <= _MOST_BYTES


def keeping(session: Session, now: float, *, is_secure: bool) -> list[str]:
    """The Set-Cookie headers that keep a session, and end what another left."""
    refresh = _refresh_name(is_secure=is_secure)
    return [
        _set(_session_name(is_secure=is_secure), session.token, session.expires_at - now, "/", is_secure=is_secure),
        _set(
            refresh,
            session.refresh_token or "",
            (session.refresh_expires_at or 0) - now,
            REFRESH_PATH,
            is_secure=is_secure,
        ),
    ]


def clearing(*, is_secure: bool) -> list[str]:
    """The Set-Cookie headers that end them."""
    return [
        _set(_session_name(is_secure=is_secure), "", 0, "/", is_secure=is_secure),
        _set(_refresh_name(is_secure=is_secure), "", 0, REFRESH_PATH, is_secure=is_secure),
    ]


def _session_name(*, is_secure: bool) -> str:
    return f"__Host-{_SESSION}" if is_secure else _SESSION


def _refresh_name(*, is_secure: bool) -> str:
    return f"__Secure-{_REFRESH}" if is_secure else _REFRESH  # with a path of its own it cannot be __Host-


def _value(cookie: bytes, name: bytes) -> bytes | None:
    """RFC 6265 §5.4 is how browsers write it. A quote is a character as any other: it hides no semicolon."""
    if name not in cookie:
        return None
    prefix = name + b"="
    found = [pair for pair in map(bytes.strip, cookie.split(b";")) if pair.startswith(prefix)]
    if len(found) > 1:
        raise BadRequest(
            f"The cookie {name.decode()} came {len(found)} times. Another page of this site set one of them; "
            "clear the site's cookies.",
            code="duplicate_cookie",
        )
    return found[0][len(prefix) :] if found else None


def _set(name: str, value: str, max_age_s: float, path: str, *, is_secure: bool) -> str:
    secure = "; Secure" if is_secure else ""
    return f"{name}={value}; Max-Age={max(0, int(max_age_s))}; Path={path}; HttpOnly; SameSite=Lax{secure}"
