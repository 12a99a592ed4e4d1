from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bpe_openai
import pytest
import uvloop

from frontdesk.local.supervisor import Times
from frontdesk.tokens.counter import CounterLimits, TokenCounter
from frontdesk.tokens.encodings import encoding_of
from tests.fakes import HandClock
from tests.local.machine import wait_for_end

_PATIENT = CounterLimits(timeout_s=60)
_BRIEF = CounterLimits(timeout_s=0.05)
TEXTS = ["What does this cost?", "", "Nothing: <|endoftext|> 日本語"]


@asynccontextmanager
async def counting(limits: CounterLimits = _PATIENT, *, mode: str | None = None) -> AsyncIterator[TokenCounter]:
    """A counter; with a mode, one whose process is the fake one."""
    command = None if mode is None else [sys.executable, str(Path(__file__).with_name("fake_worker.py")), mode]
    counter = TokenCounter(HandClock(), limits, command=command)
    try:
        yield counter
    finally:
        await counter.close()


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def process_of(counter: TokenCounter) -> int:
    assert counter.process_id is not None
    return counter.process_id


# --- counts -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")
@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
async def test_it_counts_in_a_process_of_its_own(encoding: str):
    plain: Any = bpe_openai.get_encoding(encoding)
    async with counting() as counter:
        assert counter.process_id is None

        assert await counter.count(TEXTS, encoding) == sum(len(plain.encode_ordinary(text)) for text in TEXTS)

        process_id = process_of(counter)
        assert process_id != os.getpid()
    assert await asyncio.to_thread(wait_for_end, process_id)


async def test_it_is_the_same_on_uvloop():
    async def life() -> int | None:
        async with counting() as counter:
            return await counter.count(["hello world"], "o200k_base")

    assert await asyncio.to_thread(uvloop.run, life()) == 2


async def test_many_counts_share_one_process():
    async with counting() as counter:
        counts = await asyncio.gather(*(counter.count(["word " * number], "o200k_base") for number in range(1, 13)))

        assert counts == sorted(counts, key=lambda count: count or 0)
        assert len(set(counts)) == 12
        assert None not in counts


async def test_no_text_is_no_tokens_and_no_process():
    async with counting() as counter:
        assert await counter.count([], "o200k_base") == 0
        assert await counter.count(["", ""], "o200k_base") == 0
        assert counter.process_id is None


def test_it_knows_the_vocabulary_of_a_model():
    assert encoding_of("gpt-4o-mini") == "o200k_base"
    assert encoding_of("smollm2-135m") is None


