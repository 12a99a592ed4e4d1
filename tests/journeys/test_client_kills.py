"""Whatever befalls a device's tabs, each message arrives once, and is answered once. A test's name has its seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.journeys.devices import (
    CLIENT,
    Device,
    Person,
    Site,
    device_context,
    open_site,
    with_network,
    without_network,
)

pytestmark = pytest.mark.journey

WORDS = " ".join(f"word{place}" for place in range(8))
STEPS = 8


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (CLIENT / "index.js").is_file():
        pytest.skip("These journeys need the built client: npm --prefix web run build:packages")
    with open_site(tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = device_context(browser)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_or_said_twice(context: BrowserContext, site: Site, seed: int):
    _play(context, site, seed)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(1_000, 1_200))
def test_nor_in_many_scripts(context: BrowserContext, site: Site, seed: int):
    _play(context, site, seed)


def _play(context: BrowserContext, site: Site, seed: int) -> None:
    chance = random.Random(seed)
    person = site.person()
    tabs: list[Device] = []
    kept: list[str] = []  # on the device, for sure
    hoped: list[str] = []  # said at the last moment of a tab
    is_online = True
    for step in range(STEPS):
        if not tabs or (len(tabs) < 3 and chance.random() < 0.2):
            tabs.append(Device(context.new_page(), person))
        tab = chance.choice(tabs)
        text = f"{step} {WORDS}"
        match (
            "say" if step == 0 else chance.choice(["say", "say", "crash", "say and crash", "close", "network", "wait"])
        ):
            case "say":
                tab.say(text, chance.choice(["fast", "slow"]))
                kept.append(text)
            case "say and crash":
                tab.say_and_not_wait(text, chance.choice(["fast", "slow"]))
                hoped.append(text)
                tabs.remove(tab)
                tab.crash()
            case "crash":
                tabs.remove(tab)
                tab.crash()
            case "close":
                tabs.remove(tab)
                tab.page.close()
            case "network":
                is_online = not is_online
                if is_online:
                    with_network(context)
                else:
                    without_network(context, site)
            case _:
                tab.page.wait_for_timeout(chance.randrange(300))
    if not is_online:
        with_network(context)
    _check(context, person, tabs, kept, hoped)


def _check(context: BrowserContext, person: Person, tabs: list[Device], kept: list[str], hoped: list[str]) -> None:
    tabs.append(Device(context.new_page(), person))
    known = _settled(person, tabs, kept)
    said = [text for role, text in known if role == "user"]
    assert [text for text in said if text in kept] == kept
    assert [text for text in said if text not in kept] == [text for text in hoped if text in said]
    assert sorted(text for role, text in known if role == "assistant") == sorted(said)
    person.was_answered(len(said))


def _settled(person: Person, tabs: list[Device], kept: list[str]) -> list[tuple[str, str]]:
    """What the server knows, once all that is kept has arrived, each message is answered, and all tabs show it."""
    known: list[tuple[str, str]] = []
    for _ in range(300):
        known = person.kept()
        said = {text for role, text in known if role == "user"}
        is_answered = sum(role == "user" for role, _ in known) == sum(role == "assistant" for role, _ in known)
        if said >= set(kept) and is_answered and all(tab.shown() == known for tab in tabs):
            return known
        tabs[-1].page.wait_for_timeout(100)
    raise AssertionError(f"{known} is known, {kept} was kept; {tabs[-1].told():.3000}")
