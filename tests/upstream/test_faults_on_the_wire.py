"""Every fault, as a client sees it on its socket, in both of OpenAI's dialects."""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.upstream.raw import CHAT, EMBEDDINGS, RESPONSES, asking, chat, control, exchange, played, responses
from tests.upstreams import ScriptedUpstream

BOTH = pytest.mark.parametrize("path", [CHAT, RESPONSES])
EACH_WAY = pytest.mark.parametrize("stream", [True, False])


def error_of(seen: Any) -> dict[str, Any]:
    return seen.json["error"]


def types_of(events: list[Any]) -> list[str]:
    return [event["type"] for event in events]


# --- statuses -----------------------------------------------------------------------------------


@BOTH
@EACH_WAY
@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 429, 500, 503, 529, 599])
async def test_any_status_comes_with_an_error_of_openais(
    upstream: ScriptedUpstream, path: str, stream: bool, status: int
) -> None:
    seen = await played(upstream, f"echo:fault={status}", path, stream=stream)

    assert (seen.status, seen.headers["content-type"]) == (status, "application/json")
    assert set(error_of(seen)) == {"message", "type", "param", "code"}


async def test_embeddings_fail_likewise(upstream: ScriptedUpstream) -> None:
    seen = await exchange(upstream, asking(EMBEDDINGS, {"model": "m:fault=503", "input": "x"}))

    assert seen.status == 503


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        ("", {"retry-after": "1"}),
        (",retry-after=7", {"retry-after": "7"}),
        (",retry-after-ms=1500", {"retry-after-ms": "1500"}),
        (",retry-after=2,retry-after-ms=1500", {"retry-after": "2", "retry-after-ms": "1500"}),
    ],
)
async def test_429_tells_when_to_come_again(
    upstream: ScriptedUpstream, directives: str, expected: dict[str, str]
) -> None:
    seen = await played(upstream, f"echo:fault=429{directives}")

    assert {name: value for name, value in seen.headers.items() if name.startswith("retry-after")} == expected


async def test_429_may_tell_it_by_a_date(upstream: ScriptedUpstream) -> None:
    seen = await played(upstream, "echo:fault=429,retry-after-date=90")

    told = parsedate_to_datetime(seen.headers["retry-after"]) - parsedate_to_datetime(seen.headers["date"])
    assert 89 <= told.total_seconds() <= 90


async def test_the_script_error_is_the_same_fault(upstream: ScriptedUpstream) -> None:
    assert (await played(upstream, "error-503")).status == 503
    assert (await played(upstream, "error-400")).status == 400
    assert (await played(upstream, "error")).status == 500


# --- connections --------------------------------------------------------------------------------


@BOTH
@EACH_WAY
async def test_a_time_out_is_an_answer_that_never_comes(upstream: ScriptedUpstream, path: str, stream: bool) -> None:
    make = chat if path == CHAT else responses
    for model in ("echo:fault=timeout", "silent"):
        seen = await exchange(upstream, asking(path, make(model, stream=stream)), patience_s=0.05)

        assert (seen.data, seen.ended) == (b"", "open")


@EACH_WAY
async def test_a_connection_is_cut_or_reset_before_the_answer(upstream: ScriptedUpstream, stream: bool) -> None:
    for fault, ended in (("cut", "eof"), ("reset", "reset")):
        seen = await played(upstream, f"words-5:fault={fault}", stream=stream)

        assert (seen.data, seen.ended) == (b"", ended)


@BOTH
@EACH_WAY
@pytest.mark.parametrize(("fault", "ended"), [("cut", "eof"), ("reset", "reset")])
async def test_a_connection_is_cut_or_reset_after_the_headers(
    upstream: ScriptedUpstream, path: str, stream: bool, fault: str, ended: str
) -> None:
    seen = await played(upstream, f"words-5:fault={fault}@headers", path, stream=stream)

    assert (seen.status, seen.after_head, seen.ended) == (200, b"", ended)


@BOTH
@EACH_WAY
@pytest.mark.parametrize(("fault", "ended"), [("cut", "eof"), ("reset", "reset")])
@pytest.mark.parametrize("at", [1, 2, 100, 555])
async def test_a_connection_is_cut_or_reset_at_a_byte_of_the_body(
    upstream: ScriptedUpstream, path: str, stream: bool, fault: str, ended: str, at: int
) -> None:
    seen = await played(upstream, f"words-5:fault={fault}@{at}", path, stream=stream)

    assert (seen.status, len(seen.body), seen.ended) == (200, at, ended)


