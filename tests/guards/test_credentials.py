"""The credential guard: keys never pass, nothing else is touched, however the text is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.guards.credentials import MASK, CredentialFilter

OPENAI_KEY = "sk-proj-" + "Ab1_" * 10
KEYS = [
    OPENAI_KEY,
    "sk-ant-api03-" + "x9-Y" * 8,
    "fd_sk_" + "a1B2" * 10,
    "AIza" + "S1-y" * 8 + "abc",
    "AKIA" + "ABCD1234EFGH5678",
    "gsk_" + "a1B2" * 12,
    "hf_" + "a1B2" * 9,
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 20,
]
PIECES = st.sampled_from(
    [
        *KEYS,
        "sk-",
        "s",
        "k-",
        "AKIA",
        "ghp_short",
        "task-force",
        "sk-learn-is-a-library-for-people",
        " ",
        "\n",
        "“",
        "x.",
        "ä",
    ]
)


def screened(*pieces: str) -> str:
    guard = CredentialFilter("mask")
    return "".join(guard.feed(piece) for piece in pieces) + guard.flush()


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_masked_wherever_they_are_cut(key: str) -> None:
    text = f'Use "{key}", please.'

    for place in range(len(text) + 1):
        assert screened(text[:place], text[place:]) == f'Use "{MASK}", please.'


@pytest.mark.parametrize(
    "text",
    [
        "a task-oriented-approach-with-many-words",
        "sk-learn-with-some-more-words-behind",
        "AKIA lives here",
        "sk-short1",
        "",
        "ghp_",
    ],
)
def test_words_are_left_alone(text: str) -> None:
    assert screened(text) == text


@given(st.lists(PIECES, max_size=12), st.data())
def test_cuts_change_nothing_and_no_key_passes(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))

    cut = screened(*(text[start:end] for start, end in pairwise([0, *cuts, len(text)])))

    assert cut == screened(text)
    assert screened(cut) == cut


def test_only_what_could_become_a_key_is_held() -> None:
    guard = CredentialFilter("mask")

    assert guard.feed("Hello there, s") == "Hello there, "
    assert guard.feed("o it is as") == "so it is as"
    assert guard.feed(" g") == " "
    assert guard.flush() == "g"


def test_refusing_ends_the_turn() -> None:
    guard = CredentialFilter("refuse")

    with pytest.raises(BadRequest, match="secret key"):
        guard.feed(OPENAI_KEY)
