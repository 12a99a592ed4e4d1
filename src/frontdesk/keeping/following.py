"""Turns that another process carries, as logs of this one.

    its journal ──published──► Watched ──Entries──► post ──► Following ──► a log here ──► its readers
                                  ▲                           │    ▲
                                  └──── Watch, every 10 s ────┘    └── the store

Theory of operation. Entries have places, counted from 0, and what comes by post was stored before. So messages may be
lost, late, doubled or in another order: what is there already is passed over, and where something before is missing the
store has it. The store is also looked into where no message comes, seldom while the post is well, and often while it is
not; it alone says who carries a turn now, and that it has ended: the last entry is shown once its row says so. Of some
turns no entry is stored before they end, and then their whole answer is: of these the post tells the end alone. A log
is kept up while somebody reads it, and all readers of a process share one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import FrontdeskError, NotFound
from frontdesk.core.tasks import Tasks
from frontdesk.keeping.journal import Writing
from frontdesk.keeping.keeper import not_kept
from frontdesk.keeping.rows import ResponseRow
from frontdesk.sharing.post import Post
from frontdesk.storage.errors import StorageFailed
from frontdesk.turn.log import Entry, Failure, Reader, TurnLog
from frontdesk.turn.seams import Sink

_log = logging.getLogger("frontdesk.keeping")

TOPIC = "turns"
"""Of all that is said here by post."""
LOOK_EVERY_S = 2.0
"""How long no message may come before the store is looked into."""
LOOK_ALONE_EVERY_S = 0.25
"""The same where no message can come, or nobody carries the turn."""
RENEW_EVERY_S = 10.0
"""How often a carrier is told that its turn is still followed."""
WATCHED_FOR_S = 30.0
"""How long a carrier believes it."""
_MOST_AT_ONCE = 200


# What processes say to each other: arrays behind their tags. Fields are only added, at the end, with a default; a
# process that is asked what it does not know yet does nothing.


class Watch(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """To the carrier of a turn: send what comes to this process, which has so many entries."""

    tenant: str
    response: str
    process: str
    have: int


class Unwatch(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """To the carrier: send no more of it."""

    tenant: str
    response: str
    process: str


class Entries(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """From the carrier: entries that were stored just now, from this place on. None at all say: look at the row."""

    tenant: str
    response: str
    first: int
    entries: Sequence[Entry]


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """To the carrier: end the turn. It answers nothing; the row says it."""

    tenant: str
    response: str


_encode = msgspec.msgpack.Encoder().encode
Message = Watch | Unwatch | Entries | Cancel
_decode: Callable[[bytes], Message] = msgspec.msgpack.Decoder(Message).decode


class Kept(Protocol):
    """What is stored of turns."""

    async def find(self, tenant: str, response_id: str) -> ResponseRow | None:
        """The row of a turn."""
        ...

    async def entries_from(self, tenant: str, response_id: str, first: int) -> list[tuple[int, list[Entry]]]:
        """All stored entries from this place on, or from before it, in batches, each with the place of its first."""
        ...

    async def answer(self, tenant: str, response_id: str) -> list[Entry] | None:
        """The whole answer of a turn that has ended, in entries of other places; None where it is not kept."""
        ...


class CarriedTurn(Protocol):
    """A turn that this process carries."""

    @property
    def writing(self) -> Writing:
        """Its log, on the way to the store."""
        ...


class Carried(Protocol):
    """The turns that this process carries."""

    def find(self, response_id: str, /) -> CarriedTurn | None:
        """The one of this id, while it is under way."""
        ...

    async def cancel(self, response_id: str, /) -> bool:
        """End one; False where it is not here."""
        ...


def listen(post: Post, following: Following, watched: Watched, carried: Carried, tasks: Tasks) -> None:
    """Give what comes by post to whom it is for; `tasks` end what others want to be cancelled."""

    def found(said: Watch | Cancel) -> Writing | None:
        turn = carried.find(said.response)
        return turn.writing if turn is not None and turn.writing.tenant == said.tenant else None

    def take(message: bytes) -> None:
        try:
            said: Message = _decode(message)
        except msgspec.DecodeError:  # of a newer version
            return
        match said:
            case Entries():
                following.take(said)
            case Watch():
                if (writing := found(said)) is not None:
                    watched.watch(said, writing)
            case Unwatch():
                watched.unwatch(said)
            case Cancel():
                if found(said) is not None:
                    tasks.start(f"cancel {said.response}", carried.cancel(said.response))

    post.listen(TOPIC, take)


class Watched:
    """Which processes follow what this one carries. It costs nothing where nobody does."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._watching: dict[str, _Watching] = {}  # by turn
        self._sweep_at = 0.0

    def published(self, tenant: str, log: TurnLog, first: int, entries: Sequence[Entry]) -> None:
        """Tell who follows a log what was stored of it just now: entries from this place on, or its end alone."""
        watching = self._watching.get(log.id)
        if watching is None or not self._post.is_well:
            return
        processes = watching.living(asyncio.get_running_loop().time())
        if watching.keeps_entries:
            self._send(processes, tenant, log.id, first, entries)
        elif log.has_ended:
            self._send(processes, tenant, log.id, 0, ())

    def watch(self, said: Watch, writing: Writing) -> None:
        """Note for a while who follows a log, and send what they do not have."""
        now = asyncio.get_running_loop().time()
        self._sweep(now)
        log = writing.log
        watching = self._watching.setdefault(log.id, _Watching(keeps_entries=writing.keeps_entries))
        watching.until[said.process] = now + WATCHED_FOR_S
        if watching.keeps_entries and log.shown > said.have:
            self._send([said.process], said.tenant, log.id, said.have, log.entries[said.have : log.shown])

    def unwatch(self, said: Unwatch) -> None:
        """Forget that a process follows."""
        watching = self._watching.get(said.response)
        if watching is not None:
            watching.until.pop(said.process, None)
            if not watching.until:
                del self._watching[said.response]

    def _send(self, processes: list[str], tenant: str, response_id: str, first: int, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries) or 1, _MOST_AT_ONCE):
            some = entries[start : start + _MOST_AT_ONCE]
            message = _encode(Entries(tenant, response_id, first + start, some))
            for process in processes:
                self._post.send(process, TOPIC, message)

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + WATCHED_FOR_S
        for response_id, watching in list(self._watching.items()):
            if not watching.living(now):
                del self._watching[response_id]


