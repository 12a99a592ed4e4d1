"""Whose a thing is: a person's, whatever they call with, or that of the secret key that made it."""

from __future__ import annotations

from typing import NamedTuple

from frontdesk.turn.turn import Caller


class Owner(NamedTuple):
    """An owner as columns tell it: one of `person` and `credential` is empty."""

    tenant: str
    person: str
    credential: str


def owner_of(caller: Caller) -> Owner:
    """Whose the things are that a caller makes."""
    if caller.person is not None:
        return Owner(caller.tenant, caller.person, "")
    return Owner(caller.tenant, "", caller.credential_id)
