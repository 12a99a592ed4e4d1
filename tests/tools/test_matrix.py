"""What each dialect can say is tried, and the page says what was seen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from frontdesk.turn.events import MessageStarted, TextDelta, TurnCompleted
from tools.matrix import DIALECTS, PAGE, VENDORS, Column, Outcome, tables_of, tried, with_tables
from tools.matrix_features import FEATURES, Answer

Tried = dict[Column, Sequence[Outcome]]


@pytest.mark.parametrize("column", [*DIALECTS, *VENDORS], ids=lambda column: column.name)
async def test_nothing_is_lost_in_silence(column: Column) -> None:
    outcomes = zip(FEATURES, await tried(column), strict=True)

    assert [(feature.name, outcome.why) for feature, outcome in outcomes if outcome.word == "lost"] == []


@pytest.mark.parametrize("column", [*DIALECTS, *VENDORS], ids=lambda column: column.name)
async def test_a_refusal_names_what_the_caller_sent(column: Column) -> None:
    for feature, outcome in zip(FEATURES, await tried(column), strict=True):
        if outcome.word == "refused":
            assert outcome.param is not None
            field = outcome.param.partition(".")[0].partition("[")[0]
            assert field in {"model", *feature.body}, feature.name


async def test_the_page_says_what_was_seen() -> None:
    page = PAGE.read_text()

    assert with_tables(page, await tables_of()) == page


def test_a_table_may_stand_anywhere_in_a_page() -> None:
    assert with_tables("a\n<!-- tables -->\nold\n<!-- end of tables -->\nb", "new") == (
        "a\n<!-- tables -->\n\nnew\n\n<!-- end of tables -->\nb"
    )


def test_an_answer_is_whole_only_at_its_end() -> None:
    events = [MessageStarted(0, "msg_1"), TextDelta(0, "a"), TextDelta(0, "b")]

    assert Answer(events).text == "ab"
    assert not Answer(events).is_whole
    assert Answer([*events, TurnCompleted()]).is_whole
