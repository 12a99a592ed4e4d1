"""A feed tells all changes behind its cursor once, in order, and no faster than its reader takes them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.tasks import Tasks
from frontdesk.feeds.feed import Feed
from frontdesk.sync.cursor import NOTHING
from frontdesk.sync.shapes import (
    ConversationTold,
    FactTold,
    Gone,
    ItemTold,
    Page,
    Told,
)
from tests.feeds.fakes import ANN, BOB, EPOCH, Device, Net, Process, Store, jumping


class Desk:
    """A process, and feeds of it."""

    def __init__(self) -> None:
        self.store = Store()
        self.process = Process(Net(), self.store, "one", is_alone=True)
        self.tasks = Tasks("test")
        self.feeds: list[Feed] = []

    def feed(self, device: Device, conversation: str | None = None) -> Feed:
        self.feeds.append(Feed(self.process.hub, self.store, self.tasks, ANN, conversation, device))
        return self.feeds[-1]

    async def listen(self, cursor: str | None = None, conversation: str | None = None) -> tuple[Device, Feed]:
        device = Device()
        feed = self.feed(device, conversation)
        await feed.open(cursor)
        feed.start()
        return device, feed

    async def settle(self) -> None:
        """Wait until nothing goes on."""
        await asyncio.sleep(30)
        assert not len(self.tasks)

    async def close(self) -> None:
        for feed in self.feeds:
            feed.close()
        await self.tasks.close()
        await self.process.hub.close()


def ids(first: int, last: int) -> list[str]:
    return [f"resp_{number}" for number in range(first, last + 1)]


@jumping
async def test_without_a_cursor_what_comes_from_now_on_is_told() -> None:
    desk = Desk()
    for _ in range(3):
        desk.process.commit(ANN)
    device, feed = await desk.listen()
    assert feed.cursor == f"{EPOCH}.3"
    desk.process.commit(ANN)
    desk.process.commit(BOB)
    await desk.settle()

    assert (device.told, feed.cursor) == (["resp_4"], f"{EPOCH}.4")
    await desk.close()


@jumping
async def test_who_had_nothing_is_told_the_first_change() -> None:
    desk = Desk()
    device, feed = await desk.listen()
    assert feed.cursor == str(NOTHING)
    desk.process.commit(ANN)
    await desk.settle()

    assert [page.is_reset for page in device.pages] == [False]
    assert (device.told, feed.cursor) == (["resp_1"], f"{EPOCH}.1")
    await desk.close()


@jumping
async def test_a_commit_while_it_is_opened_is_told_and_hurts_nobody() -> None:
    desk = Desk()
    desk.process.commit(ANN)
    device = Device()
    feed = desk.feed(device)
    opening = asyncio.ensure_future(feed.open(f"{EPOCH}.1"))
    await asyncio.sleep(0)
    desk.process.commit(ANN)
    await opening
    feed.start()
    await desk.settle()

    assert (device.told, feed.cursor) == (["resp_2"], f"{EPOCH}.2")
    await desk.close()


@jumping
async def test_who_comes_again_is_not_behind_what_was_done_elsewhere_this_moment() -> None:
    """Its device may have done it itself, at another process, and would take `ready` for all there is."""
    desk = Desk()
    desk.process.is_alone = False
    desk.process.start()
    desk.process.commit(ANN)
    first, told_first = await desk.listen()
    desk.store.commit(ANN)  # of which no message came yet
    second, late = Device(), Device()

    feed = desk.feed(second)
    await feed.open(f"{EPOCH}.1")
    assert feed.is_behind
    await asyncio.sleep(0.1)
    assert (first.told, told_first.cursor) == (["resp_2"], f"{EPOCH}.2")

    desk.store.commit(ANN)
    waiting, looked_up = desk.feed(late), desk.store.looked_up
    await waiting.open(f"{EPOCH}.2", may_be_late=True)
    assert (waiting.is_behind, desk.store.looked_up) == (False, looked_up)
    await desk.close()


@jumping
async def test_behind_a_cursor_all_that_came_since_is_told_in_pages() -> None:
    desk = Desk()
    for _ in range(450):
        desk.process.commit(ANN)
    device, feed = await desk.listen(f"{EPOCH}.10")
    await desk.settle()

    assert device.told == ids(11, 450)
    assert [len(page.changes) for page in device.pages] == [200, 200, 40]
    assert feed.cursor == f"{EPOCH}.450"
    await desk.close()


@jumping
async def test_who_has_all_costs_no_look_into_the_store() -> None:
    desk = Desk()
    desk.process.commit(ANN)
    device, _ = await desk.listen(f"{EPOCH}.1")
    await desk.settle()

    assert (desk.store.pulled, device.pages) == ([], [])
    await desk.close()


@jumping
@pytest.mark.parametrize("cursor", ["other.1", "", "nonsense", "a\n\nevent: fake", f"{EPOCH}.1.x"])
async def test_a_stale_cursor_begins_anew_and_is_never_said_back(cursor: str) -> None:
    desk = Desk()
    desk.process.commit(ANN)
    device, feed = await desk.listen(cursor)
    assert "\n" not in feed.cursor
    await desk.settle()

    assert [(page.is_reset, page.cursor) for page in device.pages] == [(True, f"{EPOCH}.1")]
    assert device.told == ["resp_1"]
    await desk.close()


@jumping
async def test_while_a_reader_takes_its_time_nothing_is_read_for_it() -> None:
    desk = Desk()
    device, _ = await desk.listen()
    device.may.clear()
    for _ in range(300):
        desk.process.commit(ANN)
        await asyncio.sleep(0.01)
    assert len(desk.store.pulled) == 1

    device.may.set()
    await desk.settle()

    assert device.told == ids(1, 300)
    assert len(desk.store.pulled) == 3
    await desk.close()


@jumping
async def test_of_one_conversation_its_own_alone_are_told_and_the_cursor_goes_on() -> None:
    desk = Desk()
    device, feed = await desk.listen(conversation="conv_2")
    for number in range(1, 7):
        desk.process.commit(ANN, "conv_2" if number % 3 == 0 else "conv_1")
        await asyncio.sleep(1)
    await desk.settle()

    assert device.told == ["resp_3", "resp_6"]
    assert [page.places for page in device.pages] == [[f"{EPOCH}.3"], [f"{EPOCH}.6"]]
    desk.process.commit(ANN, "conv_1")
    await desk.settle()
    assert feed.cursor == f"{EPOCH}.7"
    await desk.close()


@jumping
async def test_the_last_page_of_what_there_was_is_told_though_nothing_of_it_is_of_interest() -> None:
    """A client that begins anew must learn when it has all there is."""
    desk = Desk()
    for _ in range(250):
        desk.process.commit(ANN)
    device, _ = await desk.listen("other.1", conversation="conv_2")
    await desk.settle()

    assert [(page.is_reset, page.has_more, page.changes) for page in device.pages] == [
        (True, True, []),
        (False, False, []),
    ]
    await desk.close()


def of(conversation: str) -> list[Told]:
    times: dict[str, Any] = {"created_at": 1, "changed_at": 1}
    return [
        ConversationTold(id=conversation, branch=0, version=1, **times),
        ItemTold(conversation=conversation, id="msg_1", branch=0, position=0, created_at=1),
        Gone(type="conversation", id=conversation, deleted=True),
        Gone(type="item", conversation=conversation, id="msg_1", deleted=True),
    ]


class Played:
    """Tells one page."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def pull(self, *_: Any) -> Page:
        return self._page


