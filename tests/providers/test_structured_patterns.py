"""Patterns of schemas: the same verdicts as an engine that tries again, in time linear in the text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.structured_patterns import Pattern


class Spent:
    """Counts what a match costs."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, steps: int) -> None:
        self.steps += steps


def is_found(pattern: str, text: str) -> bool:
    return Pattern(pattern).is_found_in(text, Spent())


_atoms = st.sampled_from(
    [
        "a",
        "b",
        ".",
        r"\d",
        r"\w",
        r"\W",
        r"\s",
        "[ab]",
        "[^a]",
        "[a-c1-3]",
        r"[\d_]",
        r"[^\w]",
        r"\.",
        r"\x61",
        "é",
        "^",
        "$",
    ]
)
_patterns = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{1,}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        inner.map(lambda part: f"({part})"),
    ),
    max_leaves=6,
)


@given(_patterns, st.text(alphabet="abc13_. é", max_size=12))
def test_a_pattern_finds_what_another_engine_finds(pattern: str, text: str) -> None:
    # Where a text ends in a line end, `$` differs; ASCII, as classes have it in ECMA 262, but for white space.
    expected = re.search(pattern, text, re.ASCII) is not None

    assert is_found(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("^$", "", True),
        ("^$", "a", False),
        ("a$", "a\n", False),
        (r"^\p{Lu}\p{L}+$", "Ärger", True),
        (r"^\P{L}$", "ä", False),
        (r"^\u{1F6CE}\u00e9$", "🛎é", True),
        ("^[]$", "a", False),
        ("^[^]$", "\n", True),
        ("^a{$", "a{", True),
        ("^{a}$", "{a}", True),
        (r"^[\]a-]+$", "]-a", True),
        ("^(?<year>[0-9]{4})-[0-9]{2}$", "2026-11", True),
        (r"^\s$", "\u2003", True),
        (r"^\d$", "٣", False),
    ],
)
def test_what_ecma_says_differently(pattern: str, text: str, expected: bool) -> None:
    assert is_found(pattern, text) is expected


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[a", "*", "a**", "^*", "(?=a)", "(?<!a)b", r"(a)\1", r"\bword", r"\p{Greek}",
     r"\u12", "[z-a]", "a{3,2}", "a{2000}", "(?:a{1000}){1000}", "(?:(?:(?:){1000}){1000}){1000}",
     "(" * 200 + ")" * 200,
     "\\", r"\u{110000}", r"[a-\d]"],
)  # fmt: skip
def test_what_is_not_known_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^(?:has|is|ends|repeats) "):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){12}$", "^([a-z]+)*@"])
def test_what_takes_others_for_ever_costs_little(pattern: str) -> None:
    spent = Spent()

    Pattern(pattern).is_found_in("a" * 5_000 + "!", spent)

    assert spent.steps < 20_000


def test_what_is_remembered_of_a_pattern_has_a_bound() -> None:
    pattern = Pattern("^[^a]*$")
    text = "".join(chr(0x4E00 + place) for place in range(10_000))

    assert pattern.is_found_in(text, Spent())
    assert pattern.is_found_in(text + "b", Spent())
    assert not pattern.is_found_in(text + "a", Spent())
