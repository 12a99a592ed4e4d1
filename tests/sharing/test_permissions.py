"""The user of Valkey that docs/limits.md describes may do all that is done there, and no more."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path

import pytest

from frontdesk.core.clock import SystemClock
from frontdesk.limits.counters import Take, Taken, at_a_time, key_of, per_day, rate
from frontdesk.limits.valkey import open_valkey
from tests.limits.desks import PATIENT_S
from tests.limits.valkey_server import Server
from tests.sharing.test_valkey import QUICK, TOPIC, processes

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
RULES = re.findall(
    r"^    ACL SETUSER gateway (on >PASSWORD [^\n]+\n +[^\n]+)", GUIDE.read_text(encoding="utf-8"), re.MULTILINE
)
TRIED = ["evalsha", "time", "set", "zadd", "zrem", "xread", "xadd", "xdel", "xrevrange", "expire"]
TAKES = [
    Take(key_of("default", "turns"), at_a_time(9)),
    Take(key_of("default", "requests"), rate(9, 60)),
    Take(key_of("default", "daily"), per_day(1000), 100),
]


async def denied(valkey: Server, rules: list[str]) -> set[str]:
    """Count and post as a user of these rules; returns the commands that Valkey denied, with what it says of them."""
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "frontdesk", "reset", *rules)
        client.execute_command("ACL", "LOG", "RESET")
        url = valkey.url.replace("unix://", "unix://frontdesk:PASSWORD@")
        await count(url)
        async with processes(url, "one", "two", times=QUICK) as (one, two):
            one.post.send("two", TOPIC, b"hello")
            if one.post.is_well and two.post.is_well:
                await two.came_to(1)
        return {entry["object"] for entry in client.acl_log()}


async def count(url: str) -> None:
    counters = await open_valkey(url, SystemClock(), timeout_s=PATIENT_S)
    try:
        taken = counters.take(TAKES, "turn")
        outcome = await taken if isinstance(taken, Awaitable) else taken
        assert isinstance(outcome, Taken)
        await counters._renew()
        counters.settle(outcome, [0, 0, 7])
        await counters._lane.flush(PATIENT_S)
        await counters._lane.probe()
    finally:
        await counters.close()


async def test_it_may_do_all_that_is_done(valkey: Server) -> None:
    (rules,) = RULES

    assert await denied(valkey, rules.split()) == set()


@pytest.mark.parametrize("command", TRIED)
async def test_it_may_do_no_more_than_it_needs(valkey: Server, command: str) -> None:
    (rules,) = RULES
    fewer = [rule for rule in rules.split() if rule != f"+{command}"]

    assert len(fewer) == len(rules.split()) - 1
    assert command in await denied(valkey, fewer)
