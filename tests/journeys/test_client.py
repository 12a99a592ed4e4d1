"""The client for apps, in a real browser: its promises hold when tabs crash, networks go and two of them are open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

from tests.journeys.desk import chromium
from tests.journeys.devices import CLIENT, Device, Machine, Person, Site, device_context, open_site, without_network

pytestmark = pytest.mark.journey

SYNC = "**/api/sync"
LATER = "**/client/shared/acting.js"
WORDS = " ".join(f"word{place}" for place in range(20))
# Without a screen all tabs are visible.
SEEN = """(state) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
DUMP = """async (name) => {
  const done = (asked) =>
    new Promise((good, onerror) => Object.assign(asked, { onsuccess: () => good(asked.result), onerror }));
  const database = await done(indexedDB.open(name));
  const told = [];
  for (const table of database.objectStoreNames) {
    const entries = database.transaction(table).objectStore(table);
    told.push(await done(entries.getAllKeys()), await done(entries.getAll()));
  }
  database.close();
  return JSON.stringify(told);
}"""


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (CLIENT / "index.js").is_file():
        pytest.skip("These journeys need the built client: npm --prefix web run build:packages")
    with open_site(tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest.fixture
def person(site: Site) -> Person:
    return site.person()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = device_context(browser)
    yield made
    made.close()


@pytest.fixture
def machine(playwright: Playwright, tmp_path: Path) -> Iterator[Machine]:
    path = chromium()
    assert path is not None
    made = Machine(playwright, path, tmp_path / "profile")
    yield made
    made.close()


# --- an answer ------------------------------------------------------------------------------------


def test_an_answer_grows_before_ones_eyes_and_is_the_servers(context: BrowserContext, person: Person):
    device = Device(context.new_page(), person)

    device.say(WORDS, "slow")

    device.is_so("view.messages[1]?.text.length > 10 && view.messages[1].turn.state === 'writing'")
    device.is_done(2)
    assert device.shown() == [("user", WORDS), ("assistant", WORDS)]
    assert person.kept() == device.shown()


# --- what ends in the middle ----------------------------------------------------------------------


def test_a_tab_that_crashes_in_mid_answer_shows_it_whole_when_it_is_back(context: BrowserContext, person: Person):
    device = Device(context.new_page(), person)
    device.say(WORDS, "slow")
    device.is_so("view.messages[1]?.text.length > 10")

    device.crash()

    device = Device(context.new_page(), person)
    device.is_done(2)
    assert person.kept() == device.shown() == [("user", WORDS), ("assistant", WORDS)]
    person.was_answered(1)


def test_a_browser_that_is_killed_in_mid_answer_shows_it_whole_when_it_is_back(machine: Machine, person: Person):
    device = Device(machine.context.new_page(), person)
    device.say(WORDS, "slow")
    device.is_so("view.messages[1]?.text.length > 10")

    machine.kill()

    device = Device(machine.context.new_page(), person)
    device.is_done(2)
    assert person.kept() == device.shown() == [("user", WORDS), ("assistant", WORDS)]
    person.was_answered(1)


@pytest.mark.parametrize("arrives", [True, False], ids=["its reply is lost", "it never arrived"])
def test_a_message_that_is_on_its_way_when_the_tab_crashes_is_sent_once(
    context: BrowserContext, person: Person, arrives: bool
):
    device = Device(context.new_page(), person)
    device.is_so("all.connection === 'live'")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if arrives:
            route.fetch()
        held.append(route)

    device.page.route(SYNC, hold)
    device.say("Only once")
    _until(device.page, lambda: bool(held))

    device.crash()

    device = Device(context.new_page(), person)
    device.is_done(2)
    assert person.kept() == device.shown() == [("user", "Only once"), ("assistant", "Only once")]
    person.was_answered(1)


def test_what_was_kept_survives_the_power_without_ever_having_been_sent(machine: Machine, person: Person):
    device = Device(machine.context.new_page(), person)
    device.is_so("all.connection === 'live'")
    device.page.route(SYNC, lambda route: route.abort())
    device.say("One")
    device.say("Two")

    machine.kill()

    device = Device(machine.context.new_page(), person)
    device.is_done(4)
    assert [text for role, text in person.kept() if role == "user"] == ["One", "Two"]
    person.was_answered(2)


# --- without a network ----------------------------------------------------------------------------


def test_what_is_written_offline_is_there_after_a_crash_and_is_sent_once_in_its_order(
    context: BrowserContext, person: Person
):
    device = Device(context.new_page(), person)
    device.say("Before")
    device.is_done(2)
    without_network(context, person.site)
    device.is_so("all.connection === 'offline'")
    device.say("One")
    device.say("Two")

    device.crash()

    device = Device(context.new_page(), person)
    device.is_so("all.connection === 'offline' && all.unsent === 2 && view.messages.length === 4")
    assert [text for role, text in device.shown() if role == "user"] == ["Before", "One", "Two"]
    assert device.requests == []

    context.set_offline(False)
    device.is_done(6)
    assert [text for role, text in person.kept() if role == "user"] == ["Before", "One", "Two"]
    assert sorted(person.kept()) == sorted(device.shown())
    person.was_answered(3)


def test_what_is_said_before_the_part_that_sends_can_be_fetched_is_kept_and_sent_once(
    context: BrowserContext, person: Person
):
    missed: list[Route] = []

    def miss(route: Route) -> None:
        missed.append(route)
        route.abort()

    context.route(LATER, miss)
    device = Device(context.new_page(), person)
    device.say("One")
    _until(device.page, lambda: bool(missed))
    device.say("Two")

    device.is_so("all.connection === 'connecting' && all.storage === 'kept' && all.unsent === 2")
    device.is_so("view.messages.length === 2 && view.messages.every(({ turn }) => turn.state === 'saved')")
    assert device.shown() == [("user", "One"), ("user", "Two")]
    assert device.requests == []

    context.unroute_all(behavior="wait")
    device.is_done(4)
    assert [text for role, text in person.kept() if role == "user"] == ["One", "Two"]
    assert sorted(person.kept()) == sorted(device.shown())
    person.was_answered(2)


def test_what_is_said_without_the_part_that_sends_survives_a_crash(context: BrowserContext, person: Person):
    context.route(LATER, lambda route: route.abort())
    device = Device(context.new_page(), person)
    device.say("Only once")

    device.crash()

    device = Device(context.new_page(), person)
    device.is_so("all.unsent === 1 && view.messages[0]?.turn.state === 'saved'")
    context.unroute_all(behavior="wait")
    device.is_done(2)
    assert person.kept() == device.shown() == [("user", "Only once"), ("assistant", "Only once")]
    person.was_answered(1)


# --- several pages, several devices ---------------------------------------------------------------


def test_of_two_tabs_one_asks_and_the_other_takes_over_when_it_is_closed(context: BrowserContext, person: Person):
    first, second = (Device(context.new_page(), person) for _ in range(2))
    for tab in (first, second):
        tab.is_so("all.connection === 'live'")
    for tab in (first, second):
        tab.requests.clear()

    for number, tab in enumerate((first, second), 1):
        tab.say(f"From tab {number}")
        for each in (first, second):
            each.is_done(2 * number)
    assert first.shown() == second.shown() == person.kept()
    leaders = [tab for tab in (first, second) if tab.requests]
    assert len(leaders) == 1, [[each.url for each in tab.requests] for tab in (first, second)]

    [follower] = {first, second} - set(leaders)
    leaders[0].page.close()
    follower.is_so("all.connection === 'live'")
    follower.say("From who is left")
    follower.is_done(6)
    assert follower.requests != []
    person.was_answered(3)


def test_a_leader_that_crashes_with_a_message_of_the_other_tabs_is_followed(context: BrowserContext, person: Person):
    first, second = (Device(context.new_page(), person) for _ in range(2))
    for tab in (first, second):
        tab.is_so("all.connection === 'live'")
    for tab in (first, second):
        tab.requests.clear()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    context.route(SYNC, hold)
    second.say(WORDS, "slow")
    _until(second.page, lambda: bool(held))
    [leader] = [tab for tab in (first, second) if tab.requests]
    [follower] = {first, second} - {leader}

    context.unroute(SYNC)
    leader.crash()

    follower.is_done(2)
    assert person.kept() == follower.shown() == [("user", WORDS), ("assistant", WORDS)]
    person.was_answered(1)


def test_two_devices_see_what_is_said_on_the_other_at_once(browser: Browser, context: BrowserContext, person: Person):
    there = browser.new_context()
    one, other = Device(context.new_page(), person), Device(there.new_page(), person)
    for device in (one, other):
        device.is_so("all.connection === 'live'")
    took_s: list[float] = []

    for number, (says, sees) in enumerate([(one, other), (other, one)] * 2, 1):
        began = time.monotonic()
        says.say(f"Message {number}")
        sees.is_so(f"view.messages.some(({{ text, role }}) => role === 'user' && text === 'Message {number}')")
        took_s.append(time.monotonic() - began)
        sees.is_done(2 * number)
        says.is_done(2 * number)

    assert one.shown() == other.shown() == person.kept()
    assert min(took_s) < 2
    there.close()


def test_a_tab_that_nobody_sees_asks_nothing(browser: Browser, context: BrowserContext, person: Person):
    there = browser.new_context()
    device, elsewhere = Device(context.new_page(), person), Device(there.new_page(), person)
    device.is_so("all.connection === 'live'")
    device.page.evaluate(SEEN, "hidden")
    device.is_so("all.connection === 'hidden'")
    device.requests.clear()
    elsewhere.say("From elsewhere")
    elsewhere.is_done(2)

    device.page.wait_for_timeout(2_000)
    assert device.requests == []
    assert device.shown() == []

    device.page.evaluate(SEEN, "visible")
    device.is_done(2)
    assert device.shown() == person.kept()
    there.close()


# --- what is kept ---------------------------------------------------------------------------------


def test_signing_out_leaves_nothing_behind_in_any_tab(context: BrowserContext, person: Person):
    first, second = (Device(context.new_page(), person) for _ in range(2))
    first.say("My secret")
    for tab in (first, second):
        tab.is_done(2)
    assert "My secret" in first.page.evaluate(DUMP, "device")

    second.page.evaluate("client.signOut()")

    for tab in (first, second):
        tab.is_so("view.messages.length === 0 && all.connection === 'signed_out'")
        assert "secret" not in tab.page.evaluate(DUMP, "device")
        assert "answer" not in tab.page.evaluate(DUMP, "device")
        assert person.token not in tab.page.evaluate(DUMP, "device")


def test_an_encrypted_store_shows_no_word_to_who_looks_into_the_browser(context: BrowserContext, person: Person):
    device = Device(context.new_page(), person, store="encrypted")
    device.say("Confidential")
    device.is_done(2)

    dump = device.page.evaluate(DUMP, "device")

    assert person.conversation in dump
    assert "onfidential" not in dump
    device.crash()
    device = Device(context.new_page(), person, store="encrypted")
    device.is_done(2)
    assert device.shown() == [("user", "Confidential"), ("assistant", "Confidential")]


def test_where_nothing_may_be_kept_the_client_says_so_and_sends(context: BrowserContext, person: Person):
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('No.', 'SecurityError') } })"
    )
    device = Device(page, person)

    device.say("Hello")

    device.is_done(2)
    device.is_so("all.storage === 'denied'")
    assert person.kept() == device.shown()


def test_where_there_is_no_room_the_client_says_so_and_sends(context: BrowserContext, person: Person):
    page = context.new_page()
    cdp = context.new_cdp_session(page)
    cdp.send("Storage.overrideQuotaForOrigin", {"origin": person.site.address, "quotaSize": 50_000})
    device = Device(page, person)
    device.say("There is room for this")
    device.is_done(2)

    device.say("And none for this. " * 5_000)

    device.is_done(4)
    device.is_so("all.storage === 'full'")
    assert person.kept() == device.shown()
    person.was_answered(2)


def _until(page: Page, is_so: Callable[[], bool]) -> None:
    for _ in range(1_500):
        if is_so():
            return
        page.wait_for_timeout(20)
    raise AssertionError("never so")
