"""Access: which models a caller may use."""

from __future__ import annotations

from collections.abc import Mapping, Set

from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.policies.tiers import tier_of
from frontdesk.turn.turn import Caller, Turn


class Access:
    """Lets a turn pass whose model exists, fits its door and is allowed to the caller's tier.

    `models` tells what each name is for, `tiers` the names that a tier may use (None: all). A model
    that is not allowed looks like one that does not exist. Servers may use all.
    """

    def __init__(
        self, models: Mapping[str, str], tiers: Mapping[str, Set[str] | None], default_tier: str | None
    ) -> None:
        self._models = models
        self._tiers = tiers
        self._default_tier = default_tier

    def admit(self, turn: Turn) -> None:
        """Raise NotFound for a model that this caller has not, BadRequest for one of another kind."""
        if not self.allows(turn.caller, turn.model):
            raise NotFound(
                f"The model {turn.model!r} does not exist or you do not have access to it.",
                code="model_not_found",
                param="model",
            )
        wanted = "embeddings" if turn.door == "embeddings" else "chat"
        if self._models[turn.model] != wanted:
            raise BadRequest(
                f"The model {turn.model!r} is for {self._models[turn.model]}, not for {wanted}.",
                code="wrong_model_kind",
                param="model",
            )

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""

    def allows(self, caller: Caller, model: str) -> bool:
        """Whether this caller may use this model."""
        if model not in self._models:
            return False
        if caller.role != "user":
            return True
        allowed = self._tiers.get(tier_of(caller, self._tiers, self._default_tier))
        return allowed is None or model in allowed