class _Watching:
    """The processes that follow one log, each until some moment."""

    __slots__ = ("keeps_entries", "until")

    def __init__(self, *, keeps_entries: bool) -> None:
        self.keeps_entries = keeps_entries
        self.until: dict[str, float] = {}

    def living(self, now: float) -> list[str]:
        return [process for process, ends_at in self.until.items() if ends_at > now]


class Following:
    """The turns of other processes that are read in this one. `keep_alive_s` is how long a reader may hear nothing."""

    def __init__(self, post: Post, kept: Kept, clock: Clock, keep_alive_s: float) -> None:
        self._post = post
        self._kept = kept
        self._clock = clock
        self._keep_alive_s = keep_alive_s
        self._tasks = Tasks("following")
        # Who reads a log keeps it, or who is about to.
        self._logs: WeakValueDictionary[tuple[str, str], FollowedLog] = WeakValueDictionary()

    async def follow(self, tenant: str, response_id: str) -> TurnLog:
        """The log of a turn, with what is stored of it by now; attach to it to be told the rest.

        Raises StorageError.
        """
        log = self._logs.get((tenant, response_id))
        if log is None:
            log = self._logs[tenant, response_id] = FollowedLog(tenant, response_id, self._tasks, self)
        if not log.is_kept_up and not log.is_whole:
            await self._look(log)
        return log

    def cancel(self, row: ResponseRow) -> None:
        """Tell the carrier of a turn to end it. Where that is lost, its row must say so."""
        if row.carrier is not None:
            self._post.send(row.carrier, TOPIC, _encode(Cancel(row.tenant, row.id)))

    def take(self, said: Entries) -> None:
        """Take what a carrier sent."""
        log = self._logs.get((said.tenant, said.response))
        if log is None or not log.is_kept_up or log.is_whole:
            return
        is_gap = not log.add(said.first, said.entries)
        if is_gap or not said.entries or log.waits_for_its_row:
            log.look_now()
        else:
            log.look_at = asyncio.get_running_loop().time() + LOOK_EVERY_S

    def keep_up(self, log: FollowedLog) -> None:
        """Begin to bring what is new to a log, until nobody reads it, or it is whole."""
        self._tasks.start(f"following {log.id}", self._keep_up(log))

    async def close(self) -> None:
        """Follow nothing any more, and break readers off: what they read goes on elsewhere."""
        for log in list(self._logs.values()):
            log.abandon()
        await self._tasks.close()

    async def _keep_up(self, log: FollowedLog) -> None:
        log.quiet_since = asyncio.get_running_loop().time()
        try:
            while log.has_readers and not log.is_whole:
                self._renew(log)
                self._break_silence(log)
                await self._look_if_due(log)
        except Exception:  # noqa: BLE001 - a bug must not leave its readers waiting for ever
            _log.exception("following_broke turn_id=%s", log.id)
            log.abandon()
        finally:
            log.is_kept_up = False
            self._let_go(log)

    def _let_go(self, log: FollowedLog) -> None:
        if log.carrier is not None and log.renew_at > 0 and not log.is_whole:
            self._post.send(log.carrier, TOPIC, _encode(Unwatch(log.tenant, log.id, self._post.me)))
        log.renew_at = 0.0

    def _renew(self, log: FollowedLog) -> None:
        now = asyncio.get_running_loop().time()
        if not self._post.is_well:
            log.renew_at = 0.0  # at once, when it is again
        elif log.carrier is not None and now >= log.renew_at:
            log.renew_at = now + RENEW_EVERY_S
            self._post.send(log.carrier, TOPIC, _encode(Watch(log.tenant, log.id, self._post.me, len(log.entries))))

    def _break_silence(self, log: FollowedLog) -> None:
        now = asyncio.get_running_loop().time()
        if now >= log.quiet_since + self._keep_alive_s:
            log.quiet_since = now
            log.keep_alive()

    async def _look_if_due(self, log: FollowedLog) -> None:
        """Look into the store where that is due; else wait until it is, or something else."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if log.look_at > now:
            await log.changed(min(log.look_at, log.quiet_since + self._keep_alive_s) - now)
            return
        try:
            await self._look(log)
        except StorageFailed:  # the database says so itself
            log.look_at = loop.time() + LOOK_EVERY_S

    async def _look(self, log: FollowedLog) -> None:
        log.is_to_look = False
        row = await self._kept.find(log.tenant, log.id)
        if row is None:
            log.end(_has_gone(log.id), self._clock.now())
            return
        had = len(log.entries)
        # After the row: where that says that it has ended, these are all that there will be.
        for first, entries in await self._kept.entries_from(log.tenant, log.id, had):
            log.add(first, entries)
        if row.finished_at_ms is None:
            self._plan(log, row.carrier, has_found=len(log.entries) > had)
            return
        if not log.has_ended:
            log.add_end(await self._kept.answer(log.tenant, log.id) or [])
        log.end(_rest_is_gone(log.id) if log.entries else not_kept(log.id), row.finished_at_ms / 1000)

    def _plan(self, log: FollowedLog, carrier: str | None, *, has_found: bool) -> None:
        if has_found or carrier != log.carrier:
            log.renew_at = 0.0  # what was found had not come: whoever carries it does not know of us
        log.carrier = carrier
        is_told = self._post.is_well and carrier is not None and not log.waits_for_its_row
        pause_s = LOOK_EVERY_S if is_told else LOOK_ALONE_EVERY_S
        log.look_at = 0.0 if log.is_to_look else asyncio.get_running_loop().time() + pause_s


class FollowedLog(TurnLog):
    """The log of a turn that another process carries."""

    __slots__ = (
        "_changed",
        "_following",
        "carrier",
        "is_kept_up",
        "is_to_look",
        "look_at",
        "quiet_since",
        "renew_at",
        "tenant",
    )

    def __init__(self, tenant: str, turn_id: str, tasks: Tasks, following: Following) -> None:
        super().__init__(turn_id, tasks)
        self.tenant = tenant
        self.carrier: str | None = None
        self.is_kept_up = False
        self.is_to_look = False
        self.look_at = 0.0
        self.renew_at = 0.0
        self.quiet_since = 0.0
        self._following = following
        self._changed = asyncio.Event()

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads it who has not seen its end."""
        return bool(self._readers)

    @property
    def is_whole(self) -> bool:
        """Whether it is all there, and may be seen."""
        return self.has_ended and self.shown == len(self.entries)

    @property
    def waits_for_its_row(self) -> bool:
        """Whether its last entry is there, and may not be seen yet."""
        return self.has_ended and not self.is_whole

    def attach(self, sink: Sink, abort: Callable[[], None] | None = None) -> Reader:
        """Let a sink have all entries, and keep up with them as long as anybody reads."""
        reader = super().attach(sink, abort)
        if self._readers and not self.is_kept_up:
            self.is_kept_up = True
            self._following.keep_up(self)
        return reader

    def forget(self, reader: Reader) -> None:
        """Let a reader go."""
        super().forget(reader)
        if not self._readers:
            self._changed.set()

    def add(self, first: int, entries: Sequence[Entry]) -> bool:
        """Add what is new of the entries from this place on; False where some before them are missing."""
        have = len(self.entries)
        if first > have:
            return False
        if not self.has_ended:
            self.entries.extend(entries[have - first :])
            shown = len(self.entries) - self.has_ended
            if shown > self.shown:
                self.quiet_since = asyncio.get_running_loop().time()
                self.show(shown)
        return True

    def add_end(self, answer: Sequence[Entry]) -> None:
        """Add the end, from an answer whose entries have other places: all of it where nothing was told by now.

        Else a failure only: it may have come before what was told could be stored.
        """
        if not self.entries:
            self.add(0, answer)
        elif answer and isinstance(answer[-1], Failure):
            self.add(len(self.entries), answer[-1:])

    def end(self, error: FrontdeskError, finished_at: float) -> None:
        """Show its end; an error, where it has none."""
        if not self.has_ended:
            self.entries.append(Failure.of(error))
        self.finished_at = finished_at
        self.show(len(self.entries))

    def look_now(self) -> None:
        """Have the store looked into at once; again, where that is being done."""
        self.is_to_look = True
        self.look_at = 0.0
        self._changed.set()

    async def changed(self, timeout_s: float) -> None:
        """Return when the store is to be looked into, or nobody reads it any more, or after this time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()


def _has_gone(response_id: str) -> NotFound:
    return NotFound(
        f"Response {response_id!r} is not there any more: it was deleted, or failed before anybody was asked for it. "
        "In that case, send the request again.",
        code="response_not_found",
        should_retry=True,
    )


def _rest_is_gone(response_id: str) -> NotFound:
    return NotFound(
        f"The rest of response {response_id!r} is not kept any more. Retrieve it without `stream`.",
        code="events_gone",
    )
