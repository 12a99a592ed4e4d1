"""Lines of the log: none is lost, and one write carries many."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import subprocess
import sys
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


async def test_lines_are_gathered_and_written_together(log: logging.Logger, stream: Stream) -> None:
    for number in range(3):
        log.info("turn_settled number=%d", number)
    assert stream.writes == 0

    while not stream.writes:
        await asyncio.sleep(0.01)

    assert stream.lines() == [("INFO", f"turn_settled number={number}") for number in range(3)]
    assert stream.writes == 1


async def test_a_warning_is_written_at_once_with_all_before_it(log: logging.Logger, stream: Stream) -> None:
    log.info("first")
    log.warning("second")

    assert stream.lines() == [("INFO", "first"), ("WARNING", "second")]


def test_without_a_loop_every_line_is_written_at_once(log: logging.Logger, stream: Stream) -> None:
    log.info("alone")

    assert stream.lines() == [("INFO", "alone")]


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
