"""Whatever is added, withdrawn, chosen and deleted, by whomever and when: what is known is told as if read anew."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from msgspec import UNSET

from frontdesk.conversations.entering import Adding
from frontdesk.conversations.entering import add as add_items
from frontdesk.conversations.service import Changes, Conversations
from frontdesk.conversations.store import writing
from frontdesk.conversations.store.reading import ConversationStore
from frontdesk.core.clock import unix_ms
from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.files.owner import Owner
from frontdesk.keeping.recent_conversations import RecentConversations
from frontdesk.policies.history import Recalled
from frontdesk.storage.database import Database
from frontdesk.turn.items import ConversationNamed
from tests.conversations.texts import OTHER, OWNER, Desk, items_for, said
from tests.fakes import HandClock
from tests.machines import check_machine

_ANY = st.integers(0, 10**6)
T = TypeVar("T")
Act = Callable[[], Awaitable[Any]]


class Watched:
    """A database that counts what is read of it, and lets somebody act behind one of the next reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._acts: list[tuple[int, Act]] = []
        self.reads = 0

    def act_behind(self, read: int, act: Act) -> None:
        self._acts = [(self.reads + read, act)]

    async def read(self, *arguments: Any) -> Any:
        rows = await self._database.read(*arguments)
        self.reads += 1
        due = [act for at, act in self._acts if at == self.reads]
        self._acts = [each for each in self._acts if each[0] > self.reads]
        for act in due:
            await act()
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class Counts:
    """Remembers counts, and what was learnt of them."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, int]] = {}

    def know(self, vocabulary: str, text: str, tokens: int) -> None:
        self.known[text] = vocabulary, tokens

    def counted(self, text: str) -> tuple[str, int] | None:
        return self.known.get(text)


class Reader:
    """A process that goes on with conversations."""

    def __init__(self, database: Database, clock: HandClock, counts: Counts | None = None, **options: Any) -> None:
        self.database = Watched(database)
        conversations = Conversations(cast("Database", self.database), clock)
        self.recent = RecentConversations(conversations, clock, counts, **options)

    async def told(self, conversation: str, after: Any = UNSET, owner: Owner = OWNER) -> tuple[int, list[Recalled]]:
        return await self.recent.read(owner, ConversationNamed(conversation, after))

    async def ids(self, conversation: str, after: Any = UNSET) -> list[str]:
        return [each.id for each in (await self.told(conversation, after))[1]]

    async def costs(self, conversation: str, after: Any = UNSET) -> int:
        """How many reads of the store it takes to tell it."""
        before = self.database.reads
        await self.told(conversation, after)
        return self.database.reads - before


# --- all that may happen ------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """One conversation. One process reads it all the time, one now and then, and one has never read it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, database: Database) -> None:
        super().__init__()
        self.loop = loop
        self.database = database
        self.clock = HandClock()
        self.desk = Desk(database, self.clock)
        self.often, self.seldom = Reader(database, self.clock), Reader(database, self.clock)
        self.numbers = itertools.count()
        self.holder: str | None = None
        self.ids: list[str] = []
        self.conversation = self.run(self.desk.begin("first"))
        self.ids.append("first")

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # --- what is done -----------------------------------------------------------------------

    @rule(items=st.integers(1, 3))
    def add(self, items: int) -> None:
        self.run(self._add(items))

    @rule(items=st.integers(0, 2), which=st.none() | _ANY)
    def enter(self, items: int, which: int | None) -> None:
        self.run(self._enter(items, UNSET if which is None else self._any(which)))

    @rule(items=st.integers(0, 2))
    def leave(self, items: int) -> None:
        self.run(self._leave(items))

    @rule()
    def withdraw(self) -> None:
        self.run(self._withdraw())

    @rule(which=_ANY)
    def delete(self, which: int) -> None:
        self.run(self._delete(self._any(which)))

    @rule(which=_ANY)
    def choose(self, which: int) -> None:
        self.run(self._choose(which))

    @rule()
    def wait(self) -> None:
        self.clock.move(200)

    # --- what is read -----------------------------------------------------------------------

    @rule()
    def read_often(self) -> None:
        self.run(self._compare(self.often, UNSET))

    @rule(before=st.integers(1, 2), instead=st.integers(1, 3), is_often=st.booleans())
    def read_what_is_replaced(self, before: int, instead: int, *, is_often: bool) -> None:
        """Other items come to the places of those that were read, and withdrawn."""
        reader = self.often if is_often else self.seldom

        async def read() -> None:
            await self._enter(before, UNSET)
            await self._compare(reader, UNSET)
            await self._withdraw()
            await self._add(instead)
            await self._compare(reader, UNSET)

        self.run(read())

    @rule(is_new=st.booleans())
    def read_seldom(self, *, is_new: bool) -> None:
        reader = Reader(self.database, self.clock) if is_new else self.seldom
        self.run(self._compare(reader, UNSET))

    @rule(which=st.none() | _ANY, is_often=st.booleans())
    def read_behind(self, which: int | None, *, is_often: bool) -> None:
        after = None if which is None else self._any(which)
        self.run(self._compare(self.often if is_often else self.seldom, after))

    @rule(
        acts=st.lists(
            st.sampled_from(["add", "enter", "leave", "withdraw", "delete", "choose"]), min_size=1, max_size=4
        ),
        behind=st.integers(1, 3),
        which=_ANY,
        is_often=st.booleans(),
    )
    def read_while_others_act(self, acts: list[str], behind: int, which: int, *, is_often: bool) -> None:
        """What is told then is refused, for its version; what is told later must be right."""
        reader = self.often if is_often else self.seldom
        doing: dict[str, Act] = {
            "add": lambda: self._add(1),
            "enter": lambda: self._enter(1, UNSET),
            "leave": lambda: self._leave(1),
            "withdraw": self._withdraw,
            "delete": lambda: self._delete(self._any(which)),
            "choose": lambda: self._choose(which),
        }

        async def act() -> None:
            for name in acts:
                await doing[name]()

        async def read() -> None:
            reader.database.act_behind(behind, act)
            version, items = await reader.told(self.conversation)
            reader.database.act_behind(0, act)  # too late
            now, anew = await items_for(self.desk.conversations, OWNER, ConversationNamed(self.conversation))
            if version == now:
                assert [each.id for each in items] == [item["id"] for item in anew]

        self.run(read())
        self.run(self._compare(reader, UNSET))

    async def _compare(self, reader: Reader, after: Any) -> None:
        expected = await _tried(items_for(self.desk.conversations, OWNER, ConversationNamed(self.conversation, after)))
        if expected is None:
            assert await _tried(reader.told(self.conversation, after)) is None
            return
        version, items = await reader.told(self.conversation, after)
        assert version == expected[0]
        assert [(each.id, cast("Any", each.item).content) for each in items] == [
            (item["id"], item["content"][0]["text"]) for item in expected[1]
        ]

    # --- how --------------------------------------------------------------------------------

    async def _add(self, items: int) -> None:
        if self.holder is None:
            ids = self._new(items)
            await self.desk.conversations.add(OWNER, self.conversation, said(*ids))
            self.ids += ids

    async def _enter(self, items: int, after: Any) -> None:
        ids = self._new(items)
        response = f"resp_{next(self.numbers)}"
        if await self.desk.enter(self.conversation, response, *ids, after=after) is None:
            self.holder = response
            self.ids += ids

    async def _leave(self, items: int) -> None:
        if self.holder is not None:
            ids = self._new(items)
            await self.desk.leave(self.conversation, self.holder, *ids)
            self.holder = None
            self.ids += ids

    async def _withdraw(self) -> None:
        if self.holder is not None:
            await self.desk.withdraw(self.conversation, self.holder)
            self.holder = None

    async def _delete(self, item_id: str) -> None:
        with contextlib.suppress(NotFound):  # it was deleted before, or withdrawn
            await self.desk.conversations.delete_item(OWNER, self.conversation, item_id)

    async def _choose(self, which: int) -> None:
        row = await self.desk.find(self.conversation)
        if self.holder is None:
            changes = Changes(branch=which % row.branches)
            await self.desk.conversations.change(OWNER, self.conversation, changes)

    def _new(self, items: int) -> list[str]:
        return [f"msg_{next(self.numbers)}" for _ in range(items)]

    def _any(self, which: int) -> str:
        return self.ids[-1 - which % len(self.ids)]


