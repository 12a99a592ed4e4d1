"""Rows of accounts: keys, persons, sessions, and the settings that the program makes itself.

`AccountStore` is one tenant's and touches no row of another; `AllTenants` looks across them, for the
few questions that no tenant could ask.
"""

from __future__ import annotations

from frontdesk.accounts.store.across import AllTenants
from frontdesk.accounts.store.rows import EndedSession, KeyRow, PersonRow, SessionRow
from frontdesk.accounts.store.tenant import AccountStore

__all__ = ["AccountStore", "AllTenants", "EndedSession", "KeyRow", "PersonRow", "SessionRow"]
