"""Models by their names: a version that nobody here knows is a new one."""

from __future__ import annotations

import pytest

from frontdesk.providers.anthropic_profiles import model_profile


@pytest.mark.parametrize(
    ("model", "most", "thinking"),
    [
        ("claude-3-opus-20240229", 4096, "none"),
        ("claude-3-5-haiku-latest", 8192, "none"),
        ("claude-3-7-sonnet-20250219", 64_000, "budget"),
        ("claude-opus-4-20250514", 32_000, "budget"),
        ("claude-opus-4@20250514", 32_000, "budget"),
        ("claude-opus-4-1-20250805", 32_000, "budget"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", 64_000, "budget"),
        ("us.anthropic.claude-opus-4-6-v1", 128_000, "adaptive"),
        ("anthropic/claude-sonnet-4.6", 128_000, "adaptive"),
        ("claude-opus-4-10", 64_000, "adaptive"),
        ("claude-opus-4-9", 64_000, "adaptive"),
        ("claude-sonnet-5-7", 64_000, "adaptive"),
        ("claude-poem-9", 64_000, "adaptive"),
        ("house-model", 64_000, "adaptive"),
    ],
)
def test_models_by_their_names(model: str, most: int, thinking: str) -> None:
    profile = model_profile(model)

    assert (profile.max_tokens, profile.thinking) == (most, thinking)


def test_a_minor_version_is_its_own_model() -> None:
    assert model_profile("claude-sonnet-5-20260630").can_be_forced
    assert not model_profile("claude-sonnet-5-5-20260928").can_be_forced
    assert model_profile("claude-opus-5-20260723").thinking_off == "disabled"
    assert model_profile("claude-opus-5-5-20260921").thinking_off is None


@pytest.mark.parametrize(
    ("model", "has_them"),
    [("claude-fable-5", True), ("claude-mythos-5", True), ("claude-mythos-preview", False), ("claude-opus-4-7", False)],
)
def test_which_models_hear_the_system_within_a_conversation(model: str, has_them: bool) -> None:
    assert model_profile(model).has_system_turns is has_them


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-sonnet-4-5", 1024),
        ("claude-haiku-4-5", 4096),
        ("claude-opus-4-6", 4096),
        ("claude-sonnet-4-6", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-opus-4-8", 1024),
        ("claude-mythos-preview", 2048),
        ("claude-sonnet-5", 1024),
        ("claude-fable-5", 512),
        ("claude-mythos-5", 512),
        ("claude-opus-5", 512),
    ],
)
def test_from_which_length_on_prompts_are_cached(model: str, least: int) -> None:
    assert model_profile(model).cache_tokens == least
