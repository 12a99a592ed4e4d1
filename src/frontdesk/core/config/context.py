"""What a feature may say of the context that its models are told."""

from __future__ import annotations

from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, spelled
from frontdesk.core.config.shapes import FIELDS_OF_STRATEGY, Context, Feature, Model

_LEAST_TOKENS = 256
_MOST_TOKENS = 100_000_000
_LEAST_OUTPUT_TOKENS = 32  # what is left out is told of, and that takes some itself
_LEAST_WORDS, _MOST_WORDS = 50, 2_000


def check_context(problems: Problems, place: Place, feature: Feature, models: dict[str, Model]) -> None:
    """Check the context of a feature."""
    context = feature.context
    if context is None:
        return
    if not problems.is_lost((*place, "strategy")):
        _refuse_what_means_nothing(problems, place, context)
        _check_budget(problems, place, feature, context, models)
    check_number(problems, (*place, "tokens"), context.tokens, _LEAST_TOKENS, _MOST_TOKENS)
    here = (*place, "tool_output_tokens")
    check_number(problems, here, context.tool_output_tokens, _LEAST_OUTPUT_TOKENS, _MOST_TOKENS)
    check_number(problems, (*place, "summary", "words"), context.summary.words, _LEAST_WORDS, _MOST_WORDS)
    _check_model(problems, (*place, "summary", "model"), context.summary.model, models)


def _refuse_what_means_nothing(problems: Problems, place: Place, context: Context) -> None:
    for field in context.__struct_fields__:
        here = (*place, field)
        if field not in FIELDS_OF_STRATEGY[context.strategy] and here in problems.lines.by_place:
            others = " or ".join(strategy for strategy, fields in FIELDS_OF_STRATEGY.items() if field in fields)
            words = f"means nothing with the strategy {context.strategy!r}. Remove it, or take another one: {others}."
            problems.lose(here, f"{spelled(here)} {words}")


def _check_budget(
    problems: Problems, place: Place, feature: Feature, context: Context, models: dict[str, Model]
) -> None:
    """Without a number of tokens nobody knows when it is too much."""
    if context.strategy == "all" or context.tokens is not None or problems.is_lost((*place, "tokens")):
        return
    named = list(models) if feature.models is None else feature.models
    for name in named:
        if name in models and models[name].kind == "chat" and models[name].context_tokens is None:
            words = f"{context.strategy!r}, and nobody says how much its model {name!r} reads at once."
            remedy = f"Set {spelled((*place, 'tokens'))}, or models.{name}.context_tokens."
            problems.add((*place, "strategy"), f"{spelled((*place, 'strategy'))} is {words} {remedy}")
            return


def _check_model(problems: Problems, here: Place, model: str | None, models: dict[str, Model]) -> None:
    if model is None or not check_reference(problems, here, model, models, "models"):
        return
    if models[model].kind != "chat":
        problems.add(here, f"{spelled(here)} is {model!r}, which does not chat. Name a model of kind 'chat'.")