async def _tried(reading: Awaitable[T]) -> T | None:
    """What it tells; None where there is no such item."""
    try:
        return await reading
    except NotFound:
        return None


def test_on_sqlite(sqlite_url: str) -> None:
    check_machine(Machine, sqlite_url, examples=40, steps=30)


def test_on_postgresql(postgresql_url: str) -> None:
    check_machine(Machine, postgresql_url, examples=8, steps=20)


# --- what it costs, and what is kept ------------------------------------------------------------


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def desk(database: Database, clock: HandClock) -> Desk:
    return Desk(database, clock)


@pytest.fixture
def reader(database: Database, clock: HandClock) -> Reader:
    return Reader(database, clock)


async def test_only_what_is_new_is_read(desk: Desk, reader: Reader) -> None:
    conversation = await desk.begin(*(f"m{number}" for number in range(20)))

    assert await reader.costs(conversation) == 3  # the conversation, how large it is, its items
    _, first = await reader.told(conversation)
    assert await reader.costs(conversation) == 1
    await desk.turn(conversation, ["q"], ["a"])
    assert await reader.costs(conversation) == 1  # what is new comes along
    _, then = await reader.told(conversation)
    assert [each.id for each in then[20:]] == ["q", "a"]
    assert all(one is other for one, other in zip(first, then, strict=False))
    await desk.conversations.delete_item(OWNER, conversation, "m3")
    assert await reader.costs(conversation) == 2  # the conversation, and what was deleted
    assert await reader.costs(conversation) == 1
    assert "m3" not in await reader.ids(conversation)
    await desk.conversations.add(OWNER, conversation, said(*(f"n{number}" for number in range(9))))
    assert await reader.costs(conversation, "n7") == 2
    assert await reader.costs(conversation) == 1
    await desk.conversations.add(OWNER, conversation, said(*(f"o{number}" for number in range(9))))
    assert await reader.costs(conversation) == 3  # that is more than comes along
    assert await reader.ids(conversation) == await desk.told(conversation)


