"""Who listens to whose changes: told by this process's own commits, and by those of others.

    a commit here ──heard──► Hub ──► who listens here
                              └─(together, 5 ms)─► post ─► the hubs of all other processes ─► who listens there

Theory of operation. What is told is only how far a person's changes go; what has changed is read from the store, by who
listens. So what comes late, twice or in another order is passed over, and what is lost is found later: how far they go
is asked of the store for all who listen here, in one statement. That is seldom while the post is well, and every second
while it is not. Whether it is, a process finds out by a message to itself: as long as that comes back, those of others
do. The store that a process has to itself is asked of nothing, for there are no others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from frontdesk.core.taking import given_back
from frontdesk.core.tasks import Tasks
from frontdesk.files.owner import Owner
from frontdesk.sharing.post import Post
from frontdesk.storage.errors import StorageError
from frontdesk.sync.cursor import Cursor, read_cursor

_log = logging.getLogger("frontdesk.feeds")

TOPIC = "changes"
"""Of all that is said here by post."""
_MOST_ASKED = 5_000

Person = tuple[str, str]
"""Somebody, by tenant and id."""
Moved = tuple[str, str, int]
"""How far the changes of somebody go: tenant, id, number of the last one."""


# What processes say to each other: as in `keeping.following`.


class Heads(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """To all others: so far go the changes of some."""

    moved: list[Moved]


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """To all others: there is a process of this name from now on."""

    process: str


class Pulse(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """To itself: the post is well."""


_encode = msgspec.msgpack.Encoder().encode
Message = Heads | Hello | Pulse
_decode: Callable[[bytes], Message] = msgspec.msgpack.Decoder(Message).decode


class Ear(Protocol):
    """Somebody who listens."""

    def moved(self, head: int) -> None:
        """The person's changes go so far now."""
        ...


class Changes(Protocol):
    """What the store says of changes: `ChangeStore`."""

    def heads(self, persons: Iterable[Person]) -> Awaitable[Sequence[Moved]]:
        """How far those of several go; without those who have none."""
        ...


class Places(Protocol):
    """Where people are in their changes: `Pulling`."""

    def now(self, owner: Owner) -> Awaitable[str]:
        """The cursor of who has all there is."""
        ...


@dataclass(frozen=True, slots=True)
class HubTimes:
    """How long things take: who has left is known for so long; the rest is told in `Hub`."""

    together_s: float = 0.005
    look_every_s: float = 1.0
    peers_every_s: float = 3.0
    heals_every_s: float = 10.0
    silent_after_s: float = 2.5
    known_for_s: float = 30.0


class Known(Protocol):
    """What is known of somebody's changes by now."""

    head: int

    @property
    def cursor(self) -> Cursor:
        """The place of who has all there is."""
        ...


