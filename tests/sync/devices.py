"""A device: what it was told, what was done on it, and how it gets both across.

    done on it ──► outbox ──► asked ──► done, or refused with the reason
                                │
                  things ◄── answered, with the cursor behind them, in one transaction

Nothing is known that is not on its disk: a device that is killed anywhere is a new one on the same disk. What is shown
as sent is in the outbox first. Where a first sync begins anew, all that it has is kept, and goes where it was not told
again by the end of that.
"""

from __future__ import annotations

import asyncio
import gzip
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import msgspec
import zstandard

from frontdesk.core.ids import new_id
from tests.edges.kept_client import LOST
from tests.edges.kept_serving import Mortal
from tests.edges.raw import RawConnection, post

Json = dict[str, Any]
Key = tuple[str, str, str]
"""The type of a thing, its conversation ("" of none), and its id ("" of a conversation)."""

Fate = Literal["told", "hung_up", "lost", "killed"]
"""What becomes of a sync: all is well; who asked leaves at once, or with the answer; or dies while they take it in."""

_PATH = "/api/sync"
_FOREIGN_CURSOR = "00000000.5"
_LATER = (429, 503)
_TABLES = """
    CREATE TABLE thing (
        kind TEXT, conversation TEXT, id TEXT, told BLOB, is_stale INT, PRIMARY KEY (kind, conversation, id)
    );
    CREATE TABLE outbox (
        place INTEGER PRIMARY KEY, id TEXT UNIQUE, entry BLOB, status TEXT DEFAULT 'new', result BLOB
    );
    CREATE TABLE mark (cursor TEXT);
    INSERT INTO mark VALUES (NULL);
"""
_encode, _decode = msgspec.json.encode, msgspec.json.decode


class Killed(Exception):
    """The device was killed."""


class Way(NamedTuple):
    """How a sync goes: how many entries and changes at most, in which form it travels, and what becomes of it.

    With a limit of 0 it only brings something, where the device has a cursor.
    """

    entries: int = 100
    limit: int = 200
    is_packed: bool = False
    coding: str = ""
    fate: Fate = "told"


class Kept(NamedTuple):
    """An entry of an outbox, and what became of it: `new`, `done` or `refused`."""

    entry: Json
    status: str
    result: Json | None


class Disk:
    """What outlives a device."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self._database.executescript(_TABLES)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it, or nothing."""
        self._database.execute("BEGIN")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @property
    def cursor(self) -> str | None:
        """Behind what it was told."""
        return self._database.execute("SELECT cursor FROM mark").fetchone()[0]

    @property
    def is_whole(self) -> bool:
        """Whether it is not in the middle of a sync that began anew."""
        return not self._database.execute("SELECT count(*) FROM thing WHERE is_stale").fetchone()[0]

    def things(self, kind: str | None = None) -> dict[Key, Json]:
        """What it was told of each thing last; of one type, or all."""
        rows = self._database.execute(
            "SELECT kind, conversation, id, told FROM thing WHERE ? IN ('', kind) ORDER BY kind, conversation, id",
            (kind or "",),
        )
        return {(row[0], row[1], row[2]): _decode(row[3]) for row in rows}

    def outbox(self, status: str | None = None) -> list[Kept]:
        """All that was ever done on it, in order; or what has this status."""
        rows = self._database.execute(
            "SELECT entry, status, result FROM outbox WHERE ? IN ('', status) ORDER BY place", (status or "",)
        )
        return [Kept(_decode(row[0]), row[1], row[2] and _decode(row[2])) for row in rows]

    def glimpse(self) -> Disk:
        """Another one with what this was told on it, and nothing that was done here."""
        other = Disk()
        self._database.backup(other._database)
        with other.transaction() as database:
            database.execute("DELETE FROM outbox")
        return other