@BOTH
@EACH_WAY
async def test_a_cut_behind_the_last_byte_leaves_out_the_end_alone(
    upstream: ScriptedUpstream, path: str, stream: bool
) -> None:
    whole = await played(upstream, "words-5:fault=cut@99999", path, stream=stream)
    assert whole.pieces[-1] == b"" if stream else whole.json

    seen = await played(upstream, f"words-5:fault=cut@{len(whole.body):05}", path, stream=stream)

    assert len(seen.body) == len(whole.body)
    assert b"" not in seen.pieces if stream else True


async def test_refused_connections_are_refused_by_the_kernel(upstream: ScriptedUpstream) -> None:
    assert (await control(upstream, "PUT", "/upstream/faults", {"script": "fault=refuse@30"})).status == 200

    with pytest.raises(ConnectionRefusedError):
        await played(upstream, "echo")

    async with asyncio.timeout(10):
        while True:
            try:
                seen = await played(upstream, "echo")
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
            else:
                break
    assert seen.text == "one two"


async def test_refusing_is_the_servers_own(upstream: ScriptedUpstream) -> None:
    seen = await played(upstream, "echo:fault=refuse")

    assert (seen.status, error_of(seen)["code"]) == (400, "bad_directive")


# --- events -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("at", [0, 1, 3])
async def test_silence_after_chunks(upstream: ScriptedUpstream, path: str, at: int) -> None:
    make = chat if path == CHAT else responses
    seen = await exchange(upstream, asking(path, make(f"words-5:fault=silence@{at}")), patience_s=0.05)

    assert (seen.status, seen.ended) == (200, "open")
    assert seen.text == "".join(f"word{place} " for place in range(at))


async def test_silence_in_the_middle_of_a_body(upstream: ScriptedUpstream) -> None:
    seen = await exchange(upstream, asking(CHAT, chat("echo:fault=silence", stream=False)), patience_s=0.05)

    assert seen.ended == "open"
    assert 0 < len(seen.body) < int(seen.headers["content-length"])


@BOTH
@pytest.mark.parametrize(("fault", "words"), [("end", 5), ("end@0", 0), ("end@2", 2), ("end@9", 5)])
async def test_a_clean_end_without_the_terminal_event(
    upstream: ScriptedUpstream, path: str, fault: str, words: int
) -> None:
    seen = await played(upstream, f"words-5:fault={fault}", path)

    assert seen.pieces[-1:] == [b""]
    assert seen.text == "".join(f"word{place} " for place in range(words))
    assert b"[DONE]" not in seen.body
    assert b'finish_reason":"' not in seen.body
    assert b"response.completed" not in seen.body


async def test_a_finish_that_is_not_told(upstream: ScriptedUpstream) -> None:
    said = await played(upstream, "words-2:fault=no-finish")
    assert said.events[-1] == "[DONE]"
    assert all(choice["finish_reason"] is None for event in said.events[:-1] for choice in event["choices"])

    said = await played(upstream, "words-2:fault=no-finish", RESPONSES)
    assert (said.events[-1]["type"], said.events[-1]["response"]["status"]) == ("response.completed", "in_progress")


@BOTH
@pytest.mark.parametrize("kind", ["error", "failed"])
@pytest.mark.parametrize("at", [0, 2])
async def test_an_error_inside_a_200(upstream: ScriptedUpstream, path: str, kind: str, at: int) -> None:
    seen = await played(upstream, f"words-5:fault={kind}@{at}", path)

    assert (seen.status, seen.pieces[-1]) == (200, b"")
    assert seen.text == "".join(f"word{place} " for place in range(at))
    last = seen.events[-1]
    if path == CHAT:
        assert set(last) == {"error"}
    elif kind == "error":
        assert (last["type"], last["code"], last["sequence_number"]) == ("error", "server_error", len(seen.events) - 1)
    else:
        assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")


async def test_an_error_inside_the_200_of_a_body(upstream: ScriptedUpstream) -> None:
    seen = await played(upstream, "echo:fault=error", stream=False)

    assert (seen.status, error_of(seen)["code"]) == (200, "server_error")


