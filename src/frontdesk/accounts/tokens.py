"""Secret keys, session tokens and refresh tokens: how they look, how they are made, how they are checked.

A secret key is 32 random bytes; only its SHA-256 is kept, which is enough for what nobody can
guess. Tokens carry their own claims, signed with HMAC-SHA256, so nothing of them is stored:

    fd_sk_<random>
    fd_st_<base64url(msgpack claims)>.<base64url(mac)>      who a session's person is
    fd_rt_<base64url(msgpack claims)>.<base64url(mac)>      which session, and its how many-th refresh token

Equal claims make equal tokens, in every process: an answer that was lost can be given again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec

KEY_PREFIX = "fd_sk_"
TOKEN_PREFIX = "fd_st_"  # noqa: S105 - a prefix, no secret
REFRESH_PREFIX = "fd_rt_"


def new_secret_key() -> str:
    """Make a secret key. It is shown once."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> bytes:
    """Return what is stored of a secret key."""
    return hashlib.sha256(key.encode()).digest()


class Claims(msgspec.Struct, frozen=True, array_like=True):
    """What a session token says. `expires_at` is in seconds since 1970; None features are all.

    `issued_at_ms` is when the session was: refreshing makes it no younger. Tokens of earlier versions end
    after `tenant`, and their tier is not believed any more. `number` counts the tokens of a session, from 0:
    it is that of the refresh token that was told with it.
    """

    session: str
    person: str
    tier: str | None
    expires_at: int
    tenant: str = "default"
    issued_at_ms: int = 0
    groups: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    app: str | None = None
    is_anonymous: bool = False
    claimed_tier: str | None = None
    number: int = 0


class RefreshClaims(msgspec.Struct, frozen=True, array_like=True):
    """What a refresh token says. `number` counts from 0 within its session."""

    session: str
    number: int
    tenant: str


_encode = msgspec.msgpack.Encoder().encode
_decode_claims = msgspec.msgpack.Decoder(Claims).decode
_decode_refresh_claims = msgspec.msgpack.Decoder(RefreshClaims).decode


class TokenSigner:
    """Signs and checks tokens with one secret, a key of its own for each of their kinds."""

    def __init__(self, secret: bytes) -> None:
        self.use(secret)

    def use(self, secret: bytes) -> None:
        """Sign with this secret from now on; what another one signed is not believed."""
        self._session_key = secret
        self._refresh_key = _derived(secret, b"refresh")
        self._csrf_key = _derived(secret, b"csrf")

    def sign(self, claims: Claims) -> str:
        """Return the token of these claims."""
        return _signed(TOKEN_PREFIX, claims, self._session_key)

    def check(self, token: str) -> Claims | None:
        """Return a token's claims; None where it is not ours. Expiry is the caller's to look at."""
        payload = _payload(TOKEN_PREFIX, token, self._session_key)
        try:
            return None if payload is None else _decode_claims(payload)
        except msgspec.MsgspecError:
            return None

    def sign_refresh(self, claims: RefreshClaims) -> str:
        """Return the refresh token of these claims."""
        return _signed(REFRESH_PREFIX, claims, self._refresh_key)

    def check_refresh(self, token: str) -> RefreshClaims | None:
        """Return a refresh token's claims; None where it is not ours. Its use is the caller's to look at."""
        payload = _payload(REFRESH_PREFIX, token, self._refresh_key)
        try:
            return None if payload is None else _decode_refresh_claims(payload)
        except msgspec.MsgspecError:
            return None

    def csrf_token(self, session_id: str) -> str:
        """Return what a page must send beside the cookie of this session."""
        return _mac(self._csrf_key, session_id)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    # The dot: no payload has one, so no token's signature can be a key.
    return hmac.digest(secret, b"frontdesk." + purpose, "sha256")


def _signed(prefix: str, claims: msgspec.Struct, key: bytes) -> str:
    payload = _base64(_encode(claims))
    return f"{prefix}{payload}.{_mac(key, payload)}"


def _payload(prefix: str, token: str, key: bytes) -> bytes | None:
    payload, dot, mac = token.removeprefix(prefix).partition(".")
    try:
        if not dot or not hmac.compare_digest(_mac(key, payload).encode(), mac.encode()):
            return None
        return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    except ValueError:  # what UTF-8 cannot write, or base64 cannot read
        return None


def _mac(key: bytes, text: str) -> str:
    return _base64(hmac.digest(key, text.encode(), "sha256"))


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
