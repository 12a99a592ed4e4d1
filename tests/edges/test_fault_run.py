"""A fifth of all answers fails, in every way that the upstream knows, and one other provider is well.

Nobody is left without an answer who had read nothing of it yet; no word is told twice; each attempt has its row, and
the rows cost what the providers charged.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from frontdesk.upstream.journal import Record
from tests.edges.raw import RawConnection, ask
from tests.edges.test_hostile_upstreams import DOORS, FAULTS, Api, Door, Outcome
from tests.edges.test_hostile_upstreams import ask as ask_one
from tests.serving import ADMIN_KEY, Served, serving
from tests.upstreams import ScriptedUpstream, scripted_upstream

INPUT, OUTPUT = 2, 8  # micro-dollars a token
FAIL = 0.2
WORDS = 9
TEXT = "".join(f"word{number} " for number in range(WORDS))
CLIENTS = 40
# Of those that FAULTS has, these harm an answer.
HARMFUL = [name for name, (words, breaks_bodies) in FAULTS.items() if words is not None or breaks_bodies]


def settings(failing: ScriptedUpstream, well: ScriptedUpstream) -> dict[str, Any]:
    """For each dialect of the upstream a model whose first provider fails, and one that is hedged besides."""
    providers: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for api in get_args(Api):
        fields = {"kind": "openai-compatible", "api": api, "api_key": "sk-test-run"}
        retries = {"most": 1, "base_s": 0.05}
        slots = {"concurrent": 12, "spare": 0}
        # Short rests: who is never asked cannot fail.
        breaker = {"open_s": 0.05, "longest_open_s": 0.05}
        # A busy machine is silent for long, and so may the other one be.
        care = {"idle_timeout_s": 0.8, "retries": retries, "slots": slots, "breaker": breaker}
        providers[f"{api}-one"] = {**fields, **care, "base_url": f"{failing.url}/v1"}
        providers[f"{api}-two"] = {**fields, "base_url": f"{well.url}/v1"}
        models[api] = {"route": [f"{api}-one/words-{WORDS}", f"{api}-two/words-{WORDS}"]}
        slow = f"{api}-one/words-{WORDS}:ttft=40,jitter=40"
        models[f"{api}-hedged"] = {"route": [slow, f"{api}-two/words-{WORDS}"], "hedge_after_s": 0.04}
    return {
        "providers": providers,
        "models": models,
        "default_model": "chat",
        "prices": {f"{name}/*": {"input": INPUT, "output": OUTPUT} for name in providers},
        "budgets": [{"scope": "app", "usd": 1_000, "per": "total"}],
    }


@pytest.fixture
async def failing() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest.fixture
async def well() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@dataclass(frozen=True)
class Asked:
    """One request of the run."""

    words: str
    door: Door
    model: str
    stream: bool


def requests(count: int, seed: int) -> list[Asked]:
    """So many, of all kinds; each can be found in a journal by its words."""
    chance = random.Random(seed)
    kinds = list(itertools.product(DOORS, ["chat", "responses", "chat-hedged", "responses-hedged"], [True, False]))
    return [
        Asked(f"request {number} of the run", door, model, stream)
        for number, (door, model, stream) in enumerate(chance.choices(kinds, k=count))
    ]


def faults(seed: int) -> list[dict[str, Any]]:
    """Rules by which a fifth of all requests fails, as often in each way."""
    probability = 1 - (1 - FAIL) ** (1 / len(HARMFUL))
    return [{"script": name, "probability": probability, "seed": seed + number} for number, name in enumerate(HARMFUL)]


async def run(served: Served, asked: list[Asked]) -> dict[Asked, Outcome]:
    """Ask for all, many at the same time."""
    left = iter(asked)
    outcomes: dict[Asked, Outcome] = {}

    async def client() -> None:
        connection = await RawConnection.open(served)
        for each in left:
            outcomes[each] = await ask_one(connection, each.door, each.model, each.words, stream=each.stream)

    try:
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
    finally:
        await RawConnection.close_all()
    return outcomes


def check_told(asked: Asked, outcome: Outcome) -> None:
    """A whole answer, or for who had read some of it the beginning and an error."""
    if outcome.end == "whole":
        assert outcome.text == TEXT, asked
        return
    assert asked.stream, (asked, outcome)
    assert outcome.status == 200, (asked, outcome)
    assert outcome.text
    assert TEXT.startswith(outcome.text)
    assert outcome.text in ("".join(f"word{each} " for each in range(count)) for count in range(1, WORDS + 1))


ATTEMPTS = """
    select turn, provider, purpose, status, usage_source, input_tokens, output_tokens, cost_micros, cost_source,
        error_code, http_status, finished_at_ms is not null
    from attempt order by turn, number
