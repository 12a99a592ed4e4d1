"""What is asked of models by itself: by which model, and as which feature."""

from __future__ import annotations

from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, spelled
from frontdesk.core.config.shapes import Config

TITLES = "titles"
"""The feature that titles are asked as; also the setting's name."""


FOLLOW_UPS = "follow_ups"
"""The feature that follow-ups are asked as; also the setting's name."""


def check_asides(problems: Problems, config: Config) -> None:
    """Check what is asked besides what people ask."""
    _check_model(problems, config, TITLES, config.titles.model)
    _check_model(problems, config, FOLLOW_UPS, config.follow_ups.model)
    check_number(problems, (FOLLOW_UPS, "count"), config.follow_ups.count, 1, 5)


def _check_model(problems: Problems, config: Config, feature: str, model: str | None) -> None:
    here: Place = (feature, "model")
    if model is None or not check_reference(problems, here, model, config.models, "models"):
        return
    if config.models[model].kind != "chat":
        problems.add(here, f"{spelled(here)} is {model!r}, which does not chat. Name a model of kind 'chat'.")
    if not config.features or problems.is_lost(("features",)):
        return
    if feature not in config.features:
        words = f"asks as the feature {feature!r}, which is not configured, as others are. Add features.{feature}."
        problems.add(here, f"{spelled(here)} {words}")
        return
    models = config.features[feature].models
    if models is not None and model not in models:
        words = f"which is not among the models of features.{feature}: {', '.join(models)}. Add it there."
        problems.add(here, f"{spelled(here)} is {model!r}, {words}")
