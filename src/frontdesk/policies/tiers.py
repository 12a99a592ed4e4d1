"""Which tier counts for a caller."""

from __future__ import annotations

from collections.abc import Mapping

from frontdesk.turn.turn import Caller


def tier_of(caller: Caller, tiers: Mapping[str, object], default_tier: str | None) -> str:
    """The tier that counts: a session whose tier is no longer configured has the default one.

    An empty text where there is none: it is no tier's name, so nothing is limited by it.
    """
    if caller.tier is not None and caller.tier in tiers:
        return caller.tier
    return default_tier or ""
