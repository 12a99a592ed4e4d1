"""Problems: each at its line, none twice, none of what could not be read, and never a secret."""

from __future__ import annotations

import pytest

from frontdesk.core.config.problems import (
    ConfigError,
    Lines,
    Place,
    Problem,
    Problems,
    check_number,
    remedy_for,
    spelled,
)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("features", "chat", "models", 1), "features.chat.models[1]"),
        (("auth", "jwt", 0, "claims", "user"), "auth.jwt[0].claims.user"),
        ((), ""),
    ],
)
def test_a_place_in_words(place: Place, words: str) -> None:
    assert spelled(place) == words


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("frontdesk.yaml", 14, "frontdesk.yaml:14: Wrong."),
        (None, 14, "line 14: Wrong."),
        ("frontdesk.yaml", None, "frontdesk.yaml: Wrong."),
        (None, None, "Wrong."),
    ],
)
def test_a_problem_says_where_it_is(file: str | None, line: int | None, told: str) -> None:
    assert str(Problem("Wrong.", (), file, line)) == told


def test_a_place_that_was_not_written_is_told_where_the_nearest_was() -> None:
    lines = Lines(None, {("models",): 3, ("models", "fast"): 4})

    assert lines.at(("models", "fast", "route", 2)) == 4
    assert lines.at(("models", "slow")) == 3
    assert lines.at(("tiers",)) is None


def test_all_problems_are_raised_by_their_lines() -> None:
    problems = Problems(Lines("f.yaml", {("a",): 9, ("b",): 2}))
    problems.add(("a",), "Last.")
    problems.add((), "Of the whole.")
    problems.add(("b",), "Between.")
    problems.add(("b",), "Between.")

    with pytest.raises(ConfigError) as caught:
        problems.raise_any()

    assert str(caught.value) == "f.yaml: Of the whole.\nf.yaml:2: Between.\nf.yaml:9: Last."
    assert [problem.place for problem in caught.value.problems] == [(), ("b",), ("a",)]


def test_nothing_is_raised_for_nothing() -> None:
    Problems().raise_any()


def test_what_could_not_be_read_has_no_further_problems() -> None:
    problems = Problems()
    problems.lose(("models",), "It is no mapping.")
    problems.add(("models", "fast", "route"), "It is empty.")
    problems.pass_over(("tiers",))
    problems.add(("tiers",), "None.")
    problems.add(("modelsX",), "Another.")

    assert [problem.message for problem in problems.found()] == ["It is no mapping.", "Another."]


def test_a_secret_is_told_by_its_name() -> None:
    problems = Problems()
    problems.keep_secret("sk-'hidden'", "${KEY}")
    problems.keep_secret("abc", "${SHORT}")
    problems.add((), f"It is {'sk-' + chr(39) + 'hidden' + chr(39)!r}, sk-'hidden', abc.")

    assert [problem.message for problem in problems.found()] == ['It is "${KEY}", ${KEY}, abc.']


def test_a_secret_that_begins_with_another_is_told_by_its_own_name() -> None:
    problems = Problems()
    problems.keep_secret("hidden", "${A}")
    problems.keep_secret("hidden-too", "${B}")
    problems.add((), "It is hidden-too.")

    assert [problem.message for problem in problems.found()] == ["It is ${B}."]


@pytest.mark.parametrize(
    ("value", "least", "most", "told"),
    [
        (float("inf"), 0.001, 86_400.0, "limits.body_mb is inf. It must be from 0.001 to 86400."),
        (float("nan"), 1, 10_000_000, "limits.body_mb is nan. It must be from 1 to 10000000."),
        (12_345_678.0, 1, 10, "limits.body_mb is 12345678. It must be from 1 to 10."),
        (2e18, -1e18, 1e18, "limits.body_mb is 2e+18. It must be from -1e+18 to 1e+18."),
    ],
)
def test_a_number_outside_of_its_range(value: float, least: float, most: float, told: str) -> None:
    problems = Problems()
    check_number(problems, ("limits", "body_mb"), value, least, most)

    assert [problem.message for problem in problems.found()] == [told]


def test_the_remedy_for_a_name() -> None:
    assert remedy_for("modles", ["models", "route"]) == "Did you mean 'models'?"
    assert remedy_for("x", ["models", "route"]) == "Known: models, route."
    assert remedy_for("x", []) == "Known: none."
