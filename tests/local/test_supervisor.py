from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from frontdesk.core.errors import ProviderError
from frontdesk.local.frames import Done, Embed, JobAnswer, Vectors
from frontdesk.local.supervisor import Backoff, State, Supervisor, Times
from tests.fakes import HandClock
from tests.local.machine import wait_for_end

ANSWERED = [Vectors(1, [b"1234"], 1), Done(1)]


def supervisor_of(
    mode: str,
    clock: HandClock | None = None,
    *,
    find_obstacle: Callable[[], str | None] = lambda: None,
    most_jobs: int = 4,
    times: Times | None = None,
) -> Supervisor:
    command = [sys.executable, str(Path(__file__).with_name("fake_worker.py")), mode]
    return Supervisor(
        "tiny", command, clock or HandClock(), find_obstacle=find_obstacle, most_jobs=most_jobs, times=times
    )


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[Supervisor]:
    try:
        yield supervisor
    finally:
        await supervisor.close()


async def ask(supervisor: Supervisor, text: str) -> list[JobAnswer]:
    conversation = await supervisor.ask(lambda job: Embed(job, [text]))
    try:
        answers: list[JobAnswer] = []
        while not answers or not isinstance(answers[-1], Done):
            answers += await conversation.read()
    finally:
        conversation.close()
    return answers


async def test_a_process_starts_when_it_is_first_asked() -> None:
    async with running(supervisor_of("normal")) as supervisor:
        assert supervisor.state == State("stopped")
        assert supervisor.process_id is None

        assert await ask(supervisor, "answer") == ANSWERED

        assert supervisor.state == State("ready")
        process_id = supervisor.process_id
        assert [type(each) for each in await ask(supervisor, "answer")] == [Vectors, Done]
        assert supervisor.process_id == process_id
    assert supervisor.state == State("stopped")


async def test_it_is_the_same_on_uvloop() -> None:
    async def life() -> list[JobAnswer]:
        async with running(supervisor_of("normal")) as supervisor:
            return await ask(supervisor, "answer")

    assert await asyncio.to_thread(uvloop.run, life()) == ANSWERED


async def test_callers_that_come_while_it_starts_share_the_start() -> None:
    async with running(supervisor_of("normal")) as supervisor:
        supervisor.warm()
        assert supervisor.state == State("starting")

        answers = await asyncio.gather(*(ask(supervisor, "answer") for _ in range(4)))

        assert sorted(each[-1].job_id for each in answers) == [1, 2, 3, 4]


async def test_a_killed_process_fails_all_its_answers_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async with running(supervisor_of("normal")) as supervisor:
        first = await supervisor.ask(lambda job: Embed(job, ["half"]))
        second = await supervisor.ask(lambda job: Embed(job, ["silence"]))
        assert await first.read() == [Vectors(1, [b"1234"], 1)]
        assert supervisor.process_id is not None

        os.kill(supervisor.process_id, 9)

        for conversation in (first, second):
            with pytest.raises(ProviderError) as raised:
                await conversation.read()
            assert raised.value.reason == "local model process ended"
            conversation.close()
        assert (await ask(supervisor, "answer"))[-1] == Done(1)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "local_model_ended model=tiny reason=it was ended by SIGKILL"
    ]


async def test_what_came_before_the_end_is_still_read() -> None:
    async with running(supervisor_of("normal")) as supervisor:
        conversation = await supervisor.ask(lambda job: Embed(job, ["die"]))

        assert await conversation.read() == [Vectors(1, [b"1234"], 1)]
        with pytest.raises(ProviderError):
            await conversation.read()


async def test_a_process_that_keeps_ending_is_left_alone_for_longer_and_longer() -> None:
    clock = HandClock()
    async with running(supervisor_of("normal", clock)) as supervisor:
        waits: list[float | None] = []
        for _ in range(4):
            with pytest.raises(ProviderError):
                await ask(supervisor, "die")
            if supervisor.state.kind == "stopped":
                continue
            with pytest.raises(ProviderError) as raised:
                await supervisor.ask(lambda job: Embed(job, ["answer"]))
            assert raised.value.reason == (
                "local model 'tiny' keeps ending: local model 'tiny' ended: it ended with code 3"
            )
            waits.append(raised.value.retry_after_s)
            clock.move(waits[-1] or 0)

        assert waits == [1.0, 2.0, 4.0]
        assert (await ask(supervisor, "answer"))[-1] == Done(1)
        with pytest.raises(ProviderError):
            await ask(supervisor, "die")
        assert (await ask(supervisor, "answer"))[-1] == Done(1)  # it had answered: that was the first ending


