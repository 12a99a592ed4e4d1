"""Who sums up and takes down: the model that is configured, or else the cheapest that may."""

from __future__ import annotations

import math

from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.core.config.asides import SUMMARIES
from frontdesk.memory.summarising import Chosen
from frontdesk.policies.access import Access
from frontdesk.prices.book import PriceBook
from frontdesk.turn.turn import Caller

_READ_FOR_A_WORD = 4  # tokens that are read for each that is written


class CheapestWriters:
    """Chooses them. They are asked as the feature `summaries`, or where there is none, as what the turns were for."""

    def __init__(self, config: Config, access: Access, book: PriceBook, clock: Clock) -> None:
        self._models = config.models
        self._has_own_feature = SUMMARIES in config.features
        self._access = access
        self._book = book
        self._clock = clock

    def writer_for(self, caller: Caller, feature: str, named: str | None) -> Chosen | None:
        """See `summarising.Writers`. A model without a price is asked only where none has one."""
        asked = SUMMARIES if self._has_own_feature else feature
        if asked not in self._access.features_of(caller):
            return None
        chats = [name for name in self._access.models_of(caller, asked) if self._models[name].kind == "chat"]
        if not chats:
            return None
        return Chosen(named if named in chats else min(chats, key=self._cost), asked)

    def _cost(self, model: str) -> float:
        price = self._book.price_of(self._models[model].routes[0], self._clock.now())
        if price is None:
            return math.inf
        return _READ_FOR_A_WORD * price.rates.input + price.rates.output