class Device:
    """A device of the person to whom this token was given."""

    def __init__(self, disk: Disk, token: str) -> None:
        self.disk = disk
        self._token = token

    def put(self, entry: Json) -> None:
        """Something was done on it."""
        with self.disk.transaction() as database:
            database.execute("INSERT INTO outbox (id, entry) VALUES (?, ?)", (entry["id"], _encode(entry)))

    def mistake(self) -> None:
        """Let it have a cursor of elsewhere, and something that there is not here, as after a restore of either."""
        if self.disk.cursor is None:
            return
        with self.disk.transaction() as database:
            database.execute("UPDATE mark SET cursor = ?", (_FOREIGN_CURSOR,))
            fact = {"type": "fact", "id": new_id("fact_"), "words": "There was something."}
            _apply(database, fact)

    async def sync(self, served: Mortal, way: Way) -> bool:
        """Ask once; returns whether there is more to ask for. Raises one of LOST, and Killed."""
        cursor = self.disk.cursor
        pushed = [kept.entry for kept in self.disk.outbox("new")[: way.entries]]
        asked: Json = {"limit": way.limit if cursor is not None else way.limit or 1}
        if cursor is not None:
            asked["cursor"] = cursor
        if pushed:
            asked["push"] = pushed
        answer = await self._ask(served, asked, way)
        if answer is None:
            return True
        _check_answer(asked, answer)
        self._take(pushed, answer, is_told=asked["limit"] > 0, is_killed=way.fate == "killed")
        return answer.get("has_more", False)

    async def _ask(self, served: Mortal, asked: Json, way: Way) -> Json | None:
        connection = await RawConnection.open(served)
        try:
            connection.send(_request(asked, self._token, way))
            if way.fate == "hung_up":
                await connection.writer.drain()
                return None
            status, headers, body = await connection.answer()
        finally:
            connection.hang_up()
        if way.fate == "lost" or status in _LATER:
            return None
        assert status == 200, body
        return _read_body(body, headers)

    def _take(self, pushed: Sequence[Json], answer: Json, *, is_told: bool, is_killed: bool) -> None:
        """Take in an answer, with the cursor behind it, all at once."""
        changes = answer.get("changes", [])
        with self.disk.transaction() as database:
            for entry, result in zip(pushed, answer.get("results", []), strict=True):
                if result["status"] != "waiting":
                    database.execute(
                        "UPDATE outbox SET status = ?, result = ? WHERE id = ?",
                        (result["status"], _encode(result), entry["id"]),
                    )
            if answer.get("reset"):
                database.execute("UPDATE thing SET is_stale = 1")
            for place, change in enumerate(changes):
                if is_killed and place == len(changes) // 2:
                    raise Killed
                _apply(database, change)
            database.execute("UPDATE mark SET cursor = ?", (answer["cursor"],))
            if is_told and not answer.get("has_more"):
                database.execute("DELETE FROM thing WHERE is_stale")
            if is_killed:
                raise Killed


def _request(asked: Json, token: str, way: Way) -> bytes:
    kind = "application/msgpack" if way.is_packed else "application/json"
    body = msgspec.msgpack.encode(asked) if way.is_packed else _encode(asked)
    coding = {"accept-encoding": way.coding} if way.coding else {}
    return post(_PATH, body, token, **{"content-type": kind, "accept": kind, **coding})


def _read_body(body: bytes, headers: dict[str, str]) -> Json:
    """What an answer says, in whatever form it came."""
    coding = headers.get("content-encoding", "")
    if coding == "gzip":
        body = gzip.decompress(body)
    elif coding == "zstd":
        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    else:
        assert not coding
    if headers["content-type"] == "application/msgpack":
        return msgspec.msgpack.decode(body)
    return _decode(body)


def _apply(database: sqlite3.Connection, change: Json) -> None:
    kind, conversation, _ = key = key_of(change)
    if not change.get("deleted"):
        database.execute("INSERT OR REPLACE INTO thing VALUES (?, ?, ?, ?, 0)", (*key, _encode(change)))
    elif kind == "conversation":
        database.execute("DELETE FROM thing WHERE conversation = ?", (conversation,))
    else:
        database.execute("DELETE FROM thing WHERE kind = ? AND conversation = ? AND id = ?", key)


def key_of(change: Json) -> Key:
    """Which thing a change is of."""
    match change["type"]:
        case "conversation":
            return "conversation", change["id"], ""
        case "item" | "turn" as kind:
            return kind, change["conversation"], change["id"]
        case "feedback":
            return "feedback", "", change["response"]
        case kind:
            return kind, "", change["id"]


def _check_answer(asked: Json, answer: Json) -> None:
    """What holds of every answer, whatever happens around it."""
    pushed, results = asked.get("push", []), answer.get("results", [])
    assert [result["id"] for result in results] == [entry["id"] for entry in pushed], answer
    held: set[str] = set()
    for entry, result in zip(pushed, results, strict=True):
        assert result["status"] in ("done", "waiting", "refused"), result
        assert (result["status"] == "refused") <= ("error" in result), result
        thing = next(entry[name] for name in ("conversation", "fact", "response") if name in entry)
        # Order counts within a conversation, and of a fact or a response: behind what waits all waits.
        assert thing not in held or result["status"] == "waiting", (entry, result)
        if result["status"] == "waiting":
            held.add(thing)
    assert len(answer.get("changes", [])) <= asked["limit"]
    assert answer["cursor"]
    assert asked["limit"] or answer["cursor"] == asked["cursor"]


async def settle(devices: Sequence[Device], served: Mortal, timeout_s: float = 60) -> None:
    """Have all of them ask until their outboxes are empty, nothing new comes, and no answer is under way."""

    async def settled(device: Device) -> None:
        while not await _is_settled(device, served):
            await asyncio.sleep(0.02)

    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*map(settled, devices))
    except TimeoutError:
        left = [(device.disk.outbox("new"), unfinished(device.disk)) for device in devices]
        raise AssertionError(left) from None
    # What the last of them changed the others have not heard yet.
    for device in devices:
        while await device.sync(served, Way()):
            pass


async def _is_settled(device: Device, served: Mortal) -> bool:
    try:
        has_more = await device.sync(served, Way())
    except LOST:
        return False
    return not has_more and not device.disk.outbox("new") and not unfinished(device.disk)


def unfinished(disk: Disk) -> list[Json]:
    """The answers that are under way, as a device was told."""
    return [turn for turn in disk.things("turn").values() if turn["state"] in ("accepted", "answering")]
