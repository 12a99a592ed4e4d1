"""Requests with a key, done once, however often and wherever they are sent.

Of one process, whoever comes while it is being done waits in memory and is answered the same. What another process
does is looked for in the store until it has an end. A claim comes to one of these:

    answered     kept, sealed, and told again until it expires
    released     it was refused: nothing was done, and the next one who sends it may try
    in doubt     its process died, or a commit was not acknowledged: where a second time does harm, nobody does it again

What is in memory leaves it when the store has it. So a claim of this process that is not in memory is one that it
never heard of (its commit was not acknowledged), under which nothing was begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import FrontdeskError, Unavailable, store_unavailable
from frontdesk.core.tasks import Tasks
from frontdesk.files.owner import Owner, owner_of
from frontdesk.http.once import DoneBefore, Keyed, Reply, Work
from frontdesk.http.requests import ClientGone
from frontdesk.idempotency.key import check_key
from frontdesk.idempotency.refusals import answer_not_kept, key_in_use, key_reused, outcome_unknown
from frontdesk.idempotency.sealing import seal, unseal
from frontdesk.idempotency.store import Claimed, answered, claim, doubt, is_in_doubt, release, take_over
from frontdesk.storage.database import Database
from frontdesk.storage.errors import OutcomeUnknown, StorageError, StorageFailed
from frontdesk.storage.query import Step

_log = logging.getLogger("frontdesk.idempotency")

_REPLAYED = (b"idempotent-replayed", b"true")
_FIRST_REFUSAL = 400


class Place(NamedTuple):
    """Where a key stands: whose it is, and for which route."""

    owner: Owner
    route: str
    key: str


class IdempotencyTimes(NamedTuple):
    """How long things take. Who waits for another is answered at the latest after `patience_s`."""

    dead_after_s: float
    patience_s: float = 30.0
    look_every_s: float = 0.25
    store_again_s: float = 1.0


class _Doing:
    """What this process does under a key. `reply` is set where it has one, `is_in_doubt` where nobody knows."""

    __slots__ = ("credential", "ended", "fingerprint", "is_in_doubt", "reply")

    def __init__(self, fingerprint: bytes, credential: bytes) -> None:
        self.fingerprint = fingerprint
        self.credential = credential
        self.ended = asyncio.Event()
        self.reply: Reply | None = None
        self.is_in_doubt = False


class IdempotencyKeys:
    """The keys of everybody, as the process of this id sees them. `close` before the database.

    `until_ms` tells how long a key is kept that comes at a time, both in milliseconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        process: str,
        clock: Clock,
        until_ms: Callable[[int], int],
        times: IdempotencyTimes,
    ) -> None:
        self._database = database
        self._process = process
        self._clock = clock
        self._until_ms = until_ms
        self._times = times
        self._doing: dict[Place, _Doing] = {}
        self._tasks = Tasks("idempotency")
        self._is_closed = False

    async def carry(self, keyed: Keyed, work: Work) -> Reply:
        """Do some work once; see `frontdesk.http.once`. Raises Unavailable where the process is going down."""
        if self._is_closed:
            raise Unavailable(
                "The server is restarting. Try again in a moment.", code="server_shutting_down", retry_after_s=1
            )
        key = check_key(keyed.key)
        assert key is not None  # there is a header
        place = Place(owner_of(keyed.caller), keyed.route, key)
        # A task of its own: it goes on when who asked is gone.
        outcome = await asyncio.shield(self._tasks.start("request", self._carried(place, keyed, work)))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self, timeout_s: float = 0.0) -> None:
        """Begin nothing more. Wait so long for what is under way, then leave it: it is in doubt from then on."""
        self._is_closed = True
        await self._tasks.wait(timeout_s)
        await self._tasks.close()

    async def _carried(self, place: Place, keyed: Keyed, work: Work) -> Reply | Exception:
        doing: _Doing | None = None

        async def claimed(fingerprint: bytes) -> None:
            nonlocal doing
            doing = await self._claimed(place, keyed, fingerprint)

        try:
            reply = await work(claimed)
        except DoneBefore as done:
            return done.reply
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked must hear of it
            if doing is not None:
                await self._settle(place, doing, self._step_after(place, keyed, doing, error))
            return error
        if doing is not None:
            await self._settle(place, doing, self._step_of(place, keyed, doing, reply))
        return reply

    # --- what comes of a claim --------------------------------------------------------------

    def _step_of(self, place: Place, keyed: Keyed, doing: _Doing, reply: Reply) -> Step:
        if reply.status >= _FIRST_REFUSAL:
            return release(*place, None, self._process)
        doing.reply = reply
        return answered(*place, self._process, reply.status, seal(reply, place.key, keyed.credential))

    def _step_after(self, place: Place, keyed: Keyed, doing: _Doing, error: Exception) -> Step:
        """What is refused was not done, nor what the store did not take. Of all else nobody can tell."""
        is_lost = isinstance(error, OutcomeUnknown) or not isinstance(error, FrontdeskError | StorageError | ClientGone)
        if is_lost and not keyed.may_repeat:
            doing.is_in_doubt = True
            return doubt(*place, self._process)
        return release(*place, None, self._process)

    async def _settle(self, place: Place, doing: _Doing, step: Step) -> None:
        """Write what came of a claim. Where that fails it is known here alone until it is written."""
        try:
            if await self._is_stored(step):
                del self._doing[place]
            else:
                _log.warning("idempotency_key_unsettled route=%s", place.route)
                self._tasks.start("settle", self._store_later(place, step))
        finally:
            doing.ended.set()

    async def _is_stored(self, step: Step) -> bool:
        try:
            await self._database.write(step)
        except StorageFailed:
            return False
        return True

    async def _store_later(self, place: Place, step: Step) -> None:
        while not await self._is_stored(step):  # noqa: ASYNC110 - nobody tells when the store is back
            await asyncio.sleep(self._times.store_again_s)
        del self._doing[place]

    # --- claiming ---------------------------------------------------------------------------

    async def _claimed(self, place: Place, keyed: Keyed, fingerprint: bytes) -> _Doing:
        """Claim a key. Raises DoneBefore, Refused, StorageError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._times.patience_s
        while (other := self._doing.get(place)) is not None:
            await _wait_for(other, place.key, until - loop.time())
            _look_at(other, place.key, fingerprint, keyed.credential)
            if self._doing.get(place) is other:
                raise store_unavailable()  # it was released, and the store knows nothing of that yet
        doing = self._doing[place] = _Doing(fingerprint, keyed.credential)
        try:
            async with asyncio.timeout_at(until):
                while not await self._is_ours(place, keyed, fingerprint):  # noqa: ASYNC110 - it is another process's
                    await asyncio.sleep(self._times.look_every_s)
        except BaseException as error:
            del self._doing[place]
            if isinstance(error, DoneBefore):
                doing.reply = error.reply
            doing.ended.set()
            if isinstance(error, TimeoutError):
                raise key_in_use(place.key) from None
            raise
        return doing

    async def _is_ours(self, place: Place, keyed: Keyed, fingerprint: bytes) -> bool:
        """Whether the claim is this process's now; False while another one does it. Raises as `_claimed`."""
        now_ms = unix_ms(self._clock)
        until_ms = self._until_ms(now_ms)
        found = await self._database.transact(lambda: claim(*place, fingerprint, None, self._process, now_ms, until_ms))
        if found is None:
            return True
        if found.fingerprint != fingerprint:
            raise key_reused(place.key)
        if found.http_status is not None:
            raise DoneBefore(_opened(found, place.key, keyed.credential))
        if found.owner == self._process:
            return not self._is_done_for_another(place)
        if not await is_in_doubt(self._database, *place, self._process, now_ms, self._times.dead_after_s):
            return False
        if not keyed.may_repeat:
            raise outcome_unknown(place.key)
        (taken,) = await self._database.write(take_over(*place, found, self._process))
        return bool(taken)

    def _is_done_for_another(self, place: Place) -> bool:
        """Whether it is done here for somebody who has become this owner meanwhile."""
        return any(
            other.key == place.key and other.route == place.route and other.owner.tenant == place.owner.tenant
            for other in self._doing
            if other.owner != place.owner
        )


async def _wait_for(doing: _Doing, key: str, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await doing.ended.wait()
    except TimeoutError:
        raise key_in_use(key) from None


def _look_at(ended: _Doing, key: str, fingerprint: bytes, credential: bytes) -> None:
    """Raise what there is to say of another's end: nothing where it came to nothing."""
    if ended.reply is None and not ended.is_in_doubt:
        return
    if ended.fingerprint != fingerprint:
        raise key_reused(key)
    if ended.reply is None:
        raise outcome_unknown(key)
    if ended.credential != credential:
        raise answer_not_kept(key)
    raise DoneBefore(_replayed(ended.reply))


def _opened(found: Claimed, key: str, credential: bytes) -> Reply:
    reply = unseal(found.answer or b"", key, credential)
    if reply is None:
        raise answer_not_kept(key)
    return _replayed(reply)


def _replayed(reply: Reply) -> Reply:
    if _REPLAYED in reply.headers:
        return reply
    return reply._replace(headers=[*reply.headers, _REPLAYED])
