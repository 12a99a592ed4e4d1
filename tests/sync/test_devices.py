"""Devices agree: whatever is done on them, however often they are offline, and whatever dies in between."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from frontdesk.core.ids import new_id
from tests.edges.kept_serving import Site
from tests.serving import ASKED_ONCE
from tests.sync.acts import KINDS, entry_id, item_of
from tests.sync.agreement import check_agreement, check_alike
from tests.sync.crowd import Crowd
from tests.sync.devices import Way, settle
from tests.sync.fleet import CODINGS, FATES, Fleet, crash, one_by_one, one_server, picking, storm, two_servers

# The provider answers in the server itself: between two steps of a machine this process stands still.
INSIDE: dict[str, Any] = {
    "providers": {
        "mock": {"kind": "scripted", **ASKED_ONCE},
        "gone": {"kind": "openai-compatible", "base_url": "http://127.0.0.1:1/v1", "api_key": "x", **ASKED_ONCE},
    },
    "models": {
        "quick": {"route": ["mock/echo"]},
        "paced": {"route": ["mock/slow-5"]},
        "slow": {"route": ["mock/slow-40"]},
        "gone": {"route": ["gone/echo"]},
    },
}
_DEVICE = st.integers(0, 3)
_SERVER = st.integers(0, 1)
_NUMBERS = st.lists(st.integers(0, 10**4), min_size=1, max_size=8)


# --- all at once --------------------------------------------------------------------------------


async def test_they_agree_after_a_storm(tmp_path: Path, sqlite_template: Path) -> None:
    async with one_server(tmp_path, sqlite_template) as site:
        await check_storm(site, kills=4, seed=20_261_123)


async def test_each_kind_of_change_reaches_all_devices(tmp_path: Path, sqlite_template: Path) -> None:
    async with one_server(tmp_path, sqlite_template) as site:
        await check_one_by_one(site, seed=1)


async def test_so_they_do_where_two_processes_share_the_work(tmp_path: Path, postgresql_url: str) -> None:
    async with two_servers(tmp_path, postgresql_url) as site:
        await check_storm(site, kills=4, seed=20_261_124)


async def test_what_was_done_is_not_refused_when_its_place_is_gone(tmp_path: Path, sqlite_template: Path) -> None:
    async with one_server(tmp_path, sqlite_template) as site:
        fleet = await Fleet.begin(site)
        person = fleet.people[0]
        phone, tablet, _ = person.devices.values()
        said = {"id": entry_id(), "type": "message", "conversation": new_id("conv_"), "content": "Hello"}
        phone.put(said)
        await check_alike(site, person)
        of = {"conversation": said["conversation"]}
        item = item_of(said)

        for entry in (
            {"type": "edit", "item": item, "content": "Hello there"},
            {"type": "message", "after": item, "content": "Are you there?"},
            {"type": "answer", "after": item},
            {"type": "pin_item", "item": item, "pinned": True},
            {"type": "read", "item": item},
        ):
            phone.put({"id": entry_id(), **entry, **of})
        read = f"SELECT read_item FROM conversation WHERE id = '{said['conversation']}'"
        while list(await site.rows(read)) != [(item,)]:
            await phone.sync(site.served, Way(fate="lost"))
        tablet.put({"id": entry_id(), "type": "delete", "item": item, **of})
        await settle([tablet], site.served)

        await check_agreement(site, fleet.people)
        assert [kept.status for kept in phone.disk.outbox()] == ["done"] * 6
        fleet.close()


async def check_storm(site: Site, kills: int, seed: int) -> None:
    """Let devices live through a storm; they agree after it."""
    fleet = await Fleet.begin(site)
    try:
        await storm(fleet, random.Random(seed), kills, pause_s=0.3)
        await check_agreement(site, fleet.people)
    except AssertionError as error:
        error.add_note(f"seed={seed}")
        raise
    finally:
        fleet.close()
    assert all("Traceback" not in served.log for served in site.servers)


async def check_one_by_one(site: Site, seed: int) -> None:
    """Have each kind of thing done by itself; devices agree after each."""
    fleet = await Fleet.begin(site)
    await one_by_one(fleet, random.Random(seed))
    await check_agreement(site, fleet.people)
    fleet.close()


# --- in a crowd ---------------------------------------------------------------------------------


async def test_no_change_of_a_crowd_is_lost(tmp_path: Path, sqlite_template: Path) -> None:
    async with one_server(tmp_path, sqlite_template) as site:
        crowd = await Crowd.begin(site, random.Random(20_261_125))
        await crowd.check(writers=50, writes=6, readers=3)


async def test_nor_of_one_that_writes_in_two_processes(tmp_path: Path, postgresql_url: str) -> None:
    async with two_servers(tmp_path, postgresql_url) as site:
        crowd = await Crowd.begin(site, random.Random(20_261_126))
        await crowd.check(writers=50, writes=6, readers=3)


# --- step by step -------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """The devices of two people, who are new to the server, and what befalls them one after the other."""

    def __init__(self, runner: asyncio.Runner, site: Site) -> None:
        super().__init__()
        self._runner = runner
        self._site = site

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.fleet = self.run(Fleet.begin(self._site))
        self.name = dict(enumerate(self.fleet.names))

    @rule(device=_DEVICE, kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), numbers=_NUMBERS)
    def act(self, device: int, kinds: list[str], numbers: list[int]) -> None:
        """Things are done on a device, online or not."""
        for kind, shift in zip(kinds, itertools.count()):
            self.fleet.act(self.name[device], kind, picking(numbers[shift % len(numbers) :] + numbers))

    @rule(
        device=_DEVICE,
        server=_SERVER,
        way=st.builds(
            Way,
            entries=st.sampled_from([100, 3, 1]),
            limit=st.sampled_from([200, 5, 1, 0]),
            is_packed=st.booleans(),
            coding=st.sampled_from(CODINGS),
            fate=st.sampled_from(FATES),
        ),
    )
    def sync(self, device: int, server: int, way: Way) -> None:
        """A device is online for one sync."""
        self.run(self.fleet.sync(self.name[device], self._server(server), way))

    @rule(device=_DEVICE, server=_SERVER)
    def catch_up(self, device: int, server: int) -> None:
        """A device is online until it has all."""
        self.run(self._catch_up(self.name[device], server))

    @rule(server=_SERVER, luck=st.integers(0, 2))
    def crash(self, server: int, luck: int) -> None:
        """A server is killed, less often than all else: it takes as long as thirty syncs."""
        if luck == 0:
            self.run(crash(self._site, self._server(server)))

    @rule(device=_DEVICE)
    def mistake(self, device: int) -> None:
        """A device has the cursor of another life."""
        self.fleet.device(self.name[device]).mistake()

    def teardown(self) -> None:
        if not hasattr(self, "fleet"):
            return
        try:
            self.run(check_agreement(self._site, self.fleet.people))
        finally:
            self.fleet.close()

    def _server(self, number: int) -> Any:
        return self._site.servers[number % len(self._site.servers)]

    async def _catch_up(self, name: str, server: int) -> None:
        while await self.fleet.device(name).sync(self._server(server), Way()):
            pass


def check_machine(serve: Any, examples: int, steps: int, *, is_fixed: bool = True) -> None:
    """Run machines on a site; with `is_fixed` always the same ones."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        site = runner.run(stack.enter_async_context(serve))

        def machine() -> Machine:
            return Machine(runner, site)

        begin: Any = machine  # hypothesis takes what makes one as well; its types say a class
        try:
            run_state_machine_as_test(
                begin,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    derandomize=is_fixed,
                    database=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
            assert all("Traceback" not in served.log for served in site.servers)
        finally:
            runner.run(stack.aclose())


def test_machines_on_sqlite(tmp_path: Path, sqlite_template: Path) -> None:
    check_machine(one_server(tmp_path, sqlite_template, **INSIDE), examples=5, steps=25)


def test_machines_on_two_processes(tmp_path: Path, postgresql_url: str) -> None:
    check_machine(two_servers(tmp_path, postgresql_url, **INSIDE), examples=3, steps=25)