async def test_all_branches_share_what_is_known_of_them(desk: Desk, reader: Reader) -> None:
    conversation = await desk.begin("q1", "a1", "q2", "a2")
    await reader.told(conversation)
    await desk.turn(conversation, ["q2b"], ["a2b"], after="a1")

    assert await reader.ids(conversation) == ["q1", "a1", "q2b", "a2b"]
    await desk.conversations.change(OWNER, conversation, Changes(branch=0))

    assert await reader.costs(conversation) == 1
    assert await reader.ids(conversation) == ["q1", "a1", "q2", "a2"]
    assert await reader.costs(conversation, "q2b") == 2  # the conversation, and where that item is
    assert await reader.ids(conversation, "q2b") == ["q1", "a1", "q2b"]
    assert await reader.costs(conversation, None) == 1
    assert await reader.ids(conversation, None) == []


async def test_what_is_anothers_is_not_told_and_not_kept_for_them(desk: Desk, reader: Reader) -> None:
    conversation = await desk.begin("q1")
    await reader.told(conversation)

    for strange in (OTHER, Owner("other", "u1", ""), Owner("default", "", "key_1")):
        with pytest.raises(NotFound):
            await reader.told(conversation, owner=strange)


async def test_one_that_is_deleted_is_told_to_nobody(desk: Desk, reader: Reader) -> None:
    conversation = await desk.begin("q1")
    await reader.told(conversation)
    await desk.conversations.delete(OWNER, conversation)

    with pytest.raises(NotFound):
        await reader.told(conversation)


@pytest.mark.parametrize("later_ms", [0, 1])
async def test_one_that_begins_anew_under_the_same_id_is_another(
    desk: Desk, reader: Reader, clock: HandClock, later_ms: int
) -> None:
    conversation = await desk.begin("q1", "a1")
    row = await desk.find(conversation)
    await desk.conversations.add(OWNER, conversation, said("q2"))
    await reader.told(conversation)
    await desk.conversations.delete(OWNER, conversation)

    clock.move(later_ms / 1000)
    now_ms = unix_ms(clock)

    def begin() -> Any:
        yield from writing.create(OWNER, _changed(row, version=0, created_at_ms=now_ms))
        assert (yield from add_items(row, Adding(UNSET, said("other"), "items"), now_ms)) is None
        if later_ms:
            yield from again()

    def again() -> Any:
        now = yield from writing.lock(OWNER, conversation, now_ms)
        assert now is not None
        assert (yield from add_items(now, Adding(UNSET, said("another"), "items"), now_ms)) is None

    await desk.database.transact(begin)

    assert await reader.ids(conversation) == ["other", "another"][: 1 + later_ms]


