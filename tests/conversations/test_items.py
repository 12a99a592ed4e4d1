"""What is searched of items, what is shown of them, and what they are called."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.conversations.items import first_words, folded, pattern_of, shown, with_free_ids, words_of
from frontdesk.wire.openai_listed_items import listed_input


@pytest.mark.parametrize(
    ("text", "as_searched"),
    [
        ("Ⅷ Straße  ﬁne\t\n", "viii strasse fine"),
        ("ΣΊΣΥΦΟΣ", unicodedata.normalize("NFKC", "σίσυφοσ")),
        ("e\u0301 É", "é é"),
        ("\0a\0", "a"),
        ("", ""),
    ],
)
def test_letters_are_the_same_in_every_case_and_form(text: str, as_searched: str) -> None:
    assert folded(text) == as_searched


@given(st.text())
def test_what_is_folded_stays_so(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert "\0" not in folded(text)


@given(st.text(max_size=50), st.text(max_size=10), st.text(max_size=50))
def test_a_pattern_finds_its_words_and_nothing_by_chance(before: str, words: str, after: str) -> None:
    assert like(pattern_of(words), f"{folded(before)}{folded(words)}{folded(after)}")
    assert like(pattern_of(words), folded(before)) == (folded(words) in folded(before))


def like(pattern: str, text: str) -> bool:
    r"""LIKE .. ESCAPE '\' as the standard has it."""
    expression = "".join(
        {"%": ".*", "_": "."}.get(each.group(), re.escape(each.group()[-1]))
        for each in re.finditer(r"\\.|.", pattern, re.DOTALL)
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


def test_of_a_long_text_the_beginning_is_searched() -> None:
    (item,) = listed_input([{"role": "user", "content": "ﷺ" * 50_000}], "x")

    words = words_of(item)

    assert words is not None
    assert len(words) == 32_000


@pytest.mark.parametrize(
    "item",
    [
        {"type": "function_call", "call_id": "1", "name": "tree", "arguments": "tree"},
        {"type": "function_call_output", "call_id": "1", "output": "tree"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "tree"}]},
        {"type": "stranger", "content": ["tree", {"text": "tree"}]},
        {"role": "user", "content": ""},
    ],
)
def test_only_what_people_read_is_searched(item: dict[str, object]) -> None:
    (listed,) = listed_input([item], "x")

    assert words_of(listed) is None
    assert first_words(listed, 9) == ""


def test_a_message_begins_with_its_first_words() -> None:
    parts = [{"type": "input_text", "text": "Why\n  is it "}, {"type": "input_text", "text": "so?"}]
    (item,) = listed_input([{"role": "user", "content": parts}], "x")

    assert first_words(item, 99) == "Why is it so?"
    assert first_words(item, 5) == "Why i"


def test_strangers_are_shown_as_they_are() -> None:
    for item in ({"type": "stranger", "content": ["x", {"logprobs": [1]}]}, {"type": "stranger", "content": None}):
        assert shown(item, frozenset()) == item


def test_ids_that_are_free_are_kept() -> None:
    call = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    items = [{**call, "id": each} for each in ("fc_1", "fc_2", "fc_1", "fc 3", "x" * 129, "fc_4")]

    kept = with_free_ids(items, {"fc_2"})

    assert [item["id"] for item in (kept[0], kept[5])] == ["fc_1", "fc_4"]
    assert len({item["id"] for item in kept}) == 6
    assert all(re.fullmatch(r"fc_[0-9a-f]{34}", item["id"]) for item in kept[1:5])
    assert [{**item, "id": ""} for item in kept] == [{**item, "id": ""} for item in items]
