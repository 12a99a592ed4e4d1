"""Secret keys and session tokens: how they look, how they are made, how they are checked.

A secret key is 32 random bytes; only its SHA-256 is kept, which is enough for what nobody can
guess. A session token carries its own claims, signed with HMAC-SHA256 (3 µs to check):

    fd_st_<base64url(msgpack claims)>.<base64url(mac)>
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec

KEY_PREFIX = "fd_sk_"
TOKEN_PREFIX = "fd_st_"  # noqa: S105 - a prefix, no secret


def new_secret_key() -> str:
    """Make a secret key. It is shown once."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> bytes:
    """Return what is stored of a secret key."""
    return hashlib.sha256(key.encode()).digest()


class Claims(msgspec.Struct, frozen=True, array_like=True):
    """What a session token says. `expires_at` is in seconds since 1970."""

    session: str
    person: str
    tier: str | None
    expires_at: int
    tenant: str = "default"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Claims).decode


class TokenSigner:
    """Signs and checks session tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, claims: Claims) -> str:
        """Return the token of these claims."""
        payload = _base64(_encode(claims))
        return f"{TOKEN_PREFIX}{payload}.{self._mac(payload)}"

    def check(self, token: str) -> Claims | None:
        """Return a token's claims; None where it is not ours. Expiry is the caller's to look at."""
        payload, dot, mac = token.removeprefix(TOKEN_PREFIX).partition(".")
        if not dot or not hmac.compare_digest(self._mac(payload).encode(), mac.encode()):
            return None
        try:
            return _decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (ValueError, msgspec.MsgspecError):
            return None

    def _mac(self, payload: str) -> str:
        return _base64(hmac.digest(self._secret, payload.encode(), "sha256"))


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
