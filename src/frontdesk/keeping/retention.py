"""How long what is kept of a request is kept: the least that the server, its tier and its feature say.

Nothing is stored here. When things go is written into their rows as they are made (`sweeping` removes them).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from frontdesk.core.config import Config

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


class Kept(NamedTuple):
    """For how many days the texts of a request are kept. None is for ever, 0 not at all."""

    response_days: float | None
    conversation_days: float | None

    @property
    def stores(self) -> bool:
        """Whether responses are stored; else all are as if they said `store: false`."""
        return self.response_days != 0

    @property
    def has_conversations(self) -> bool:
        """Whether conversations can be kept."""
        return self.conversation_days != 0

    def response_until_ms(self, finished_at_ms: int) -> int | None:
        """When a stored response goes that ended at this time; None for never."""
        return _after(finished_at_ms, self.response_days)

    def conversation_until_ms(self, changed_at_ms: int) -> int | None:
        """When a conversation goes that was changed at this time, unless it is changed again; None for never."""
        return _after(changed_at_ms, self.conversation_days)


class Retention:
    """What a configuration says of how long things are kept."""

    def __init__(self, config: Config) -> None:
        self._retention = config.retention
        self._of_tiers = {name: tier.keep_days for name, tier in config.tiers.items()}
        self._of_features = {name: feature.keep_days for name, feature in config.features.items()}
        self._known: dict[tuple[str | None, str | None], Kept] = {}  # as many as there are tiers and features
        self._events_ms = round(config.retention.events_hours * _HOUR_MS)
        self._keys_ms = round(config.retention.keys_hours * _HOUR_MS)

    def of(self, tier: str | None, feature: str | None) -> Kept:
        """How long the texts of a request are kept that is of this tier and this feature, if of any.

        Of a secret key, which is in no tier, the feature alone may say less.
        """
        tier, feature = tier if tier in self._of_tiers else None, feature if feature in self._of_features else None
        kept = self._known.get((tier, feature))
        if kept is None:
            said = (self._of_tiers.get(tier or ""), self._of_features.get(feature or ""))
            kept = self._known[tier, feature] = Kept(
                _least((self._retention.responses_days, *said)), _least((self._retention.conversations_days, *said))
            )
        return kept

    def events_until_ms(self, finished_at_ms: int, expires_at_ms: int | None) -> int:
        """When the events of a response go that ended at this time: no later than itself."""
        until_ms = finished_at_ms + self._events_ms
        return until_ms if expires_at_ms is None else min(until_ms, expires_at_ms)

    def key_until_ms(self, now_ms: int) -> int:
        """Until when a request is done once that comes now with a key."""
        return now_ms + self._keys_ms


def _least(days: Iterable[float | None]) -> float | None:
    return min((each for each in days if each is not None), default=None)


def _after(time_ms: int, days: float | None) -> int | None:
    return None if days is None else time_ms + round(days * _DAY_MS)
