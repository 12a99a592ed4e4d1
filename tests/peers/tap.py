"""A tap on the wire: hands every byte on as it is, and tells a listener each answer that went by.

It stands between the clients of a test and the server, so that whatever client it is, in whatever
language, what it received can be checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

import httptools

from tests.peers.document import Answer

Listener = Callable[[Answer], object]


class _Requests:
    """Reads requests; keeps the (method, path) of those that have no answer yet."""

    def __init__(self) -> None:
        self.open: deque[tuple[str, str]] = deque()
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.open.append((self.parser.get_method().decode(), url.decode()))


class _Answers:
    """Reads answers and tells each one."""

    def __init__(self, requests: _Requests, tell: Listener) -> None:
        self._requests = requests
        self._tell = tell
        self.parser = httptools.HttpResponseParser(self)
        self._content_type = ""
        self._body: list[bytes] = []
        self._is_under_way = False

    def on_message_begin(self) -> None:
        self._content_type = ""
        self._body.clear()
        self._is_under_way = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._content_type = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._end(is_whole=True)

    def end(self) -> None:
        """The connection ended."""
        if self._is_under_way:
            self._end(is_whole=False)

    def _end(self, *, is_whole: bool) -> None:
        self._is_under_way = False
        method, path = self._requests.open.popleft()
        status = self.parser.get_status_code()
        if self._content_type:
            self._tell(Answer(method, path, status, self._content_type, b"".join(self._body), is_whole))


@contextlib.contextmanager
def tapped(port: int, tell: Listener) -> Iterator[int]:
    """Listen before a server on this port for the length of a block; gives the port to call.

    `tell` is called in a thread of the tap's own.
    """
    loop = asyncio.new_event_loop()
    tap = _Tap(port, tell)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(tap.start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(tap.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    for error in tap.errors:
        raise error


class _Tap:
    def __init__(self, port: int, tell: Listener) -> None:
        self._port = port
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()
        self.errors: list[Exception] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            async with _closing(writer):
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one of the two is gone, or the tap closes: asyncio's streams stumble over a cancelled task
        except Exception as error:  # noqa: BLE001 - the thread has nobody to tell but who closes the tap
            self.errors.append(error)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        requests = _Requests()
        answers = _Answers(requests, self._tell)
        async with _closing(server_writer):
            ways = [
                asyncio.ensure_future(_pump(reader, server_writer, requests.parser.feed_data)),
                asyncio.ensure_future(_pump(server_reader, writer, answers.parser.feed_data)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                for ended in await asyncio.gather(*ways, return_exceptions=True):
                    if isinstance(ended, Exception) and not isinstance(ended, OSError):
                        self.errors.append(ended)
                answers.end()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, feed: Callable[[bytes], None]) -> None:
    is_http = True
    while data := await reader.read(65536):
        if is_http:
            try:
                feed(data)
            except httptools.HttpParserUpgrade:
                is_http = False  # a WebSocket from here on
        writer.write(data)
        await writer.drain()