def _changed(row: Any, **values: Any) -> Any:
    return type(row)(**{name: values.get(name, getattr(row, name)) for name in row.__struct_fields__})


async def test_memory_has_a_bound_and_a_life(database: Database, desk: Desk, clock: HandClock) -> None:
    reader = Reader(database, clock, most_bytes=20_000, life_s=10)
    small = [await desk.begin(*(f"c{number}m{place}" for place in range(3))) for number in range(12)]
    for conversation in small:
        await reader.told(conversation)
        assert reader.recent.size_bytes <= 20_000
    assert await reader.costs(small[-1]) == 1
    assert await reader.costs(small[0]) > 1

    large = await desk.begin("x" * 60, *(f"large{number}" for number in range(40)))
    assert await reader.costs(large) == await reader.costs(large) == 3

    clock.move(9)
    assert await reader.costs(small[-1]) == 1  # it lasts from the last look on
    clock.move(9)
    assert await reader.costs(small[-1]) == 1
    clock.move(10)
    assert await reader.costs(small[-1]) > 1
    await reader.told(small[0])
    assert len(reader.recent._kept) == 2  # those before have gone
    await desk.conversations.delete_item(OWNER, small[0], "c0m0")
    await reader.told(small[0])
    assert reader.recent.size_bytes == sum(known.size_bytes for known, _ in reader.recent._kept.values())


async def test_more_than_a_request_goes_on_with_is_refused_however_much_of_it_is_known(
    desk: Desk, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frontdesk.conversations.service._MEGABYTE", 1)
    content = await desk.begin("q1")
    one = await desk.conversations._store(OWNER).size_bytes(
        await desk.find(content), (await desk.see(content)).tree.path(0)
    )
    monkeypatch.setattr("frontdesk.conversations.service.MOST_READ_MB", one * 12)
    conversation = await desk.begin(*(f"m{number}" for number in range(2, 10)))
    await reader.told(conversation)

    await desk.conversations.add(OWNER, conversation, said(*(f"n{number}" for number in range(4))))
    assert len(await reader.ids(conversation)) == 12
    await desk.conversations.add(OWNER, conversation, said("o"))
    for each in (reader, Reader(desk.database, HandClock())):
        with pytest.raises(BadRequest) as refused:
            await each.told(conversation)
        assert refused.value.code == "conversation_too_large"
    assert len(await reader.ids(conversation, "n2")) == 11


# --- counts -------------------------------------------------------------------------------------


async def test_counts_are_stored_and_read_again(database: Database, desk: Desk, clock: HandClock) -> None:
    conversation = await desk.begin("q1", "a1", "q2")
    counts = Counts()
    reader = Reader(database, clock, counts)
    await reader.told(conversation)
    counts.known = {"q1": ("o200k_base", 3), "a1": ("o200k_base", 4)}  # as a turn counts them
    await desk.conversations.delete_item(OWNER, conversation, "a1")

    await reader.told(conversation)
    await database.flush()

    cold = Counts()
    await Reader(database, clock, cold).told(conversation)
    assert cold.known == {"q1": ("o200k_base", 3)}
    assert await _stored(desk, conversation) == [(3, "o200k_base"), (None, None)]


async def test_counts_are_written_once(database: Database, desk: Desk, clock: HandClock) -> None:
    conversation = await desk.begin("q1")
    counts = Counts()
    reader = Reader(database, clock, counts)
    await reader.told(conversation)
    counts.known = {"q1": ("o200k_base", 3)}
    await reader.told(conversation)
    counts.known = {"q1": ("o200k_base", 5)}

    await reader.told(conversation)
    await database.flush()

    assert await _stored(desk, conversation) == [(3, "o200k_base")]


async def _stored(desk: Desk, conversation: str) -> Sequence[tuple[int | None, str | None]]:
    seen = await desk.see(conversation)
    told = await ConversationStore(desk.database, OWNER).told(seen.row, seen.tree.path(seen.row.branch))
    return [(item.tokens, item.tokens_by) for item in told]
