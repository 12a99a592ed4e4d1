"""Faults told at run time: for how many, for which, how often; and what goes before what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.upstream.raw import CHAT, RESPONSES, asking, chat, control, exchange, played
from tests.upstreams import ScriptedUpstream

FAULTS = "/upstream/faults"


async def statuses(upstream: ScriptedUpstream, count: int, model: str = "echo", path: str = CHAT) -> list[int]:
    return [(await played(upstream, model, path)).status for _ in range(count)]


async def test_the_next_requests_fail(upstream: ScriptedUpstream) -> None:
    told = await control(upstream, "PUT", FAULTS, {"script": "fault=503", "times": 2})
    assert told.json == {"faults": [{"script": "fault=503", "times": 2}]}

    assert await statuses(upstream, 1) == [503]
    assert (await control(upstream, "GET", FAULTS)).json["faults"][0]["times"] == 1
    assert await statuses(upstream, 2) == [503, 200]
    assert (await control(upstream, "GET", FAULTS)).json == {"faults": []}


async def test_a_fault_holds_until_it_is_removed(upstream: ScriptedUpstream) -> None:
    await control(upstream, "PUT", FAULTS, {"script": "fault=500"})
    assert await statuses(upstream, 3) == [500, 500, 500]

    assert (await control(upstream, "DELETE", FAULTS)).json == {"faults": []}
    assert await statuses(upstream, 1) == [200]


async def test_only_what_matches_fails(upstream: ScriptedUpstream) -> None:
    rules = [{"script": "fault=429", "model": "gpt-*"}, {"script": "fault=503", "path": "*/responses"}]
    await control(upstream, "PUT", FAULTS, rules)

    assert await statuses(upstream, 1, "gpt-5") == [429]
    assert await statuses(upstream, 1, "echo") == [200]
    assert await statuses(upstream, 1, "echo", RESPONSES) == [503]


async def test_only_a_request_that_holds_some_words_fails(upstream: ScriptedUpstream) -> None:
    await control(upstream, "PUT", FAULTS, {"script": "fault=503", "contains": "please fail"})

    assert (await played(upstream, "echo", text="now please fail")).status == 503
    assert (await played(upstream, "echo", text="now please")).status == 200


async def test_chance_comes_from_its_seed(upstream: ScriptedUpstream) -> None:
    runs: list[list[int]] = []
    for seed in (5, 5, 6):
        await control(upstream, "PUT", FAULTS, {"script": "fault=500", "probability": 0.5, "seed": seed})
        runs.append(await statuses(upstream, 30))

    assert runs[0] == runs[1] != runs[2]
    assert {200, 500} == set(runs[0])


async def test_a_rule_may_name_another_script(upstream: ScriptedUpstream) -> None:
    await control(upstream, "PUT", FAULTS, {"script": "words-3:pace=1", "model": "gpt-5"})

    assert (await played(upstream, "gpt-5")).text == "word0 word1 word2 "


async def test_a_rule_goes_before_headers_and_these_before_the_models_name(upstream: ScriptedUpstream) -> None:
    request = asking(CHAT, chat("words-1:fault=500"), x_upstream_script="words-2:fault=503")
    assert (await exchange(upstream, request)).status == 503
    request = asking(CHAT, chat("words-1:fault=500"), x_upstream_script="words-2", x_upstream_fault="529")
    assert (await exchange(upstream, request)).status == 529

    await control(upstream, "PUT", FAULTS, {"script": "fault=429"})
    assert (await exchange(upstream, request)).status == 429
    assert [record.script for record in upstream.journal()] == ["words-2"] * 3


@pytest.mark.parametrize(
    "rules",
    [
        5,
        "fault=500",
        [{"script": 5}],
        {},
        {"script": "fault=500", "tmies": 3},
        {"script": "fault=500", "times": 0},
        {"script": "fault=500", "probability": 1.5},
        {"script": "fualt=500"},
        {"script": "fault=cutt"},
    ],
)
async def test_a_rule_that_cannot_be_is_refused_and_the_others_hold(upstream: ScriptedUpstream, rules: Any) -> None:
    await control(upstream, "PUT", FAULTS, {"script": "fault=503"})

    assert (await control(upstream, "PUT", FAULTS, rules)).status == 400
    assert await statuses(upstream, 1) == [503]


async def test_control_knows_its_paths(upstream: ScriptedUpstream) -> None:
    assert (await control(upstream, "GET", "/healthz")).json == {"status": "ok"}
    assert (await control(upstream, "GET", "/upstream/nothing")).status == 404
    assert (await control(upstream, "POST", FAULTS)).status == 405
    assert upstream.journal() == []