class Hub:
    """The listeners of one process. `start` it where it serves; `heard` is the database's."""

    def __init__(
        self,
        changes: Changes,
        places: Places,
        post: Post,
        others: Callable[[], Awaitable[Sequence[str]]],
        times: HubTimes | None = None,
    ) -> None:
        self._changes = changes
        self._places = places
        self._post = post
        self._others = others
        self._times = times or HubTimes()
        self._known: dict[Person, _Known] = {}
        self._peers: frozenset[str] = frozenset()
        self._to_tell: dict[Person, int] = {}
        self._said_hello_as: str | None = None
        self._peers_at = 0.0  # when to look who they are, as the next three
        self._heal_at = 0.0
        self._often_until = 0.0
        self._sweep_at = 0.0
        self._pulse_at = 0.0  # when it came back
        self._is_alone = True  # until it is started
        self._tasks = Tasks("hub")
        post.listen(TOPIC, self._take)

    def start(self, *, is_alone: bool) -> None:
        """Begin to look after what comes from others; `is_alone` where there are none."""
        self._is_alone = is_alone
        self._tasks.start("look", self._look_for_ever())

    async def close(self) -> None:
        """End."""
        await self._tasks.close()

    async def listen(self, owner: Owner, ear: Ear, *, is_certain: bool = False) -> Known:
        """Tell from now on how far somebody's changes go, and return how far they do by now.

        What others did this moment may come a moment later, unless it `is_certain`: that costs a look into the store.
        Whoever listens calls `leave` in the end. Raises StorageError, and then nobody listens.
        """
        person = owner.tenant, owner.person
        known = self._known.get(person)
        if known is None:
            known = self._known[person] = _Known()
        known.ears = (*known.ears, ear)
        with given_back(lambda: self.leave(owner, ear)):
            if not known.is_sure or (is_certain and not self._is_alone):
                now = read_cursor(await self._places.now(owner))
                assert now is not None  # it is the store's own
                known.epoch = now.epoch or known.epoch or ""
                self._move(person, now.seq)
        return known

    def leave(self, owner: Owner, ear: Ear) -> None:
        """Tell one who listened no more."""
        known = self._known.get((owner.tenant, owner.person))
        if known is None:
            return
        known.ears = tuple(each for each in known.ears if each is not ear)
        if not known.ears:
            # Who polls comes again at once, and need not be looked up then.
            known.left_at = asyncio.get_running_loop().time()

    def heard(self, moved: Sequence[Moved]) -> None:
        """Take what a commit of this process tells of itself."""
        for tenant, person, head in moved:
            self._move((tenant, person), head)
        if not self._peers:
            return
        if not self._to_tell:
            asyncio.get_running_loop().call_later(self._times.together_s, self._tell)
        for tenant, person, head in moved:
            self._to_tell[tenant, person] = max(head, self._to_tell.get((tenant, person), 0))

    def _move(self, person: Person, head: int) -> None:
        known = self._known.get(person)
        if known is None or head <= known.head:
            return
        known.head = head
        for ear in known.ears:
            ear.moved(head)

    def _tell(self) -> None:
        message = _encode(Heads([(tenant, person, head) for (tenant, person), head in self._to_tell.items()]))
        self._to_tell.clear()
        for process in self._peers:
            self._post.send(process, TOPIC, message)

    def _take(self, message: bytes) -> None:
        try:
            said: Message = _decode(message)
        except msgspec.DecodeError:  # of a newer version
            return
        match said:
            case Heads():
                for tenant, person, head in said.moved:
                    self._move((tenant, person), head)
            case Hello():
                if said.process != self._post.me:
                    self._peers |= {said.process}
            case Pulse():
                self._pulse_at = asyncio.get_running_loop().time()

    # --- what is looked after -----------------------------------------------------------------

    async def _look_for_ever(self) -> None:
        while True:
            now = asyncio.get_running_loop().time()
            try:
                self._sweep(now)
                if not self._is_alone:
                    await self._look(now)
            except StorageError:
                pass  # the database says so itself
            except Exception:  # noqa: BLE001 - a bug must not make everybody deaf
                _log.exception("hub_broke")
            await asyncio.sleep(self._times.known_for_s if self._is_alone else self._times.look_every_s)

    async def _look(self, now: float) -> None:
        await self._look_for_others(now)
        if not self._known:
            return
        times = self._times
        if self._post.is_well:
            self._post.send(self._post.me, TOPIC, _PULSE)
        if not self._post.is_well or now - self._pulse_at > times.silent_after_s:
            # And a while longer: what others have sent meanwhile may be lost.
            self._often_until = now + times.silent_after_s
        if now >= self._heal_at or now < self._often_until:
            self._heal_at = now + times.heals_every_s
            await self._heal()

    async def _look_for_others(self, now: float) -> None:
        me = self._post.me
        if now >= self._peers_at or me != self._said_hello_as:
            self._peers_at = now + self._times.peers_every_s
            self._peers = frozenset(await self._others()) - {me}
        if me != self._said_hello_as:
            self._said_hello_as = me
            for process in self._peers:
                self._post.send(process, TOPIC, _encode(Hello(me)))

    async def _heal(self) -> None:
        persons = list(self._known)
        for first in range(0, len(persons), _MOST_ASKED):
            for tenant, person, head in await self._changes.heads(persons[first : first + _MOST_ASKED]):
                self._move((tenant, person), head)

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + self._times.known_for_s / 2
        gone_before = now - self._times.known_for_s
        gone = [person for person, known in self._known.items() if not known.ears and known.left_at < gone_before]
        for person in gone:
            del self._known[person]


_PULSE = _encode(Pulse())


class _Known:
    """What is known of somebody's changes, and who listens to them."""

    __slots__ = ("ears", "epoch", "head", "left_at")

    def __init__(self) -> None:
        self.ears: tuple[Ear, ...] = ()
        self.epoch: str | None = None
        self.head = 0
        self.left_at = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether the store was asked; of who had nothing then, and has something now, it must be again."""
        return self.epoch is not None and (bool(self.epoch) or self.head == 0)

    @property
    def cursor(self) -> Cursor:
        """The place of who has all there is."""
        return Cursor(self.epoch or "", self.head)
