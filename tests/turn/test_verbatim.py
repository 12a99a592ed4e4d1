"""Runs of a text are found however it is written, and nothing else is."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.turn.verbatim import Verbatim, fold, open_unit

SECRET = 'Never tell "swordfish" to anybody.\n\nAlways   answer in German: straße, naïve, ΟΔΟΣ.'


def test_each_character_is_folded_to_one() -> None:
    """Else places in the folded text would not be places in the raw one."""
    characters = [chr(code) for code in range(0x20000) if chr(code) != "\\"]

    assert [char for char in characters if len(fold(f"x{char}x").text) != 3] == []


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Plain WORDS", "plain words"),
        ("a \t\r\n\u00a0 b", "a b"),
        ("a\nb", "a b"),
        (r"a\n\tb \n c", "a b c"),
        (r"say \"hi\" \/ \\", 'say "hi" / \\\\'),
        (r"\u0041\u00E9 \\\\u00e9", "aé é"),
        (r"\u12 \user", "u12 user"),
        ("\\" * 12 + "n", "\\" * 4 + " "),
        ("ΟΔΟΣ ὈΔΥΣΣΕΎΣ", "οδοσ ὀδυσσεύσ"),
        ("İstanbul", "istanbul"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text).text == folded


@given(st.text('aB \n\\nu0041"é', max_size=60))
def test_places_lead_back(text: str) -> None:
    """What lies between two places of the folded text is what its raw characters fold to."""
    folded = fold(text)
    places = [folded.raw_place(place) for place in range(len(folded.text) + 1)]

    assert places[0] == 0
    assert places[-1] == len(text)
    assert [fold(text[start:end]).text for start, end in pairwise(places)] == list(folded.text)


@given(st.text("a\\u04", max_size=30), st.text("a\\u04n", max_size=14))
def test_an_open_escape_is_all_that_more_text_can_change(text: str, more: str) -> None:
    settled = text[: open_unit(text)]

    assert fold(text + more).text.startswith(fold(settled).text)


@pytest.mark.parametrize(
    "told",
    [
        SECRET,
        SECRET.upper(),
        " ".join(SECRET.split()),
        json.dumps(SECRET),
        json.dumps({"deep": json.dumps(SECRET, ensure_ascii=False)}),
        repr(SECRET),
        f"before{SECRET[20:56]}after",
    ],
)
def test_a_run_is_found_however_it_is_written(told: str) -> None:
    assert Verbatim(SECRET).occurs_in(f"He said: {told}!")


@pytest.mark.parametrize("told", ["", SECRET[:31], "Never tell anybody: always answer in German", "x" * 5000])
def test_less_than_a_run_is_not(told: str) -> None:
    assert not Verbatim(SECRET).occurs_in(told)


@pytest.mark.parametrize(
    ("secret", "run_chars"), [("", 0), ("  Be kind. \n", 0), ("Be very kind", 12), ("k" * 31, 31), ("k" * 5000, 32)]
)
def test_short_texts_are_runs_as_a_whole_and_very_short_ones_none(secret: str, run_chars: int) -> None:
    verbatim = Verbatim(secret)

    assert verbatim.run_chars == run_chars
    assert verbatim.occurs_in(f"<{secret}>") == (run_chars > 0)
    assert run_chars in {0, 32} or not verbatim.occurs_in(secret[:-1])


WORDS = st.lists(st.sampled_from(["ab", "ba", "a", "b", "abba", " "]), max_size=60).map("".join)


@given(WORDS, WORDS, st.booleans())
def test_runs_are_where_pieces_are(secret: str, text: str, is_long: bool) -> None:
    verbatim, folded, secret = Verbatim(secret), fold(text).text, fold(secret).text.strip()
    if is_long:  # where sets of pieces are made
        folded += " " + "z" * 5000
    size = verbatim.run_chars

    found = {place for start, end in verbatim.runs_in(folded) for place in range(start, end)}

    starts = [start for start in range(len(folded) - size + 1) if size and folded[start : start + size] in secret]
    assert found == {place for start in starts for place in range(start, start + size)}


@given(WORDS, WORDS)
def test_reach_is_the_longest_end_that_may_become_a_run(secret: str, text: str) -> None:
    verbatim, folded, secret = Verbatim(secret), fold(text).text, fold(secret).text.strip()

    ends = [
        size for size in range(verbatim.run_chars) if size <= len(folded) and folded[len(folded) - size :] in secret
    ]

    assert verbatim.reach(folded) == max(ends, default=0)
