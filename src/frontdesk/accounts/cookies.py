"""Sessions in cookies (RFC 6265): their names, how they are read, set and cleared.

A browser sends `__Host-` cookies only to the host that set them, by https; a page of a neighbouring
host cannot plant one. Plain http has names of its own, so that what was set without that protection
is never read where it is expected. The refresh token is a `__Host-` cookie too, though one path alone takes
it: with a path of its own it could not be, and a neighbouring host could plant its own session's.
"""

from __future__ import annotations

import re

from frontdesk.accounts.service import Session
from frontdesk.core.errors import BadRequest

_SESSION = "frontdesk_session"
_REFRESH = "frontdesk_refresh"
_MOST_BYTES = 4096  # of name and value, which browsers keep
# RFC 6265 §5.4 is how browsers write them. A quote is a character as any other: it hides no semicolon. A
# search takes 0.8 ms at most, for 60 kB of semicolons; `str.split` took 6.
_PAIR = {
    name: re.compile(rb"(?:^|;)[ \t]*" + name.encode() + rb"=([^;]*)")
    for name in (_SESSION, f"__Host-{_SESSION}", _REFRESH, f"__Host-{_REFRESH}")
}


def session_token(cookie: bytes, *, is_secure: bool) -> bytes | None:
    """The session token of a Cookie header. Raises BadRequest where there are several."""
    return _value(cookie, _name(_SESSION, is_secure=is_secure))


def refresh_token(cookie: bytes, *, is_secure: bool) -> bytes | None:
    """The refresh token of a Cookie header. Raises BadRequest where there are several."""
    return _value(cookie, _name(_REFRESH, is_secure=is_secure))


def fit(session: Session) -> bool:
    """Whether browsers keep a session of this size."""
    longest = max(len(session.token), len(session.refresh_token or ""))
    return longest + len(_name(_REFRESH, is_secure=True)) <= _MOST_BYTES


def keeping(session: Session, now: float, *, is_secure: bool) -> list[str]:
    """The Set-Cookie headers that keep a session, and end what another left."""
    refresh_s = (session.refresh_expires_at or 0) - now
    return [
        _set(_SESSION, session.token, session.expires_at - now, is_secure=is_secure),
        _set(_REFRESH, session.refresh_token or "", refresh_s, is_secure=is_secure),
    ]


def clearing(*, is_secure: bool) -> list[str]:
    """The Set-Cookie headers that end them."""
    return [_set(name, "", 0, is_secure=is_secure) for name in (_SESSION, _REFRESH)]


def _name(name: str, *, is_secure: bool) -> str:
    return f"__Host-{name}" if is_secure else name


def _value(cookie: bytes, name: str) -> bytes | None:
    found: list[bytes] = _PAIR[name].findall(cookie)
    if len(found) > 1:
        raise BadRequest(
            f"The cookie {name} came {len(found)} times. Another page of this site set one of them; "
            "clear the site's cookies.",
            code="duplicate_cookie",
        )
    return found[0].rstrip() if found else None


def _set(name: str, value: str, max_age_s: float, *, is_secure: bool) -> str:
    secure = "; Secure" if is_secure else ""
    pair = f"{_name(name, is_secure=is_secure)}={value}"
    return f"{pair}; Max-Age={max(0, int(max_age_s))}; Path=/; HttpOnly; SameSite=Lax{secure}"
