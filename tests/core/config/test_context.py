"""What a feature says of its context fits to its strategy and its models, or the misfit is told with its line."""

from __future__ import annotations

import pytest

from frontdesk.core.config import Context, Summaries, parse_config
from tests.core.config.problems import problems_of

MODELS = """\
providers: {s: {kind: scripted}}
models: {fast: {route: [s/echo]}, best: {route: [s/echo], context_tokens: 999}, embed: {route: [s/x], kind: embeddings}}
"""


def context(settings: str, models: str = "[best, embed]") -> str:
    """A configuration whose feature `f` has such a context, from line 6 on."""
    lines = "".join(f"      {line}\n" for line in settings.split("\n"))
    return f"{MODELS}features:\n  f:\n    models: {models}\n    context:\n{lines}"


F = "features.f.context"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "strategy: windows",
            f"line 7: {F}.strategy is 'windows'. It must be one of all, summary, window. Did you mean 'window'?",
        ),
        (
            "tokens: 4000",
            (
                f"line 7: {F}.tokens means nothing with the strategy 'all'. Remove it, or take another one: window or "
                "summary."
            ),
        ),
        (
            "facts: true\ntool_output_tokens: 100",
            (
                f"line 8: {F}.tool_output_tokens means nothing with the strategy 'all'. Remove it, or take another "
                "one: window or summary."
            ),
        ),
        (
            "strategy: window\nsummary: {words: 100}",
            f"line 8: {F}.summary means nothing with the strategy 'window'. Remove it, or take another one: summary.",
        ),
        ("strategy: window\ntokens: 20", f"line 8: {F}.tokens is 20. It must be from 256 to 100000000."),
        (
            "strategy: window\ntool_output_tokens: 8",
            f"line 8: {F}.tool_output_tokens is 8. It must be from 32 to 100000000.",
        ),
        (
            "strategy: summary\nsummary: {words: 9}",
            f"line 8: {F}.summary.words is 9. It must be from 50 to 2000.",
        ),
        (
            "strategy: summary\nsummary: {model: bets}",
            f"line 8: {F}.summary.model names 'bets', which is not configured. Did you mean 'best'?",
        ),
        (
            "strategy: summary\nsummary: {model: embed}",
            f"line 8: {F}.summary.model is 'embed', which does not chat. Name a model of kind 'chat'.",
        ),
        (
            "strategy: window\ntokens:",
            f"line 8: {F}.tokens is empty, and would count as no limit. Write an integer, or remove the key.",
        ),
    ],
)
def test_what_does_not_fit_is_told(settings: str, told: str) -> None:
    assert problems_of(context(settings)) == [told]


@pytest.mark.parametrize("models", ["[fast, best]", "[best, fast, embed]", "~"])
def test_who_leaves_something_out_must_know_how_much_there_is_room_for(models: str) -> None:
    (told,) = problems_of(context("strategy: window", models).replace("    models: ~\n", "    client_may: []\n"))

    assert told == (
        f"line 7: {F}.strategy is 'window', and nobody says how much its model 'fast' reads at once. Set {F}.tokens, "
        "or models.fast.context_tokens."
    )


def test_what_fits_is_read() -> None:
    everything = (
        "strategy: summary\ntokens: 4000\ntool_output_tokens: 64\nfacts: yes\nsummary: {model: fast, words: 50}"
    )
    config = parse_config(context(everything, "[fast]"), {})

    assert config.features["f"].context == Context("summary", 4000, 64, facts=True, summary=Summaries("fast", 50))
    assert parse_config(context("facts: yes"), {}).features["f"].context == Context(facts=True)
    assert parse_config(context("strategy: window"), {}).features["f"].context == Context("window")
    assert parse_config(context("").replace("    context:\n", ""), {}).features["f"].context is None


def test_it_is_for_models_that_chat() -> None:
    (told,) = problems_of(context("facts: true", "[embed]"))

    assert told == f"line 6: {F} means nothing: no model of this feature chats. Remove it."
