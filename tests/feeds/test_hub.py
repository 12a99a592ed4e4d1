"""Who listens is told of every commit: at once while the post is well, and soon whatever befalls it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.feeds.hub import Heads, Hello, HubTimes, Message, Pulse
from frontdesk.storage.errors import StorageFailed
from frontdesk.sync.cursor import NOTHING, Cursor
from tests.feeds.fakes import ANN, BOB, EPOCH, Ear, Net, Process, Store, jumping

TIMES = HubTimes()
_read = msgspec.msgpack.Decoder(Message).decode


def said(net: Net, kind: type[Message]) -> list[tuple[str, Message]]:
    return [(process, message) for process, each in net.sent if isinstance(message := _read(each), kind)]


async def started(net: Net, store: Store, *names: str) -> list[Process]:
    """Processes that know each other, and whose posts are known to be well."""
    processes = [Process(net, store, name) for name in names]
    for process in processes:
        process.start()
    await asyncio.sleep(TIMES.peers_every_s + TIMES.silent_after_s + 0.5)
    return processes


async def close(processes: Sequence[Process]) -> None:
    for process in processes:
        await process.hub.close()


@jumping
async def test_a_commit_is_heard_here_at_once_and_elsewhere_within_a_moment() -> None:
    net, store = Net(), Store()
    one, two = await started(net, store, "one", "two")
    here, there = Ear(), Ear()
    await one.hub.listen(ANN, here)
    await two.hub.listen(ANN, there)

    one.commit(ANN)
    assert here.heads == [1]
    await asyncio.sleep(TIMES.together_s + 0.002)

    assert there.heads == [1]
    await close([one, two])


@jumping
async def test_what_is_committed_together_is_one_message_to_each_process() -> None:
    net, store = Net(), Store()
    processes = await started(net, store, "one", "two", "three")
    net.sent.clear()
    for _ in range(50):
        processes[0].commit(ANN)
        processes[0].commit(BOB)
    await asyncio.sleep(0.1)

    heads = Heads([("acme", "ann", 50), ("acme", "bob", 50)])
    assert sorted(said(net, Heads)) == [("three", heads), ("two", heads)]
    await close(processes)


@jumping
async def test_others_people_are_told_nothing_and_who_has_left_neither() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    ann, bob = Ear(), Ear()
    await one.hub.listen(ANN, ann)
    await one.hub.listen(BOB, bob)
    one.hub.leave(BOB, bob)

    one.commit(ANN)
    one.commit(BOB)

    assert (ann.heads, bob.heads) == ([1], [])
    await close([one])


@jumping
async def test_what_comes_late_or_twice_is_passed_over() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    ear = Ear()
    await one.hub.listen(ANN, ear)
    for head in (3, 1, 3, 2, 5, 4):
        one.hub.heard([("acme", "ann", head)])

    assert ear.heads == [3, 5]
    await close([one])


@jumping
async def test_who_begins_to_listen_knows_where_all_is_told() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    assert (await one.hub.listen(BOB, Ear())).cursor == NOTHING
    store.commit(ANN)
    store.commit(ANN)

    known = await one.hub.listen(ANN, Ear())
    one.commit(ANN)

    assert known.cursor == Cursor(EPOCH, 3)
    await close([one])


@jumping
async def test_a_commit_while_somebody_begins_to_listen_is_not_missed() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    store.commit(ANN)
    ear = Ear()
    listening = asyncio.ensure_future(one.hub.listen(ANN, ear))
    await asyncio.sleep(0)
    one.commit(ANN)

    known = await listening

    assert (known.cursor, ear.heads) == (Cursor(EPOCH, 2), [2])
    await close([one])


@jumping
async def test_of_who_had_nothing_the_store_is_asked_again() -> None:
    """Where their changes begin to be counted is not known then."""
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    first = Ear()
    await one.hub.listen(ANN, first)
    one.commit(ANN)
    assert first.heads == [1]

    known = await one.hub.listen(ANN, Ear())

    assert known.cursor == Cursor(EPOCH, 1)
    await close([one])


@jumping
async def test_who_comes_again_soon_costs_no_look_into_the_store_and_who_stays_away_is_forgotten() -> None:
    net, store = Net(), Store()
    store.commit(ANN)
    (one,) = await started(net, store, "one")
    for _ in range(20):
        ear = Ear()
        await one.hub.listen(ANN, ear)
        one.hub.leave(ANN, ear)
        await asyncio.sleep(TIMES.known_for_s / 4)
    assert store.looked_up == 1

    await asyncio.sleep(TIMES.known_for_s * 2)
    await one.hub.listen(ANN, Ear())

    assert store.looked_up == 2
    await close([one])


@jumping
async def test_where_the_store_fails_nobody_listens() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    store.is_away = True
    ear = Ear()
    with pytest.raises(StorageFailed):
        await one.hub.listen(ANN, ear)
    store.is_away = False

    one.commit(ANN)

    assert ear.heads == []
    await close([one])


# --- whatever the post does ---------------------------------------------------------------------


@jumping
async def test_a_message_that_is_lost_is_found_within_ten_seconds() -> None:
    net, store = Net(), Store()
    one, two = await started(net, store, "one", "two")
    ear = Ear()
    await two.hub.listen(ANN, ear)
    net.fate = lambda process, message: [] if isinstance(_read(message), Heads) else [0.001]

    one.commit(ANN)
    await asyncio.sleep(TIMES.heals_every_s + TIMES.look_every_s + 0.1)

    assert ear.heads == [1]
    await close([one, two])


@jumping
async def test_while_the_post_is_well_the_store_is_asked_seldom_and_of_all_at_once() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    for owner in (ANN, BOB):
        await one.hub.listen(owner, Ear())
    await asyncio.sleep(TIMES.silent_after_s * 2)
    store.asked.clear()

    await asyncio.sleep(TIMES.heals_every_s * 10)

    assert len(store.asked) == pytest.approx(10, abs=1)
    assert store.asked[0] == [("acme", "ann"), ("acme", "bob")]
    await close([one])


@jumping
@pytest.mark.parametrize("away", ["says so", "is silent"])
async def test_while_the_post_is_away_the_store_is_asked_every_second(away: str) -> None:
    net, store = Net(), Store()
    one, two = await started(net, store, "one", "two")
    ear = Ear()
    await two.hub.listen(ANN, ear)
    await asyncio.sleep(TIMES.silent_after_s * 2)
    if away == "says so":
        two.post.is_well = False
    net.fate = lambda process, message: []
    await asyncio.sleep(TIMES.silent_after_s + TIMES.look_every_s)

    for number in range(1, 6):
        one.commit(ANN)
        await asyncio.sleep(TIMES.look_every_s + 0.01)
        assert ear.heads == list(range(1, number + 1))

    await close([one, two])


@jumping
async def test_what_was_lost_while_it_was_away_is_found_when_it_is_back() -> None:
    net, store = Net(), Store()
    one, two = await started(net, store, "one", "two")
    ear = Ear()
    await two.hub.listen(ANN, ear)
    net.fate = lambda process, message: []
    await asyncio.sleep(20)
    # Back for one and not yet for the other, whose message is lost.
    net.fate = lambda process, message: [] if isinstance(_read(message), Heads) else [0.001]
    await asyncio.sleep(TIMES.look_every_s)
    one.commit(ANN)

    await asyncio.sleep(TIMES.silent_after_s)

    assert ear.heads == [1]
    await close([one, two])


@jumping
async def test_a_store_of_ones_own_is_asked_of_nothing_and_nobody_is_told() -> None:
    net, store = Net(), Store()
    one = Process(net, store, "one", is_alone=True)
    one.start()
    ear = Ear()
    await one.hub.listen(ANN, ear)
    for _ in range(3):
        one.commit(ANN)
        await asyncio.sleep(60)

    assert (ear.heads, store.asked, one.others, net.sent) == ([1, 2, 3], [], 0, [])
    await close([one])


@jumping
async def test_a_process_that_nobody_listens_to_asks_who_the_others_are_and_nothing_else() -> None:
    net, store = Net(), Store()
    one, two = await started(net, store, "one", "two")
    one.others = 0
    net.sent.clear()
    store.asked.clear()

    await asyncio.sleep(60)

    assert one.others == pytest.approx(60 / TIMES.peers_every_s, abs=5)
    assert (net.sent, store.asked) == ([], [])
    await close([one, two])


@jumping
async def test_a_new_process_and_one_under_a_new_name_are_told_at_once() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    late = Process(net, store, "late")
    ear = Ear()
    late.start()
    await asyncio.sleep(0.01)
    await late.hub.listen(ANN, ear)
    one.commit(ANN)
    await asyncio.sleep(TIMES.together_s + 0.01)
    assert ear.heads == [1]

    late.post.move("later")
    await asyncio.sleep(TIMES.look_every_s)
    del net.posts["late"]
    one.commit(ANN)
    await asyncio.sleep(TIMES.together_s + 0.01)

    assert ear.heads == [1, 2]
    await close([one, late])


@jumping
async def test_a_process_that_has_gone_is_sent_nothing() -> None:
    net, store = Net(), Store()
    one, two = await started(net, store, "one", "two")
    del net.posts["two"]
    await two.hub.close()
    await asyncio.sleep(TIMES.peers_every_s + TIMES.look_every_s)
    net.sent.clear()

    one.commit(ANN)
    await asyncio.sleep(0.1)

    assert said(net, Heads) == []
    await close([one])


@jumping
async def test_a_store_that_fails_for_a_while_does_not_end_the_looking() -> None:
    net, store = Net(), Store()
    one, two = await started(net, store, "one", "two")
    ear = Ear()
    await two.hub.listen(ANN, ear)
    net.fate = lambda process, message: []
    store.is_away = True
    await asyncio.sleep(60)
    store.is_away = False
    store.commit(ANN)

    await asyncio.sleep(TIMES.look_every_s + 0.1)

    assert ear.heads == [1]
    await close([one, two])


@jumping
async def test_what_a_newer_version_says_is_passed_over() -> None:
    net, store = Net(), Store()
    (one,) = await started(net, store, "one")
    ear = Ear()
    await one.hub.listen(ANN, ear)
    for message in (b"", b"nonsense", msgspec.msgpack.encode([99, "new"]), msgspec.msgpack.encode([2])):
        one.post.take(message)
    one.post.take(msgspec.msgpack.encode([1, [["acme", "ann", 7]], "a field that is not known yet"]))

    assert ear.heads == [7]
    assert said(net, Hello) == []
    assert [process for process, _ in said(net, Pulse)] in ([], ["one"])
    await close([one])


FATES = st.lists(st.sampled_from([[], [0.001], [0.001, 0.5], [4.0], [0.002]]), min_size=1, max_size=8)
ACTS = st.lists(st.tuples(st.sampled_from(["one", "two"]), st.floats(0, 3), st.booleans()), min_size=1, max_size=20)


@given(fates=FATES, acts=ACTS)
@settings(max_examples=60, deadline=None)
def test_whatever_the_post_does_all_is_heard_in_the_end(
    fates: list[list[float]], acts: list[tuple[str, float, bool]]
) -> None:
    """Messages are dropped, late, doubled and in another order; a post says that it is away, or does not."""

    @jumping
    async def run() -> None:
        net, store = Net(), Store()
        processes = await started(net, store, "one", "two")
        ears = {process.post.me: Ear() for process in processes}
        for process in processes:
            await process.hub.listen(ANN, ears[process.post.me])
        net.fate = lambda process, message: fates[len(net.sent) % len(fates)]
        for name, pause_s, is_well in acts:
            process = next(each for each in processes if each.post.me == name)
            process.commit(ANN)
            process.post.is_well = is_well
            await asyncio.sleep(pause_s)
        await asyncio.sleep(TIMES.heals_every_s + 2 * TIMES.look_every_s)

        for ear in ears.values():
            assert ear.heads[-1] == len(acts)
            assert ear.heads == sorted(set(ear.heads))
        await close(processes)

    run()
