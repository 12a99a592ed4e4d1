"""The gate: which caller a request's head stands for.

Authorization          counts, and a cookie beside it does not
the session cookie     counts without it, where `auth.cookies` is on. A browser sends it by itself, so a
                       page of another site could ask in its person's name: what changes something needs
                       the session's CSRF token too, and an Origin, where one is sent, that may ask
an attestation         of the app, where it needs one: from persons only
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Protocol

from frontdesk.accounts import cookies
from frontdesk.accounts.attestations import Attestations
from frontdesk.accounts.service import missing_credential
from frontdesk.accounts.tokens import TOKEN_PREFIX
from frontdesk.core.errors import Forbidden, Unauthenticated
from frontdesk.http.requests import Head
from frontdesk.turn.turn import Caller

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 §9.2.1
_TOKEN_PREFIX = TOKEN_PREFIX.encode()
_DEFAULT_PORT = {True: b":443", False: b":80"}


class Credentials(Protocol):
    """Knows credentials: `Accounts`."""

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller of a credential that was seen before and still holds."""
        ...

    async def identify(self, authorization: bytes | None) -> Caller:
        """The caller of any credential. Raises Unauthenticated."""
        ...

    def csrf_token(self, session_id: str) -> str:
        """What a page must know to use this session's cookie."""
        ...


class Gate:
    """Tells who calls, for doors and for routes alike. `origins` are those of pages that may call from elsewhere."""

    def __init__(
        self, credentials: Credentials, attestations: Attestations, *, takes_cookies: bool, origins: Iterable[str]
    ) -> None:
        self._credentials = credentials
        self._attestations = attestations
        self._takes_cookies = takes_cookies
        self._origins = frozenset(origin.encode() for origin in origins)

    def known(self, head: Head) -> Caller | None:
        """The caller of credentials that were seen before and still hold, with all that they need."""
        if head.authorization is not None:
            caller = self._credentials.known(head.authorization)
        elif self._takes_cookies and head.cookie is not None:
            caller = self._known_by_cookie(head, head.cookie)
        else:
            return None
        if caller is None or caller.role != "user" or self._attestations.hold(caller.app, head.attestation):
            return caller
        return None

    async def identify(self, head: Head) -> Caller:
        """The caller of any credentials. Raises Unauthenticated, Forbidden."""
        if head.authorization is not None:
            caller = await self._credentials.identify(head.authorization)
        else:
            caller = await self._credentials.identify(self._authorization_of_cookie(head))
            self.check_csrf(head, caller.credential_id)
        if caller.role == "user":
            await self._attestations.check(caller.app, head.attestation)
        return caller

    async def check_attestation(self, head: Head, app: str | None) -> str | None:
        """The app that is attested, None where none need be. Raises Unauthenticated.

        `app` is what the request is bound to, None where it is bound to none yet.
        """
        return await self._attestations.check(app, head.attestation)

    def check_csrf(self, head: Head, session_id: str) -> None:
        """Raise Forbidden unless a page that this session trusts asks, where its cookie is the credential."""
        if head.method in _SAFE:
            return
        self.check_origin(head)
        if not self._has_csrf_token(head, session_id):
            raise Forbidden(
                "This session comes from a cookie, so the request needs the header Frontdesk-CSRF with the csrf_token "
                "that began with the session. GET /api/sessions/current tells it again.",
                code="csrf_failed",
            )

    def check_origin(self, head: Head) -> None:
        """Raise Forbidden for a page of an origin that may use no cookies here."""
        if head.origin is not None and not self._may_ask(head.origin, head):
            raise Forbidden(
                f"A page of {head.origin.decode('latin-1')!r} may use no session cookie of "
                f"{_own_origin(head).decode('latin-1')!r}. Add it to cors.origins. Where a proxy in front of "
                "this server speaks https, list it in trusted_proxies.",
                code="csrf_failed",
            )

    def _known_by_cookie(self, head: Head, cookie: bytes) -> Caller | None:
        token = cookies.session_token(cookie, is_secure=head.is_secure)
        if token is None or not token.startswith(_TOKEN_PREFIX):
            return None
        caller = self._credentials.known(b"Bearer " + token)
        if caller is None or head.method in _SAFE:
            return caller
        if head.origin is not None and not self._may_ask(head.origin, head):
            return None
        return caller if self._has_csrf_token(head, caller.credential_id) else None

    def _authorization_of_cookie(self, head: Head) -> bytes:
        token = None
        if self._takes_cookies and head.cookie is not None:
            token = cookies.session_token(head.cookie, is_secure=head.is_secure)
        if token is None:
            raise missing_credential()
        if not token.startswith(_TOKEN_PREFIX):  # a secret key has no business in a browser
            raise Unauthenticated(
                "The session cookie holds no session token. Begin a new session.", code="invalid_token"
            )
        return b"Bearer " + token

    def _has_csrf_token(self, head: Head, session_id: str) -> bool:
        return head.csrf is not None and hmac.compare_digest(
            self._credentials.csrf_token(session_id).encode(), head.csrf
        )

    def _may_ask(self, origin: bytes, head: Head) -> bool:
        return origin in self._origins or origin == _own_origin(head)


def _own_origin(head: Head) -> bytes:
    """The origin of this server as a browser writes it (RFC 6454 §6.2), by the name that it was asked for."""
    host = (head.host or b"").lower().removesuffix(_DEFAULT_PORT[head.is_secure])
    return (b"https://" if head.is_secure else b"http://") + host
