"""What comes packed is what was meant, bombs are not unpacked, and what goes is in the form that was wanted."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
import zlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, Refused, TooLarge
from frontdesk.sync.packing import PACKED_FROM_BYTES, Sent, UnsupportedType, Wanted, read_sent, wanted_by, write_answer
from frontdesk.sync.shapes import Page, SyncAnswer, TurnTold

LIMIT = 1_000_000
MSGPACK = "application/msgpack"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=40)


def coded(body: bytes, coding: str) -> bytes:
    match coding:
        case "gzip":
            return gzip.compress(body)
        case "zstd":
            return zstandard.compress(body)
        case _:
            return body


@given(OBJECTS, st.sampled_from(["", "identity", "gzip", "zstd"]), st.booleans())
async def test_both_forms_say_the_same_however_they_are_packed(value: dict[str, Any], coding: str, is_json: bool):
    body = msgspec.json.encode(value) if is_json else msgspec.msgpack.encode(value)
    sent = Sent(coded(body, coding), "application/json; charset=utf-8" if is_json else MSGPACK, coding)

    assert await read_sent(sent, LIMIT) == json.loads(json.dumps(value))


async def test_nothing_is_an_empty_object():
    assert await read_sent(Sent(b""), LIMIT) == {}


# Bodies that go on for a hundred megabytes, in some hundred kilobytes.
ZEROS = b"[" + b"0," * 50_000_000


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_bomb_is_not_unpacked_beyond_the_limit(coding: str):
    body = coded(ZEROS, coding)
    assert len(body) < LIMIT

    with pytest.raises(TooLarge):
        await read_sent(Sent(body, "", coding), LIMIT)


async def test_a_window_that_takes_more_memory_than_anybody_need_have_is_refused():
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = packed.compress(b'{"a":1}') + packed.flush()

    with pytest.raises(BadRequest) as raised:
        await read_sent(Sent(body, "", "zstd"), LIMIT)
    assert raised.value.code == "invalid_encoding"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_what_is_cut_off_anywhere_is_refused(coding: str):
    body = coded(json.dumps({"cursor": "a.1", "push": [{"id": str(each)} for each in range(50)]}).encode(), coding)

    for end in range(1, len(body)):
        with pytest.raises(BadRequest):
            await read_sent(Sent(body[:end], "", coding), LIMIT)


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["", "gzip", "zstd"]), st.sampled_from(["", MSGPACK]))
async def test_any_bytes_are_read_or_refused(body: bytes, coding: str, content_type: str):
    # Nothing but a refusal is raised.
    with contextlib.suppress(Refused):
        assert isinstance(await read_sent(Sent(body, content_type, coding), LIMIT), dict)


@given(OBJECTS, st.data())
async def test_messagepack_that_is_cut_off_anywhere_is_refused(value: dict[str, Any], data: st.DataObject):
    body = msgspec.msgpack.encode(value)
    end = data.draw(st.integers(1, len(body)))

    if end < len(body):
        with pytest.raises(BadRequest):
            await read_sent(Sent(body[:end], MSGPACK), LIMIT)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xdd\xff\xff\xff\xff", "invalid_msgpack"),  # a list that says it has four thousand million values
        (b"\xdc\xff\xff" + b"\xc0" * 65_535, "invalid_json"),
        (b"\x91" * 100_000 + b"\xc0", "invalid_msgpack"),
        (b"\x81\xa1a" * 100_000 + b"\xc0", "invalid_msgpack"),
        (b"\x81\xa1a" * 80 + b"\xc0", "invalid_json"),
        (b"\x81\xa1a\xdd" + struct.pack(">I", 700_000) + b"\xc0" * 700_000, "too_complex"),
        (b"\x81\xa1a\xdd" + struct.pack(">I", 60_000) + b"\x80" * 60_000, "too_complex"),
        (msgspec.msgpack.encode({"a": b"bytes"}), "invalid_msgpack"),
        (msgspec.msgpack.encode({"a": datetime.now(UTC)}), "invalid_msgpack"),
        (msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(5, b"x")}), "invalid_msgpack"),
        (msgspec.msgpack.encode({1: 2}), "invalid_msgpack"),
        (msgspec.msgpack.encode({"a": {None: 2}}), "invalid_msgpack"),
        (b"\x81\xa1\xff\xc0", "invalid_msgpack"),
        (b"\xc1", "invalid_msgpack"),
        (b"\x80\x80", "invalid_msgpack"),
        (msgspec.msgpack.encode([1]), "invalid_json"),
    ],
)
async def test_messagepack_that_is_none_of_ours(body: bytes, code: str):
    with pytest.raises(BadRequest) as raised:
        await read_sent(Sent(body, MSGPACK), LIMIT)
    assert raised.value.code == code


@pytest.mark.parametrize(("content_type", "coding"), [("text/plain", ""), ("", "br"), ("", "gzip, zstd")])
async def test_forms_that_nobody_reads_here_are_named(content_type: str, coding: str):
    with pytest.raises(UnsupportedType) as raised:
        await read_sent(Sent(b"{}", content_type, coding), LIMIT)
    assert raised.value.status == 415
    assert repr(content_type or coding) in raised.value.message


@pytest.mark.parametrize(
    ("accept", "accept_encoding", "content_type", "wanted"),
    [
        ("", "", "", Wanted()),
        ("*/*", "", "", Wanted()),
        ("", "", MSGPACK, Wanted(MSGPACK)),
        ("*/*", "", MSGPACK, Wanted(MSGPACK)),
        ("application/json", "", MSGPACK, Wanted()),
        ("application/json, text/plain, */*", "", MSGPACK, Wanted()),
        (MSGPACK, "", "", Wanted(MSGPACK)),
        ("application/vnd.msgpack", "", "application/json", Wanted("application/vnd.msgpack")),
        ("application/json;q=0.5, application/msgpack", "", "", Wanted(MSGPACK)),
        ("application/json, application/msgpack;q=0.5", "", "", Wanted()),
        ("application/msgpack;q=0", "", "", Wanted()),
        ("text/html", "", "", Wanted()),
        ("", "gzip, deflate, br, zstd", "", Wanted(coding="zstd")),
        ("", "gzip, deflate, br", "", Wanted(coding="gzip")),
        ("", "gzip;q=1.0, zstd;q=0.2", "", Wanted(coding="gzip")),
        ("", "zstd;q=0, gzip;q=0", "", Wanted()),
        ("", "*", "", Wanted(coding="zstd")),
        ("", "identity", "", Wanted()),
        ("", "GZIP;Q=0.5", "", Wanted(coding="gzip")),
        ("", "gzip;q=many", "", Wanted()),
    ],
)
def test_the_form_that_is_wanted(accept: str, accept_encoding: str, content_type: str, wanted: Wanted):
    assert wanted_by(accept, accept_encoding, content_type) == wanted


def an_answer(turns: int) -> SyncAnswer:
    turn = TurnTold(conversation="conv_1", id="resp_1", state="answered")
    page = Page(cursor="a.1", changes=[turn] * turns)
    return SyncAnswer(cursor=page.cursor, has_more=False, changes=page.changes)


@pytest.mark.parametrize("turns", [0, 5, 2_000])
@pytest.mark.parametrize("media_type", ["application/json", MSGPACK])
@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
async def test_an_answer_in_every_form_says_the_same(turns: int, media_type: str, coding: str):
    answer = an_answer(turns)
    plain, _ = await write_answer(answer, Wanted(media_type))

    body, headers = await write_answer(answer, Wanted(media_type, coding))

    is_packed = coding != "" and len(plain) >= PACKED_FROM_BYTES
    assert headers.get("content-encoding", "") == (coding if is_packed else "")
    assert headers["content-type"] == media_type
    assert headers["vary"] == "accept, accept-encoding"
    if is_packed:
        body = zlib.decompress(body, 31) if coding == "gzip" else zstandard.decompress(body)
    said: Any = msgspec.json.decode(body) if media_type != MSGPACK else msgspec.msgpack.decode(body)
    assert said == msgspec.to_builtins(answer)
    assert len(said["changes"]) == turns
