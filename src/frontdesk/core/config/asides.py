"""What is asked of models by itself: by which model, and as which feature."""

from __future__ import annotations

from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, spelled
from frontdesk.core.config.shapes import Config

TITLES = "titles"
"""The feature that titles are asked as; also the setting's name."""


FOLLOW_UPS = "follow_ups"
"""The feature that follow-ups are asked as; also the setting's name."""

SUMMARIES = "summaries"
"""The feature that summaries are asked as, and what is to be remembered; where there is none, each feature itself."""

_MOST_PHRASES = 500
_MOST_PHRASE_CHARS = 100


def check_asides(problems: Problems, config: Config) -> None:
    """Check what is asked besides what people ask."""
    _check_model(problems, config, TITLES, config.titles.model)
    _check_model(problems, config, FOLLOW_UPS, config.follow_ups.model)
    check_number(problems, (FOLLOW_UPS, "count"), config.follow_ups.count, 1, 5)
    for name, feature in config.features.items():
        if feature.context is not None:
            _check_writer(problems, config, name, feature.context.summary.model)
    _check_phrases(problems, config.remember)


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


def _check_writer(problems: Problems, config: Config, feature: str, model: str | None) -> None:
    """Whether the feature that sums up has the model that is named for it."""
    here: Place = ("features", feature, "context", "summary", "model")
    asked = SUMMARIES if SUMMARIES in config.features else feature
    models = config.features[asked].models
    if model is None or model not in config.models or models is None or model in models:
        return
    words = f"which is not among the models of features.{asked}, as which it is asked: {', '.join(models)}."
    problems.add(here, f"{spelled(here)} is {model!r}, {words} Add it there, or name one of them.")


def _check_phrases(problems: Problems, phrases: list[str] | None) -> None:
    if phrases is None:
        return
    if len(phrases) > _MOST_PHRASES:
        problems.add(("remember",), f"remember has {len(phrases)} phrases. It may have {_MOST_PHRASES}.")
    for position, phrase in enumerate(phrases):
        here: Place = ("remember", position)
        if not any(char.isalnum() for char in phrase) or len(phrase) > _MOST_PHRASE_CHARS:
            words = f"It needs letters, and at most {_MOST_PHRASE_CHARS} characters."
            problems.add(here, f"{spelled(here)} is {phrase[:_MOST_PHRASE_CHARS]!r}. {words}")
