"""Key sets of identity providers (RFC 7517 §5): read, kept fresh, and asked for keys.

Theory of operation. A set is fetched at the start and then every ten minutes, or as often as its provider says. A
token that names a key which is not there may be of a key that is new: it waits for a fetch that begins after it came.
All that wait share that one. How many fetches there are is not the senders' to decide: two may come at once, then one
every 20 seconds, which are at most five in any minute (GCRA, see limits/counters.py). So who sends tokens with invented
keys only makes them wait for their refusal, and nobody's good token is refused for it.

    waiting for the pace ──► fetching ──► done: new keys, or a failure and the old keys
           ▲                                │
           └──── somebody came meanwhile ◄──┘

A fetch that fails changes nothing: known keys go on, and unknown ones are answered with 503 instead of 401, at once
while it is known that the provider cannot be reached.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from frontdesk.accounts.jwt import Token, refuse
from frontdesk.core.clock import Clock
from frontdesk.core.errors import Unavailable
from frontdesk.core.tasks import Tasks

if TYPE_CHECKING:
    from frontdesk.accounts.signatures import Key

_log = logging.getLogger("frontdesk.accounts")

_REGULARLY_S = 600.0
_RARELY_S, _OFTEN_S = 3600.0, 60.0  # what a provider may make of it
_AFTER_FAILURE_S = 30.0
_GAP_S = 3.0
_PACE_S = 20.0  # between fetches, of which two may come at once
_MAX_WAITING = 100
_MAX_WAIT_S = 35.0  # the pace, a fetch under way and one's own
_MAX_KEYS = 100


class SourceFailed(Exception):
    """Keys could not be fetched; the message says why, for logs and operators."""


class KeySource(Protocol):
    """Where a key set comes from."""

    async def read(self) -> tuple[bytes, float | None]:
        """The set as it is written, and for how many seconds it may be kept where that is told.

        Raises SourceFailed, within seconds.
        """
        ...


class Keys:
    """Keys that do not change."""

    def __init__(self, keys: list[Key]) -> None:
        self.all = frozenset(keys)
        self._named = {(key.algorithm, key.kid): key for key in reversed(keys)}  # the first of a name counts
        self._of: dict[str, list[Key]] = {}
        for key in keys:
            self._of.setdefault(key.algorithm, []).append(key)

    def find(self, token: Token) -> Key | None:
        """The key that a token says it is signed with, or the only one that can be meant where it says none.

        Raises Unauthenticated where several can.
        """
        if token.kid is not None:
            return self._named.get((cast("Any", token.algorithm), token.kid))
        fitting = self._of.get(token.algorithm, [])
        if len(fitting) > 1:
            refuse("Its header names no key ('kid'), and its issuer has several.")
        return fitting[0] if fitting else None


def read_keys(text: bytes) -> Keys:
    """Read a key set; keys that are not for us are left out. Raises SourceFailed where none is left."""
    # Only servers that have an identity provider load what verifies signatures.
    from frontdesk.accounts.signatures import UnusableKey, read_key  # noqa: PLC0415

    try:
        written = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise SourceFailed("it is no JSON") from None
    members = cast("dict[str, Any]", written).get("keys") if isinstance(written, dict) else None
    if not isinstance(members, list):
        raise SourceFailed("it is no key set: a JSON object with a list of 'keys' is needed")
    entries = cast("list[Any]", members)
    if len(entries) > _MAX_KEYS:
        raise SourceFailed(f"it has {len(entries)} keys, and at most {_MAX_KEYS} are read")
    keys: list[Key] = []
    reasons: list[str] = []
    for place, entry in enumerate(entries):
        try:
            keys.append(read_key(cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}))
        except UnusableKey as reason:
            reasons.append(f"keys[{place}]: {reason}")
    if not keys:
        raise SourceFailed(f"it has no key that can be used ({'; '.join(reasons[:5]) or 'it is empty'})")
    return Keys(keys)


class KeySet:
    """The keys of one source. `place` is the setting that names it, for logs; `generation` moves with any change."""

    def __init__(
        self, place: str, source: KeySource, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.place = place
        self.generation = 0
        self._source = source
        self._clock = clock
        self._sleep = sleep
        self._tasks = Tasks(f"keys of {place}")
        self._keys = Keys([])
        self._failure: str | None = None  # of the last fetch
        self._due_at = -math.inf
        self._began_at = -math.inf
        self._arrives_at = -math.inf
        # Fetches are counted: the one that was asked for last, began last, ended last.
        self._asked = self._begun = self._ended = 0
        self._is_at_work = False
        self._is_closed = False
        self._end = asyncio.Event()  # of the next fetch
        self._waiting = 0

    def start(self) -> None:
        """Fetch the keys, and keep them fresh from now on."""
        self._tasks.start("refresh", self._keep_fresh())

    async def close(self) -> None:
        """Fetch no more; who waits is answered."""
        self._is_closed = True
        await self._tasks.close()
        self._tell_end()

    async def probe(self) -> str | None:
        """Fetch once, whatever the pace; returns what is wrong, for an operator."""
        await self._fetch()
        return self._failure

    async def verify(self, token: Token) -> None:
        """Check a token's signature. Raises Unauthenticated; Unavailable where keys cannot be had."""
        key = self._keys.find(token)
        if key is None or (token.kid is None and not key.verify(token.signature, token.signed)):
            # Without a name a new key can only be told by what the old one does not verify.
            key = await self._find_newer(token, key)
        elif token.kid is None:
            return
        if not key.verify(token.signature, token.signed):
            refuse("Its signature is not its issuer's.")

    # --- who waits ------------------------------------------------------------------------------

    async def _find_newer(self, token: Token, old: Key | None) -> Key:
        """The key of a token in a set that was asked for after it came."""
        is_out_of_reach = self._failure is not None and self._begun == self._ended and self._wait_s() > 0
        if is_out_of_reach or self._is_closed or self._waiting >= _MAX_WAITING:
            raise self._unavailable()
        mine = self._ask()
        self._waiting += 1
        try:
            async with asyncio.timeout(_MAX_WAIT_S):
                while self._ended < mine:
                    await self._end.wait()
                    key = self._keys.find(token)
                    if key is not None and key != old:
                        return key
                    if self._failure is not None or self._is_closed:
                        raise self._unavailable()
        except TimeoutError:
            raise self._unavailable() from None
        finally:
            self._waiting -= 1
        if old is None:
            refuse("It is signed with a key that its issuer does not have (any more). Sign in again.")
        return old

    def _unavailable(self) -> Unavailable:
        retry_after_s = math.ceil(max(1.0, self._wait_s()))
        return Unavailable(
            "The key of this token is not known yet, and its issuer's keys cannot be fetched at the moment. "
            f"Try again in {retry_after_s} s.",
            code="issuer_unavailable",
            retry_after_s=retry_after_s,
        )

    # --- fetching -------------------------------------------------------------------------------

    async def _keep_fresh(self) -> None:
        while True:
            left_s = self._due_at - self._clock.monotonic()
            if left_s > 0:
                await self._sleep(left_s)
                continue
            mine = self._ask()
            while self._ended < mine:
                await self._end.wait()

    def _ask(self) -> int:
        """See to it that a fetch begins after now; returns its number."""
        self._asked = self._begun + 1
        if not self._is_at_work:
            self._is_at_work = True
            self._tasks.start("fetch", self._work())
        return self._asked

    async def _work(self) -> None:
        try:
            while self._begun < self._asked:
                while (wait_s := self._wait_s()) > 0:
                    await self._sleep(wait_s)
                self._begun += 1
                self._began_at = self._clock.monotonic()
                self._arrives_at = max(self._began_at, self._arrives_at) + _PACE_S
                try:
                    await self._fetch()
                finally:
                    self._ended = self._begun
                    self._tell_end()
        finally:
            self._is_at_work = False

    def _wait_s(self) -> float:
        """How long the pace lets the next fetch wait."""
        now = self._clock.monotonic()
        return max(0.0, self._began_at + _GAP_S - now, self._arrives_at - _PACE_S - now)

    def _tell_end(self) -> None:
        ended, self._end = self._end, asyncio.Event()
        ended.set()

    async def _fetch(self) -> None:
        try:
            text, max_age_s = await self._source.read()
            keys = read_keys(text)
        except SourceFailed as failure:
            self._fail(str(failure))
            return
        every_s = _REGULARLY_S if max_age_s is None else min(max(max_age_s, _OFTEN_S), _RARELY_S)
        self._due_at = self._clock.monotonic() + every_s
        if self._failure is not None:
            _log.info("keys_recovered place=%s", self.place)
            self._failure = None
        if keys.all != self._keys.all:
            self._keys = keys
            self.generation += 1
            _log.info("keys_changed place=%s count=%d", self.place, len(keys.all))

    def _fail(self, reason: str) -> None:
        self._due_at = self._clock.monotonic() + _AFTER_FAILURE_S
        if self._failure is None:
            _log.warning("keys_failed place=%s reason=%s", self.place, reason)
        self._failure = reason