@jumping
async def test_every_kind_of_change_of_a_conversation_is_told_to_who_listens_to_it() -> None:
    others = [*of("conv_2"), FactTold(id="fact_1", words="w", created_at=1, changed_at=1)]
    page = Page(cursor="e.9", changes=[*others, *of("conv_1")], places=[f"e.{number}" for number in range(1, 10)])
    desk, device = Desk(), Device()
    feed = Feed(desk.process.hub, Played(page), desk.tasks, ANN, "conv_1", device)
    await feed.open("e.0")
    feed.start()
    await desk.settle()

    assert [each.changes for each in device.pages] == [of("conv_1")]
    assert device.pages[0].places == ["e.6", "e.7", "e.8", "e.9"]
    feed.close()


@jumping
async def test_a_store_that_fails_is_asked_again_until_it_answers() -> None:
    desk = Desk()
    device, _ = await desk.listen()
    desk.store.is_away = True
    desk.process.commit(ANN)
    await asyncio.sleep(10.5)
    assert (device.pages, len(desk.store.pulled)) == ([], 11)
    desk.store.is_away = False
    await desk.settle()

    assert device.told == ["resp_1"]
    await desk.close()


@jumping
async def test_a_reader_that_breaks_is_broken_off_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Device):
        async def take(self, page: Page) -> None:
            raise ValueError("a bug")

    desk, broken = Desk(), Broken()
    device, _ = await desk.listen()
    feed = desk.feed(broken)
    await feed.open(None)
    feed.start()
    desk.process.commit(ANN)
    await desk.settle()

    assert (broken.is_broken, device.told) == (True, ["resp_1"])
    assert [record.message for record in caplog.records] == ["feed_broke"]
    await desk.close()


@jumping
async def test_a_closed_feed_tells_nothing_more() -> None:
    desk = Desk()
    device, feed = await desk.listen()
    device.may.clear()
    for _ in range(300):
        desk.process.commit(ANN)
    await asyncio.sleep(1)
    feed.close()
    device.may.set()
    await desk.settle()
    desk.process.commit(ANN)
    await desk.settle()

    assert len(device.pages) == 1
    assert len(desk.store.pulled) == 1
    await desk.close()


@jumping
async def test_a_head_without_a_change_is_looked_at_once() -> None:
    """A head may be above the last row: what was deleted may be forgotten."""
    desk = Desk()
    device, _ = await desk.listen()
    desk.process.hub.heard([("acme", "ann", 5)])
    await desk.settle()

    assert (device.pages, len(desk.store.pulled)) == ([], 1)
    await desk.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 250)),
        st.tuples(st.just("pause"), st.floats(0, 2)),
        st.tuples(st.just("slow"), st.booleans()),
        st.tuples(st.just("again"), st.just(0)),
        st.tuples(st.just("away"), st.booleans()),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_whoever_comes_again_with_their_cursor_is_told_all_once(steps: list[tuple[str, Any]]) -> None:
    """A device loses its connection, is slow, and comes again behind the last change that it took."""

    @jumping
    async def run() -> None:
        desk = Desk()
        desk.process.commit(ANN)
        device, feed = await desk.listen()
        begun, seen = feed.cursor, list[str]()
        for step, value in steps:
            if step == "commit":
                for _ in range(value):
                    desk.process.commit(ANN)
            elif step == "pause":
                await asyncio.sleep(value)
            elif step == "slow":
                (device.may.clear if value else device.may.set)()
            elif step == "away":
                desk.store.is_away = value
            else:
                feed.close()
                seen += device.told
                begun = device.pages[-1].places[-1] if device.pages else begun
                device.may.set()  # whatever still comes there is lost
                device, feed = await desk.listen(begun)
        desk.store.is_away = False
        device.may.set()
        await desk.settle()

        seen += device.told
        assert seen == ids(2, len(desk.store.changes["acme", "ann"]))
        await desk.close()

    run()
