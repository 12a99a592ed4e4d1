"""A WebSocket's bytes, however they are cut; what is wrong with them; and how long its patience lasts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from frontdesk.http.protocol import Patience
from frontdesk.http.requests import ClientGone
from frontdesk.http.socket_protocol import SocketProtocol

T = TypeVar("T")
LIMIT_BYTES = 100_000
PATIENCE = Patience(5, body_timeout_s=30, slow_reader_s=10)


class Wire(asyncio.Transport):
    """Keeps what is written, and as much of it unread as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unread_bytes = 0
        self.reads = True
        self.is_half_closed = self.is_closed = self.is_aborted = False
        self.protocol: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_half_closed
        self.written += data

    def write_eof(self) -> None:
        self.is_half_closed = True

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.protocol.connection_lost(None)

    def abort(self) -> None:
        self.is_aborted = True
        self.close()


class Opened:
    """A connection whose handshake is over, and its peer."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.connections: set[Any] = set()
        self.socket = SocketProtocol(LIMIT_BYTES)
        self.socket.take_over(self.wire, self.connections, PATIENCE)
        self.began_at = time.monotonic()

    async def comes(self, *parts: bytes) -> None:
        """Let these parts come, each when the server reads on."""
        for part in parts:
            await self.reads_on()
            self.socket.data_received(part)
        await self.reads_on()

    async def reads_on(self) -> None:
        for _ in range(1000):
            if self.wire.reads:
                return
            await asyncio.sleep(0)

    def messages(self) -> list[str | bytes | None]:
        """All that can be received at once; None at the end where nothing more will come."""
        received: list[str | bytes | None] = []
        while received[-1:] != [None]:
            try:
                received.append(at_once(self.socket.receive()))
            except Waits:
                break
        return received

    def answered(self) -> list[Frame]:
        """All frames that were written so far."""
        peer = Protocol(CLIENT, max_size=None)
        peer.receive_data(self.wire.written)
        assert peer.parser_exc is None
        return [event for event in peer.events_received() if isinstance(event, Frame)]

    def closed_with(self) -> tuple[int, str] | None:
        """Code and reason of the close frame that was sent."""
        closes = [Close.parse(frame.data) for frame in self.answered() if frame.opcode is Opcode.CLOSE]
        return (closes[0].code, closes[0].reason) if closes else None

    def after(self, seconds: float) -> None:
        """Sweep as if so much time had passed since it was opened."""
        self.socket.sweep(self.began_at + seconds)


class Waits(Exception):
    """It cannot be had at once."""


def at_once(work: Awaitable[T]) -> T:
    """What is there without waiting. Raises Waits."""
    coroutine: Any = work
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise Waits


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as a client sends it."""
    return Frame(opcode, data, fin).serialize(mask=True)


def text(words: str) -> bytes:
    return frame(Opcode.TEXT, words.encode())


GREETING = "Grüße 👋"
HALVES = GREETING.encode()[:3], GREETING.encode()[3:10], GREETING.encode()[10:]  # cut within characters
EVERYTHING = b"".join(
    [
        text(""),
        text(GREETING),
        frame(Opcode.TEXT, HALVES[0], fin=False),
        frame(Opcode.PING, b"between"),
        frame(Opcode.CONT, HALVES[1], fin=False),
        frame(Opcode.CONT, b"", fin=False),
        frame(Opcode.CONT, HALVES[2]),
        frame(Opcode.PONG, b"asked by nobody"),
        frame(Opcode.BINARY, bytes(range(256))),
        text("x" * 126),
        frame(Opcode.CLOSE, Close(1001, "gone").serialize()),
    ]
)
RECEIVED = ["", GREETING, GREETING, bytes(range(256)), "x" * 126, None]


async def test_messages_are_the_same_wherever_their_bytes_are_cut() -> None:
    for cut in range(1, len(EVERYTHING)):
        opened = Opened()

        await opened.comes(EVERYTHING[:cut], EVERYTHING[cut:])

        assert opened.messages() == RECEIVED, f"cut at {cut}"
        pong, close = opened.answered()
        assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"between")
        assert (close.opcode, opened.closed_with()) == (Opcode.CLOSE, (1001, "gone"))
        assert opened.wire.is_closed
        assert opened.connections == set()


async def test_messages_are_the_same_byte_by_byte() -> None:
    opened = Opened()

    await opened.comes(*(bytes([byte]) for byte in EVERYTHING))

    assert opened.messages() == RECEIVED