def test_the_wait_has_a_bound() -> None:
    clock = HandClock()
    backoff = Backoff(clock, first_s=1, most_s=60)

    waits: list[float] = []
    for _ in range(50):
        backoff.note_ending()
        waits.append(backoff.left_s)

    assert waits[:4] == [0, 1, 2, 4]
    assert waits[-1] == 60


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("broken", "local model 'tiny' does not start: xllamacpp is not installed here"),
        ("crash", "local model 'tiny' does not start: it ended with code 7: Illegal instruction"),
        ("gibberish", "local model 'tiny' does not start: it said what is no frame"),
        ("mute", "local model 'tiny' does not start: it was not ready within 0 s"),
    ],
)
async def test_a_process_that_does_not_start_says_why_once(
    mode: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    times = Times(start_s=0.1) if mode == "mute" else None
    async with running(supervisor_of(mode, times=times)) as supervisor:
        for _ in range(2):
            with pytest.raises(ProviderError) as raised:
                await ask(supervisor, "answer")
            assert raised.value.reason == reason

        assert supervisor.state == State("failed", reason)
    assert [record.getMessage() for record in caplog.records if record.name == "frontdesk.local"] == [
        f"local_model_failed model=tiny reason={reason}"
    ]


async def test_what_is_missing_is_looked_for_each_time() -> None:
    obstacles: list[str | None] = ["run `frontdesk models pull tiny`", "run `frontdesk models pull tiny`", None]
    async with running(supervisor_of("normal", find_obstacle=lambda: obstacles.pop(0))) as supervisor:
        supervisor.warm()
        assert supervisor.state == State("failed", "run `frontdesk models pull tiny`")
        with pytest.raises(ProviderError, match="run `frontdesk models pull tiny`"):
            await ask(supervisor, "answer")

        assert await ask(supervisor, "answer") == ANSWERED


async def test_too_many_jobs_are_refused() -> None:
    async with running(supervisor_of("normal", most_jobs=1)) as supervisor:
        held = await supervisor.ask(lambda job: Embed(job, ["silence"]))

        with pytest.raises(ProviderError) as raised:
            await supervisor.ask(lambda job: Embed(job, ["answer"]))

        assert (raised.value.status, raised.value.code, raised.value.retry_after_s) == (503, "provider_busy", 1)
        held.close()
        assert (await ask(supervisor, "answer"))[-1] == Done(2)


async def test_a_job_that_is_given_up_is_cancelled_once() -> None:
    async with running(supervisor_of("normal")) as supervisor:
        await ask(supervisor, "answer")
        held = await supervisor.ask(lambda job: Embed(job, ["half"]))
        await held.read()

        held.close()
        held.close()

        assert await ask(supervisor, "cancelled") == [Vectors(3, [b"\x02"], 0), Done(3)]


async def test_a_process_that_says_nothing_is_killed() -> None:
    async with running(supervisor_of("normal", times=Times(silence_s=0.05))) as supervisor:
        with pytest.raises(ProviderError, match="local model process ended"):
            await ask(supervisor, "silence")

        assert supervisor.state == State("stopped", "local model 'tiny' ended: it said nothing for 0 s")


async def test_a_process_that_does_not_want_to_end_is_killed() -> None:
    supervisor = supervisor_of("stubborn", times=Times(stop_s=0.05))
    await ask(supervisor, "answer")
    process_id = supervisor.process_id
    assert process_id is not None

    await supervisor.close()

    assert wait_for_end(process_id, timeout_s=0)


async def test_closing_while_it_starts_leaves_no_process() -> None:
    children = _children()
    supervisor = supervisor_of("mute")
    supervisor.warm()
    waiting = asyncio.gather(ask(supervisor, "answer"), return_exceptions=True)
    await asyncio.sleep(0)

    await supervisor.close()

    (error,) = await waiting
    assert isinstance(error, ProviderError)
    with pytest.raises(ProviderError, match="is closed"):
        await ask(supervisor, "answer")
    assert _children() == children


async def test_nothing_is_left_of_processes_that_ended() -> None:
    children = _children()
    await _live_and_die()
    descriptors = _open_files()

    for _ in range(3):
        await _live_and_die()

    assert _open_files() == descriptors
    assert _children() == children


async def _live_and_die() -> None:
    async with running(supervisor_of("normal")) as supervisor:
        await ask(supervisor, "answer")
        with pytest.raises(ProviderError):
            await ask(supervisor, "die")
        await ask(supervisor, "answer")


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _children() -> list[int]:
    """Processes of ours, zombies among them."""
    me = os.getpid()
    return [
        int(task.name)
        for task in Path("/proc").iterdir()
        if task.name.isdigit() and f"\nPPid:\t{me}\n" in _status_of(task)
    ]


def _status_of(task: Path) -> str:
    try:
        return (task / "status").read_text()
    except OSError:
        return ""
