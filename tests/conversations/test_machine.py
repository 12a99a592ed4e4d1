"""Whatever is said, branched, chosen, deleted and taken back: all of it is read as plain lists of items tell it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET, UnsetType

from frontdesk.conversations.service import Changes
from frontdesk.core.errors import Conflict
from frontdesk.storage.database import Database
from tests.conversations.texts import OWNER, Desk, said
from tests.fakes import HandClock
from tests.machines import check_machine

_LENGTHS = st.integers(0, 2)
_ANY = st.integers(0, 10**6)


class Machine(RuleBasedStateMachine):
    """One conversation, and its branches as lists of all items that were ever in them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, database: Database) -> None:
        super().__init__()
        self.loop = loop
        self.desk = Desk(database, HandClock())
        self.numbers = itertools.count()
        self.lines: list[list[str]] = [[]]
        self.home: dict[str, int] = {}  # the branch that an item was said in
        self.deleted: set[str] = set()
        self.chosen = 0
        self.held: tuple[str, list[str], int, bool] | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # --- what is done -----------------------------------------------------------------------

    @initialize(length=_LENGTHS)
    def begin(self, length: int) -> None:
        ids = self._named(length)
        self.conversation: str = self.run(self.desk.begin(*ids))
        self._put(0, ids)

    @precondition(lambda self: self.held is None)
    @rule(length=_LENGTHS, where=_ANY, is_at_the_end=st.booleans())
    def enter(self, length: int, where: int, is_at_the_end: bool) -> None:
        after = UNSET if is_at_the_end else self._one_of([None, *self._there()], where)
        ids, response, chosen = self._named(length), f"resp_{next(self.numbers)}", self.chosen
        version = self.run(self.desk.find(self.conversation)).version

        assert self.run(self.desk.enter(self.conversation, response, *ids, after=after, seen=version)) is None
        branches = len(self.lines)
        number = self._branch_behind(after)
        self._put(number, ids)
        # A new one that is taken back leaves the one chosen that goes through the item, if that was chosen.
        back = chosen
        if len(self.lines) > branches and after is not UNSET and after is not None:
            back = chosen if after in self.lines[chosen] else self.home[after]
        elif len(self.lines) == branches:
            back = number
        self.held = (response, ids, back, len(self.lines) > branches)
        self.chosen = number

    @precondition(lambda self: self.held is None)
    @rule(question=_LENGTHS, answer=_LENGTHS, where=_ANY)
    def turn(self, question: int, answer: int, where: int) -> None:
        """Enter behind some item and leave: how branches are made most often."""
        self.enter(question, where, is_at_the_end=False)
        self.leave(answer)

    @precondition(lambda self: self.held is not None)
    @rule(length=_LENGTHS)
    def leave(self, length: int) -> None:
        assert self.held is not None
        ids = self._named(length)
        self.run(self.desk.leave(self.conversation, self.held[0], *ids))
        self._put(self.chosen, ids)
        self.held = None

    @precondition(lambda self: self.held is not None)
    @rule()
    def withdraw(self) -> None:
        assert self.held is not None
        response, ids, back, is_new = self.held
        self.run(self.desk.withdraw(self.conversation, response))
        self.held = None
        for each in ids:
            self.lines[self.chosen].remove(each)
            self.deleted.discard(each)
            del self.home[each]
        was_empty = not is_new and not any(home == self.chosen for home in self.home.values())
        if is_new or (was_empty and 0 < self.chosen == len(self.lines) - 1):
            # One that an earlier turn left empty goes as well; what is chosen then, the conversation says.
            self.lines.pop()
            self.chosen = back if is_new else self.run(self.desk.find(self.conversation)).branch

    @precondition(lambda self: self.held is None)
    @rule(length=st.integers(1, 3))
    def add(self, length: int) -> None:
        ids = self._named(length)
        self.run(self.desk.conversations.add(OWNER, self.conversation, said(*ids)))
        self._put(self.chosen, ids)

    @rule(which=_ANY)
    def choose(self, which: int) -> None:
        number = which % len(self.lines)
        try:
            self.run(self.desk.conversations.change(OWNER, self.conversation, Changes(branch=number)))
        except Conflict:
            assert self.held is not None
            return
        assert self.held is None or number == self.chosen
        self.chosen = number

    @precondition(lambda self: self._there())
    @rule(which=_ANY)
    def delete(self, which: int) -> None:
        item = self._one_of(self._there(), which)
        self.run(self.desk.conversations.delete_item(OWNER, self.conversation, item))
        self.deleted.add(item)

    # --- what is read -----------------------------------------------------------------------

    @invariant()
    def it_is_read_as_it_is(self) -> None:
        if hasattr(self, "conversation"):
            self.run(self._check())

    async def _check(self) -> None:
        desk = self.desk
        seen = await desk.see(self.conversation)
        row = seen.row
        assert (row.branch, row.branches) == (self.chosen, len(self.lines))
        assert row.response == (None if self.held is None else self.held[0])
        for number, line in enumerate(self.lines):
            assert [each.head.id for each in await desk.pages(seen, number, 50)] == self._shown(line)
        assert await desk.told(self.conversation) == self._shown(self.lines[self.chosen])
        items = await desk.pages(seen, None, 50)
        assert {each.head.id for each in items} == set(self._there())
        around = await desk.conversations.around(OWNER, seen, [each.head for each in items])
        assert [
            (each.head.id, its.parent, {item for _, item in its.siblings})
            for each, its in zip(items, around, strict=True)
        ] == [(each.head.id, self._before(each.head.id), self._beside(each.head.id)) for each in items]
        for each in items:
            line = self.lines[self.home[each.head.id]]
            until = line[: line.index(each.head.id) + 1]
            assert await desk.told(self.conversation, after=each.head.id) == self._shown(until)

    # --- the model --------------------------------------------------------------------------

    def _named(self, length: int) -> list[str]:
        return [f"i{next(self.numbers)}" for _ in range(length)]

    def _put(self, number: int, ids: list[str]) -> None:
        self.lines[number] += ids
        self.home.update(dict.fromkeys(ids, number))

    def _branch_behind(self, after: str | UnsetType | None) -> int:
        shown = self._shown(self.lines[self.chosen])
        if after is UNSET or after == (shown[-1] if shown else None):
            return self.chosen
        if after is None:
            self.lines.append([])
            return len(self.lines) - 1
        home = self.home[after]
        line = self.lines[home]
        if self._shown(line)[-1] == after:
            return home
        self.lines.append(line[: line.index(after) + 1])
        return len(self.lines) - 1

    def _there(self) -> list[str]:
        return [item for item in self.home if item not in self.deleted]

    def _shown(self, line: list[str]) -> list[str]:
        return [item for item in line if item not in self.deleted]

    def _before(self, item: str) -> str | None:
        shown = self._shown(self.lines[self.home[item]])
        place = shown.index(item)
        return shown[place - 1] if place else None

    def _beside(self, item: str) -> set[str]:
        before = self._before(item)
        return {each for each in self._there() if self._before(each) == before}

    @staticmethod
    def _one_of(items: list[Any], which: int) -> Any:
        return items[which % len(items)]


def test_on_sqlite(sqlite_url: str) -> None:
    check_machine(Machine, sqlite_url, examples=60, steps=25)


def test_on_postgresql(postgresql_url: str) -> None:
    check_machine(Machine, postgresql_url, examples=10, steps=20)
