"""The gate: which caller a request's head stands for."""

from __future__ import annotations

from collections.abc import Awaitable

from frontdesk.accounts.service import Accounts
from frontdesk.http.requests import Head
from frontdesk.turn.turn import Caller


class Gate:
    """Tells who calls, for doors and for routes alike."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def known(self, head: Head) -> Caller | None:
        """The caller of credentials that were seen before and still hold."""
        return self._accounts.known(head.authorization)

    def identify(self, head: Head) -> Awaitable[Caller]:
        """The caller of any credentials. Raises Unauthenticated."""
        return self._accounts.identify(head.authorization)
