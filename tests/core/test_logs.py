"""Lines of the log: none is lost, and one write carries many."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from frontdesk.core import logs

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} (\w+) frontdesk\.test (.*)")


class Stream(io.StringIO):
    """Counts writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    def lines(self) -> list[tuple[str, ...]]:
        found = [LINE.fullmatch(line) for line in self.getvalue().splitlines()]
        return [match.groups() for match in found if match is not None]


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def log(stream: Stream) -> Iterator[logging.Logger]:
    log, handler = logging.getLogger("frontdesk.test"), logs._GatheringHandler(stream)
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    yield log
    log.removeHandler(handler)
    log.propagate = True


async def say(log: logging.Logger, text: str) -> None:
    log.info(text)


async def written(stream: Stream) -> None:
    async with asyncio.timeout(5):
        while not stream.writes:
            await asyncio.sleep(0.01)


async def test_lines_are_gathered_and_written_together(log: logging.Logger, stream: Stream) -> None:
    for number in range(3):
        log.info("turn_settled number=%d", number)
    assert stream.writes == 0

    await written(stream)

    assert stream.lines() == [("INFO", f"turn_settled number={number}") for number in range(3)]
    assert stream.writes == 1


async def test_a_warning_is_written_at_once_with_all_before_it(log: logging.Logger, stream: Stream) -> None:
    log.info("first")
    log.warning("second")

    assert stream.lines() == [("INFO", "first"), ("WARNING", "second")]


def test_without_a_loop_every_line_is_written_at_once(log: logging.Logger, stream: Stream) -> None:
    log.info("alone")

    assert stream.lines() == [("INFO", "alone")]


def test_a_line_without_a_loop_takes_those_along_whose_loop_has_ended(log: logging.Logger, stream: Stream) -> None:
    asyncio.run(say(log, "looped"))
    assert stream.writes == 0

    log.info("alone")

    assert stream.lines() == [("INFO", "looped"), ("INFO", "alone")]
    assert stream.writes == 1


def test_the_next_loop_writes_what_an_ended_one_left(log: logging.Logger, stream: Stream) -> None:
    asyncio.run(say(log, "first"))

    async def next_loop() -> None:
        log.info("second")
        await written(stream)

    asyncio.run(next_loop())

    assert stream.lines() == [("INFO", "first"), ("INFO", "second")]


async def test_a_loop_that_ended_in_a_thread_leaves_the_others_lines_in_time(
    log: logging.Logger, stream: Stream
) -> None:
    await asyncio.to_thread(asyncio.run, say(log, "thread"))
    assert stream.writes == 0

    log.info("main")
    await written(stream)

    assert stream.lines() == [("INFO", "thread"), ("INFO", "main")]


async def test_a_thread_without_a_loop_writes_at_once_with_all_before(log: logging.Logger, stream: Stream) -> None:
    log.info("gathered")

    thread = threading.Thread(target=log.info, args=("thread",))
    thread.start()
    thread.join()  # the loop does not run meanwhile, nor its timer

    assert stream.lines() == [("INFO", "gathered"), ("INFO", "thread")]


async def test_no_more_is_gathered_than_the_bound(log: logging.Logger, stream: Stream) -> None:
    for number in range(999):
        log.info("number=%d", number)
    assert stream.writes == 0

    log.info("number=999")

    assert stream.lines() == [("INFO", f"number={number}") for number in range(1000)]
    assert stream.writes == 1


async def test_lines_of_several_threads_and_loops_stay_in_their_order(log: logging.Logger, stream: Stream) -> None:
    def plain(thread: int) -> None:
        for number in range(300):
            log.log(logging.WARNING if number % 7 == 0 else logging.INFO, "%d %d", thread, number)

    async def looping(thread: int) -> None:
        plain(thread)

    runs = [asyncio.to_thread(plain, 0), asyncio.to_thread(plain, 1), asyncio.to_thread(asyncio.run, looping(2))]
    await asyncio.gather(*runs, looping(3))
    log.warning("end")

    said = [text.split() for _, text in stream.lines()]
    for thread in range(4):
        assert [int(each[1]) for each in said if each[0] == str(thread)] == list(range(300))
    assert len(said) == 4 * 300 + 1


async def test_an_error_brings_its_stack(log: logging.Logger, stream: Stream) -> None:
    log.error("route_broke", exc_info=ValueError("bug"))

    assert stream.lines() == [("ERROR", "route_broke")]
    assert stream.getvalue().endswith("ValueError: bug\n")


async def test_a_line_that_cannot_be_made_stops_nobody(
    log: logging.Logger, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)

    log.info("number=%d", "no number")
    log.warning("next")

    assert stream.lines() == [("WARNING", "next")]


async def test_a_closed_stream_stops_nobody(log: logging.Logger, stream: Stream) -> None:
    stream.close()

    log.warning("unheard")


def test_the_last_lines_are_written_at_the_programs_end() -> None:
    program = (
        "import asyncio, logging\n"
        "from frontdesk.core.logs import log_to_stderr\n"
        "log_to_stderr()\n"
        "async def main(): logging.getLogger('frontdesk.test').info('last words')\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stderr.endswith("INFO frontdesk.test last words\n")
