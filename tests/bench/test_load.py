"""A load asks as it should, whatever the server does, and counts what failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from bench.answer import Answer
from bench.connection import Asked, Connection
from bench.load import Load, Run
from bench.script import Script
from bench.upstream import Provider, http_chunk, stream_pieces

_SCRIPT = Script(5)


@asynccontextmanager
async def _served(protocol: Callable[[], asyncio.Protocol]):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize("rate_per_s", [None, 2000.0])
async def test_every_question_is_answered(is_streaming: bool, rate_per_s: float | None):
    load = Load(_SCRIPT, is_streaming, requests=30, at_once=4, rate_per_s=rate_per_s)

    async with _served(Provider) as port:
        outcome = await Run(load, port, "", 1).outcome()

    assert (outcome.failures, outcome.first_failure) == (0, "")
    assert len(outcome.whole_s) == len(outcome.late_s) == 30
    assert len(outcome.first_word_s) == (30 if is_streaming else 0)
    assert len(outcome.gap_s) == (30 * 4 if is_streaming else 0)
    assert min(outcome.whole_s) > 0


async def test_a_stream_keeps_its_pace():
    load = Load(Script(4, pace_ms=5), is_streaming=True, requests=6, at_once=3, spread_s=0.005)

    async with _served(Provider) as port:
        outcome = await Run(load, port, "", 1).outcome()

    assert outcome.failures == 0
    assert min(outcome.whole_s) >= 3 * 0.005 - 0.001


async def test_time_counts_from_when_a_question_was_due():
    run = Run(Load(_SCRIPT, is_streaming=True, requests=9, rate_per_s=1), 1, "", 1)
    first, *rest = stream_pieces(_SCRIPT)
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 6)
    answer.feed(http_chunk(first.replace(b"NUMBER", b"1")), 7)
    answer.feed(b"".join(rest), 9)

    run.answered(Connection(run), Asked(1, due=1, asked=5), answer, 10)

    outcome = run._outcome
    assert (list(outcome.first_word_s), list(outcome.gap_s)) == ([6], [2, 0, 0, 0])
    assert (list(outcome.whole_s), list(outcome.late_s)) == ([9], [4])


class _WaitsForAll(Provider):
    """Answers nobody before so many have asked."""

    def __init__(self, count: int, asked: list[_WaitsForAll]) -> None:
        super().__init__()
        self._count = count
        self._all = asked

    def data_received(self, data: bytes) -> None:
        self._data = data
        self._all.append(self)
        if len(self._all) == self._count:
            for each in self._all:
                Provider.data_received(each, each._data)


async def test_at_a_rate_questions_are_asked_whoever_is_still_waiting():
    load = Load(_SCRIPT, is_streaming=False, requests=20, at_once=2, rate_per_s=1000)
    asked: list[_WaitsForAll] = []

    async with _served(lambda: _WaitsForAll(20, asked)) as port:
        outcome = await Run(load, port, "", 1).outcome()

    assert outcome.failures == 0
    assert max(outcome.whole_s) >= 19 / 1000


async def test_a_crowd_asks_no_more_at_once_than_it_is():
    load = Load(_SCRIPT, is_streaming=False, requests=3, at_once=2, timeout_s=0.05)
    asked: list[_WaitsForAll] = []

    async with _served(lambda: _WaitsForAll(3, asked)) as port:
        outcome = await Run(load, port, "", 1).outcome()

    assert len(asked) == 2
    assert outcome.failures == 3
    assert outcome.first_failure == "no answer within 0.05 s"


class _HangsUp(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        self._transport.close()


@pytest.mark.parametrize("rate_per_s", [None, 2000.0])
async def test_lost_connections_are_counted_and_the_rest_is_asked(rate_per_s: float | None):
    load = Load(_SCRIPT, is_streaming=False, requests=9, at_once=2, rate_per_s=rate_per_s)

    async with _served(_HangsUp) as port:
        outcome = await Run(load, port, "", 1).outcome()

    assert outcome.failures == 9
    assert outcome.first_failure.startswith("question 1: the connection was lost")


async def test_an_answer_to_another_question_is_a_failure():
    load = Load(_SCRIPT, is_streaming=False, requests=2, at_once=2)
    asked: list[_Crossed] = []

    class _Crossed(Provider):
        def data_received(self, data: bytes) -> None:
            self._data = data
            asked.append(self)
            if len(asked) == 2:
                first, second = asked
                Provider.data_received(first, second._data)
                Provider.data_received(second, first._data)

    async with _served(_Crossed) as port:
        outcome = await Run(load, port, "", 1).outcome()

    assert outcome.failures == 2
    assert "the text is 'answer 2" in outcome.first_failure