"""
TURNS = "select id, status, cost_micros, input_tokens, output_tokens from turn"


@dataclass(frozen=True)
class Row:
    """An attempt, as its row tells."""

    provider: str
    purpose: str
    status: str
    usage_source: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_micros: int
    cost_source: str
    error_code: str | None
    http_status: int | None
    has_ended: bool


def check_rows(asked: Asked, outcome: Outcome, rows: list[Row], records: list[Record]) -> None:
    """A turn's attempts, beside what its providers wrote down."""
    answered = [row for row in rows if row.status == "completed"]
    is_hedged = asked.model.endswith("hedged")
    assert rows, asked
    assert len(answered) == (outcome.end == "whole"), (asked, outcome, rows)
    assert all(row.has_ended for row in rows)
    assert all(row.status in ("completed", "failed", "cancelled") for row in rows), rows
    assert sum(row.status == "cancelled" for row in rows) <= is_hedged
    assert [row.purpose for row in rows].count("hedge") <= is_hedged
    assert rows[0].purpose in ("first", "fallback")
    # What a row says was reported, a provider has charged for, once; and each answer that nothing befell is a row.
    reported = Counter[tuple[int | None, int | None]](
        (row.input_tokens, row.output_tokens) for row in rows if row.usage_source == "reported"
    )
    charged = Counter[tuple[int | None, int | None]](
        (each.billed.input_tokens, each.billed.output_tokens) for each in records
    )
    assert not reported - charged, (asked, rows, records)
    assert all(row.usage_source == "reported" for row in answered), (asked, rows, records)
    # One that was overtaken, or given up for its silence, may have been whole just then.
    given_up = sum(row.status == "cancelled" or row.error_code == "provider_timeout" for row in rows)
    assert len(answered) + given_up >= sum(_is_whole(each) for each in records), (asked, rows, records)
    for row in rows:
        if row.usage_source is not None:
            assert row.input_tokens is not None
            assert row.output_tokens is not None
            assert row.cost_micros == row.input_tokens * INPUT + row.output_tokens * OUTPUT
            assert row.cost_source == ("usage" if row.usage_source == "reported" else "estimate")
        else:
            assert row.cost_micros == 0
    # A request may be sent twice on connections that the provider had closed meanwhile, never the other way round.
    assert len(records) >= len([row for row in rows if row.http_status != 502 or row.status != "failed"])
    assert sum(row.cost_micros > 0 for row in rows) <= len(records)


def _is_whole(record: Record) -> bool:
    """Whether an answer went out and nothing befell it."""
    return record.ended == "whole" and record.status == 200 and not record.directives


async def fault_run(tmp_path: Path, failing: ScriptedUpstream, well: ScriptedUpstream, count: int, seed: int) -> None:
    failing.play(*faults(seed))
    asked = requests(count, seed)
    with serving(tmp_path, settings(failing, well)) as served:
        outcomes = await run(served, asked)
        await served.until_rows("select count(*) from turn where status = 'running'", [(0,)])
        await served.until_rows(f"select count(*) >= {count} from turn", [(1,)])
        attempts: dict[str, list[Row]] = defaultdict(list)
        for turn, *values in served.rows(ATTEMPTS):
            attempts[turn].append(Row(*values))
        turns = {turn: values for turn, *values in served.rows(TURNS)}
        [(spent, held)] = served.rows("select spent_micros, held_micros from budget_window where scope = 'app'")
        _, routes = await ask(served, get("/api/admin/routes"))
        await RawConnection.close_all()
        assert "Traceback" not in served.log
        assert "sk-test-run" not in served.log

    assert set(outcomes) == set(asked)
    journal: dict[str, list[Record]] = defaultdict(list)
    for record in [*failing.journal(), *well.journal()]:
        assert isinstance(record.body, msgspec.Raw)
        words = bytes(record.body).partition(b"request ")[2].split(b" ")[0].decode()
        journal[f"request {words} of the run"].append(record)
    for each, outcome in outcomes.items():
        check_told(each, outcome)
        check_rows(each, outcome, attempts[outcome.turn], journal[each.words])
        status, cost, *_ = turns[outcome.turn]
        assert status == ("completed" if outcome.end == "whole" else "failed")
        assert cost == sum(row.cost_micros for row in attempts[outcome.turn])
    assert (spent, held) == (sum(values[1] for values in turns.values()), 0)
    for route in routes["data"]:
        assert route["slots"] is None or (route["slots"]["in_use"], route["slots"]["waiting"]) == (0, 0)
    # It was no idle exercise.
    purposes = Counter(row.purpose for rows in attempts.values() for row in rows)
    assert min(purposes[purpose] for purpose in ("first", "retry", "fallback", "hedge")) > count / 100, purposes
    cut_short = sum(outcome.end == "error" for outcome in outcomes.values())
    assert 0 < cut_short < count * FAIL


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {ADMIN_KEY}\r\n\r\n".encode()


async def test_a_fifth_of_answers_fails_and_nobody_notices(
    tmp_path: Path, failing: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    await fault_run(tmp_path, failing, well, 400, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [2, 3, 4])
async def test_five_thousand_requests(
    tmp_path: Path, failing: ScriptedUpstream, well: ScriptedUpstream, seed: int
) -> None:
    await fault_run(tmp_path, failing, well, 5_000, seed)
