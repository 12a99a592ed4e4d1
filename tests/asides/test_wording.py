"""What models say becomes plain lines of ours, whatever they put around them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.asides.wording import cut, is_echo, lines_of, marked, plain, visible


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Blue sky", "Blue sky"),
        ("  Blue\tsky  ", "Blue sky"),
        ('"Blue sky"', "Blue sky"),
        ("„Blauer Himmel“", "Blauer Himmel"),
        ("« Ciel bleu »", "Ciel bleu"),
        ("「青い空」", "青い空"),
        ("**Blue sky**", "Blue sky"),
        ('## **"Blue sky"**', "Blue sky"),
        ("***Blue* sky**", "Blue sky"),
        ("- `Blue` sky", "Blue sky"),
        ("1. Blue sky", "Blue sky"),
        ("2) > Blue sky", "Blue sky"),
        ("[Blue sky](https://example.com/a)", "Blue sky"),
        ("![Blue sky](https://example.com/a.png)", "Blue sky"),
        ("Rock 'n' roll", "Rock 'n' roll"),
        ("What 2 * 3 * 4 is", "What 2 * 3 * 4 is"),
        ("The name snake_case_here", "The name snake_case_here"),
        ("C# or C++", "C# or C++"),
        ("3.5 litres", "3.5 litres"),
        ("Blue\u202e sky\x00\u200b", "Blue sky"),
        ("a \u200b b", "a b"),
        ("Blue\u3164 \u2800sky\uffa0", "Blue sky"),
        ("", ""),
        ("***", ""),
        ('"', '"'),
    ],
)
def test_a_line_is_plain(line: str, expected: str) -> None:
    assert plain(line) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Blue sky\n\nWhy it is so", ["Blue sky", "Why it is so"]),
        ("\n \n---\n```text\nBlue sky\n```\n", ["Blue sky"]),
        ("<think>A title for\nthis?</think>\nBlue sky", ["Blue sky"]),
        ("<think>It never ended\nBlue sky", []),
        ("🌈", []),
        ("\u3164\u115f\u1160", []),
        ("", []),
        ("a\u2028b\x1cc", ["a", "b", "c"]),
    ],
)
def test_lines_are_those_that_say_something(said: str, expected: list[str]) -> None:
    assert lines_of(said) == expected


@given(st.text(max_size=300))
@example("a" * 200 + " b")
@example("<think>" * 40)
@example("**_" * 60)
def test_no_line_has_what_nobody_sees(said: str) -> None:
    for line in lines_of(said):
        assert line == line.strip() == visible(line)
        assert line.isprintable()
        assert any(char.isalnum() for char in line)


@given(st.text(max_size=200), st.integers(2, 80))
def test_a_cut_is_no_longer_and_begins_the_same(text: str, most: int) -> None:
    shortened = cut(text, most)

    assert len(shortened) <= most
    if len(text) <= most:
        assert shortened == text
    else:
        assert shortened.endswith("…")
        assert text.startswith(shortened[:-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("why is the sky blue", "why is the…"),
        ("why is, the sky blue", "why is, the…"),
        ("why is the, sky blue", "why is the…"),
        ("whyistheskyblue", "whyistheskyb…"),
        ("a whyistheskyblue", "a whyisthesk…"),
        ("why is the sky", "why is the…"),
        ("why is a sky!", "why is a sky!"),
    ],
)
def test_a_cut_is_between_words(text: str, expected: str) -> None:
    assert cut(text, 13) == expected


@given(st.text(max_size=100))
def test_nothing_that_is_said_ends_the_material(said: str) -> None:
    text, mark = marked({"person": said, "answer": "x"})

    assert mark not in said
    assert text == f"<person {mark}>\n{said}\n</person {mark}>\n<answer {mark}>\nx\n</answer {mark}>"
    assert marked({"person": said})[1] != mark


def test_an_echo_is_told_from_an_answer() -> None:
    told = "Write a short title. Use no quotes."

    assert is_echo("use NO  quotes", told, "ab12")
    assert is_echo("</person ab12>", told, "ab12")
    assert is_echo("a short title. Use", told, "ab12")
    assert not is_echo("Blue sky", told, "ab12")
    assert not is_echo("Title", told, "ab12")
    assert not is_echo("hort title", told, "ab12")
