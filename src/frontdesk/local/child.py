"""One running process of a model, as the server sees it: its pipes, the jobs that it works on, its end.

    starting ──Ready──► working ──► gone          every open job fails at that moment
        └──Broken, or its end──────► gone         `until_ready` then raises the reason

A process that says nothing at all for `silence_s` while jobs wait is taken for stuck and killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from frontdesk.core.errors import ProviderError
from frontdesk.local.frames import (
    Broken,
    Cancel,
    Done,
    Failed,
    FrameReader,
    Job,
    JobAnswer,
    Ready,
    decode_answer,
    encode_frame,
)

_LAST_WORDS_BYTES = 2000


class StartFailed(Exception):
    """The process ended before it was ready. The message says why."""


async def start_child(command: Sequence[str], silence_s: float, on_end: Callable[[Child], None]) -> Child:
    """Start the process; it is not ready yet. `on_end` is called when it is gone. Raises OSError."""
    _, child = await asyncio.get_running_loop().subprocess_exec(lambda: Child(silence_s, on_end), *command)
    return child


class Conversation:
    """One job of a child, and what it answers. `close()` gives the job up where it has not ended."""

    __slots__ = ("_answers", "_child", "_error", "_reader", "job_id")

    def __init__(self, child: Child, job_id: int) -> None:
        self.job_id = job_id
        self._child = child
        self._answers: list[JobAnswer] = []
        self._error: ProviderError | None = None
        self._reader: asyncio.Future[None] | None = None

    async def read(self) -> list[JobAnswer]:
        """Return all that has come since, at least one. Raises ProviderError when the process is gone."""
        if not self._answers and self._error is None:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if not self._answers and self._error is not None:
            raise self._error
        answers = self._answers
        self._answers = []
        return answers

    def close(self) -> None:
        """Say that nothing more is wanted. May be called twice."""
        self._child.give_up(self)

    def take(self, answer: JobAnswer) -> None:
        """Note an answer; the child calls this."""
        self._answers.append(answer)
        self._wake()

    def fail(self, error: ProviderError) -> None:
        """Note that no more will come; the child calls this."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None:
            if not self._reader.done():
                self._reader.set_result(None)
            self._reader = None


class Child(asyncio.SubprocessProtocol):
    """A process that runs a model."""

    def __init__(self, silence_s: float, on_end: Callable[[Child], None]) -> None:
        loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.has_answered = False
        self._ready: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._silence_s = silence_s
        self._on_end = on_end
        self._reader = FrameReader()
        self._open: dict[int, Conversation] = {}
        self._jobs = 0
        self._last_words = b""
        self._reason: str | None = None
        self._heard_at = 0.0
        self._watch: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def process_id(self) -> int:
        """Its id."""
        return self._transport.get_pid()

    @property
    def is_gone(self) -> bool:
        """Whether it takes no more jobs."""
        return self.gone.done()

    @property
    def reason(self) -> str:
        """Why it is gone, for logs."""
        return self._reason or _how_it_ended(self._transport.get_returncode())

    async def until_ready(self) -> None:
        """Wait until it takes jobs. Raises StartFailed."""
        await asyncio.shield(self._ready)
        if self.is_gone:
            raise StartFailed(self.reason)

    def ask(self, make_job: Callable[[int], Job]) -> Conversation:
        """Give it a job, made with the id that it is given."""
        if not self._open:
            self._heard_at = self._loop.time()
        self._jobs += 1
        conversation = self._open[self._jobs] = Conversation(self, self._jobs)
        self._input.write(encode_frame(make_job(self._jobs)))
        if self._watch is None:
            self._watch = self._loop.call_later(self._silence_s, self._check_silence)
        return conversation

    def give_up(self, conversation: Conversation) -> None:
        """Cancel a job that has not ended."""
        if self._open.pop(conversation.job_id, None) is not None and not self.is_gone:
            self._input.write(encode_frame(Cancel(conversation.job_id)))

    async def stop(self, grace_s: float) -> None:
        """End the process: politely, and after `grace_s` by force. Returns when it is gone and reaped."""
        self._reason = self._reason or "it was stopped"
        if self.is_gone:
            return
        self._signal(signal.SIGTERM)
        await asyncio.wait([self.gone], timeout=grace_s)
        if not self.is_gone:
            self._signal(signal.SIGKILL)
            await self.gone

    def kill(self, reason: str) -> None:
        """End the process now; `gone` follows."""
        self._reason = self._reason or reason
        self._signal(signal.SIGKILL)

    # --- called by the event loop ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)  # as asyncio promises for this protocol
        self._input = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: V105 - asyncio calls it
        """It says something, or a library in it does, before it is ready."""
        if fd == 2:
            self._last_words = (self._last_words + data)[-_LAST_WORDS_BYTES:]
            return
        self._heard_at = self._loop.time()
        try:
            for payload in self._reader.feed(data):
                self._take(decode_answer(payload))
        except (ValueError, msgspec.MsgspecError):
            self.kill("it said what is no frame")

    def process_exited(self) -> None:  # noqa: V105 - asyncio calls it
        """It has ended; what it still said before may follow."""
        self._input.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: V105 - asyncio calls it
        """It has ended and all that it said was read."""
        del exc
        if self._watch is not None:
            self._watch.cancel()
        self._transport.close()
        self.gone.set_result(None)
        self._on_end(self)  # now, not in a task later: a job that came in between would wait for ever
        for conversation in self._open.values():
            conversation.fail(ProviderError("local model process ended"))
        self._open.clear()
        if not self._ready.done():
            self._ready.set_exception(StartFailed(self._reason or self._last_line()))
            self._ready.exception()  # it may be that nobody waits

    # --- private --------------------------------------------------------------------------------

    def _take(self, answer: object) -> None:
        match answer:
            case Ready():
                self._ready.set_result(None)
            case Broken():
                self._reason = answer.reason
            case _:
                self._take_job_answer(cast("JobAnswer", answer))  # all others are of a job

    def _take_job_answer(self, answer: JobAnswer) -> None:
        has_ended = isinstance(answer, (Done, Failed))
        conversation = self._open.pop(answer.job_id, None) if has_ended else self._open.get(answer.job_id)
        self.has_answered = self.has_answered or isinstance(answer, Done)
        if conversation is not None:
            conversation.take(answer)

    def _last_line(self) -> str:
        """How it ended, and the last thing that it printed."""
        lines = self._last_words.decode(errors="replace").strip().splitlines()
        return self.reason + (f": {lines[-1]}" if lines else "")

    def _check_silence(self) -> None:
        self._watch = None
        if not self._open or self.is_gone:
            return
        silent_s = self._loop.time() - self._heard_at
        if silent_s >= self._silence_s:
            self.kill(f"it said nothing for {silent_s:.0f} s")
            return
        self._watch = self._loop.call_later(self._silence_s - silent_s, self._check_silence)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            self._transport.send_signal(number)


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "it closed its output"
    if code >= 0:
        return f"it ended with code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
