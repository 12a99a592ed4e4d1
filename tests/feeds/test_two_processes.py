"""Two servers over one PostgreSQL and one Valkey: whoever listens at one knows what is done at the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.edges.raw import RawConnection
from tests.feeds.test_served import EVENTS, SETTINGS, Device, session_of
from tests.limits.valkey_server import Server, started_server
from tests.serving import Served


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    yield
    await RawConnection.close_all()


@pytest.fixture
def valkey() -> Iterator[Server]:
    with started_server() as server:
        yield server


@contextlib.contextmanager
def two_servers(folder: Path, database: str, valkey: Server | None) -> Iterator[tuple[Served, Served]]:
    settings = {**SETTINGS, "database": database, **({} if valkey is None else {"valkey": valkey.url})}
    servers = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        servers.append(Served(folder / name, settings))
    try:
        for server in servers:
            server.start()
        yield servers[0], servers[1]
        assert not any("_broke" in server.log for server in servers)
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()


async def two_devices(at: Served, listens_at: Served, user: str) -> tuple[Device, Device]:
    token = (await session_of(at, user))["token"]
    one, two = Device(at, token), Device(listens_at, token)
    two.cursor = (await two.ask("GET", EVENTS))["cursor"]
    await two.listen()
    await two.next("ready")
    return one, two


def numbers(device: Device) -> list[int]:
    """The numbers of the changes that a device was told, once it was past its first sync."""
    return [int(place.rpartition(".")[2]) for place in device.places if place.count(".") == 1]


async def say(device: Device, first: int, last: int) -> list[str]:
    return [await device.begin(f"number {number}") for number in range(first, last)]


async def test_a_device_at_another_process_is_told_and_may_go_on_at_the_first(
    tmp_path: Path, postgresql_url: str, valkey: Server
) -> None:
    with two_servers(tmp_path, postgresql_url, valkey) as (first, second):
        one, two = await two_devices(first, second, "ann")
        begun = await say(one, 0, 10)
        await two.until(title="number 9")
        two.hang_up()
        begun += await say(one, 10, 20)
        # It goes on at the other one, with the cursor of the first.
        two.served = first
        await two.listen()
        await two.until(title="number 19")

        assert {each["id"] for each in two.told if "title" in each} == set(begun)
        assert numbers(two) == sorted(set(numbers(two)))


async def test_without_a_valkey_the_store_is_looked_at(tmp_path: Path, postgresql_url: str) -> None:
    with two_servers(tmp_path, postgresql_url, None) as (first, second):
        one, two = await two_devices(first, second, "bea")
        begun = await say(one, 0, 3)
        await two.until(title="number 2")
        polled = await two.ask("GET", f"{EVENTS}?cursor={two.cursor}&wait=0")

        assert {each["id"] for each in two.told if "title" in each} == set(begun)
        assert polled["changes"] == []


async def test_who_comes_again_elsewhere_is_told_all_there_is_before_it_is_ready(
    tmp_path: Path, postgresql_url: str
) -> None:
    with two_servers(tmp_path, postgresql_url, None) as (first, second):
        one, two = await two_devices(first, second, "dee")
        for number in range(5):
            two.hang_up()
            await one.begin(f"number {number}")
            await two.listen()
            await two.next("ready")

            assert two.told[-1]["title"] == f"number {number}"


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_valkey_that_stands_still_dies_and_comes_back_costs_no_change_and_tells_none_twice(
    tmp_path: Path, postgresql_url: str, valkey: Server
) -> None:
    with two_servers(tmp_path, postgresql_url, valkey) as (first, second):
        one, two = await two_devices(first, second, "cem")
        begun = await say(one, 0, 5)
        await two.until(title="number 4")

        with valkey.standing_still():
            begun += await say(one, 5, 10)
            await two.until(title="number 9")
        begun += await say(one, 10, 15)
        await two.until(title="number 14")
        valkey.kill()
        begun += await say(one, 15, 20)
        await two.until(title="number 19")
        await asyncio.to_thread(valkey.start)
        begun += await say(one, 20, 25)
        await two.until(title="number 24")
        await _until_well(first, second)
        begun += await say(one, 25, 30)
        await two.until(title="number 29")

        assert {each["id"] for each in two.told if "title" in each} == set(begun)
        assert numbers(two) == sorted(set(numbers(two)))


async def _until_well(*servers: Served) -> None:
    while not all(server.log.count("post_back") == server.log.count("post_away") for server in servers):
        await asyncio.sleep(0.1)