@settings(deadline=None)
@given(
    given=st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300), st.integers(60_000, 70_000)), max_size=6),
    fragment_bytes=st.integers(1, 400),
    read_bytes=st.integers(1, 9000),
)
def test_any_messages_come_whole(given: list[str | bytes | int], fragment_bytes: int, read_bytes: int) -> None:
    messages = ["x" * each if isinstance(each, int) else each for each in given]
    stream = b"".join(fragments(message, max(fragment_bytes, len(message) // 50)) for message in messages)
    read_bytes = max(read_bytes, len(stream) // 200)

    async def receive_all() -> list[str | bytes | None]:
        opened = Opened()
        received = []
        for start in range(0, len(stream), read_bytes):
            while not opened.wire.reads:
                received += opened.messages()
                await asyncio.sleep(0)
            opened.socket.data_received(stream[start : start + read_bytes])
        while not opened.wire.reads:
            received += opened.messages()
            await asyncio.sleep(0)
        return received + opened.messages()

    assert asyncio.run(receive_all()) == messages


def fragments(message: str | bytes, size: int) -> bytes:
    """The frames of a message that is sent in pieces of this size."""
    content = message.encode() if isinstance(message, str) else message
    opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
    starts = range(0, len(content) or 1, size)
    return b"".join(
        frame(opcode if start == 0 else Opcode.CONT, content[start : start + size], fin=start == starts[-1])
        for start in starts
    )


async def test_a_message_may_be_as_large_as_the_limit_and_no_larger() -> None:
    largest, larger, fragmented = Opened(), Opened(), Opened()

    await largest.comes(text("x" * LIMIT_BYTES))
    await larger.comes(text("first"), text("x" * (LIMIT_BYTES + 1)))
    await fragmented.comes(fragments("x" * (LIMIT_BYTES + 1), 1000))

    assert largest.messages() == ["x" * LIMIT_BYTES]
    assert larger.messages() == ["first", None]
    assert fragmented.messages() == [None]
    for refused in (larger, fragmented):
        closed_with = refused.closed_with()
        assert closed_with is not None
        assert closed_with[0] == 1009
        assert refused.wire.is_half_closed


async def test_what_follows_an_error_is_thrown_away_until_the_peer_has_learnt_of_it() -> None:
    opened = Opened()
    await opened.comes(text("x" * (LIMIT_BYTES + 1)))

    await opened.comes(*[b"x" * 65_536] * 4, text("more"))
    assert (opened.messages(), opened.wire.reads, opened.wire.is_closed) == ([None], True, False)
    opened.after(1.9)
    assert not opened.wire.is_aborted
    opened.after(2.2)

    assert opened.wire.is_aborted


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (Frame(Opcode.TEXT, b"unmasked").serialize(mask=False), 1002),
        (frame(Opcode.CONT, b"of nothing"), 1002),
        (frame(Opcode.TEXT, b"a", fin=False) + text("b"), 1002),
        (b"\xc1\x80\x00\x00\x00\x00", 1002),
        (b"\x83\x80\x00\x00\x00\x00", 1002),
        (b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"x" * 126, 1002),
        (b"\x09\x80\x00\x00\x00\x00", 1002),
        (b"\x88\x81\x00\x00\x00\x00x", 1002),
        (frame(Opcode.CLOSE, b"\x03\xed"), 1002),
        (frame(Opcode.TEXT, b"\xff"), 1007),
        (frame(Opcode.TEXT, GREETING.encode()[:-1]), 1007),
        (frame(Opcode.TEXT, HALVES[0], fin=False) + frame(Opcode.CONT, HALVES[2]), 1007),
        (frame(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
    ],
    ids=[
        "no mask", "a part of nothing", "a message within another", "a reserved bit", "an unknown opcode",
        "a long ping", "a ping in parts", "half a close code", "a code that is never sent", "no UTF-8",
        "half a character", "a cut character", "a reason that is no UTF-8",
    ],
)  # fmt: skip
async def test_what_is_no_websocket_ends_it(wrong: bytes, code: int) -> None:
    opened = Opened()

    await opened.comes(text("right"), wrong + text("behind"))

    assert opened.messages() == ["right", None]
    closed_with = opened.closed_with()
    assert closed_with is not None
    assert closed_with[0] == code
    with pytest.raises(ClientGone):
        at_once(opened.socket.send("late"))


async def test_a_flood_of_messages_waits_in_the_kernel() -> None:
    opened = Opened()
    opened.socket.data_received(text("") * 10_000)
    for _ in range(100):
        await asyncio.sleep(0)

    assert not opened.wire.reads
    first = len(opened.socket._messages)
    assert 100 < first < 1000
    received = 0
    while not opened.wire.reads:
        received += len(opened.messages())
        await asyncio.sleep(0)
    assert received + len(opened.messages()) == 10_000


async def test_one_turn_of_the_loop_parses_a_piece_of_a_flood() -> None:
    opened = Opened()

    opened.socket.data_received(frame(Opcode.PING) * 40_000)

    assert 0 < len(opened.answered()) < 1000
    await opened.reads_on()
    assert len(opened.answered()) == 40_000


async def test_pongs_wait_for_a_peer_that_reads_none() -> None:
    opened = Opened()
    opened.wire.unread_bytes = 70_000
    opened.socket.pause_writing()

    opened.socket.data_received(frame(Opcode.PING) * 2000)
    for _ in range(100):
        await asyncio.sleep(0)
    assert (len(opened.answered()) < 1000, opened.wire.reads) == (True, False)
    opened.socket.resume_writing()
    await opened.reads_on()

    assert len(opened.answered()) == 2000


async def test_texts_leave_in_one_write_each_a_message() -> None:
    opened = Opened()

    await opened.socket.send("one", GREETING.encode(), "")

    assert [(each.opcode, bytes(each.data)) for each in opened.answered()] == [
        (Opcode.TEXT, b"one"),
        (Opcode.TEXT, GREETING.encode()),
        (Opcode.TEXT, b""),
    ]


async def test_a_sender_waits_for_its_reader() -> None:
    opened = Opened()
    opened.socket.pause_writing()
    assert opened.socket.would_wait
    sending = asyncio.ensure_future(opened.socket.send("late"))
    await asyncio.sleep(0)
    assert opened.wire.written == b""

    opened.socket.resume_writing()
    await sending

    assert (len(opened.answered()), opened.socket.would_wait) == (1, False)


@pytest.mark.parametrize("end", ["lost", "closed"])
async def test_a_sender_waits_for_nobody_who_is_gone(end: str) -> None:
    opened = Opened()
    opened.socket.pause_writing()
    sending = asyncio.ensure_future(opened.socket.send("late"))
    receiving = asyncio.ensure_future(opened.socket.receive())
    await asyncio.sleep(0)

    if end == "lost":
        opened.wire.abort()
    else:
        opened.socket.close(1000, "")

    with pytest.raises(ClientGone):
        await sending
    assert await receiving is None


async def test_what_came_before_the_end_is_still_received() -> None:
    opened = Opened()
    await opened.comes(text("one"), text("two"))

    opened.wire.abort()

    assert (opened.messages(), opened.socket.is_closed, opened.connections) == (["one", "two", None], True, set())


async def test_a_close_is_said_once_and_a_long_reason_is_cut_between_characters() -> None:
    opened = Opened()
    await opened.comes(text("unread"))

    opened.socket.close(4401, "é" * 100)
    opened.socket.close(1000, "again")
    await opened.comes(text("too late"))

    assert opened.closed_with() == (4401, "é" * 61)
    assert (opened.messages(), opened.wire.is_closed) == ([None], False)
    await opened.comes(frame(Opcode.CLOSE, Close(4401, "").serialize()))
    assert opened.wire.is_closed


async def test_a_close_that_is_not_answered_ends_as_well() -> None:
    opened = Opened()
    opened.socket.close(1000, "")

    opened.after(1.9)
    assert not opened.wire.is_aborted
    opened.after(2.2)

    assert opened.wire.is_aborted


async def test_a_close_waits_behind_what_is_still_being_read() -> None:
    opened = Opened()
    opened.wire.unread_bytes = 60_000
    opened.socket.close(1000, "")

    for seconds in range(5, 60, 5):
        opened.wire.unread_bytes -= 1000
        opened.after(seconds)
    assert not opened.wire.is_aborted
    opened.after(64)
    assert not opened.wire.is_aborted
    opened.after(66)

    assert opened.wire.is_aborted


async def test_a_reader_that_takes_nothing_is_aborted_and_a_slow_one_is_not() -> None:
    opened = Opened()
    opened.wire.unread_bytes = 70_000
    opened.socket.pause_writing()

    opened.after(9)
    opened.wire.unread_bytes -= 1
    opened.after(11)
    opened.after(20)
    assert not opened.wire.is_aborted
    opened.after(21.5)

    assert opened.wire.is_aborted


def pings(opened: Opened) -> int:
    return sum(each.opcode is Opcode.PING for each in opened.answered())


async def test_a_silent_peer_is_pinged_once_and_lives_by_any_frame() -> None:
    opened = Opened()

    opened.after(19.9)
    assert pings(opened) == 0
    for seconds in (20.5, 21, 39):
        opened.after(seconds)
    assert pings(opened) == 1
    await opened.comes(frame(Opcode.PONG))
    opened.began_at = time.monotonic()  # it was heard now
    opened.after(19.9)
    assert (pings(opened), opened.closed_with()) == (1, None)
    opened.after(20.5)

    assert (pings(opened), opened.closed_with()) == (2, None)


async def test_a_peer_that_never_answers_is_gone() -> None:
    opened = Opened()

    opened.after(20.5)
    opened.after(40.5)

    assert opened.closed_with() == (1011, "No pong came.")
    assert opened.messages() == [None]


async def test_a_peer_is_not_gone_while_it_waits_for_us() -> None:
    held = Opened()
    held.socket.data_received(text("") * 1000)
    full = Opened()
    full.wire.unread_bytes = 70_000
    full.socket.pause_writing()

    for opened in (held, full):
        for seconds in range(1, 100):
            opened.wire.unread_bytes -= 1
            opened.after(seconds)
        assert (opened.wire.is_closed, pings(opened)) == (False, 0)
    full.socket.resume_writing()
    full.after(100)

    assert (full.closed_with(), pings(full)) == (None, 0)


async def test_a_frame_that_dribbles_ends_the_connection_and_one_that_comes_at_a_rate_does_not() -> None:
    dribbling, steady = Opened(), Opened()
    head = text("x" * LIMIT_BYTES)[:14]
    await dribbling.comes(head)
    await steady.comes(head)

    for seconds in range(1, 60):
        await dribbling.comes(b"x")
        await steady.comes(b"x" * 1600)
        dribbling.after(seconds)
        steady.after(seconds)

    assert dribbling.closed_with() == (1011, "No pong came.")
    assert steady.closed_with() is None


async def test_a_message_whose_parts_come_slowly_ends_the_connection() -> None:
    opened = Opened()
    await opened.comes(frame(Opcode.TEXT, b"x", fin=False))

    opened.after(29)
    await opened.comes(frame(Opcode.CONT, b"x", fin=False))
    opened.after(29.9)
    assert opened.closed_with() is None
    opened.after(30.5)

    assert opened.closed_with() == (1008, "The message did not arrive within 30 s.")


async def test_a_message_has_time_while_its_sender_waits_for_us() -> None:
    opened = Opened()
    await opened.comes(frame(Opcode.TEXT, b"x", fin=False))
    opened.wire.unread_bytes = 70_000
    opened.socket.pause_writing()

    for seconds in range(1, 100):
        opened.wire.unread_bytes -= 1
        opened.after(seconds)
    opened.socket.resume_writing()
    opened.after(120)
    assert opened.closed_with() is None
    opened.after(130)

    assert opened.closed_with() == (1008, "The message did not arrive within 30 s.")


async def test_a_message_that_is_whole_buys_no_more_time() -> None:
    opened = Opened()
    await opened.comes(text("x" * LIMIT_BYTES))
    opened.messages()
    await opened.reads_on()

    opened.after(41)

    assert opened.closed_with() == (1011, "No pong came.")


async def test_a_server_that_ends_receives_nothing_more_and_sends_what_is_left() -> None:
    opened = Opened()
    await opened.comes(text("unread"))
    receiving = asyncio.ensure_future(opened.socket.receive())
    assert await receiving == "unread"
    receiving = asyncio.ensure_future(opened.socket.receive())
    await asyncio.sleep(0)

    opened.socket.shutdown()
    assert await receiving is None
    await opened.comes(text("too late"), frame(Opcode.PING))
    assert (opened.messages(), opened.socket.is_ending, opened.socket.is_closed) == ([None], True, False)
    await opened.socket.send("the rest")
    opened.socket.shutdown()

    assert [each.opcode for each in opened.answered()] == [Opcode.PONG, Opcode.TEXT, Opcode.CLOSE]
    assert opened.closed_with() == (1012, "service restart")


async def test_nothing_that_is_said_is_logged(caplog: Any) -> None:
    caplog.set_level("DEBUG")
    opened = Opened()

    await opened.comes(text("a secret"), frame(Opcode.TEXT, b"secret\xff"))
    opened.messages()

    assert not any("secret" in record.getMessage() for record in caplog.records)
