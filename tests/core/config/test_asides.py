"""What is asked by itself: its model can be asked, as a feature that there is."""

from __future__ import annotations

import pytest

from frontdesk.core.config import Titles, development_config, parse_config, read_environment
from tests.core.config.problems import problems_of

MODELS = """\
providers: {s: {kind: scripted}}
models: {fast: {route: [s/echo]}, best: {route: [s/echo]}, embed: {route: [s/x], kind: embeddings}}
"""
SUMS_UP = "context: {strategy: summary, tokens: 3000, summary: {model: fast}}"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("titles: {model: fats}", "line 3: titles.model names 'fats', which is not configured. Did you mean 'fast'?"),
        (
            "titles: {model: embed}",
            "line 3: titles.model is 'embed', which does not chat. Name a model of kind 'chat'.",
        ),
        (
            "features: {chat: {}}\ntitles: {model: fast}",
            (
                "line 4: titles.model asks as the feature 'titles', which is not configured, as others are. "
                "Add features.titles."
            ),
        ),
        (
            "features: {titles: {}}\nfollow_ups: {model: fast}",
            (
                "line 4: follow_ups.model asks as the feature 'follow_ups', which is not configured, as others are. "
                "Add features.follow_ups."
            ),
        ),
        ("follow_ups: {model: fast, count: 6}", "line 3: follow_ups.count is 6. It must be from 1 to 5."),
        (
            "features: {titles: {models: [best]}}\ntitles: {model: fast}",
            "line 4: titles.model is 'fast', which is not among the models of features.titles: best. Add it there.",
        ),
        (
            f"features: {{chat: {{models: [best], {SUMS_UP}}}}}",
            (
                "line 3: features.chat.context.summary.model is 'fast', which is not among the models of "
                "features.chat, as which it is asked: best. Add it there, or name one of them."
            ),
        ),
        (
            f"features: {{chat: {{models: [fast], {SUMS_UP}}}, summaries: {{models: [best]}}}}",
            (
                "line 3: features.chat.context.summary.model is 'fast', which is not among the models of "
                "features.summaries, as which it is asked: best. Add it there, or name one of them."
            ),
        ),
        ("remember: ['ok', ' ']", "line 3: remember[1] is ' '. It needs letters, and at most 100 characters."),
        (
            f"remember: [{'x' * 101}]",
            f"line 3: remember[0] is '{'x' * 100}'. It needs letters, and at most 100 characters.",
        ),
        (f"remember: {['ok'] * 501}", "line 3: remember has 501 phrases. It may have 500."),
    ],
)
def test_what_is_wrong_is_told(settings: str, told: str) -> None:
    assert problems_of(MODELS + settings) == [told]


@pytest.mark.parametrize(
    "settings",
    [
        f"features: {{chat: {{models: [fast], {SUMS_UP}}}}}",
        f"features: {{chat: {{models: [best], {SUMS_UP}}}, summaries: {{models: [best, fast]}}}}",
        "remember: []",
        "remember: ['…覚えておいて', nota bene]",
    ],
)
def test_what_is_right_is_taken(settings: str) -> None:
    assert parse_config(MODELS + settings, {}).models


@pytest.mark.parametrize(
    ("settings", "are_given"),
    [
        ("", False),
        ("titles: {enabled: false}", False),
        ("titles: {model: fast}", True),
        ("titles: {model: fast, enabled: false}", False),
        ("titles: {enabled: true}\nfeatures: {chat: {}}", True),
        ("titles: {model: fast}\nfeatures: {titles: {}}", True),
        ("titles: {model: fast}\nfeatures: {titles: {models: [best, fast]}}", True),
    ],
)
def test_titles_are_given_where_that_is_said(settings: str, are_given: bool) -> None:
    assert parse_config(MODELS + settings, {}).titles.are_given is are_given


def test_in_development_titles_are_own_words_or_those_of_a_large_model() -> None:
    assert development_config(read_environment({})).titles == Titles(None, enabled=True)
    assert development_config(read_environment({"OPENAI_API_KEY": "sk-test"})).titles == Titles("fast", enabled=True)
