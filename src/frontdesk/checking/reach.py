"""Who can reach what: the models that people of a tier can ask for, by the features that they have."""

from __future__ import annotations

from collections.abc import Mapping

from frontdesk.core.config import Config, Feature, Tier

Reach = Mapping[tuple[str, str], frozenset[str]]
"""Models by tier and feature. Where there are no tiers, or no features, there is one without a name."""


def reach_of(config: Config) -> Reach:
    """What people can reach. Who holds a secret key is in no tier, and reaches every model."""
    return {
        (tier_name, feature_name): _models_of(tier, feature, config)
        for tier_name, tier in (config.tiers or {"": Tier()}).items()
        for feature_name, feature in (config.features or {"": Feature()}).items()
        if tier.features is None or feature_name in tier.features
    }


def of_tier(reach: Reach, name: str) -> frozenset[str]:
    """The models that a tier's people can reach."""
    return frozenset(model for (tier, _), models in reach.items() if tier == name for model in models)


def of_feature(reach: Reach, name: str) -> frozenset[str]:
    """The models that people can reach by a feature."""
    return frozenset(model for (_, feature), models in reach.items() if feature == name for model in models)


def of_all(reach: Reach) -> frozenset[str]:
    """The models that people can reach at all."""
    return frozenset(model for models in reach.values() for model in models)


def _models_of(tier: Tier, feature: Feature, config: Config) -> frozenset[str]:
    models = frozenset(config.models)
    for named in (tier.models, feature.models):
        if named is not None:
            models &= frozenset(named)
    return models
