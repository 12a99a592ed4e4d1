"""The same for minutes: longer storms, more machines, and never the same ones twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.sync.crowd import Crowd
from tests.sync.fleet import one_server, two_servers
from tests.sync.test_devices import INSIDE, check_machine, check_storm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("seed", range(4))
async def test_long_storms(tmp_path: Path, sqlite_template: Path, seed: int) -> None:
    async with one_server(tmp_path, sqlite_template) as site:
        await check_storm(site, kills=40, seed=seed)


@pytest.mark.parametrize("seed", range(4))
async def test_long_storms_over_two_processes(tmp_path: Path, postgresql_url: str, seed: int) -> None:
    async with two_servers(tmp_path, postgresql_url) as site:
        await check_storm(site, kills=40, seed=seed)


async def test_a_crowd_that_writes_long(tmp_path: Path, sqlite_template: Path) -> None:
    async with one_server(tmp_path, sqlite_template) as site:
        crowd = await Crowd.begin(site, random.Random(1))
        await crowd.check(writers=50, writes=60, readers=6)


async def test_a_crowd_that_writes_long_in_two_processes(tmp_path: Path, postgresql_url: str) -> None:
    async with two_servers(tmp_path, postgresql_url) as site:
        crowd = await Crowd.begin(site, random.Random(2))
        await crowd.check(writers=50, writes=60, readers=6)


def test_many_machines_on_sqlite(tmp_path: Path, sqlite_template: Path) -> None:
    check_machine(one_server(tmp_path, sqlite_template, **INSIDE), examples=40, steps=60, is_fixed=False)


def test_many_machines_on_two_processes(tmp_path: Path, postgresql_url: str) -> None:
    check_machine(two_servers(tmp_path, postgresql_url, **INSIDE), examples=25, steps=60, is_fixed=False)
