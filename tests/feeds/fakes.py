"""What feeds stand between: a store of changes, a post that loses what it is told to, somebody who reads."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import wraps
from typing import Any

from frontdesk.feeds.hub import Hub, HubTimes, Moved, Person
from frontdesk.files.owner import Owner
from frontdesk.storage.errors import StorageFailed
from frontdesk.sync.cursor import NOTHING, Cursor, read_cursor
from frontdesk.sync.shapes import Page, TurnTold
from tests.keeping.jumping_time import run_jumping

ANN = Owner("acme", "ann", "")
BOB = Owner("acme", "bob", "")
EPOCH = "e1"


def jumping(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: Any) -> None:
        run_jumping(test(**arguments))

    return run


def told(number: int, conversation: str = "conv_1") -> TurnTold:
    return TurnTold(conversation=conversation, id=f"resp_{number}", state="answered")


class Store:
    """The changes of everybody: each a turn's, in a conversation."""

    def __init__(self) -> None:
        self.changes: dict[Person, list[str]] = defaultdict(list)  # the conversation of each
        self.asked: list[list[Person]] = []
        self.pulled: list[str | None] = []
        self.looked_up = 0
        self.is_away = False

    def commit(self, owner: Owner, conversation: str = "conv_1") -> Moved:
        theirs = self.changes[owner.tenant, owner.person]
        theirs.append(conversation)
        return owner.tenant, owner.person, len(theirs)

    async def heads(self, persons: Iterable[Person]) -> Sequence[Moved]:
        await self._arrive()
        self.asked.append(list(persons))
        return [(*person, len(self.changes[person])) for person in self.asked[-1] if self.changes[person]]

    async def now(self, owner: Owner) -> str:
        self.looked_up += 1
        await self._arrive()
        head = len(self.changes[owner.tenant, owner.person])
        return str(Cursor(EPOCH, head) if head else NOTHING)

    async def pull(self, owner: Owner, cursor: str | None, limit: int = 200) -> Page:
        self.pulled.append(cursor)
        await self._arrive()
        theirs = self.changes[owner.tenant, owner.person]
        place = read_cursor(cursor or "")
        is_reset = place is None or (place != NOTHING and place.epoch != EPOCH)
        first = 0 if place is None or is_reset else place.seq
        some = theirs[first : first + limit]
        last = first + len(some)
        return Page(
            cursor=str(Cursor(EPOCH, last)),
            has_more=last < len(theirs),
            is_reset=is_reset,
            changes=[told(number, conversation) for number, conversation in enumerate(some, first + 1)],
            places=[str(Cursor(EPOCH, number)) for number in range(first + 1, last + 1)],
        )

    async def _arrive(self) -> None:
        await asyncio.sleep(0.001)
        if self.is_away:
            raise StorageFailed("The store is away.")


class Net:
    """The post between processes. `fate` says after which times a message arrives, each time it does."""

    def __init__(self) -> None:
        self.posts: dict[str, NetPost] = {}
        self.sent: list[tuple[str, bytes]] = []
        self.fate: Callable[[str, bytes], list[float]] = lambda process, message: [0.001]

    def send(self, process: str, message: bytes) -> None:
        self.sent.append((process, message))
        for after_s in self.fate(process, message):
            asyncio.get_running_loop().call_later(after_s, self._arrive, process, message)

    def _arrive(self, process: str, message: bytes) -> None:
        if process in self.posts:
            self.posts[process].take(message)


class NetPost:
    def __init__(self, net: Net, me: str) -> None:
        self.me = me
        self.is_well = True
        self.take: Callable[[bytes], None] = lambda _: None
        self._net = net
        net.posts[me] = self

    def listen(self, topic: str, take: Callable[[bytes], None]) -> None:
        self.take = take

    def move(self, me: str) -> None:
        self.me = me
        self._net.posts[me] = self

    def send(self, process: str, topic: str, message: bytes) -> None:
        self._net.send(process, message)

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class Process:
    """One that serves: its hub, its post."""

    def __init__(self, net: Net, store: Store, me: str, *, is_alone: bool = False) -> None:
        self.net = net
        self.store = store
        self.post = NetPost(net, me)
        self.others = 0
        self.is_alone = is_alone
        self.hub = Hub(store, store, self.post, self._living, HubTimes())

    def start(self) -> None:
        self.hub.start(is_alone=self.is_alone)

    def commit(self, owner: Owner, conversation: str = "conv_1") -> None:
        """Change something, which the database tells."""
        self.hub.heard([self.store.commit(owner, conversation)])

    async def _living(self) -> list[str]:
        self.others += 1
        return [post.me for post in self.net.posts.values()]


class Ear:
    """One who writes down how far changes go."""

    def __init__(self) -> None:
        self.heads: list[int] = []

    def moved(self, head: int) -> None:
        self.heads.append(head)


class Device:
    """A reader who keeps what it is told; it takes a page once it `may`."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.may = asyncio.Event()
        self.may.set()
        self.is_broken = False

    @property
    def told(self) -> list[str]:
        return [each.id for page in self.pages for each in page.changes if isinstance(each, TurnTold)]

    async def take(self, page: Page) -> None:
        await self.may.wait()
        self.pages.append(page)

    def break_off(self) -> None:
        self.is_broken = True
