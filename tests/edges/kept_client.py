"""A client of what is kept, on bare sockets: it reads event streams whole event by whole event, keeps its cursor, and
knows a broken connection from an end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.edges.raw import RawConnection
from tests.serving import ADMIN_KEY, Served

CHAT, RESPONSES, CONVERSATIONS = "/v1/chat/completions", "/v1/responses", "/v1/conversations"
LOST = (OSError, asyncio.IncompleteReadError, TimeoutError)
"""How a connection ends that brought no end of its answer."""
ENDS = {"response.completed", "response.incomplete", "response.failed"}


class Cut(OSError):
    """The answer ended as HTTP wants it, and not as its protocol does."""


@dataclass(frozen=True)
class Answer:
    """A whole answer that was no stream."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of its error, if it is one."""
        return self.json["error"]["code"] if self.status >= 400 else None


@dataclass
class Told:
    """What somebody was told of one response, over all their connections."""

    response: str | None = None
    last: int = -1
    text: str = ""
    end: dict[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event. It must be the next one, of the same response, and none may come behind the end."""
        assert self.end is None, (self.end["id"], event)
        assert event["sequence_number"] == self.last + 1, (self.response, self.last, event)
        self.last += 1
        self.events.append(event)
        if "response" in event:
            self.response = self.response or event["response"]["id"]
            assert event["response"]["id"] == self.response
        if event["type"] == "response.output_text.delta":
            self.text += event["delta"]
        if event["type"] in ENDS:
            self.end = event["response"]


@dataclass
class ToldChat:
    """The same of a chat completion. Its chunks have no numbers: its cursor is how many came."""

    response: str | None = None
    last: int = -1
    text: str = ""
    end: Any = None

    def take(self, chunk: dict[str, Any] | None) -> None:
        """Take the next chunk; None is `[DONE]`."""
        assert self.end is None, chunk
        self.last += 1
        if chunk is None:
            self.end = {"status": "completed"}
        elif "error" in chunk:
            self.end = {"status": "failed", "error": chunk["error"]}
        else:
            self.response = self.response or chunk["id"]
            assert chunk["id"] == self.response
            for choice in chunk["choices"]:
                self.text += choice["delta"].get("content") or ""


def text_of(response: dict[str, Any]) -> str:
    """All that a Response says."""
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts if part["type"] == "output_text")


def request(method: str, path: str, body: bytes = b"", token: str = ADMIN_KEY, **headers: str) -> bytes:
    """A request as bytes; names of headers with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {token}"]
    if method != "GET":
        lines += [f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Stream:
    """An answer under way: a stream of events, or a whole answer where the server says so."""

    def __init__(self, connection: RawConnection, status: int, headers: dict[str, str]) -> None:
        self.connection = connection
        self.status = status
        self.headers = headers

    @property
    def is_events(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    async def answer(self) -> Answer:
        """The answer, where it is no stream."""
        body = await self.connection.reader.readexactly(int(self.headers["content-length"]))
        return Answer(self.status, self.headers, body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, in pieces as they come. Raises one of LOST where it breaks off."""
        reader = self.connection.reader
        if (length := self.headers.get("content-length")) is not None:
            yield await reader.readexactly(int(length))
            return
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)

    async def frames(self) -> AsyncIterator[bytes]:
        """Its events, whole ones only; no comments."""
        unread = b""
        async for piece in self.pieces():
            *whole, unread = (unread + piece).split(b"\n\n")
            for frame in whole:
                if not frame.startswith(b":"):
                    yield frame

    def hang_up(self) -> None:
        self.connection.hang_up()


def read_frame(frame: bytes) -> dict[str, Any] | None:
    """What an event holds; None for `[DONE]`."""
    (data,) = (line[len(b"data: ") :] for line in frame.split(b"\n") if line.startswith(b"data: "))
    return None if data == b"[DONE]" else json.loads(data)


async def begin(served: Served, asked: bytes, timeout_s: float = 60) -> Stream:
    """Send a request and read the head of its answer."""
    async with asyncio.timeout(timeout_s):
        connection = await RawConnection.open(served)
        try:
            connection.send(asked)
            status, headers = await connection.head()
        except BaseException:
            connection.hang_up()
            raise
        return Stream(connection, status, headers)


async def ask(served: Served, asked: bytes, timeout_s: float = 60) -> Answer:
    """Send a request and read its answer, which is no stream."""
    async with asyncio.timeout(timeout_s):
        stream = await begin(served, asked)
        try:
            return await stream.answer()
        finally:
            stream.hang_up()


async def read_on(served: Served, asked: bytes, told: Told | ToldChat, timeout_s: float = 60) -> Answer | None:
    """Read an event stream to its end; the answer, where it was none. Raises one of LOST where it breaks off."""
    async with asyncio.timeout(timeout_s):
        stream = await begin(served, asked)
        try:
            if not stream.is_events:
                return await stream.answer()
            async for frame in stream.frames():
                told.take(read_frame(frame))  # type: ignore[arg-type]
        finally:
            stream.hang_up()
    if told.end is None:
        raise Cut
    return None


async def get(served: Served, response_id: str, token: str = ADMIN_KEY) -> dict[str, Any]:
    """A stored response."""
    answer = await ask(served, request("GET", f"{RESPONSES}/{response_id}", token=token))
    assert answer.status == 200, answer.body
    return answer.json


def resume(told: Told, token: str = ADMIN_KEY) -> bytes:
    """The request for what somebody has not been told of a response."""
    after = "" if told.last < 0 else f"&starting_after={told.last}"
    return request("GET", f"{RESPONSES}/{told.response}?stream=true{after}", token=token)


async def attach(served: Served, told: Told, token: str = ADMIN_KEY) -> None:
    """Read a response to its end from wherever somebody is, however often the connection breaks off."""
    while told.end is None:
        try:
            answer = await read_on(served, resume(told, token), told)
        except LOST:
            await asyncio.sleep(0.02)
            continue
        assert answer is None, answer.body
