"""Connections of peers that have vanished are given up long before the kernel would do so by itself."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from frontdesk.http.protocol import Patience
from frontdesk.http.server import PatientServer, listen


async def unheard_of(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("Nothing is asked.")


async def drained() -> None: ...


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this platform has no such option")
@pytest.mark.parametrize(("slow_reader_s", "expected_ms"), [(1.0, 30_000), (45.5, 45_500)])
async def test_a_connection_inherits_how_long_its_peer_may_acknowledge_nothing(
    slow_reader_s: float, expected_ms: int
) -> None:
    ready, listening = asyncio.Event(), listen("127.0.0.1", 0)
    server = PatientServer(unheard_of, Patience(5, 5, slow_reader_s), drained, ready.set)
    serving = asyncio.ensure_future(server.serve([listening]))
    await ready.wait()
    _, writer = await asyncio.open_connection(*listening.getsockname())
    while not server.server_state.connections:
        await asyncio.sleep(0)
    (connection,) = server.server_state.connections
    taken: socket.socket = connection.transport.get_extra_info("socket")

    found_ms = taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert found_ms == expected_ms
    writer.close()
    server.should_exit = True
    await serving
