"""All who listen are called on in time, whose credential ends is ended, and nobody takes more room than theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

import pytest

from frontdesk.core.errors import Forbidden, FrontdeskError, RateLimited, Unauthenticated, Unavailable
from frontdesk.feeds.rounds import BEAT_EVERY_S, Room, Rounds
from frontdesk.files.owner import Owner
from frontdesk.http.callers import Callers
from frontdesk.http.requests import Head
from frontdesk.storage.errors import StorageFailed
from frontdesk.turn.turn import Caller
from tests.feeds.fakes import ANN, BOB, jumping

ROOM = Room(per_user=20_000, total=20_000)


def a_head(token: str) -> Head:
    authorization = [(b"authorization", f"Bearer {token}".encode())]
    return Head({"method": "GET", "scheme": "http", "headers": authorization})


class Book:
    """Knows some callers at once, the others when it is asked; raises what it is told to of each."""

    def __init__(self) -> None:
        self.forgotten: set[bytes] = set()
        self.errors: dict[bytes, Exception] = {}
        self.asked: Counter[bytes] = Counter()

    def known(self, head: Head) -> Caller | None:
        assert head.authorization is not None
        return None if head.authorization in self.forgotten | set(self.errors) else Caller("user", "s", "ann")

    async def identify(self, head: Head) -> Caller:
        assert head.authorization is not None
        self.asked[head.authorization] += 1
        await asyncio.sleep(0.001)
        if (error := self.errors.get(head.authorization)) is not None:
            raise error
        self.forgotten.discard(head.authorization)
        return Caller("user", "s", "ann")


class Stream:
    def __init__(self, token: str | None = "one") -> None:
        self.head = None if token is None else a_head(token)
        self.beats: list[float] = []
        self.ended: list[FrontdeskError] = []

    def beat(self) -> None:
        self.beats.append(asyncio.get_running_loop().time())

    def end(self, error: FrontdeskError) -> None:
        self.ended.append(error)


def a_round(book: Book | None = None, room: Room = ROOM) -> Rounds:
    return Rounds(cast("Callers", book or Book()), room)


@jumping
async def test_each_gets_a_heartbeat_every_ten_seconds_and_all_of_them_are_spread() -> None:
    rounds = a_round()
    streams = [Stream() for _ in range(400)]
    for stream in streams:
        rounds.join(stream, ANN)
    await asyncio.sleep(BEAT_EVERY_S * 3 + 0.1)

    for stream in streams:
        assert len(stream.beats) in (3, 4)
        pauses = [after - before for before, after in zip(stream.beats, stream.beats[1:], strict=False)]
        assert pauses == [pytest.approx(BEAT_EVERY_S, abs=0.01)] * len(pauses)
        assert stream.beats[0] <= BEAT_EVERY_S + 0.01
    at_once = Counter(round(beat, 3) for stream in streams for beat in stream.beats)
    assert max(at_once.values()) == 10
    await rounds.close()


@jumping
async def test_who_has_left_is_called_on_no_more_and_then_nothing_goes_on() -> None:
    rounds, stream = a_round(), Stream()
    rounds.join(stream, ANN)
    rounds.leave(stream)
    rounds.leave(stream)
    await asyncio.sleep(60)
    again = Stream()
    rounds.join(again, ANN)
    await asyncio.sleep(BEAT_EVERY_S + 0.1)

    assert (stream.beats, len(again.beats), len(rounds)) == ([], 1, 1)
    await rounds.close()


@jumping
@pytest.mark.parametrize("error", [Unauthenticated("Ended.", code="token_revoked"), Forbidden("Not any more.")])
async def test_whose_credential_has_ended_is_ended_within_two_seconds(error: FrontdeskError) -> None:
    book = Book()
    rounds = a_round(book)
    streams = {name: Stream(name) for name in ("one", "two")}
    for stream in streams.values():
        rounds.join(stream, ANN)
    await asyncio.sleep(3)
    book.errors[b"Bearer two"] = error
    await asyncio.sleep(2.01)

    assert (streams["one"].ended, streams["two"].ended) == ([], [error])
    assert book.asked == {b"Bearer two": 1}
    await rounds.close()


@jumping
async def test_credentials_that_are_not_known_any_more_are_asked_of_once_each() -> None:
    book = Book()
    rounds = a_round(book)
    streams = [Stream(f"token-{number}") for number in range(50)]
    for stream in streams:
        rounds.join(stream, ANN)
    await asyncio.sleep(2)
    book.forgotten = {b"Bearer token-%d" % number for number in range(50)}
    await asyncio.sleep(4)

    assert set(book.asked.values()) == {1}
    assert len(book.asked) == 50
    assert not any(stream.ended for stream in streams)
    await rounds.close()


@jumping
@pytest.mark.parametrize("error", [StorageFailed("away"), Unavailable("Nobody can say."), ValueError("a bug")])
async def test_where_nobody_can_say_it_is_asked_again(error: Exception) -> None:
    book = Book()
    rounds, stream = a_round(book), Stream()
    rounds.join(stream, ANN)
    book.errors[b"Bearer one"] = error
    await asyncio.sleep(20)
    assert (stream.ended, book.asked[b"Bearer one"]) == ([], pytest.approx(10, abs=1))

    book.errors[b"Bearer one"] = ended = Unauthenticated("Ended.")
    await asyncio.sleep(2.01)

    assert stream.ended[0] is ended
    await rounds.close()


@jumping
async def test_of_who_has_no_request_somebody_else_looks_after_the_credential() -> None:
    book = Book()
    rounds, stream = a_round(book), Stream(None)
    rounds.join(stream, ANN)
    await asyncio.sleep(BEAT_EVERY_S + 0.1)

    assert (len(stream.beats), book.asked) == (1, {})
    await rounds.close()


@jumping
async def test_one_that_breaks_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Stream):
        def beat(self) -> None:
            raise ValueError("a bug")

        def end(self, error: FrontdeskError) -> None:
            raise ValueError("another")

    rounds, stream = a_round(), Stream()
    rounds.join(Broken(), ANN)
    rounds.join(stream, ANN)
    await asyncio.sleep(BEAT_EVERY_S + 0.3)
    rounds.end_all()

    assert (len(stream.beats), len(stream.ended)) == (1, 1)
    assert sorted({record.message for record in caplog.records}) == ["ending_broke", "heartbeat_broke"]
    await rounds.close()


@jumping
async def test_each_person_has_room_of_their_own_and_all_have_some_together() -> None:
    rounds = a_round(room=Room(per_user=2, total=3))
    first = Stream()
    rounds.join(first, ANN)
    rounds.join(Stream(), ANN)
    with pytest.raises(RateLimited) as refused:
        rounds.join(Stream(), ANN)
    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (429, "too_many_streams", 5)
    rounds.join(Stream(), Owner("globex", "ann", ""))
    with pytest.raises(Unavailable) as full:
        rounds.join(Stream(), BOB)
    assert (full.value.status, full.value.retry_after_s, rounds.share) == (503, 5, 1.0)

    rounds.leave(first)
    rounds.join(Stream(), ANN)

    assert len(rounds) == 3
    await rounds.close()


@jumping
async def test_at_the_end_all_are_told_when_to_come_again_and_nobody_begins() -> None:
    rounds = a_round()
    streams = [Stream() for _ in range(100)]
    for stream in streams:
        rounds.join(stream, ANN)
    rounds.end_all()

    errors: list[Any] = [stream.ended[0] for stream in streams]
    assert {(error.status, error.code) for error in errors} == {(503, "server_shutting_down")}
    times = Counter(error.retry_after_s for error in errors)
    assert (min(times), max(times), max(times.values())) == (0.5, 3.0, 5)
    with pytest.raises(Unavailable):
        rounds.join(Stream(), ANN)
    await rounds.close()
