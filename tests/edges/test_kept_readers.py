"""Readers of stored responses over a real server: many at once, late ones, slow ones, those of other processes."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

SETTINGS: dict[str, Any] = {
    **SCRIPTED,
    "models": {**SCRIPTED["models"], "long": {"route": ["scripted/words-5000"]}},
    "limits": {"keep_alive_s": 0.2, "slow_reader_s": 30},
}
RESPONSES = "/v1/responses"
FORTY = " ".join(map(str, range(40)))


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("readers"), SETTINGS) as server:
        yield server
        assert "reader_broke" not in server.log
        assert "route_broke" not in server.log


def get(path: str, **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {ADMIN_KEY}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def frames_in(body: bytes) -> list[bytes]:
    """The events of a stream, without comments."""
    return [block for block in body.split(b"\n\n") if block and not block.startswith(b":")]


def answer_in(frame: bytes) -> Any:
    """The Response that an event holds."""
    return json.loads(frame.partition(b"data: ")[2])["response"]


async def begin(served: Served, **fields: Any) -> str:
    """Begin a response that nobody waits for; returns its id."""
    status, answer = await ask(served, post(RESPONSES, json.dumps({**fields, "background": True}).encode()))
    assert status == 200, answer
    return answer["id"]


async def begin_stream(served: Served, **fields: Any) -> str:
    """Begin a stream and hang up at its first event; returns its id. The turn goes on."""
    connection = await RawConnection.open(served)
    connection.send(post(RESPONSES, json.dumps({**fields, "stream": True}).encode()))
    created = await connection.until(b"event: response.in_progress")
    connection.hang_up()
    found = re.search(rb"resp_[0-9a-f]{32}", created)
    assert found is not None
    return found[0].decode()


async def read(served: Served, response_id: str, after: int | None = None) -> list[bytes]:
    """Read a response as a stream, to its end."""
    cursor = "" if after is None else f"&starting_after={after}"
    connection = await RawConnection.open(served)
    connection.send(get(f"{RESPONSES}/{response_id}?stream=true{cursor}"))
    status, headers, body = await connection.answer(60)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    connection.hang_up()
    return frames_in(body)


async def test_fifty_readers_of_one_turn_are_told_the_same(served: Served) -> None:
    response_id = await begin_stream(served, model="slow", input=FORTY)

    async def read_later(number: int) -> list[bytes]:
        await asyncio.sleep(number * 0.02)  # at all moments of the turn, and behind its end
        return await read(served, response_id, None if number % 2 else number)

    told = await asyncio.gather(*(read_later(number) for number in range(50)))

    whole = told[1]
    assert [int(frame.split(b"\n")[0].removeprefix(b"id: ")) for frame in whole] == list(range(len(whole)))
    assert json.loads(whole[-1].split(b"data: ")[1])["response"]["status"] == "completed"
    for number, frames in enumerate(told):
        assert frames == (whole if number % 2 else whole[number + 1 :])


async def test_a_late_reader_of_a_long_turn_gets_all_of_it(served: Served) -> None:
    response_id = await begin_stream(served, model="long", input="go")
    during = await read(served, response_id)

    whole = await read(served, response_id)

    assert whole == during
    assert sum(b"event: response.output_text.delta" in frame for frame in whole) == 5_000


async def test_a_reader_that_reads_nothing_holds_up_nobody(served: Served) -> None:
    response_id = await begin_stream(served, model="fast", input="x" * 3_000_000)
    slow = await RawConnection.open(served)
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    slow.send(get(f"{RESPONSES}/{response_id}?stream=true"))

    others = await asyncio.gather(*(read(served, response_id) for _ in range(3)))
    status, retrieved = await ask(served, get(f"{RESPONSES}/{response_id}"))
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    _, _, body = await slow.answer(60)

    assert (status, retrieved["status"]) == (200, "completed")
    assert others[0] == others[1] == others[2] == frames_in(body)


async def test_silence_is_broken_for_readers_of_what_is_told_at_its_end(served: Served) -> None:
    """Its words come all the time, and nobody is shown one before the last."""
    response_id = await begin(served, model="crawling", input="one two three four")

    connection = await RawConnection.open(served)
    connection.send(get(f"{RESPONSES}/{response_id}?stream=true"))
    _, _, body = await connection.answer()

    before = body.partition(b"event: response.created")[0]
    assert before.count(b": keep-alive") >= 4


async def test_an_empty_stream_ends_for_who_has_all(served: Served) -> None:
    response_id = await begin_stream(served, model="fast", input="one two")
    whole = await read(served, response_id)

    assert await read(served, response_id, len(whole) - 1) == []


async def test_of_events_that_are_being_removed_a_cursor_gets_the_last_word(served: Served) -> None:
    response_id = await begin_stream(served, model="slow", input="one two three four")
    whole = await read(served, response_id)
    with sqlite3.connect(served.database) as connection:
        removed = "DELETE FROM response_event WHERE response = ? AND first = 0"
        assert connection.execute(removed, (response_id,)).rowcount == 1
    connection.close()
    assert served.rows(f"select count(*) > 0 from response_event where response = '{response_id}'") == [(1,)]

    retold = await read(served, response_id)
    (last,) = await read(served, response_id, 3)

    assert retold[0] == whole[0]
    assert len(retold) < len(whole)
    for frame, number in ((retold[-1], len(retold) - 1), (last, 4)):
        assert answer_in(frame) == answer_in(whole[-1])
        assert frame.startswith(b"id: %d\nevent: response.completed\n" % number)


# --- of other processes -------------------------------------------------------------------------


@pytest.fixture
def two(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    settings = {**SETTINGS, "database": postgresql_url}
    with serving(folders[0], settings) as one, serving(folders[1], settings) as other:
        yield one, other


async def test_another_process_tells_ends_and_deletes(two: tuple[Served, Served]) -> None:
    one, other = two
    told, ended, deleted = [await begin_stream(one, model="crawling", input=FORTY) for _ in range(3)]
    reader = await RawConnection.open(other)
    reader.send(get(f"{RESPONSES}/{told}?stream=true"))
    await reader.until(b"event: response.output_text.delta")

    status, answer = await ask(other, post(f"{RESPONSES}/{ended}/cancel", b""))
    again = await ask(one, post(f"{RESPONSES}/{ended}/cancel", b""))
    gone, said = await ask(other, get(f"{RESPONSES}/{deleted}").replace(b"GET", b"DELETE", 1))
    _, of_reader = await ask(other, post(f"{RESPONSES}/{told}/cancel", b""))
    rest = await reader.until(b"0\r\n\r\n")

    assert (status, answer["status"]) == (200, "cancelled")
    assert again == (200, answer)
    assert (gone, said) == (200, {"id": deleted, "object": "response", "deleted": True})
    assert (await ask(one, get(f"{RESPONSES}/{deleted}")))[0] == 404
    assert of_reader["status"] == "cancelled"
    assert b"event: response.incomplete" in rest
    assert await read(one, told) == await read(other, told)
