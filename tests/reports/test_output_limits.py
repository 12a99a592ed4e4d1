"""How far limits of answers are used up, on both engines: which turns count, exactly, and how much may be asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, Unavailable
from frontdesk.reports.lengths import Figures, percentile
from frontdesk.reports.output_limits import OutputLimits
from frontdesk.reports.question import Question
from frontdesk.reports.report import Names, ReportLimits
from frontdesk.storage.database import Database
from frontdesk.storage.query import Parameters, Query, Row, Step
from frontdesk.storage.tables import turn
from tests.fakes import HandClock
from tests.reports.rows import DAY_MS, JULY_MS, a_turn, keep

JULY: Any = {"from_ms": JULY_MS, "to_ms": JULY_MS + 31 * DAY_MS}


async def figures_of(database: Database, tenant: str = "default", **asked: Any) -> dict[Names, Figures]:
    return dict(await OutputLimits(database, HandClock()).make(tenant, Question(**{**JULY, **asked})))


def an_answer(turn_id: str, used: int | None, given: int | None = None, **values: Any) -> dict[str, Any]:
    usual = {"output_tokens": used, "max_output_tokens": given, "usage_source": "reported"}
    return a_turn(turn_id, **{**usual, **values})


def cut(turn_id: str, used: int, given: int | None, **values: Any) -> dict[str, Any]:
    return an_answer(turn_id, used, given, **{"status": "incomplete", **values})


async def test_nothing_is_no_figures(database: Database) -> None:
    assert await figures_of(database) == {}


async def test_features_and_models_are_told_apart_in_order(database: Database) -> None:
    await keep(
        database,
        [
            an_answer("t1", 10, 100),
            cut("t2", 100, 100),
            an_answer("t3", 30, 400, model="best"),
            an_answer("t4", 7, feature="drafts", door="responses"),
            an_answer("t5", 9, 50, feature=None, model=None),
        ],
    )

    told = await OutputLimits(database, HandClock()).make("default", Question(**JULY))

    assert told == [
        ((None, None), Figures(1, 1, 50, 50, 9, 9, 9, 9, 0, 0.0, None)),
        (("chat", "best"), Figures(1, 1, 400, 400, 30, 30, 30, 30, 0, 0.0, None)),
        (("chat", "fast"), Figures(2, 2, 100, 100, 10, 100, 100, 100, 1, 0.5, None)),
        (("drafts", "fast"), Figures(1, 0, None, None, 7, 7, 7, 7, 0, None, None)),
    ]


@pytest.mark.parametrize(
    ("row", "counts", "is_cut"),
    [
        (an_answer("t", 10, 100), True, False),
        (an_answer("t", 100, 100), True, False),  # it ended there by itself
        (cut("t", 100, 100), True, True),
        (cut("t", 130, 100), True, True),
        (cut("t", 40, 100), True, False),  # a provider's filter
        (cut("t", 40, 100, usage_source="counted"), True, True),  # a count of ours may be too low
        (cut("t", 100, 100, error_code="content_filter"), True, False),  # a guard's end
        (cut("t", 100, None), True, False),
        (an_answer("t", None, 100), False, False),
        (an_answer("t", 10, 100, status="cancelled"), False, False),
        (an_answer("t", 10, 100, status="failed"), False, False),
        (an_answer("t", 10, 100, status="abandoned"), False, False),
        (an_answer("t", 10, 100, status="running"), False, False),
        (an_answer("t", 10, 100, door="embeddings"), False, False),
        (an_answer("t", 10, 100, tenant="acme"), False, False),
        (an_answer("t", 10, 100, started_at_ms=JULY_MS - 1), False, False),
        (an_answer("t", 10, 100, started_at_ms=JULY_MS + 31 * DAY_MS), False, False),
    ],
)
async def test_what_came_to_an_end_counts_and_what_reached_its_limit_was_cut(
    database: Database, row: dict[str, Any], counts: bool, is_cut: bool
) -> None:
    await keep(database, [row])

    told = await figures_of(database)

    assert [(each.turns, each.cut_turns) for each in told.values()] == ([(1, int(is_cut))] if counts else [])


async def test_they_are_narrowed(database: Database) -> None:
    await keep(
        database,
        [
            an_answer("t1", 1),
            an_answer("t2", 2, model="best"),
            an_answer("t3", 3, feature="drafts"),
            an_answer("t4", 4, feature="drafts", model="best"),
        ],
    )

    assert set(await figures_of(database, only={"feature": "drafts"})) == {("drafts", "best"), ("drafts", "fast")}
    assert set(await figures_of(database, only={"model": "best"})) == {("chat", "best"), ("drafts", "best")}
    assert set(await figures_of(database, only={"feature": "chat", "model": "best"})) == {("chat", "best")}


TURNS = st.lists(
    st.tuples(
        st.sampled_from(["chat", "drafts"]),
        st.integers(0, 31 * 24),
        st.integers(0, 2_000),
        st.sampled_from([None, 64, 500]),
        st.booleans(),
    ),
    max_size=60,
)
_EMPTY = Query(turn.delete())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TURNS)
async def test_pieces_add_up_to_what_each_turn_says(database: Database, turns: list[Any]) -> None:
    await database.write(Step(_EMPTY, {}))
    rows = [
        an_answer(
            f"t{number}",
            used if given is None or not is_cut else given,
            given,
            feature=feature,
            status="incomplete" if is_cut and given is not None else "completed",
            started_at_ms=JULY_MS + hour * 3_600_000,
        )
        for number, (feature, hour, used, given, is_cut) in enumerate(turns)
    ]
    if rows:
        await keep(database, rows)

    told = await figures_of(database, to_ms=JULY_MS + 40 * DAY_MS)

    assert {feature for feature, _ in told} == {row["feature"] for row in rows}
    for (feature, _), figures in told.items():
        own = [row for row in rows if row["feature"] == feature]
        used = Counter(row["output_tokens"] for row in own)
        assert figures.turns == len(own)
        assert figures.limited_turns == sum(row["max_output_tokens"] is not None for row in own)
        assert figures.cut_turns == sum(row["status"] == "incomplete" for row in own)
        assert (figures.used_p50, figures.used_p90, figures.used_p99, figures.used_max) == (
            percentile(used, 50),
            percentile(used, 90),
            percentile(used, 99),
            max(used),
        )


@pytest.mark.parametrize("limits", [ReportLimits(most_lengths=4), ReportLimits(most_groups=1)])
async def test_too_much_is_refused_in_words(database: Database, limits: ReportLimits) -> None:
    await keep(database, [an_answer(f"t{number}", number, feature=f"f{number % 2}") for number in range(5)])
    reports = OutputLimits(database, HandClock(), limits)

    with pytest.raises(BadRequest, match="name a 'feature' or a 'model'") as caught:
        await reports.make("default", Question(**JULY))
    assert (caught.value.code, caught.value.param) == ("too_many_groups", "from")
    ((_, figures),) = await reports.make("default", Question(**JULY, only={"feature": "f1"}))
    assert figures.turns == 2


class StuckDatabase:
    """Never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self, _query: Query, _parameters: Parameters) -> list[Row]:
        self.asked += 1
        return await asyncio.get_running_loop().create_future()


async def test_what_takes_too_long_ends_in_words() -> None:
    stuck: Any = StuckDatabase()

    with pytest.raises(Unavailable, match=r"longer than 0\.05 s") as caught:
        await OutputLimits(stuck, HandClock(), ReportLimits(timeout_s=0.05)).make("default", Question(**JULY))
    assert caught.value.code == "report_too_slow"


async def test_one_is_read_at_a_time() -> None:
    stuck: Any = StuckDatabase()
    reports = OutputLimits(stuck, HandClock())
    waiting = [asyncio.ensure_future(reports.make("default", Question(**JULY))) for _ in range(2)]
    for _ in range(10):
        await asyncio.sleep(0)

    assert stuck.asked == 1
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
