from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from frontdesk.local.frames import (
    Answer,
    Cancel,
    Done,
    Embed,
    Failed,
    FrameReader,
    Job,
    Ready,
    decode_answer,
    encode_frame,
)
from frontdesk.local.models import find_model
from frontdesk.local.options import worker_command
from frontdesk.local.worker import Desk, Outbox, Send, Ticket, Work
from tests.local.machine import EMBEDDING, home_with, wait_for_end


class Steps:
    """A job that does what its text says."""

    def __init__(self, job: Embed, ticket: Ticket, send: Send, gate: queue.SimpleQueue[None]) -> None:
        self._job = job
        self._ticket = ticket
        self._send = send
        self._gate = gate
        self._left = int(self._job.texts[0]) if self._job.texts[0].isdigit() else 0

    def step(self) -> bool:
        match self._job.texts[0]:
            case "fail":
                raise ZeroDivisionError("the text of a prompt")
            case "wait":
                self._gate.get(timeout=10)
            case _:
                pass
        self._left -= 1
        self._send(Done(self._job.job_id))
        return self._left <= 0


class FakeEngine:
    """Works on one job at a time."""

    parallel = 1

    def __init__(self) -> None:
        self.gate: queue.SimpleQueue[None] = queue.SimpleQueue()

    def begin(self, job: Job, ticket: Ticket, send: Send) -> Work:
        assert isinstance(job, Embed)
        return Steps(job, ticket, send, self.gate)


@pytest.fixture
def said() -> queue.SimpleQueue[Answer]:
    return queue.SimpleQueue()


def test_jobs_of_many_steps_take_turns(said: queue.SimpleQueue[Answer]) -> None:
    engine = FakeEngine()
    desk = Desk(engine, said.put)
    for order in (Embed(1, ["wait"]), Embed(2, ["3"]), Embed(3, ["2"])):
        desk.take(order)

    engine.gate.put(None)

    assert [said.get(timeout=10) for _ in range(6)] == [Done(job) for job in (1, 2, 3, 2, 3, 2)]


def test_a_job_that_was_cancelled_while_it_waited_is_never_begun(said: queue.SimpleQueue[Answer]) -> None:
    engine = FakeEngine()
    desk = Desk(engine, said.put)
    desk.take(Embed(1, ["wait"]))
    desk.take(Embed(2, ["1"]))
    desk.take(Embed(3, ["1"]))

    desk.take(Cancel(2))
    desk.take(Cancel(99))
    engine.gate.put(None)

    assert [said.get(timeout=10), said.get(timeout=10)] == [Done(1), Done(3)]


def test_a_job_that_breaks_is_told_without_its_words(said: queue.SimpleQueue[Answer]) -> None:
    desk = Desk(FakeEngine(), said.put)

    desk.take(Embed(1, ["fail"]))
    desk.take(Embed(2, ["1"]))

    assert said.get(timeout=10) == Failed(1, is_refusal=False, code="model_failed", message="ZeroDivisionError")
    assert said.get(timeout=10) == Done(2)


def test_what_is_larger_than_a_pipe_is_written_whole() -> None:
    reading, writing = os.pipe()
    answer = Failed(1, is_refusal=True, code="invalid_request", message="x" * 300_000)
    writer = threading.Thread(target=Outbox(writing).send, args=(answer,))
    writer.start()

    reader = FrameReader()
    payloads: list[bytes] = []
    while not payloads:
        payloads = reader.feed(os.read(reading, 65536))
    writer.join(10)
    os.close(reading)
    os.close(writing)

    assert [decode_answer(payload) for payload in payloads] == [answer]


# --- the process itself -------------------------------------------------------------------------

_PARENT = """
import subprocess, sys
worker = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
worker.stdout.read(1)
print(worker.pid, flush=True)
sys.stdin.read()
"""


def command_for_this_process(parent_id: int) -> list[str]:
    model = find_model(EMBEDDING, home_with(EMBEDDING), threads=1)
    assert model is not None
    command = worker_command(model)
    command[-1] = command[-1].replace(f'"parent_id":{os.getpid()}', f'"parent_id":{parent_id}')
    return command


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = _PARENT.replace(
        "sys.argv[1:]", "[each.replace('PARENT', str(__import__('os').getpid())) for each in sys.argv[1:]]"
    )
    command = command_for_this_process(0)
    command[-1] = command[-1].replace('"parent_id":0', '"parent_id":PARENT')
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        worker_id = int(parent.stdout.readline())

        parent.kill()

        assert wait_for_end(worker_id)


def test_it_ends_at_once_where_its_parent_is_gone_already() -> None:
    done = subprocess.run(
        command_for_this_process(1), stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=True
    )

    assert done.stdout == b""


def test_it_ends_with_its_input_and_ignores_ctrl_c() -> None:
    with subprocess.Popen(
        command_for_this_process(os.getpid()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        ready = encode_frame(Ready())
        assert worker.stdout.read(len(ready)) == ready

        worker.send_signal(signal.SIGINT)
        worker.stdin.write(encode_frame(Embed(1, ["hello"])))
        worker.stdin.flush()
        head = worker.stdout.read(4)
        vectors = decode_answer(worker.stdout.read(int.from_bytes(head, "big")))
        worker.stdin.close()

        assert worker.wait(10) == 0
        assert getattr(vectors, "job_id", None) == 1
        assert worker.stderr.read() == b""


def test_a_file_in_the_folder_cannot_take_the_place_of_a_library(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken over')")

    with subprocess.Popen(
        command_for_this_process(os.getpid()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as worker:
        assert worker.stdout is not None
        ready = encode_frame(Ready())
        assert worker.stdout.read(len(ready)) == ready
        worker.terminate()


def test_what_is_no_model_is_told() -> None:
    model = find_model("mine", Path("/"), path=Path(__file__), threads=1)
    assert model is not None

    done = subprocess.run(worker_command(model), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)

    (payload,) = FrameReader().feed(done.stdout)
    assert done.returncode == 1
    assert "llama.cpp cannot load test_worker.py: is it a GGUF?" in str(decode_answer(payload))
