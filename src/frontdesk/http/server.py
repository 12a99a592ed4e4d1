"""uvicorn, told to end well: turns under way get their grace time, then an error that says why."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

import uvicorn

from frontdesk.http.protocol import Patience, PatientProtocol, Sweeper

_LAST_CONNECTIONS_S = 3
_LEAST_UNHEARD_S = 30.0
"""How long a peer at least need not acknowledge what it was sent, as in a tunnel."""


class PatientServer(uvicorn.Server):
    """Serves an ASGI application until SIGTERM or SIGINT.

    `drain` is awaited when no new connection is taken any more, and returns when every turn has
    ended. `ready` is called once when connections are taken. WebSockets are requests that took their
    connection over: they receive nothing from then on, and are closed when `drain` has returned.
    """

    def __init__(
        self, app: Any, patience: Patience, drain: Callable[[], Awaitable[None]], ready: Callable[[], None]
    ) -> None:
        resting: set[Any] = set()  # connections that need no look
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=partial(PatientProtocol, patience=patience, resting=resting),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_LAST_CONNECTIONS_S,
            )
        )
        self._drain = drain
        self._ready = ready
        self._unheard_s = max(patience.slow_reader_s, _LEAST_UNHEARD_S)
        self._sweeper = Sweeper(self.server_state.connections, resting)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections."""
        for each in sockets or ():
            _give_up_after(each, self._unheard_s)
        await super().startup(sockets)
        self._sweeper.start()
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let turns end, then close what is left."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._drain()
        await super().shutdown(sockets)
        self._sweeper.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on SIGTERM and SIGINT, and exit with 0 afterwards: uvicorn would raise them again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket. Raises OSError, which its caller explains."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.set_inheritable(False)
    except OSError:
        opened.close()
        raise
    return opened


def _give_up_after(listening: socket.socket, unheard_s: float) -> None:
    """End connections whose peers acknowledge nothing for so long: usually that takes the kernel a quarter of an hour.

    A device that lost its network says nothing. What a listening socket has, its connections inherit (tcp(7)); a peer
    that keeps its window closed is ended by it as well, so it is no less than what slow readers may take.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(unheard_s * 1000))
