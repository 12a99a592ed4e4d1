"""The journal says what really went out, what was billed, and who hung up when."""

from __future__ import annotations

import asyncio
import hashlib
import json

import msgspec
import pytest

from frontdesk.upstream.journal import Journal, Record
from tests.upstream.raw import CHAT, RESPONSES, asking, chat, control, exchange, played, responses
from tests.upstreams import ScriptedUpstream


async def test_a_whole_answer_is_written_down(upstream: ScriptedUpstream) -> None:
    seen = await exchange(
        upstream, asking(CHAT, chat("words-3"), authorization="Bearer sk-secret", x_upstream_pace="1")
    )

    (record,) = upstream.journal()
    assert (record.method, record.path, record.model, record.stream) == ("POST", CHAT, "words-3", True)
    assert (record.script, record.directives, record.status, record.ended) == ("words-3", "pace=1", 200, "whole")
    assert (record.chunks, record.bytes_written) == (3, len(seen.data))
    assert (record.billed.input_tokens, record.billed.output_tokens) == (2, 3)
    assert record.first_byte_at is not None
    assert record.ended_at is not None
    assert record.at <= record.first_byte_at <= record.ended_at
    assert record.headers["authorization"] == "sha256:" + hashlib.sha256(b"Bearer sk-secret").hexdigest()[:12]
    assert isinstance(record.body, msgspec.Raw)
    assert json.loads(bytes(record.body)) == chat("words-3")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("model", "chunks", "billed", "ended"),
    [
        ("words-4", 4, (2, 4), "whole"),
        ("thinking", 5, (2, 5), "whole"),
        ("words-4:fault=429", 0, (0, 0), "whole"),
        ("words-4:fault=reset", 0, (0, 0), "fault"),
        ("words-4:usage=11/22", 4, (2, 4), "whole"),
    ],
)
async def test_chunks_are_what_is_billed(
    upstream: ScriptedUpstream,
    stream: bool,
    model: str,
    chunks: int,
    billed: tuple[int, int],
    ended: str,
) -> None:
    await played(upstream, model, stream=stream)

    (record,) = upstream.journal()
    assert (record.chunks, (record.billed.input_tokens, record.billed.output_tokens)) == (chunks, billed)
    assert record.ended == ended


async def test_a_chunk_that_went_out_in_part_is_billed_and_not_counted(upstream: ScriptedUpstream) -> None:
    await played(upstream, "words-4:fault=cut@700")
    await played(upstream, "words-4:fault=cut@300", stream=False)

    stream, whole = upstream.journal()
    assert (stream.ended, stream.chunks, stream.billed.output_tokens) == ("fault", 1, 2)
    assert (whole.ended, whole.chunks, whole.billed.output_tokens) == ("fault", 0, 4)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_a_hang_up_bills_what_was_made_until_then(upstream: ScriptedUpstream, path: str) -> None:
    make = chat if path == CHAT else responses
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(asking(path, make("words-1000:pace=5")))
    await reader.readuntil(b"word2 ")
    assert (upstream.stats.open_connections, upstream.stats.open_streams) == (1, 1)
    writer.close()
    await upstream.until_idle()

    (record,) = upstream.journal()
    assert (record.ended, record.hung_up_after_chunk) == ("hung_up", record.chunks)
    assert 3 <= record.chunks < 1000
    assert record.billed.output_tokens == record.chunks
    assert (upstream.stats.open_streams, upstream.stats.hung_up) == (0, 1)


async def test_a_hang_up_before_a_body_bills_what_was_made_of_it(upstream: ScriptedUpstream) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(asking(CHAT, chat("words-1000:pace=5", stream=False)))
    await upstream.until(lambda: bool(upstream.journal()) and upstream.journal()[0].billed.output_tokens >= 3)
    writer.transport.abort()
    await upstream.until_idle()

    (record,) = upstream.journal()
    assert (record.ended, record.hung_up_after_chunk, record.bytes_written) == ("hung_up", 0, 0)
    assert 3 <= record.billed.output_tokens < 1000


async def test_bytes_that_stayed_in_the_buffer_were_not_written(upstream: ScriptedUpstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port, limit=1024)
    writer.write(asking(CHAT, chat("words-1000000")))
    await reader.readexactly(1)
    await upstream.until(lambda: upstream.journal()[0].bytes_written > 100_000)
    for _ in range(2000):
        await asyncio.sleep(0)
    written = upstream.journal()[0].bytes_written
    writer.transport.abort()
    await upstream.until_idle()

    (record,) = upstream.journal()
    assert record.ended == "hung_up"
    assert record.bytes_written <= written
    assert record.chunks < 1_000_000


async def test_the_journal_over_http(upstream: ScriptedUpstream) -> None:
    for model in ("words-1", "words-2", "gpt-5:ttft=1"):
        await played(upstream, model)

    whole = (await control(upstream, "GET", "/upstream/journal")).json["records"]
    assert [record["model"] for record in whole] == ["words-1", "words-2", "gpt-5:ttft=1"]
    assert whole[2]["script"] == "echo"
    newer = (await control(upstream, "GET", f"/upstream/journal?since={whole[0]['id']}")).json["records"]
    assert newer == whole[1:]
    lines = (await control(upstream, "GET", "/upstream/journal?format=jsonl")).body.splitlines()
    assert [json.loads(line) for line in lines] == whole
    assert (await control(upstream, "GET", "/upstream/journal?since=x")).status == 400

    assert (await control(upstream, "DELETE", "/upstream/journal")).json == {"records": []}
    await played(upstream, "words-1")
    (record,) = upstream.journal()
    assert record.id == 4
    assert upstream.stats.requests == 4


async def test_the_stats_over_http(upstream: ScriptedUpstream) -> None:
    await played(upstream, "words-3")
    await played(upstream, "words-3:fault=cut@900")

    stats = (await control(upstream, "GET", "/upstream/stats")).json
    assert (stats["requests"], stats["faults"], stats["connections"]) == (2, 1, 3)
    assert stats["open_connections"] == 1  # the one that asks
    assert stats["output_tokens"] == sum(record.billed.output_tokens for record in upstream.journal())


async def test_a_body_that_is_no_json_is_kept_as_a_text(upstream: ScriptedUpstream) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: u\r\nconnection: close\r\ncontent-length: 3\r\n\r\n"
    await exchange(upstream, head + b"{\xff\n")

    (record,) = upstream.journal()
    assert (record.body, record.status) == ("{\ufffd\n", 400)
    assert len((await control(upstream, "GET", "/upstream/journal?format=jsonl")).body.splitlines()) == 1


def kept(journal: Journal) -> list[Record]:
    return list(journal.since())


def test_the_journal_is_bounded_in_records_and_bytes() -> None:
    journal = Journal()
    for _ in range(10_050):
        journal.open(1, 0.0, "POST", "/", {}, b"")
    assert [record.id for record in (kept(journal)[0], kept(journal)[-1])] == [51, 10_050]

    body = json.dumps("x" * 1_000_000).encode()
    for _ in range(100):
        journal.open(1, 0.0, "POST", "/", {}, body)
    assert len(kept(journal)) < 70

    assert journal.open(1, 0.0, "POST", "/", {}, body + b" " * 100_000).body == "(1100002 bytes, not kept)"


def test_only_the_first_end_counts() -> None:
    journal = Journal()
    record = journal.open(1, 0.0, "POST", "/", {}, b"")
    journal.close(record, "whole", 1.0)
    journal.close(record, "hung_up", 2.0)

    assert (record.ended, record.ended_at, journal.totals.hung_up) == ("whole", 1.0, 0)
