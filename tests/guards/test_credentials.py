"""The credential guard: keys never pass, nothing else is touched, however the text is cut."""

from __future__ import annotations

import re
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


# --- the same, told slowly -----------------------------------------------------------------------

_SHAPES = (
    ("sk-", 20, r"[A-Za-z0-9_-]*"),
    ("fd_sk_", 20, r"[A-Za-z0-9_-]*"),
    ("fd_st_", 20, r"[A-Za-z0-9_-]*"),
    ("AIza", 35, r"[A-Za-z0-9_-]*"),
    ("AKIA", 16, r"[A-Z0-9]*"),
    ("gsk_", 40, r"[A-Za-z0-9]*"),
    ("hf_", 30, r"[A-Za-z0-9]*"),
    ("ghp_", 36, r"[A-Za-z0-9]*"),
    ("gho_", 36, r"[A-Za-z0-9]*"),
    ("ghs_", 36, r"[A-Za-z0-9]*"),
    ("github_pat_", 40, r"[A-Za-z0-9_-]*"),
)


class WalkingFilter:
    """Walks from run to run and judges each: the definition that the patterns must agree with."""

    def __init__(self) -> None:
        self.held = ""
        self.state = "undecided"

    def feed(self, text: str) -> str:
        released: list[str] = []
        for run in re.findall(r"[A-Za-z0-9_-]+|[^A-Za-z0-9_-]+", text):
            if re.match(r"[A-Za-z0-9_-]", run):
                released.append(self._feed_run(run))
            else:
                released += [self.flush(), run]
        return "".join(released)

    def flush(self) -> str:
        held, self.held, self.state = self.held, "", "undecided"
        return held

    def _feed_run(self, piece: str) -> str:
        if self.state != "undecided":
            return piece if self.state == "plain" else ""
        run, self.held = self.held + piece, ""
        self.state = judged(run)
        if self.state == "undecided":
            self.held = run
            return ""
        return run if self.state == "plain" else MASK


def judged(run: str) -> str:
    is_open = False
    for prefix, least, alphabet in _SHAPES:
        if prefix.startswith(run):
            is_open = True
        elif run.startswith(prefix):
            body = run[len(prefix) :][:least]
            if re.fullmatch(alphabet, body) is None:
                continue
            if len(body) < least:
                is_open = True
            elif re.search(r"[A-Z0-9]", body):
                return "key"
    return "undecided" if is_open else "plain"


NEAR_KEYS = st.builds(
    lambda before, shape, body: before + shape[0] + body,
    st.sampled_from(["", "", " ", "a", "-", "s", "\n"]),
    st.sampled_from(_SHAPES),
    st.text("aZ9-_", max_size=45) | st.text("aZ9", min_size=30, max_size=45) | st.text("az-", max_size=45),
)
HALVES = st.sampled_from([shape[0][:size] for shape in _SHAPES for size in range(1, len(shape[0]) + 1)])
TEXTS = st.lists(NEAR_KEYS | PIECES | HALVES | st.text("skfdghAI_-za9 ä", max_size=60), max_size=6).map("".join)


@given(st.lists(TEXTS, max_size=3), st.data())
def test_every_piece_is_released_as_the_walk_releases_it(texts: list[str], data: st.DataObject) -> None:
    guard, walk = CredentialFilter("mask"), WalkingFilter()

    for text in texts:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
        for start, end in pairwise([0, *cuts, len(text)]):
            assert guard.feed(text[start:end]) == walk.feed(text[start:end])
        if data.draw(st.booleans()):
            assert guard.flush() == walk.flush()
    assert guard.flush() == walk.flush()


@given(NEAR_KEYS)
def test_letter_by_letter_is_the_same_too(text: str) -> None:
    guard, walk = CredentialFilter("mask"), WalkingFilter()

    for letter in text + " " + text:
        assert guard.feed(letter) == walk.feed(letter)
    assert guard.flush() == walk.flush()


@given(TEXTS)
def test_what_is_masked_is_what_is_refused(text: str) -> None:
    has_key = MASK in screened(text)

    if has_key:
        with pytest.raises(BadRequest, match="secret key"):
            CredentialFilter("refuse").feed(text)
    else:
        guard = CredentialFilter("refuse")
        assert guard.feed(text) + guard.flush() == text


@pytest.mark.parametrize("piece", ["a ", "s ", "sk- ", "sk-" + "a" * 19 + " ", "sk-" + "A" * 25 + " ", "g", "x-"])
def test_much_of_the_same_comes_out_as_walking_makes_it(piece: str) -> None:
    """Of 4 MB that takes 8 to 120 ms; walking took 3.2 s for the first."""
    text = piece * (400_000 // len(piece))
    walking = WalkingFilter()

    assert screened(text) == walking.feed(text) + walking.flush()
