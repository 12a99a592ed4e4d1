"""What is under way on one socket: it ends with the socket, and the socket waits for it where the server ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from frontdesk.core.errors import FrontdeskError, Unavailable, store_unavailable
from frontdesk.core.tasks import Tasks
from frontdesk.doors.socket_sink import Exchange
from frontdesk.http.requests import ClientGone
from frontdesk.http.sockets import Socket
from frontdesk.storage.errors import StorageError

_log = logging.getLogger("frontdesk.doors")
_LOOK_EVERY_S = 1.0
_LAST_WORDS_S = 1.0


class SocketWork:
    """The exchanges of one socket, and the tasks that answer them. `path` is told where something breaks."""

    __slots__ = ("_exchanges", "_path", "_socket", "_tasks", "has_ended")

    def __init__(self, socket: Socket, path: str) -> None:
        self.has_ended = False
        self._socket = socket
        self._path = path
        self._exchanges: set[Exchange] = set()
        self._tasks = Tasks("socket")

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside all else."""
        return self._tasks.start(name, work)

    async def receive(self, take: Callable[[str | bytes], Awaitable[None]]) -> None:
        """Have each message taken, until no more come. Raises ClientGone."""
        while (message := await self._socket.receive()) is not None:
            await take(message)

    async def finish(self) -> None:
        """Return when all that is under way has its end. Where the socket has gone, that is soon."""
        while not await self._tasks.wait(_LOOK_EVERY_S):
            if self._socket.is_closed:
                self.hang_up()

    async def answer(self, exchange: Exchange, work: Callable[[Exchange], Awaitable[None]]) -> None:
        """Do what an exchange asks for. What goes wrong is told in it."""
        self._exchanges.add(exchange)
        try:
            await work(exchange)
        except ClientGone:
            return
        except FrontdeskError as error:
            await exchange.refuse(error)
        except StorageError as error:
            _log.error("store_failed path=%s reason=%s", self._path, error)
            await exchange.refuse(store_unavailable())
        except Exception:  # noqa: BLE001 - as Edge does: a bug in one request must not end the others
            _log.exception("socket_request_broke path=%s", self._path)
            await exchange.refuse(FrontdeskError("Something went wrong here. It was logged; try again."))
        finally:
            self._exchanges.discard(exchange)

    def check_open(self) -> None:
        """Raise Unavailable where the server takes nothing new."""
        if self._socket.is_ending:
            raise Unavailable(
                "The server is restarting. Open a new connection in a moment.",
                code="server_shutting_down",
                retry_after_s=1,
            )

    def hang_up(self) -> None:
        """Let go of what is under way: its turns go on as after any hang-up."""
        self.has_ended = True
        for exchange in self._exchanges:
            exchange.over.set()

    async def close(self) -> None:
        """Let go of everything, and wait for it for a moment."""
        self.hang_up()
        await self._tasks.wait(_LAST_WORDS_S)
        await self._tasks.close()