@BOTH
@pytest.mark.parametrize("at", [0, 2])
async def test_one_event_of_broken_json(upstream: ScriptedUpstream, path: str, at: int) -> None:
    seen = await played(upstream, f"words-5:fault=bad-json@{at}", path)

    lines = [line[6:] for line in seen.body.split(b"\n") if line.startswith(b"data: {")]
    broken = [line for line in lines if not is_json(line)]
    assert len(broken) == 1
    assert f"word{at - 1}".encode() in lines[lines.index(broken[0]) - 1] if at else True


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


@BOTH
@EACH_WAY
async def test_bytes_that_are_no_utf8(upstream: ScriptedUpstream, path: str, stream: bool) -> None:
    seen = await played(upstream, "words-5:fault=bad-utf8@2", path, stream=stream)

    with pytest.raises(UnicodeDecodeError):
        seen.body.decode()
    assert b"\xff" in seen.body


@EACH_WAY
async def test_a_content_type_that_is_wrong(upstream: ScriptedUpstream, stream: bool) -> None:
    seen = await played(upstream, "echo:fault=content-type", stream=stream)

    assert (seen.status, seen.headers["content-type"]) == (200, "text/html")


@EACH_WAY
async def test_garbage_behind_the_answer(upstream: ScriptedUpstream, stream: bool) -> None:
    seen = await played(upstream, "echo:fault=garbage", stream=stream)
    assert seen.body.endswith(b"not for you -->\r\n{]")
    if stream:
        assert seen.pieces[-1] == b""

    seen = await played(upstream, "echo:fault=trailing", stream=stream)
    assert seen.data.endswith(b"not for you -->\r\n{]")
    if not stream:
        assert len(seen.after_head) > int(seen.headers["content-length"])


# --- usage --------------------------------------------------------------------------------------


def usages_of(events: list[Any]) -> list[Any]:
    """The usage that each event tells."""
    told = [event.get("response", event).get("usage") for event in events if isinstance(event, dict)]
    return [usage and (usage.get("prompt_tokens", usage.get("input_tokens")), usage["total_tokens"]) for usage in told]


@BOTH
async def test_usage_is_told_in_full_at_the_end(upstream: ScriptedUpstream, path: str) -> None:
    seen = await played(upstream, "words-3", path)

    assert [usage for usage in usages_of(seen.events) if usage] == [(2, 5)]


@BOTH
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("missing", []),
        ("early", [(2, 3)]),
        ("negative", [(-7, -10)]),
        ("huge", [(2**63, 2**63 + 10**15)]),
        ("11/22", [(11, 33)]),
        ("0/0", [(0, 0)]),
    ],
)
async def test_usage_that_is_told_otherwise(
    upstream: ScriptedUpstream, path: str, told: str, expected: list[tuple[int, int]]
) -> None:
    seen = await played(upstream, f"words-3:usage={told}", path)

    assert [usage for usage in usages_of(seen.events) if usage] == expected


async def test_usage_in_every_chunk_counts_up(upstream: ScriptedUpstream) -> None:
    seen = await played(upstream, "words-3:usage=each")

    assert usages_of(seen.events) == [(2, 3), (2, 3), (2, 4), (2, 5), (2, 5), (2, 5)]


