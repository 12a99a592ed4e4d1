"""Post over a real Valkey, which is slow, dead, empty, and back again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from frontdesk.core.clock import SystemClock
from frontdesk.sharing import valkey as module
from frontdesk.sharing.valkey import Times, ValkeyPost
from tests.limits.valkey_server import Server, passing_on

QUICK = Times(timeout_s=0.3, wait_s=0.3, pause_s=0.01, probe_every_s=0.05)
PATIENT = Times(timeout_s=20, wait_s=0.3, pause_s=0.01, probe_every_s=0.05)
TOPIC = "tests"
ASKS_ONCE = Times(timeout_s=20, wait_s=600)


class Process:
    """One that keeps what comes by post."""

    def __init__(self, url: str, me: str, times: Times = PATIENT) -> None:
        self.post = ValkeyPost(url, me, SystemClock(), times)
        self.came: list[bytes] = []
        self.post.listen(TOPIC, self.came.append)

    async def came_to(self, count: int) -> list[bytes]:
        await until(lambda: len(self.came) >= count)
        return self.came


@contextlib.asynccontextmanager
async def processes(url: str, *names: str, times: Times = PATIENT) -> AsyncIterator[list[Process]]:
    started = [Process(url, name, times) for name in names]
    for process in started:
        await process.post.start()
    try:
        yield started
    finally:
        for process in started:
            await process.post.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the test's own time-out ends it."""
    while not holds():
        await asyncio.sleep(0.005)


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def signs(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message.split()[0] for record in caplog.records]


# --- well ---------------------------------------------------------------------------------------


