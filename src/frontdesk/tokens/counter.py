"""Counts tokens in a process of its own, started when it is first asked and ended when nobody has for a while.

    count ─► Supervisor ─► worker            None at once: not installed, too long, too many at a time
      │                                      None in the end: it took too long, or the process ended
      └─ idle_s after the last one: the process is ended; the next count starts one

Who is told None stays with what it knew before: the bytes of a text are never fewer than its tokens.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import ProviderError
from frontdesk.core.tasks import Tasks
from frontdesk.local.frames import Count, Counted, Failed
from frontdesk.local.supervisor import Supervisor, Times
from frontdesk.local.vocabularies import FROM_FILE

_log = logging.getLogger("frontdesk.tokens")

# What counts by the vocabularies that OpenAI publishes, and by those of models on this machine.
_PACKAGE, _LOCAL_PACKAGE = "bpe_openai", "tokenizers"
_EXTRAS = {_PACKAGE: "tokens", _LOCAL_PACKAGE: "local"}


class CounterLimits(msgspec.Struct, frozen=True):
    """How long counting may take and how much of it there may be."""

    timeout_s: float = 3.0
    """For one count, the start of the process and the wait for others included."""
    idle_s: float = 300.0
    most_jobs: int = 16
    most_bytes: int = 4 * 1024 * 1024
    """Of one count: more text than any context window holds."""
    times: Times = Times(start_s=30.0, silence_s=15.0)


def worker_command() -> list[str]:
    """The command that runs the counting process as a child of this one."""
    # -P: a file of the folder that the server was started in must not become a package.
    return [sys.executable, "-P", "-m", "frontdesk.tokens.worker", str(os.getpid())]


class TokenCounter:
    """Counts tokens, elsewhere than on the loop. `close()` ends its process."""

    def __init__(
        self, clock: Clock, limits: CounterLimits | None = None, *, command: Sequence[str] | None = None
    ) -> None:
        self._clock = clock
        self._limits = limits or CounterLimits()
        self._command = command
        self._missing = set[str]() if command is not None else {name for name in _EXTRAS if not _is_installed(name)}
        self._told: set[str] = set()
        self._tasks = Tasks("token-counter")
        self._supervisor: Supervisor | None = None
        self._under_way = 0
        self._rest: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def process_id(self) -> int | None:
        """The id of the process that counts, if one is ready."""
        return None if self._supervisor is None else self._supervisor.process_id

    async def count(self, texts: Sequence[str], encoding: str) -> int | None:
        """The tokens of these texts together, each cut by itself, in the vocabulary of this name.

        None where they cannot be counted now; why is no matter of who asks, and logged where it is somebody's.
        """
        counted = await self.count_each([text for text in texts if text], encoding)
        return None if counted is None else sum(counted)

    async def count_each(self, texts: Sequence[str], encoding: str) -> list[int] | None:
        """The tokens of each of these texts, in order; None as `count`."""
        if not self._may_count(encoding):
            return None
        encoded = _encoded(texts, self._limits.most_bytes)
        if not encoded:
            return None if encoded is None else []
        self._under_way += 1
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._ask(encoded, encoding)
        except TimeoutError:
            _log.warning("token_count_timed_out timeout_s=%s", self._limits.timeout_s)
            return None
        except ProviderError:  # the supervisor has logged it
            return None
        finally:
            self._under_way -= 1
            self._rest_later()

    async def close(self) -> None:
        """End the process. May be called twice."""
        self._is_closed = True
        if self._rest is not None:
            self._rest.cancel()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.close()
        await self._tasks.wait(self._limits.times.stop_s + 1)
        await self._tasks.close()

    def _may_count(self, encoding: str) -> bool:
        package = _LOCAL_PACKAGE if encoding.startswith(FROM_FILE) else _PACKAGE
        is_missing = package in self._missing
        if is_missing and package not in self._told:
            self._told.add(package)
            _log.warning(
                "tokens_not_counted reason=%s is not installed: pip install 'frontdesk[%s]'. "
                "Budgets reckon with the bytes of a text, which are more than its tokens.",
                package,
                _EXTRAS[package],
            )
        return not is_missing and not self._is_closed

    async def _ask(self, texts: list[bytes], encoding: str) -> list[int] | None:
        conversation = await self._running().ask(lambda job: Count(job, texts, encoding))
        try:
            while True:
                for answer in await conversation.read():
                    if isinstance(answer, Counted):
                        return answer.tokens
                    if isinstance(answer, Failed):
                        _log.warning("token_count_failed encoding=%s reason=%s", encoding, answer.message)
                        return None
        finally:
            conversation.close()

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            self._supervisor = Supervisor(
                "token-counter",
                self._command or worker_command(),
                self._clock,
                find_obstacle=lambda: None,
                most_jobs=self._limits.most_jobs,
                times=self._limits.times,
            )
        return self._supervisor

    def _rest_later(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        if not self._is_closed:
            self._rest = asyncio.get_running_loop().call_later(self._limits.idle_s, self._end_process)

    def _end_process(self) -> None:
        """Nobody has asked for a while: give the memory back."""
        if self._under_way or self._supervisor is None:
            return
        self._tasks.start("rest", self._supervisor.close())
        self._supervisor = None


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _encoded(texts: Sequence[str], most_bytes: int) -> list[bytes] | None:
    """The texts in UTF-8; None where they are too long, or are no text (half a surrogate pair)."""
    if sum(map(len, texts)) > most_bytes:
        return None
    try:
        encoded = [text.encode() for text in texts]
    except UnicodeEncodeError:
        return None
    return encoded if sum(map(len, encoded)) <= most_bytes else None