def test_the_server_never_loads_the_vocabularies():
    program = """
import asyncio, sys
import frontdesk.app
from frontdesk.core.clock import SystemClock
from frontdesk.tokens.counter import CounterLimits, TokenCounter

async def main():
    counter = TokenCounter(SystemClock(), CounterLimits(timeout_s=60))
    print(await counter.count(["hello world"], "o200k_base"))
    await counter.close()

asyncio.run(main())
sys.exit("bpe_openai" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "2\n"), ran.stderr


# --- none ---------------------------------------------------------------------------------------


async def test_where_the_package_is_missing_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    async with counting() as counter:
        assert [await counter.count(["text"], "o200k_base") for _ in range(3)] == [None] * 3
        assert counter.process_id is None

    assert len(warnings_in(caplog)) == 1
    assert "tokens_not_counted" in caplog.text
    assert "pip install 'frontdesk[tokens]'" in caplog.text


@pytest.mark.parametrize("texts", [["half of a pair: \ud83d"], ["x" * 101], ["é" * 51], ["x" * 60, "y" * 60]])
async def test_what_is_no_text_or_too_much_of_it_is_not_sent(texts: list[str]):
    async with counting(CounterLimits(timeout_s=60, most_bytes=100), mode="normal") as counter:
        assert await counter.count(texts, "o200k_base") is None
        assert counter.process_id is None

        assert await counter.count(["x" * 100], "o200k_base") == 100


async def test_a_count_that_takes_too_long_is_given_up(caplog: pytest.LogCaptureFixture):
    async with counting(_BRIEF, mode="normal") as counter:
        assert await counter.count(["silence"], "o200k_base") is None

    assert warnings_in(caplog) == ["token_count_timed_out timeout_s=0.05"]


async def test_a_process_that_is_slow_to_start_costs_one_time_out_and_serves_the_next():
    async with counting(CounterLimits(timeout_s=0.001), mode="normal") as counter:
        assert await counter.count(["answer"], "o200k_base") is None
        while counter.process_id is None:
            await asyncio.sleep(0.001)


async def test_one_that_never_gets_ready_is_stopped():
    times = Times(start_s=0.05, stop_s=1.0)
    async with counting(CounterLimits(timeout_s=60, times=times), mode="mute") as counter:
        assert await counter.count(["answer"], "o200k_base") is None
        assert counter.process_id is None


async def test_too_many_at_once_are_not_counted():
    async with counting(CounterLimits(timeout_s=60, most_jobs=3), mode="normal") as counter:
        assert await counter.count(["answer"], "o200k_base") == 6
        waiting = [asyncio.create_task(counter.count(["silence"], "o200k_base")) for _ in range(3)]
        await asyncio.sleep(0)

        assert await counter.count(["answer"], "o200k_base") is None

        os.kill(process_of(counter), 9)
        assert await asyncio.gather(*waiting) == [None] * 3


async def test_a_count_that_was_given_up_makes_room():
    async with counting(CounterLimits(timeout_s=60, most_jobs=1), mode="normal") as counter:
        assert await counter.count(["answer"], "o200k_base") == 6
        waiting = asyncio.create_task(counter.count(["silence"], "o200k_base"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert await counter.count(["answer"], "o200k_base") == 6


async def test_a_count_that_fails_is_none_and_logged(caplog: pytest.LogCaptureFixture):
    async with counting(mode="normal") as counter:
        assert await counter.count(["fail"], "o200k_base") is None
        assert await counter.count(["answer"], "o200k_base") == 6

    assert warnings_in(caplog) == ["token_count_failed encoding=o200k_base reason=ValueError"]


async def test_a_vocabulary_that_is_not_known_is_none():
    async with counting() as counter:
        assert await counter.count(["text"], "unknown_base") is None
        assert await counter.count(["hello world"], "o200k_base") == 2


# --- the process --------------------------------------------------------------------------------


async def test_after_a_crash_the_next_count_starts_another():
    async with counting() as counter:
        assert await counter.count(["hello world"], "o200k_base") == 2
        first = process_of(counter)
        os.kill(first, 9)
        assert await asyncio.to_thread(wait_for_end, first)
        while counter.process_id == first:
            await asyncio.sleep(0.001)

        assert await counter.count(["hello world"], "o200k_base") == 2
        assert process_of(counter) != first


async def test_a_crash_in_the_middle_is_none():
    async with counting(mode="normal") as counter:
        assert await counter.count(["die"], "o200k_base") is None
        assert await counter.count(["answer"], "o200k_base") == 6


async def test_one_that_cannot_start_is_none_and_told_once(caplog: pytest.LogCaptureFixture):
    async with counting(mode="broken") as counter:
        assert [await counter.count(["answer"], "o200k_base") for _ in range(3)] == [None] * 3
        assert counter.process_id is None

    assert len(warnings_in(caplog)) == 1
    assert "no such vocabulary here" in caplog.text


async def test_where_nobody_asks_the_process_ends_and_starts_again():
    async with counting(CounterLimits(timeout_s=60, idle_s=0.02), mode="normal") as counter:
        assert await counter.count(["answer"], "o200k_base") == 6
        first = process_of(counter)

        assert await asyncio.to_thread(wait_for_end, first)

        assert await counter.count(["answer"], "o200k_base") == 6
        assert process_of(counter) != first


async def test_it_does_not_end_while_somebody_waits():
    async with counting(CounterLimits(timeout_s=60, idle_s=0.001), mode="normal") as counter:
        waiting = asyncio.create_task(counter.count(["silence"], "o200k_base"))
        while counter.process_id is None:
            await asyncio.sleep(0.001)
        first = process_of(counter)
        assert await counter.count(["answer"], "o200k_base") == 6
        await asyncio.sleep(0.05)

        assert not waiting.done()
        assert await counter.count(["answer"], "o200k_base") == 6
        assert process_of(counter) == first
        os.kill(first, 9)
        assert await waiting is None


async def test_a_closed_counter_counts_no_more():
    async with counting(mode="normal") as counter:
        waiting = asyncio.create_task(counter.count(["silence"], "o200k_base"))
        while counter.process_id is None:
            await asyncio.sleep(0.001)
        process_id = process_of(counter)
        await counter.close()

        assert await waiting is None
        assert await counter.count(["answer"], "o200k_base") is None
        assert await asyncio.to_thread(wait_for_end, process_id)
        await counter.close()
