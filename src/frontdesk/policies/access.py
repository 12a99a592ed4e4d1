"""Access: which features and models a caller may use."""

from __future__ import annotations

from collections.abc import Mapping

from frontdesk.core.config import PRIORITIES, Config, Feature, ModelKind, Priority, Variable
from frontdesk.core.config.features import NO_FEATURE
from frontdesk.core.config.problems import remedy_for
from frontdesk.core.errors import BadRequest, Forbidden, NotFound
from frontdesk.policies.tiers import tier_of
from frontdesk.turn.turn import Caller, Door, Turn

_NO_RULES = Feature()


class Access:
    """Lets a turn pass whose feature and model its caller may use, and whose model fits its door.

    People have the features that their tier and their token name, and of a feature's models those that
    their tier names as well. What they may not use looks like what does not exist. Holders of secret
    keys may use all. Where no features are configured, they are names that only label turns.
    """

    def __init__(self, config: Config) -> None:
        self._models = {name: model.kind for name, model in config.models.items()}
        self._features = config.features
        self._tiers = config.tiers
        self._default_model = config.default_model
        self._default_feature = config.default_feature
        self._default_tier = config.default_tier

    @property
    def has_features(self) -> bool:
        """Whether features are configured."""
        return bool(self._features)

    def admit(self, turn: Turn) -> None:
        """Say which tier counts for the turn. Raise Forbidden for a feature that this caller has not, NotFound for
        such a model, BadRequest for a model of another kind and a feature that is missing or unknown.
        """
        turn.tier = self.tier_of(turn.caller)
        self.check_feature(turn.caller, turn.feature, _NAMED_IN.get(turn.door))
        if not self.allows(turn.caller, turn.model, turn.feature):
            raise NotFound(
                f"The model {turn.model!r} does not exist or you do not have access to it.",
                code="model_not_found",
                param="model",
            )
        wanted = KIND_OF[turn.door]
        if self._models[turn.model] != wanted:
            raise BadRequest(
                f"The model {turn.model!r} is for {self._models[turn.model]}, not for {wanted}.",
                code="wrong_model_kind",
                param="model",
            )

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""

    def tier_of(self, caller: Caller) -> str | None:
        """The tier that counts for a caller; None where there is none."""
        return tier_of(caller, self._tiers, self._default_tier) or None if caller.role == "user" else None

    # --- features ---

    def choose_feature(self, caller: Caller, named: str | None) -> str:
        """The feature of a request: what it names, else a person's default. Nobody asks yet whether it is allowed."""
        if named is not None:
            return named
        if caller.role != "user" or not self._features:
            return NO_FEATURE
        if self._default_feature is None and len(self._features) == 1:
            return next(iter(self._features))
        return self._default_feature or NO_FEATURE

    def check_feature(self, caller: Caller, feature: str, param: str | None = None) -> None:
        """Raise Forbidden or BadRequest for a feature that this caller has not.

        `param` is the field that may name one, beside the header.
        """
        if not self._features or self._has_feature(caller, feature):
            return
        if caller.role != "user":
            raise BadRequest(
                f"The feature {feature!r} is not configured. {remedy_for(feature, self._features)}",
                code="unknown_feature",
                param=param,
            )
        if feature == NO_FEATURE:
            places = "in the header Frontdesk-Feature" + ("" if param is None else f" or in {param}")
            raise BadRequest(
                f"Say what this request is for: name a feature {places}. {self._usable(caller)}",
                code="missing_feature",
                param=param,
            )
        raise Forbidden(
            f"The feature {feature!r} does not exist or you may not use it.", code="feature_not_allowed", param=param
        )

    def features_of(self, caller: Caller) -> list[str]:
        """The features that a caller may name."""
        return [name for name in self._features if self._has_feature(caller, name)]

    def variables_of(self, feature: str) -> Mapping[str, Variable]:
        """The variables that a feature's instructions have; none of one that is not configured."""
        return self._features.get(feature, _NO_RULES).variables

    def _usable(self, caller: Caller) -> str:
        return f"You may use: {', '.join(self.features_of(caller)) or 'none'}."

    def _has_feature(self, caller: Caller, feature: str) -> bool:
        if caller.role != "user":
            return feature in self._features or feature == NO_FEATURE
        if feature not in self._features or (caller.features is not None and feature not in caller.features):
            return False
        tier = self._tiers.get(tier_of(caller, self._tiers, self._default_tier))
        return tier is None or tier.features is None or feature in tier.features

    def choose_priority(self, caller: Caller, feature: str, named: Priority | None) -> Priority:
        """The priority of a request: its feature's, or the lower one that it names. Whoever holds a secret key may
        name any.
        """
        highest = self._features.get(feature, _NO_RULES).priority
        if named is None or (caller.role == "user" and PRIORITIES.index(named) < PRIORITIES.index(highest)):
            return highest
        return named

    # --- models ---

    def choose_model(self, caller: Caller, feature: str, kind: ModelKind) -> str | None:
        """The model of a request that names none: the feature's default, the configuration's, or the feature's
        first one that is allowed; without features, the configuration's first that judges, hears, speaks or draws.
        None where nothing says which; "" where the feature itself is not allowed.
        Raises BadRequest where the feature has no model of this kind at all.
        """
        if not self._features:
            return self._default_model if kind in _ASKED_BY_NAME else self._first_of(kind, caller)
        if not self._has_feature(caller, feature):
            return ""
        rules = self._features.get(feature, _NO_RULES)
        for name in (rules.default_model, self._default_model, *(rules.models or ())):
            if name is not None and self._models[name] == kind and self._allows(caller, name, rules):
                return name
        if feature in self._features and kind not in {self._models[name] for name in self.models_of(caller, feature)}:
            raise BadRequest(
                f"The feature {feature!r} has no model for {kind} that you may use. Name another feature in the header "
                f"Frontdesk-Feature. {self._usable(caller)}",
                code="wrong_model_kind",
            )
        is_free_to_choose = caller.role != "user" and feature not in self._features and kind not in _ASKED_BY_NAME
        return self._first_of(kind, caller) if is_free_to_choose else None

    def _first_of(self, kind: ModelKind, caller: Caller) -> str | None:
        names = (name for name, other in self._models.items() if other == kind)
        return next((name for name in names if self.allows(caller, name, NO_FEATURE)), None)

    def allows(self, caller: Caller, model: str, feature: str) -> bool:
        """Whether a caller may use a model for a feature that is theirs."""
        if caller.role != "user":
            return model in self._models
        return model in self._models and self._allows(caller, model, self._features.get(feature, _NO_RULES))

    def models_of(self, caller: Caller, feature: str | None = None) -> list[str]:
        """The models that a caller may use for this feature, or for any that is theirs."""
        if feature is not None or not self._features:
            return [name for name in self._models if self.allows(caller, name, feature or NO_FEATURE)]
        theirs = [name for name in (NO_FEATURE, *self._features) if self._has_feature(caller, name)]
        return [name for name in self._models if any(self.allows(caller, name, feature) for feature in theirs)]

    def _allows(self, caller: Caller, model: str, rules: Feature) -> bool:
        """Whether feature and tier allow a model; whoever holds a secret key is led by the feature alone.

        A feature that names no models is for words: what judges, hears, speaks and draws it must name.
        """
        if rules.models is not None and model not in rules.models:
            return False
        if caller.role != "user":
            return True
        if rules.models is None and self._features and self._models[model] not in _ASKED_BY_NAME:
            return False
        tier = self._tiers.get(tier_of(caller, self._tiers, self._default_tier))
        return tier is None or tier.models is None or model in tier.models


KIND_OF: dict[Door, ModelKind] = {
    "chat": "chat",
    "responses": "chat",
    "embeddings": "embeddings",
    "moderations": "moderation",
    "transcriptions": "transcription",
    "speech": "speech",
    "images": "image",
}
"""Which models answer at a door."""
_ASKED_BY_NAME = frozenset[ModelKind]({"chat", "embeddings"})
_NAMED_IN: dict[Door, str | None] = {"chat": "metadata.feature", "responses": "metadata.feature"}
