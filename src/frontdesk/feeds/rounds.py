"""Who listens in this process, one timer for all of them: heartbeats, credentials, the end.

Four times a second some are called on. The heartbeat comes to each every 10 s, and to all of them spread over that
time, however they came. Whether their credentials still hold is looked at every 2 s, which costs a look into a table
each; only of those that are not found there somebody must be asked, one after the other.

How many there may be at once is a matter of the process: what they take is its memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from frontdesk.core.errors import Forbidden, FrontdeskError, RateLimited, Unauthenticated, Unavailable
from frontdesk.core.tasks import Tasks
from frontdesk.files.owner import Owner
from frontdesk.http.callers import Callers
from frontdesk.http.requests import Head
from frontdesk.storage.errors import StorageError

_log = logging.getLogger("frontdesk.feeds")

BEAT_EVERY_S = 10.0
"""How often those who listen are told that they are listened to."""
_LOOK_EVERY_S = 2.0
_CALLS_A_SECOND = 4
_ASKED_AT_ONCE = 20
_SPREAD = 20
_LEAST_RETRY_S, _MOST_RETRY_S = 0.5, 3.0


class Listener(Protocol):
    """Somebody who listens: a stream, a poll, a socket."""

    @property
    def head(self) -> Head | None:
        """The request that it came by; None where somebody else looks after its credential."""
        ...

    def beat(self) -> None:
        """Tell it that all is well, where it would not have to wait for that."""
        ...

    def end(self, error: FrontdeskError) -> None:
        """End it at once, and tell it why; `retry_after_s` is when it may come again."""
        ...


@dataclass(frozen=True, slots=True)
class Room:
    """How many may listen in one process: of each person, and of all."""

    per_user: int
    total: int


class Rounds:
    """All who listen in this process. They come by `join` and go by `leave`."""

    def __init__(self, callers: Callers, room: Room) -> None:
        self._callers = callers
        self._room = room
        self._call_every_s = 1 / _CALLS_A_SECOND
        self._groups: list[dict[Listener, None]] = [{} for _ in range(round(BEAT_EVERY_S * _CALLS_A_SECOND))]
        self._looked_at = round(_LOOK_EVERY_S * _CALLS_A_SECOND)
        self._turn = 0
        self._next = 0  # the group of who joins next: each another one, so that as many are in each
        self._timer: asyncio.TimerHandle | None = None
        self._of_persons: Counter[tuple[str, str]] = Counter()
        self._listening: dict[Listener, tuple[int, tuple[str, str]]] = {}  # in which group, and who it is
        self._doubtful: dict[Listener, None] = {}
        self._tasks = Tasks("rounds")
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._listening)

    @property
    def share(self) -> float:
        """How full it is, from 0 to 1."""
        return len(self._listening) / self._room.total

    def join(self, listener: Listener, owner: Owner) -> None:
        """Let somebody listen. Raises RateLimited where the person has enough, Unavailable where all have, or at the
        end.
        """
        if self._is_closing:
            raise _closing(len(self._listening))
        person = owner.tenant, owner.person
        if self._of_persons[person] >= self._room.per_user:
            raise RateLimited(
                f"You listen {self._room.per_user} times at once, which is the most. Close a stream, a socket or a "
                "poll first.",
                code="too_many_streams",
                retry_after_s=5,
            )
        if len(self._listening) >= self._room.total:
            raise Unavailable("Too many listen here at the moment. Try again in a moment.", retry_after_s=5)
        self._of_persons[person] += 1
        group = self._next
        self._next = (group - 1) % len(self._groups)
        self._groups[group][listener] = None
        self._listening[listener] = group, person
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._call_every_s, self._call)

    def leave(self, listener: Listener) -> None:
        """Forget somebody who does not listen any more. May be called twice."""
        place = self._listening.pop(listener, None)
        if place is None:
            return
        group, person = place
        del self._groups[group][listener]
        self._doubtful.pop(listener, None)
        self._of_persons[person] -= 1
        if not self._of_persons[person]:
            del self._of_persons[person]

    def end_all(self) -> None:
        """Let nobody in any more, and end all who are: they come again elsewhere, not all at once."""
        self._is_closing = True
        for number, listener in enumerate(list(self._listening)):
            self._end(listener, _closing(number))

    async def close(self) -> None:
        """End the timer."""
        self.end_all()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._tasks.close()

    def _call(self) -> None:
        self._turn = (self._turn + 1) % len(self._groups)
        for listener in list(self._groups[self._turn]):
            try:
                listener.beat()
            except Exception:  # noqa: BLE001 - one that cannot be told must not keep it from the others
                _log.exception("heartbeat_broke")
        for group in self._groups[self._turn % self._looked_at :: self._looked_at]:
            self._look_at(group)
        if self._doubtful and not self._tasks:
            self._tasks.start("ask", self._ask())
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._call_every_s, self._call) if self._listening else None

    def _look_at(self, group: dict[Listener, None]) -> None:
        known = self._callers.known
        for listener in group:
            head = listener.head
            if head is not None and known(head) is None:
                self._doubtful[listener] = None

    async def _ask(self) -> None:
        """Ask of those whose credentials are not known any more."""
        asked = 0
        while self._doubtful:
            listener = next(iter(self._doubtful))
            del self._doubtful[listener]
            await self._ask_of(listener)
            asked += 1
            if asked % _ASKED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _ask_of(self, listener: Listener) -> None:
        head = listener.head
        assert head is not None  # who has none is in no doubt
        try:
            await self._callers.identify(head)
        except (Unauthenticated, Forbidden) as error:
            self._end(listener, error)
        except (FrontdeskError, StorageError):
            return  # nobody can say now; the next look asks again
        except Exception:  # noqa: BLE001 - one that cannot be looked at must not end the look at the others
            _log.exception("credential_check_failed")

    def _end(self, listener: Listener, error: FrontdeskError) -> None:
        if listener not in self._listening:
            return
        try:
            listener.end(error)
        except Exception:  # noqa: BLE001 - the same
            _log.exception("ending_broke")


def _closing(number: int) -> Unavailable:
    """Each is told another time, so that they do not all come at once."""
    spread = (number % _SPREAD) / (_SPREAD - 1)
    return Unavailable(
        "The server is restarting. Try again in a moment.",
        code="server_shutting_down",
        retry_after_s=round(_LEAST_RETRY_S + spread * (_MOST_RETRY_S - _LEAST_RETRY_S), 2),
    )
