"""Who a token of an identity provider says that its bearer is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What was learned from a token that holds. Times are seconds since 1970.

    `person` has the issuer's prefix. `tier` is None where the token says none, `features` where it need
    not say any: then all are meant. `issued_at` is None where the token does not tell.
    """

    person: str
    tier: str | None
    groups: tuple[str, ...]
    features: frozenset[str] | None
    app: str | None
    issued_at: float | None
    expires_at: float
