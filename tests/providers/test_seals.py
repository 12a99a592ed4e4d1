"""Seals go through clients, who may send anything in their place."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.seals import Tag, is_foreign, opened, sealed

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=8,
)
TAGS = st.sampled_from(["anthropic.1:", "gemini.1:"])


@given(TAGS, VALUES)
def test_what_is_sealed_opens_again_with_its_own_tag_alone(tag: Tag, value: Any) -> None:
    seal = sealed(tag, value)
    other: Tag = "gemini.1:" if tag == "anthropic.1:" else "anthropic.1:"

    assert opened(tag, seal) == value
    assert opened(other, seal) is None
    assert not is_foreign(tag, seal)
    assert is_foreign(other, seal)
    assert is_foreign(None, seal)


@given(st.text() | st.builds(lambda text: f"anthropic.1:{text}", st.text()))
def test_nonsense_opens_to_nothing_and_never_raises(text: str) -> None:
    value = opened("anthropic.1:", text)

    if value is not None:
        assert text.startswith("anthropic.1:")


@pytest.mark.parametrize(
    "seal",
    [
        "anthropic.1:",
        "anthropic.1:!!!!",
        "anthropic.1:" + base64.b64encode(b"\xff").decode(),
        "anthropic.1:" + base64.b64encode(b"[" * 100_000).decode(),
        "anthropic.1:" + "A" * 9_000_000,
        "anthropic.2:e30=",
    ],
)
def test_what_nobody_sealed_is_nothing(seal: str) -> None:
    assert opened("anthropic.1:", seal) is None


@pytest.mark.parametrize("seal", ["gAAAAABo8abc-_=", "", "plain", "A:b", "http://example.com"])
def test_openais_own_seals_are_foreign_to_all_but_openai(seal: str) -> None:
    assert not is_foreign(None, seal)
    assert is_foreign("anthropic.1:", seal)


def test_a_tag_of_a_later_version_is_foreign_to_openai_as_well() -> None:
    assert is_foreign(None, "mistral.12:e30=")