async def test_three_processes_get_what_is_sent_to_them_in_order(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two", "three") as (one, two, three):
        for number in range(2_000):
            one.post.send("two", TOPIC, b"1:%d" % number)
            three.post.send("two", TOPIC, b"3:%d" % number)
            two.post.send("one", TOPIC, b"2:%d" % number)
            if number % 7 == 0:
                await asyncio.sleep(0)

        came = await two.came_to(4_000)
        assert [message for message in came if message.startswith(b"1")] == [b"1:%d" % each for each in range(2_000)]
        assert [message for message in came if message.startswith(b"3")] == [b"3:%d" % each for each in range(2_000)]
        assert await one.came_to(2_000) == [b"2:%d" % each for each in range(2_000)]
        assert three.came == []
        assert [process.post.lost for process in (one, two, three)] == [0, 0, 0]


async def test_large_messages_arrive_whole(valkey: Server) -> None:
    messages = [bytes([number]) * (number * 40_000) for number in range(12)]
    async with processes(valkey.url, "one", "two") as (one, two):
        for message in messages:
            one.post.send("two", TOPIC, message)

        assert await two.came_to(len(messages)) == messages


async def test_much_that_leaves_bit_by_bit_loses_nothing(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        for number in range(20):
            one.post.send("two", TOPIC, bytes(1 << 20))
            await two.came_to(number + 1)

        assert one.post.lost == 0


async def test_what_is_sent_to_a_process_before_it_listens_waits_for_it(valkey: Server) -> None:
    async with processes(valkey.url, "one") as (one,):
        one.post.send("two", TOPIC, b"early")
        await one.post._outbox.empty(20)

        async with processes(valkey.url, "two") as (two,):
            assert await two.came_to(1) == [b"early"]


async def test_a_process_may_send_to_itself(valkey: Server) -> None:
    async with processes(valkey.url, "one") as (one,):
        one.post.send("one", TOPIC, b"hello")

        assert await one.came_to(1) == [b"hello"]


async def test_each_topic_is_given_to_who_listens_to_it_and_one_that_nobody_knows_to_nobody(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        others: list[bytes] = []
        two.post.listen("others", others.append)
        one.post.send("two", "others", b"of others")
        one.post.send("two", "of a newer version", b"passed over")
        one.post.send("two", TOPIC, b"ours")

        assert await two.came_to(1) == [b"ours"]
        assert others == [b"of others"]


async def test_under_another_name_it_gets_what_is_sent_to_that_at_once(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two", times=ASKS_ONCE) as (one, two):
        one.post.send("two", TOPIC, b"before")
        await two.came_to(1)

        two.post.move("another")
        one.post.send("two", TOPIC, b"to the old name")
        one.post.send("another", TOPIC, b"after")

        assert await two.came_to(2) == [b"before", b"after"]
        assert (two.post.me, two.post.is_well) == ("another", True)


async def test_a_listener_that_moves_while_it_is_told_reads_on_under_its_new_name(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two", times=ASKS_ONCE) as (one, two):

        def take(message: bytes) -> None:
            two.came.append(message)
            if message == b"go":
                two.post.move("another")

        two.post.listen(TOPIC, take)
        one.post.send("another", TOPIC, b"there already")
        await one.post._outbox.empty(20)
        one.post.send("two", TOPIC, b"before")
        await two.came_to(1)
        one.post.send("two", TOPIC, b"go")

        assert await two.came_to(3) == [b"before", b"go", b"there already"]


async def test_what_was_sent_leaves_before_it_closes_and_nothing_of_a_closed_process_stays(valkey: Server) -> None:
    async with processes(valkey.url, "two") as (two,):
        async with processes(valkey.url, "one") as (one,):
            for message in numbered(3_000):
                one.post.send("two", TOPIC, message)

        assert await two.came_to(3_000) == numbered(3_000)
    with valkey.client() as client:
        assert list(client.scan_iter()) == []


async def test_what_was_read_is_removed_and_every_key_is_ours_and_expires(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        one.post.send("two", TOPIC, b"a secret")
        one.post.send("nobody", TOPIC, b"hello")
        await two.came_to(1)

        with valkey.client() as client:
            await until(lambda: client.xlen("frontdesk:post:{two}") == 0)
            ends_s = {key.decode(): client.ttl(key) for key in client.scan_iter()}
    assert set(ends_s) == {f"frontdesk:post:{{{name}}}" for name in ("one", "two", "nobody")}
    assert all(0 < end_s <= 60 for end_s in ends_s.values())


async def test_a_process_that_reads_nothing_fills_no_memory(valkey: Server) -> None:
    async with processes(valkey.url, "one") as (one,):
        for _ in range(1_500):
            one.post.send("nobody", TOPIC, b"hello")
            await one.post._outbox.empty(20)

        with valkey.client() as client:
            assert client.xlen("frontdesk:post:{nobody}") <= 1_100


async def test_the_newer_protocol_of_valkey_serves_as_well(valkey: Server) -> None:
    async with processes(f"{valkey.url}?protocol=3&decode_responses=true", "one", "two") as (one, two):
        for message in numbered(10):
            one.post.send("two", TOPIC, message)

        assert await two.came_to(10) == numbered(10)


# --- away and back ------------------------------------------------------------------------------


async def test_a_valkey_that_died_and_came_back_is_used_again_and_each_change_is_one_line(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        one.post.send("two", TOPIC, b"before")
        await two.came_to(1)
        valkey.kill()
        await until(lambda: not one.post.is_well and not two.post.is_well)

        one.post.send("two", TOPIC, b"meanwhile")
        valkey.start()
        await until(lambda: one.post.is_well and two.post.is_well)
        one.post.send("two", TOPIC, b"after")

        assert await two.came_to(3) == [b"before", b"meanwhile", b"after"]
    assert sorted(signs(caplog)) == ["post_away", "post_away", "post_back", "post_back"]


async def test_a_valkey_that_is_not_there_at_the_start_is_used_when_it_comes(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    valkey.kill()
    async with processes(valkey.url, "one", "two") as (one, two):
        assert (one.post.is_well, two.post.is_well) == (False, False)
        one.post.send("two", TOPIC, b"hello")

        valkey.start()

        assert await two.came_to(1) == [b"hello"]
    assert signs(caplog) == ["post_away", "post_away", "post_back", "post_back"]


async def test_a_valkey_that_was_started_anew_between_two_messages_loses_neither(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        one.post.send("two", TOPIC, b"before")
        await two.came_to(1)
        valkey.kill()
        valkey.start()
        await until(lambda: module.has_ended(one.post._sending))

        one.post.send("two", TOPIC, b"after")

        assert await two.came_to(2) == [b"before", b"after"]


async def test_a_valkey_that_stands_still_is_away_until_it_goes_on(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(valkey.url, "one", "two", times=QUICK) as (one, two):
        with valkey.standing_still():
            one.post.send("two", TOPIC, b"perhaps")
            await until(lambda: not one.post.is_well and not two.post.is_well)
            one.post.send("two", TOPIC, b"later")
        await until(lambda: one.post.is_well and two.post.is_well)
        await until(lambda: b"later" in two.came)

        assert two.came in ([b"later"], [b"perhaps", b"later"])
    assert sorted(signs(caplog)) == ["post_away", "post_away", "post_back", "post_back"]


async def test_an_emptied_valkey_goes_on_passing_messages(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        for number in range(5):
            one.post.send("two", TOPIC, b"%d" % number)
            await two.came_to(number + 1)
            valkey.empty()

        assert two.came == numbered(5)
        assert (one.post.is_well, two.post.is_well) == (True, True)


async def test_a_new_valkey_whose_clock_goes_after_the_old_one_is_heard(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        one.post.send("two", TOPIC, b"before")
        await two.came_to(1)
        with valkey.client() as client:
            client.flushall()
            client.xadd("frontdesk:post:{two}", {"m": msgspec.msgpack.encode([(TOPIC, b"after")])}, id="5-1")

        assert await two.came_to(2) == [b"before", b"after"]


async def test_of_too_much_that_waits_the_oldest_is_lost_and_counted(valkey: Server) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        valkey.kill()
        await until(lambda: not one.post.is_well and not two.post.is_well)
        for message in numbered(10_005):
            one.post.send("two", TOPIC, message)
        assert one.post.lost == 5

        valkey.start()

        assert await two.came_to(10_000) == numbered(10_000, first=5)


async def test_what_waits_is_bounded_in_bytes_as_well(valkey: Server) -> None:
    valkey.kill()
    async with processes(valkey.url, "one", "two") as (one, two):
        for number in range(20):
            one.post.send("two", TOPIC, bytes([number]) * (1 << 20))
        assert (one.post.lost, one.post._outbox._size_bytes) == (4, 16 << 20)
        one.post.send("two", TOPIC, bytes(17 << 20))
        assert (one.post.lost, one.post._outbox._size_bytes) == (21, 0)
        one.post.send("two", TOPIC, b"small")

        valkey.start()

        assert await two.came_to(1) == [b"small"]


async def test_while_it_is_away_nobody_asks_but_the_probe(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """How often it connects is told by a passage that takes each connection and ends it at once, and how often
    anything is done at all by the rounds of the loop.
    """
    times = Times(timeout_s=20, wait_s=0.3, pause_s=0.05, probe_every_s=0.1)
    loop = asyncio.get_running_loop()
    async with passing_on(valkey) as passage, processes(passage.url, "one", times=times) as (one,):
        passage.shut()
        one.post.send("two", TOPIC, b"hello")
        await until(lambda: not one.post.is_well)
        one.post.send("two", TOPIC, b"hello")
        away_at, taken, rounds = loop.time(), passage.taken, 0
        run_once: Callable[[], None] = loop._run_once  # type: ignore[attr-defined]

        def count_round() -> None:
            nonlocal rounds
            rounds += 1
            run_once()

        monkeypatch.setattr(loop, "_run_once", count_round)
        while passage.taken < taken + 10:
            await asyncio.sleep(0.05)
        monkeypatch.undo()

        assert rounds < 1_000, "something goes round and round"
        assert loop.time() - away_at >= 8 * times.probe_every_s, "it asks more often than the probe does"
        assert taken <= 1 + 2 + 2 * module.MOST_FAILURES + 2
        passage.is_shut = False
        await until(lambda: one.post.is_well)


async def test_through_a_slow_way_all_arrives_in_few_large_batches(valkey: Server) -> None:
    async with passing_on(valkey) as passage, processes(passage.url, "one", "two") as (one, two):
        await until(lambda: two.post._reading is not None)
        passage.delay_s = 0.1
        for message in numbered(1_000):
            one.post.send("two", TOPIC, message)
            await asyncio.sleep(0)

        assert await two.came_to(1_000) == numbered(1_000)
        with valkey.client() as client:
            written = client.info("commandstats")["cmdstat_xadd"]["calls"]
        assert written <= 50
        assert (one.post.is_well, one.post.lost) == (True, 0)
        passage.delay_s = 0


async def test_a_way_that_is_too_slow_is_left_alone_until_it_is_quick_again(valkey: Server) -> None:
    async with passing_on(valkey) as passage, processes(passage.url, "one", "two", times=QUICK) as (one, two):
        passage.delay_s = 2 * QUICK.timeout_s
        one.post.send("two", TOPIC, b"perhaps")
        await until(lambda: not one.post.is_well and not two.post.is_well)

        passage.delay_s = 0
        await until(lambda: one.post.is_well and two.post.is_well)
        one.post.send("two", TOPIC, b"after")

        await until(lambda: b"after" in two.came)


async def test_connections_that_hang_are_replaced(valkey: Server) -> None:
    async with passing_on(valkey) as passage, processes(passage.url, "one", "two", times=QUICK) as (one, two):
        one.post.send("two", TOPIC, b"before")
        await two.came_to(1)
        passage.freeze()
        one.post.send("two", TOPIC, b"perhaps")
        await until(lambda: one.post.lost == 1)

        one.post.send("two", TOPIC, b"after")

        await until(lambda: b"after" in two.came)


async def test_who_may_send_and_not_read_is_away_and_stays_so(valkey: Server, caplog: pytest.LogCaptureFixture) -> None:
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "half", "on", ">fake-password", "~frontdesk:*", "+@all", "-xread")
    url = valkey.url.replace("unix://", "unix://half:fake-password@")
    async with processes(url, "one", times=QUICK) as (one,):
        probes = 0
        while probes < 5:
            await asyncio.sleep(QUICK.probe_every_s)
            probes += 1
            assert not one.post.is_well
    assert signs(caplog) == ["post_away"]
    assert "fake-password" not in caplog.text


async def test_a_permission_to_read_that_is_taken_away_is_noticed_though_sending_works(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "half", "on", ">fake-password", "~frontdesk:*", "+@all")
    url = valkey.url.replace("unix://", "unix://half:fake-password@")
    async with processes(url, "one", times=PATIENT) as (one,):
        with valkey.client() as client:
            client.execute_command("ACL", "SETUSER", "half", "-xread")
        while one.post.is_well:
            one.post.send("two", TOPIC, b"hello")
            await asyncio.sleep(0.005)
        with valkey.client() as client:
            client.execute_command("ACL", "SETUSER", "half", "+xread")
        await until(lambda: one.post.is_well)
    assert signs(caplog) == ["post_away", "post_back"]


# --- what is wrong with one message --------------------------------------------------------------


async def test_a_bug_in_one_message_ends_nothing_for_the_others(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):

        def take(message: bytes) -> None:
            if message == b"bad":
                raise KeyError(message)
            two.came.append(message)

        two.post.listen(TOPIC, take)
        for message in (b"bad", b"good"):
            one.post.send("two", TOPIC, message)
        with valkey.client() as client:
            client.xadd("frontdesk:post:{two}", {"m": b"nonsense"})
        one.post.send("two", TOPIC, b"better")

        assert await two.came_to(2) == [b"good", b"better"]
        assert (one.post.is_well, two.post.is_well) == (True, True)
    assert sorted(signs(caplog)) == ["message_broke", "post_unreadable"]


async def test_a_name_that_cannot_be_sent_to_costs_nobody_else_the_post(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(valkey.url, "one", "two") as (one, two):
        one.post.send("half a pair: \ud800", TOPIC, b"hello")
        await until(lambda: one.post.lost == 1)

        one.post.send("two", TOPIC, b"hello")

        assert await two.came_to(1) == [b"hello"]
    assert signs(caplog) == ["post_broke"]


def test_a_post_that_was_not_started_takes_messages_and_raises_nothing() -> None:
    post = ValkeyPost("valkey://valkey.example:6379", "one", SystemClock())
    post.send("two", TOPIC, b"hello")
    post.move("another")

    assert (post.me, post.lost) == ("another", 0)
