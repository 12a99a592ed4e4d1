"""Phrases: how people ask to have something remembered, in their own languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.memory.phrases import USUAL, Phrases

PHRASES = Phrases(USUAL)


@pytest.mark.parametrize(
    "sentence",
    [
        "Remember that I'm a vegetarian.",
        "Please remember: I live in Rome",
        "By the way, don\u2019t forget that I am allergic to nuts.",
        "I am vegan, remember that.",
        "From now on, call me Ann!",
        "Merk dir bitte, dass ich in Berlin wohne.",
        "MERKE DIR: ich mag Tee.",
        "N\u2019oublie pas que je suis végétarienne.",
        "Recuerda que soy de Sevilla.",
        "Ricordati che abito a Roma.",
        "Lembre-se de que moro em Lisboa.",
        "Onthoud dat ik in Gent woon.",
        "Zapamiętaj, że mieszkam w Krakowie.",
        "Запомни: я живу в Риге.",
        "Vejetaryen olduğumu unutma.",
        "मैं शाकाहारी हूँ, यह याद रखना।",
        "请记住我住在上海。",
        "私はベジタリアンだと覚えておいて。",
        "나는 채식주의자라는 것을 기억해 줘.",
        "จำไว้ว่าฉันแพ้ถั่ว",
        "تذكر أن اسمي ليلى.",
    ],
)
def test_it_is_found_in_its_sentence(sentence: str) -> None:
    (found,) = PHRASES.sentences_in(f"Hello there. {sentence}\nThank you!")

    assert found == sentence.replace("\u2019", "'")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I remember that we talked about it.",
        "Do you remember that film?",
        "Remember that film we saw?",
        "Ich merke dir nichts an.",
        "He is rememberingly kind.",
        "What a memorable day.",
        "Weißt du, was unutma heißt?",
    ],
)
def test_it_is_not_found_in_others(text: str) -> None:
    assert PHRASES.sentences_in(text) == []


def test_a_message_says_three_things_at_most_and_its_beginning_counts() -> None:
    assert len(PHRASES.sentences_in("Remember that I like tea. " * 9)) == 3
    assert PHRASES.sentences_in("x" * 5_000 + ". Remember that I like tea.") == []


def test_an_apps_own_phrases_take_their_place() -> None:
    own = Phrases(["Nota bene", "…mind you"])

    assert own.sentences_in("Nota bene: tea. Remember that I like it. I like it, mind you.") == [
        "Nota bene: tea.",
        "I like it, mind you.",
    ]
    assert Phrases([]).sentences_in("Remember that I like tea.") == []


@given(st.text(max_size=500))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert all(sentence.strip() for sentence in PHRASES.sentences_in(text))
