"""The process of one model: reads orders from its standard input, writes answers to its standard output.

    main thread   orders ──► queue ──► slots threads ──► answers
                  the end of its input, or its parent's death, ends it at once

It does as little as it can: prompts and answers are translated in the server, where it is tested
without a model. llama.cpp and onnxruntime may print; that never reaches the answers' pipe.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, cast

import msgspec

from frontdesk.local.catalogue import Kind
from frontdesk.local.frames import Answer, Broken, Cancel, Failed, FrameReader, Job, Order, Ready, decode_order
from frontdesk.local.frames import encode_frame as encode
from frontdesk.local.options import WorkerOptions

_READ_BYTES = 256 * 1024
_PR_SET_PDEATHSIG = 1


Send = Callable[[Answer], None]  # says something to the server; from any thread


class Ticket:
    """Whether a job is still wanted. Written by the main thread, read by the others."""

    __slots__ = ("is_cancelled",)

    def __init__(self) -> None:
        self.is_cancelled = False


class Work(Protocol):
    """A job under way."""

    def step(self) -> bool:
        """Do a part of it; True when it has ended. Looks at its ticket often."""
        ...


class Engine(Protocol):
    """A loaded model."""

    @property
    def parallel(self) -> int:
        """How many jobs it works on at the same time."""
        ...

    def begin(self, job: Job, ticket: Ticket, send: Send) -> Work:
        """Take a job; what there is to say of it is sent."""
        ...


def main() -> None:
    """Run until the input ends."""
    options = msgspec.json.decode(sys.argv[1], type=WorkerOptions)
    run(options.parent_id, lambda: _load(options), "whisper" if options.kind == "transcription" else "local")


def run(parent_id: int, load: Callable[[], Engine], extra: str) -> None:
    """Load, then work until the input ends. `extra` is what to install where a package is missing."""
    outbox = Outbox(_claim_output())
    _follow(parent_id)
    os.chdir("/")  # keeps nobody's folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        engine = load()
    except Exception as error:  # noqa: BLE001 - whatever it is, the server is told and the process ends
        outbox.send(Broken(_told(error, extra)))
        sys.exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # llama.cpp has set its own: Ctrl-C is the parent's matter
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _silence()
    outbox.send(Ready())
    desk = Desk(engine, outbox.send)
    reader = FrameReader()
    while data := os.read(0, _READ_BYTES):
        for payload in reader.feed(data):
            desk.take(decode_order(payload))
    os._exit(0)  # what is being computed is for nobody, and takes down the process faster than it unloads


class Outbox:
    """Writes answers, one frame at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, answer: Answer) -> None:
        """Write it whole. Ends the process where nobody reads any more."""
        frame = memoryview(encode(answer))
        try:
            with self._lock:
                while frame:
                    frame = frame[os.write(self._descriptor, frame) :]
        except BrokenPipeError:
            os._exit(0)


class Desk:
    """The jobs of this process: waiting, being worked on, cancelled."""

    def __init__(self, engine: Engine, send: Send) -> None:
        self._engine = engine
        self._send = send
        self._tickets: dict[int, Ticket] = {}
        self._queue: queue.SimpleQueue[tuple[Job, Ticket, Work | None]] = queue.SimpleQueue()
        for number in range(engine.parallel):
            threading.Thread(target=self._work, name=f"slot-{number}", daemon=True).start()

    def take(self, order: Order) -> None:
        """Take a job, or give one up."""
        if isinstance(order, Cancel):
            ticket = self._tickets.get(order.job_id)
            if ticket is not None:
                ticket.is_cancelled = True
            return
        ticket = self._tickets[order.job_id] = Ticket()
        self._queue.put((order, ticket, None))

    def _work(self) -> None:
        """Work in turns: a job that takes many steps goes to the end of the queue after each."""
        while True:
            job, ticket, work = self._queue.get()
            try:
                if not ticket.is_cancelled:
                    work = work or self._engine.begin(job, ticket, self._send)
                    if not work.step():
                        self._queue.put((job, ticket, work))
                        continue
            except Exception as error:  # noqa: BLE001 - one job's failure is not the others'
                self._send(Failed(job.job_id, is_refusal=False, code="model_failed", message=type(error).__name__))
            self._tickets.pop(job.job_id, None)


def _claim_output() -> int:
    """Keep the answers' pipe for us; what libraries print goes where errors go."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return descriptor


def _silence() -> None:
    """From here on there are prompts in this process: nothing that a library prints may leave it."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)


def _follow(parent_id: int) -> None:
    """Die when the parent does, even when it is killed while we compute.

    Elsewhere than on Linux only the end of our input says so.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_id:  # it died before we asked
        os._exit(0)


def _load(options: WorkerOptions) -> Engine:
    """Import and load; heavy libraries are named only where they are used."""
    module = importlib.import_module(f"frontdesk.local.{_ENGINES[options.kind]}")
    return cast("Engine", module.load(options))  # a module has no type: each engine's has load()


_ENGINES: Mapping[Kind, str] = {
    "chat": "chat_engine",
    "embedding": "embedding_engine",
    "transcription": "speech_engine",
}


def _told(error: Exception, extra: str) -> str:
    if isinstance(error, ImportError):
        return f"{error.name or 'a package'} is not installed here: pip install 'frontdesk[{extra}]'"
    return f"{type(error).__name__}: {error}"[:500]


if __name__ == "__main__":
    main()