async def test_usage_with_its_details(upstream: ScriptedUpstream) -> None:
    seen = await played(upstream, "words-3:usage=11/22/5/6", stream=False)

    usage = seen.json["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 5
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 6


# --- bytes --------------------------------------------------------------------------------------


@BOTH
@EACH_WAY
@pytest.mark.parametrize("directive", ["dribble", "cutsize=3", "cutsize=1,dribble", "header-pace=0", "framing=close"])
async def test_bytes_in_any_pieces_are_the_same_answer(
    upstream: ScriptedUpstream, path: str, stream: bool, directive: str
) -> None:
    seen = await played(upstream, f"words-3:{directive}", path, stream=stream)

    assert seen.status == 200
    if stream:
        assert seen.text == "word0 word1 word2 "
    else:
        assert "word0 word1 word2 " in json.dumps(seen.json)


async def test_dribbled_bytes_are_a_write_each(upstream: ScriptedUpstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(asking(CHAT, chat("echo:dribble=2", stream=False)))
    reads: list[int] = []
    while piece := await reader.read(1 << 16):
        reads.append(len(piece))
    writer.close()

    assert len(reads) > sum(reads) / 4


async def test_the_same_seed_cuts_alike(upstream: ScriptedUpstream) -> None:
    def sizes(seen: Any) -> list[int]:
        return [len(piece) for piece in seen.pieces[:-1]]

    first, again, other = [sizes(await played(upstream, f"words-9:cutsize=50,seed={seed}")) for seed in ("7", "7", "8")]

    assert first[:-1] == again[:-1]
    assert first[:20] != other[:20]
    assert max(first) <= 50


@pytest.mark.parametrize("stream", [True, False])
async def test_a_length_that_is_wrong(upstream: ScriptedUpstream, stream: bool) -> None:
    for offset in (+10, -10):
        seen = await played(upstream, f"echo:length={offset:+}", stream=stream)

        assert int(seen.headers["content-length"]) == len(seen.after_head) + offset
        assert seen.ended == "eof"


async def test_lines_may_end_in_crlf_and_comments_stand_between(upstream: ScriptedUpstream) -> None:
    seen = await played(upstream, "echo:crlf,comments")

    assert b"\n" not in seen.body.replace(b"\r\n", b"")
    assert seen.body.startswith(b": keep-alive\r\n\r\ndata: ")
    assert seen.body.count(b": keep-alive") == 3


@pytest.mark.parametrize("stream", [True, False])
async def test_a_script_that_breaks_cuts_the_connection(upstream: ScriptedUpstream, stream: bool) -> None:
    seen = await played(upstream, "break-2", stream=stream)

    assert seen.ended == "eof"
    if stream:
        assert seen.text == "word0 word1 "
        assert b"" not in seen.pieces
    else:
        assert seen.data == b""


# --- reading slowly -----------------------------------------------------------------------------


async def test_a_request_is_read_as_slowly_as_it_says(upstream: ScriptedUpstream) -> None:
    for headers, rules in (({"x_upstream_read_rate": "1000"}, []), ({}, [{"script": "read-rate=1000"}])):
        await control(upstream, "PUT", "/upstream/faults", rules)
        _, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        before = len(upstream.journal())
        writer.write(asking(CHAT, chat("echo", text="x" * 30_000_000), **headers))
        for _ in range(200):
            await asyncio.sleep(0)

        assert writer.transport.get_write_buffer_size() > 10_000_000
        assert len(upstream.journal()) == before
        writer.transport.abort()


async def test_a_request_that_is_read_slowly_is_answered(upstream: ScriptedUpstream) -> None:
    seen = await exchange(upstream, asking(CHAT, chat("echo"), x_upstream_read_rate="100000"))

    assert seen.text == "one two"


# --- what is not understood ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("echo:tfft=3", "no directive 'tfft'. Did you mean 'ttft'?"),
        ("echo:ttft", "directive 'ttft' cannot be ''"),
        ("echo:ttft=soon", "directive 'ttft' cannot be 'soon'"),
        ("echo:fault=cutt@3", "no fault 'cutt'. Did you mean 'cut'?"),
        ("echo:fault=cut@x", "no fault 'cut'"),
        ("echo:fault=timeout@3", "takes no '@3'"),
        ("echo:fault=silence@headers", "takes no '@headers'"),
        ("echo:fault=200", "status '200' cannot be"),
        ("echo:fault=999", "status '999' cannot be"),
        ("echo:usage=some", "directive 'usage' cannot be 'some'"),
        ("echo:usage=1/2/3/4/5", "directive 'usage' cannot be"),
        ("echo:nonsense", "no directive 'nonsense'"),
        ("gpt-5:ttft=3,nonsense", "no directive 'nonsense'"),
    ],
)
async def test_a_directive_that_is_unknown_is_told_with_the_nearest(
    upstream: ScriptedUpstream, model: str, said: str
) -> None:
    seen = await played(upstream, model)

    assert seen.status == 400
    assert said in error_of(seen)["message"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("x-upstream-script", "wrods-3:ttft=1", "no script 'wrods-3'"),
        ("x-upstream-script", "ttft=1,paec=3", "Did you mean 'pace'?"),
        ("x-upstream-paec", "3", "Did you mean 'pace'?"),
        ("x-upstream-fault", "20x", "no fault '20x'"),
    ],
)
async def test_a_header_that_is_not_understood_is_told(
    upstream: ScriptedUpstream, name: str, value: str, said: str
) -> None:
    seen = await exchange(upstream, asking(CHAT, chat("echo"), **{name: value}))

    assert seen.status == 400
    assert said in error_of(seen)["message"]
