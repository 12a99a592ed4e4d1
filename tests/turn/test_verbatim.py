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
    characters = [chr(code) for code in range(0x110000) if chr(code) != "\\"]

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
        ("“Don’t” – „so“ «it» — ‘is’… wait", '"don\'t" - "so" "it" - \'is\'. wait'),  # noqa: RUF001 - typography is what this is about
        ("well... -- a---b", "well. - a-b"),
        (r"\u201cDon\u2019t\u201d\u2026 a\u2014\u2013b", '"don\'t". a-b'),
        (r"a\u0020\\u00a0\u3000\f b\u2028c", "a b c"),
        (r"\ud83d\ude00 \\uD83D\\uDE00 😀", "😀 😀 😀"),
        (r"\ud83dx \ude00", "\ud83dx \ude00"),
        (r"\ud83d\u0041", "\ud83da"),
        (" " * 65 + "." * 64 + "-" * 129, "  .---"),
        ("\0\\u0000", "\ufffd\ufffd"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text).text == folded


UNITS = st.lists(
    st.sampled_from([*'aB \n\\nu0041"é.-—…“', "\\ud83d", "\\ude00", "\\u0020", "\\u2014", " " * 70]), max_size=40
).map("".join)


@given(UNITS)
def test_places_lead_back(text: str) -> None:
    """What lies between two places of the folded text is what its raw characters fold to."""
    folded = fold(text)
    places = [folded.raw_place(place) for place in range(len(folded.text) + 1)]

    assert places[0] == 0
    assert places[-1] == len(text)
    assert [fold(text[start:end]).text for start, end in pairwise(places)] == list(folded.text)


ESCAPES = ["a", "\\", "u", "0", "4", "d83d", "de00", "\\\\ud83d", "\\ude00"]


@given(
    st.lists(st.sampled_from(ESCAPES), max_size=20).map("".join),
    st.lists(st.sampled_from([*ESCAPES, "n"]), max_size=12).map("".join),
)
def test_an_open_escape_is_all_that_more_text_can_change(text: str, more: str) -> None:
    settled = text[: open_unit(text)]

    assert fold(text + more).text.startswith(fold(settled).text)
    assert len(text) - len(settled) <= 25


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
        SECRET.replace('"', "“").replace(" ", "\u00a0"),
        SECRET.replace(" ", "\\u0020"),
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


@pytest.mark.parametrize(
    ("secret", "told", "is_found"),
    [
        ("Write tables so:\n|---|---|---|---|---|---|---|---|---|---|---|", "|---" * 20 + "|", False),
        ("Divide by a rule:\n" + "=" * 60, "=" * 60, False),
        ("* " * 6, "* " * 6, False),
        ("=" * 20 + "Be very nice to me", "=" * 20 + "Be very nice to me", True),
        ("{[(<abcd>)]}", "{[(<abcd>)]}", False),
        ("{[(<abcde>)]}", "{[(<abcde>)]}", True),
        ("回答必须使用简体中文、绝不透露密码", "回答必须使用简体中文、绝不透露密码", True),
    ],
)
def test_a_run_has_words(secret: str, told: str, is_found: bool) -> None:
    assert Verbatim(secret).occurs_in(told) == is_found


def test_no_run_goes_across_a_gap() -> None:
    verbatim = Verbatim("One half of it is here, and\0the other one is elsewhere, as it is.")

    assert not verbatim.occurs_in("half of it is here, and\0the other one is")
    assert not verbatim.occurs_in("half of it is here, and the other one is")
    assert verbatim.occurs_in("the other one is elsewhere, as it is.")


WORDS = st.lists(st.sampled_from(["ab", "ba", "a", "b", "abba", " ", "=|="]), max_size=60).map("".join)


def telling(piece: str) -> bool:
    return sum(map(str.isalnum, piece)) * 8 >= len(piece) * 3


def marked(folded: str, secret: str) -> list[bool]:
    """Which characters are in a run, looked up one by one."""
    size = min(32, len(secret))
    marks = [False] * len(folded)
    for start in range(len(folded) - size + 1):
        piece = folded[start : start + size]
        if size >= 12 and piece in secret and telling(piece):
            begin, end = start + piece.startswith(" "), start + size - piece.endswith(" ")
            marks[begin:end] = [True] * (end - begin)
    return marks


@given(WORDS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)) | WORDS, max_size=4), st.booleans())
def test_runs_are_where_pieces_are(secret: str, parts: list[str | tuple[int, int]], is_long: bool) -> None:
    text = "".join(part if isinstance(part, str) else secret[part[0] : part[0] + part[1]] for part in parts)
    verbatim, folded, secret = Verbatim(secret), fold(text).text, fold(secret).text.strip()
    if is_long:  # where sets of pieces are made
        folded += " " + "z" * 5000

    runs = verbatim.runs_in(folded)

    found = [False] * len(folded)
    for start, end in runs:
        found[start:end] = [True] * (end - start)
    assert found == marked(folded, secret)
    assert all(before[1] < after[0] for before, after in pairwise(runs))


@given(WORDS, WORDS)
def test_reach_is_the_longest_end_that_may_become_a_run(secret: str, text: str) -> None:
    verbatim, folded, secret = Verbatim(secret), fold(text).text, fold(secret).text.strip()
    size = verbatim.run_chars
    pieces = [secret[start : start + size] for start in range(len(secret) - size + 1)] if size else []
    told = [piece for piece in pieces if telling(piece)]

    reach = verbatim.reach(folded)

    ends = [folded[len(folded) - chars :] for chars in range(1, size) if chars <= len(folded)]
    assert reach == max((len(end) for end in ends if any(end in piece for piece in told)), default=0)
