"""A person's things, changed by the parts of transactions that routes and turns consist of."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from frontdesk.conversations import steps
from frontdesk.conversations.steps import Changes, Steps
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import FrontdeskError
from frontdesk.feedback.rows import FeedbackRow
from frontdesk.feedback.store import put, remove
from frontdesk.files.owner import Owner
from frontdesk.memory.facts import erasing, keeping
from frontdesk.storage.database import Database
from frontdesk.sync.cursor import Cursor
from frontdesk.sync.pull import Pulling
from frontdesk.sync.shapes import Page, SyncAnswer
from tests.conversations.texts import Desk
from tests.feedback.desk import a_feedback
from tests.sync.stored import stored
from tests.sync.taker import Change, Key, Taker

KINDS = ("begin", "turn", "ask", "leave", "withdraw", "rename", "pin", "choose", "read", "delete_item", "delete",
         "pin_item", "rate", "take_back", "remember", "forget", "metadata")  # fmt: skip


class Person:
    """Somebody who does things at random; `chance` says which."""

    def __init__(self, database: Database, clock: Clock, name: str, chance: random.Random) -> None:
        self.owner = Owner("default", name, "")
        self.desk = Desk(database, clock, self.owner)
        self.pulling = Pulling(database, clock)
        self._database = database
        self._clock = clock
        self._chance = chance
        self._numbers = itertools.count()
        self._named = f"{name}_{chance.randrange(10**9)}"
        self.conversations: list[str] = []
        self._open: dict[str, str] = {}

    async def do(self, kind: str) -> None:
        """Do something of a kind. What cannot be done is as good as nothing."""
        conversation = self._chance.choice(self.conversations) if self.conversations else ""
        now_ms = unix_ms(self._clock)
        match kind:
            case "begin":
                self.conversations.append(await self.desk.begin(*self._ids(self._chance.randrange(3))))
            case "turn" | "ask" | "leave" | "withdraw":
                await self._turn(kind, conversation)
            case "rename":
                title = self._chance.choice([None, f"title {next(self._numbers)}"])
                await self._change(conversation, Changes(title=title))
            case "metadata":
                await self._change(conversation, Changes(metadata={"a": str(next(self._numbers))}))
            case "pin":
                await self._change(conversation, Changes(is_pinned=self._chance.random() < 0.5))
            case "choose":
                await self._change(conversation, Changes(branch=self._chance.randrange(3)))
            case "delete":
                await self._work(lambda: steps.delete(self.owner, conversation, now_ms))
                if self._chance.random() < 0.5:  # else its items stay until somebody sweeps them
                    await self.desk.conversations.remove(self.owner, conversation)
            case "read" | "delete_item" | "pin_item":
                item = await self._item_of(conversation)
                if kind == "read":
                    await self._work(lambda: steps.read(self.owner, conversation, item, now_ms))
                elif kind == "delete_item":
                    await self._work(lambda: steps.delete_item(self.owner, conversation, item, now_ms))
                else:
                    is_pinned = self._chance.random() < 0.7
                    await self._work(
                        lambda: steps.pin_item(self.owner, conversation, item, now_ms, is_pinned=is_pinned)
                    )
            case "rate":
                row = self._rating(now_ms)
                await self._database.transact(lambda: put(row, now_ms))
            case "take_back":
                await self._database.transact(lambda: remove(self.owner, self._response(), now_ms))
            case "remember":
                words, fact = f"likes {next(self._numbers)}", self._fact()
                await self._work(lambda: keeping("default", self.owner.person, fact, words, now_ms))
            case "forget":
                fact = self._fact()
                await self._work(lambda: erasing("default", self.owner.person, fact, now_ms))
            case _:
                raise AssertionError(kind)

    async def take(self, taker: Taker, limit: int) -> Page:
        """Let somebody take a page."""
        page = await self.pulling.pull(self.owner, taker.cursor, limit)
        assert len(page.changes) == len(page.places) <= limit
        taker.take(as_told(page))
        return page

    async def take_all(self, taker: Taker, limit: int = 1_000) -> None:
        """Let somebody take pages until there is no more."""
        while (await self.take(taker, limit)).has_more:
            pass

    async def stored(self) -> dict[Key, Change]:
        """What there is."""
        return await stored(self._database, self.owner, unix_ms(self._clock))

    # --- how ------------------------------------------------------------------------------------

    async def _turn(self, kind: str, conversation: str) -> None:
        if kind in ("turn", "ask") and conversation not in self._open:
            items = await self._items_of(conversation)
            after: Any = self._chance.choice([UNSET, UNSET, None, *items])
            response = f"resp_{self._named}_{next(self._numbers)}"
            if await self.desk.enter(conversation, response, *self._ids(1), after=after) is None:
                self._open[conversation] = response
        response = self._open.get(conversation, "")
        if kind in ("turn", "leave"):
            await self.desk.leave(conversation, response, *self._ids(self._chance.randrange(1, 3)))
        elif kind == "withdraw":
            await self.desk.withdraw(conversation, response)
        if kind != "ask":
            self._open.pop(conversation, None)

    async def _change(self, conversation: str, changes: Changes) -> None:
        now_ms = unix_ms(self._clock)
        await self._work(lambda: steps.change(self.owner, conversation, changes, now_ms))

    async def _work(self, work: Callable[[], Steps]) -> FrontdeskError | None:
        return await self._database.transact(work)

    async def _items_of(self, conversation: str) -> list[str]:
        return [key[2] for key in await self.stored() if key[0] == "item" and key[1] == conversation]

    async def _item_of(self, conversation: str) -> str:
        return self._chance.choice([*await self._items_of(conversation), "msg_unheard_of"])

    def _ids(self, count: int) -> list[str]:
        return [f"msg_{self._named}_{next(self._numbers)}" for _ in range(count)]

    def _rating(self, now_ms: int) -> FeedbackRow:
        response, number = self._response(), next(self._numbers)
        usual = a_feedback(number, person=self.owner.person, response=response, comment=f"comment {number}")
        named = f"fb_{self._named}_{number}"
        return msgspec.structs.replace(
            usual, id=named, rating=self._chance.choice(["up", "down"]), changed_at_ms=now_ms
        )

    def _response(self) -> str:
        return f"resp_rated_{self._chance.randrange(5)}"

    def _fact(self) -> str:
        return f"fact_{self._chance.randrange(5):032x}"


def as_told(page: Page) -> Any:
    """A page as devices are told it."""
    answer = SyncAnswer(cursor=page.cursor, has_more=page.has_more, reset=page.is_reset, changes=page.changes)
    return msgspec.json.decode(msgspec.json.encode(answer))


def seq_of(place: str) -> int:
    """The number of a change that was told going up."""
    return Cursor("", int(place.partition(".")[2])).seq
