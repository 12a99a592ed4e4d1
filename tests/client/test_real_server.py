"""The client on a real network, before a real server: what it asks for, and what becomes of what is said while it
breaks.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.client.devices import Device, build
from tests.client.proxy import Fate, Fates, proxied
from tests.client.site import Site, echoed, opened, texts_of
from tests.edges.kept_client import ask, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRANSPORTS = ("stream", "socket", "xhr", "poll")
WORDS = " ".join(f"word{number}" for number in range(30))
_new = itertools.count(1)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("device"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, program: Path) -> AsyncIterator[Site]:
    async with opened(tmp_path_factory.mktemp("site"), sqlite_template, program) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def site(shared: Site) -> AsyncIterator[Site]:
    """The server, with a proxy that does nothing yet. Devices end with their test."""
    shared.proxy.fates = Fate
    shared.proxy.restart_counts()
    yield shared
    await shared.end_devices()


def new_id() -> str:
    return f"conv_{next(_new):032x}"


async def chat(device: Device, conversation: str, texts: list[str]) -> dict[str, Any]:
    """Say some things, each when the one before was answered; returns what is shown."""
    view: dict[str, Any] = {}
    for number, text in enumerate(texts, 1):
        await device.do("send", conversation=conversation, content=text)
        view = await device.until_over(conversation, 2 * number)
    return view


# --- what it asks for -------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_chat_of_ten_messages_takes_few_requests(site: Site, transport: str):
    """One request brings a message, at most one more tells its answer: docs/client.md has these figures."""
    person, conversation = site.person(), new_id()
    device = await site.begin(site.setup(person, transport))
    await device.do("until_client", connection="live")
    site.proxy.restart_counts()

    texts = [f"{number} {WORDS}" for number in range(10)]
    view = await chat(device, conversation, texts)

    assert texts_of(view) == echoed(texts)
    assert await site.said(person) == texts
    assert await device.do("wrong") == []
    asked = Counter(_kind_of(each) for each in site.proxy.counts.requests)
    told = {"stream": {"answer"}, "socket": set[str](), "xhr": {"answer"}, "poll": {"answer", "events"}}[transport]
    assert asked.keys() <= {"sync", *told}
    assert asked["sync"] == 10
    assert asked["answer"] <= (30 if transport == "poll" else 10)
    assert asked["events"] <= 30
    assert site.proxy.counts.up < 2_600 * len(texts)
    assert site.proxy.counts.down < 18_000 * len(texts)


def _kind_of(request: str) -> str:
    path = request.partition(" ")[2].partition("?")[0]
    return "answer" if path.startswith("/v1/responses/") else path.removeprefix("/api/")


async def test_who_is_idle_asks_nothing_but_to_be_told(site: Site):
    await asyncio.gather(*(check_idle(site, transport, idle_s=11) for transport in TRANSPORTS))


@pytest.mark.slow
async def test_nor_after_a_while(site: Site):
    await asyncio.gather(*(check_idle(site, transport, idle_s=40) for transport in TRANSPORTS))


async def check_idle(site: Site, transport: str, idle_s: float) -> None:
    """Nothing is asked while somebody looks, but for what a poll is; and nothing at all while nobody does."""
    person, conversation = site.person(), new_id()
    async with proxied(lambda: site.served.port) as proxy:
        setup = site.setup(person, transport)
        setup.url = proxy.url
        device = await site.begin(setup)
        await chat(device, conversation, ["hello"])
        await asyncio.sleep(1)
        before = proxy.restart_counts()

        await asyncio.sleep(idle_s)  # a heartbeat comes every 10 s
        visible = proxy.restart_counts()
        await device.do("see", isVisible=False)
        await device.do("until_client", connection="hidden")
        await asyncio.sleep(3)
        hidden = proxy.restart_counts()

    assert before.requests
    assert {_kind_of(each) for each in visible.requests} <= ({"events"} if transport == "poll" else set())
    assert len(visible.requests) <= 1 + idle_s / 20  # a poll takes 25 s
    assert hidden.requests == []
    assert hidden.up < 100  # a connection's own goodbye


# --- where it breaks --------------------------------------------------------------------------------


def breaking(chance: random.Random, transport: str, most: int, *, stalls: bool = False) -> Fates:
    """Cut the first connections, at any byte, either way.

    The XMLHttpRequest that there is here, jsdom's, does not notice where an answer ends too early: it gets resets.
    """
    left = itertools.repeat(None, most)

    def fates() -> Fate:
        if next(left, ...) is ...:
            return Fate()
        fate = Fate(delay_s=chance.choice([0, 0, 0.02]), resets=transport == "xhr" or chance.random() < 0.5)
        match chance.randrange(10):
            case 0 | 1 | 2 | 3:
                fate.cut_down = chance.randrange(1, 1_500)
            case 4 | 5 | 6:
                fate.cut_down = chance.randrange(1, 12_000)
            case 7 | 8:
                fate.cut_up = chance.randrange(1, 2_000)
            case _ if stalls:
                fate.stalls_at = chance.randrange(1, 6_000)
            case _:
                pass
        return fate

    return fates


async def check_breaking(site: Site, transport: str, fates: Fates, texts: list[str], timeout_s: float = 60) -> None:
    """Chat while it breaks: all is said once, and answered, and no word that was shown is taken back."""
    person, conversation = site.person(), new_id()
    site.proxy.fates = fates
    request = {"model": "paced"}
    device = await site.begin(site.setup(person, transport, file=site.file(), request=request))

    for text in texts:
        await device.do("send", conversation=conversation, content=text)
    view = await device.until_over(conversation, 2 * len(texts), timeout_s)

    assert texts_of(view) == echoed(texts)
    assert await site.said(person) == texts
    assert await site.asked(person) == len(texts)
    assert await device.do("wrong") == []
    assert (await device.do("until_client", unsent=0))["unsent"] == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_word_is_lost_or_doubled_wherever_connections_are_cut(site: Site, transport: str):
    for seed in range(2):
        fates = breaking(random.Random(f"{transport} {seed}"), transport, most=8)
        await check_breaking(site, transport, fates, [f"{number} {WORDS}" for number in range(2)])

    assert site.proxy.counts.cuts >= 3


async def test_a_message_whose_replies_are_lost_is_said_once(site: Site):
    lost = itertools.count()

    def fates() -> Fate:
        return Fate(loses=b"POST /api/sync") if next(lost) < 4 else Fate()

    await check_breaking(site, "poll", fates, ["once", "and once more"])

    assert site.proxy.counts.cuts >= 3


async def test_an_answer_that_the_server_dies_in_has_an_end_and_can_be_had_again(site: Site):
    person, conversation = site.person(), new_id()
    device = await site.begin(site.setup(person, "stream", file=site.file(), request={"model": "slow"}))

    await device.do("send", conversation=conversation, content=WORDS)
    begun = await device.do("until", conversation=conversation, chars=20)
    await site.crash(after_s=0.5)
    broken = await device.until_over(conversation, 2)
    await device.do("again", conversation=conversation, message=broken["messages"][0]["id"])
    view = await device.do("until", conversation=conversation, chars=len(WORDS), isOver=True)

    assert begun["messages"][1]["text"]
    assert broken["messages"][1]["text"].startswith(begun["messages"][1]["text"])
    assert (broken["turn"]["state"], broken["turn"]["remedy"]) == ("failed", "again")
    assert texts_of(view) == echoed([WORDS])
    assert await site.said(person) == [WORDS]
    assert await device.do("wrong") == []


# --- devices ----------------------------------------------------------------------------------------


async def test_two_devices_of_a_person_show_the_same(site: Site):
    person, ours = site.person(), new_id()
    one = await site.begin(site.setup(person, "stream", file=site.file()))
    other = await site.begin(site.setup(person, "socket"))
    await chat(one, ours, ["from one"])
    await other.until_over(ours, 2)

    await asyncio.gather(*(device.do("send", conversation=ours, content=f"at once {number}")
                           for number, device in enumerate((one, other))))  # fmt: skip
    await asyncio.gather(*(device.until_over(ours, 6) for device in (one, other)))
    await other.do("rename", conversation=ours, title="A name")
    for device in (one, other):
        while (await device.do("view", conversation=ours)).get("title") != "A name":
            await asyncio.sleep(0.02)
    views = [await device.do("view", conversation=ours) for device in (one, other)]
    lists = [await device.do("conversations") for device in (one, other)]

    assert texts_of(views[0]) == texts_of(views[1])
    assert sorted(text for role, text in texts_of(views[0]) if role == "user") == ["at once 0", "at once 1", "from one"]
    assert [each["id"] for each in lists[0]] == [each["id"] for each in lists[1]] == [ours]
    assert [await device.do("wrong") for device in (one, other)] == [[], []]


async def test_what_is_said_offline_is_sent_by_the_process_that_comes_online(site: Site):
    person, conversation, file = site.person(), new_id(), site.file()
    texts = [f"said offline {number}" for number in range(3)]
    offline = await site.begin(site.setup(person, file=file, is_online=False))
    for text in texts:
        await offline.do("send", conversation=conversation, content=text)
    shown = await offline.do("view", conversation=conversation)
    await offline.kill()
    asked_offline = list(site.proxy.counts.requests)

    device = await site.begin(site.setup(person, file=file, is_online=False))
    kept = await device.do("until", conversation=conversation, messages=3)
    await device.do("connect", isOnline=True)
    view = await device.until_over(conversation, 6)

    assert asked_offline == []
    assert texts_of(shown) == texts_of(kept) == [("user", text) for text in texts]
    assert texts_of(view) == echoed(texts)
    assert [message["id"] for message in view["messages"][::2]] == [message["id"] for message in shown["messages"]]
    assert await site.said(person) == texts


async def test_a_device_that_is_killed_in_an_answer_goes_on_from_the_word_that_it_had(site: Site):
    person, conversation, file = site.person(), new_id(), site.file()
    setup = site.setup(person, "stream", file=file, request={"model": "slow"})
    device = await site.begin(setup)
    await device.do("send", conversation=conversation, content=WORDS)
    before = await device.do("until", conversation=conversation, chars=60)
    await asyncio.sleep(0.4)  # what was had is kept within 300 ms
    await device.kill()
    site.proxy.restart_counts()

    device = await site.begin(setup)
    await device.do("open", conversation=conversation)
    kept = await device.do("until", conversation=conversation, chars=1)
    view = await device.until_over(conversation, 2)

    assert kept["messages"][1]["text"].startswith(before["messages"][1]["text"])
    assert texts_of(view) == echoed([WORDS])
    followed = [each for each in site.proxy.counts.requests if _kind_of(each) == "answer"]
    assert len(followed) == 1
    assert "starting_after=" in followed[0]
    assert await device.do("wrong") == []


async def test_a_call_of_a_tool_is_answered_after_the_device_was_off(site: Site):
    person, conversation = site.person(), new_id()
    setup = site.setup(person, "stream", file=site.file(), tool="approval")
    device = await site.begin(setup)
    await device.do("send", conversation=conversation, content="Where am I?")
    asking = await device.do("until", conversation=conversation, calls=1)
    await device.kill()

    device = await site.begin(setup)
    again = await device.do("until", conversation=conversation, calls=1)
    await device.do("approve", conversation=conversation, call=again["calls"][0]["call"])
    while await site.asked(person) < 2:
        await asyncio.sleep(0.02)
    view = await device.do("until", conversation=conversation, chars=1, isOver=True)

    assert asking["turn"]["state"] == again["turn"]["state"] == "asking"
    assert [call["name"] for call in again["calls"]] == ["where"]
    assert await device.do("runs") == 1
    assert view["messages"][-1]["role"] == "assistant"
    outputs = await asyncio.to_thread(site.served.rows, _OUTPUTS)
    assert sum("In room 1." in str(content) for (content,) in outputs) == 1
    assert await site.asked(person) == 2


_OUTPUTS = "SELECT CAST(content AS TEXT) FROM conversation_item WHERE CAST(content AS TEXT) LIKE '%call_output%'"


# --- who ----------------------------------------------------------------------------------------------


async def test_a_session_that_ended_is_followed_by_another_and_nothing_is_said_twice(site: Site):
    person, conversation = site.person(), new_id()
    tokens: list[str] = []

    async def supplied(refused: str | None) -> Any:
        credential = await person.tokens(refused)
        assert credential is not None
        tokens.append(credential["token"])
        return credential

    setup = site.setup(person, "stream")
    setup.tokens = supplied
    device = await site.begin(setup)
    await chat(device, conversation, ["before"])
    ended = await ask(site.served, request("DELETE", "/api/sessions/current", token=tokens[0]))
    await device.do("send", conversation=conversation, content="after")
    view = await device.until_over(conversation, 4)

    assert ended.status == 200
    assert texts_of(view) == echoed(["before", "after"])
    assert await site.said(person) == ["before", "after"]
    assert (len(tokens), device.refusals) == (2, [None, "token_revoked"])


async def test_who_signs_out_leaves_nothing_behind(site: Site):
    conversation, file = new_id(), site.file()
    device = await site.begin(site.setup(None, "stream", file=file))
    await chat(device, conversation, ["a secret"])
    kept = await device.do("keys")

    await device.do("sign_out")

    assert len(kept) > 3
    assert await device.do("keys") == ["frontdesk:epoch"]  # how often this store was begun anew
    assert (await device.do("client"))["connection"] == "signed_out"
    ended = "SELECT count(*) FROM session WHERE revoked_at_ms IS NOT NULL AND is_anonymous"
    assert (await asyncio.to_thread(site.served.rows, ended))[0][0] >= 1


async def test_where_streams_are_held_back_another_way_is_found(site: Site):
    site.proxy.fates = lambda: Fate(buffers=True)
    person, conversation = site.person(), new_id()
    device = await site.begin(site.setup(person, "stream", "poll"))

    await device.do("send", conversation=conversation, content=WORDS)
    view = await device.until_over(conversation, 2)
    client = await device.do("until_client", transport="poll", connection="live")

    assert texts_of(view) == echoed([WORDS])
    assert client["transport"] == "poll"
    assert await site.said(person) == [WORDS]
    assert await device.do("wrong") == []


# --- many ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_many_schedules_of_cuts(site: Site, transport: str):
    for _ in range(50):
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        texts = [f"{number} {WORDS}" for number in range(chance.randrange(1, 4))]
        fates = breaking(chance, transport, most=chance.randrange(1, 25), stalls=chance.random() < 0.1)
        try:
            await check_breaking(site, transport, fates, texts, timeout_s=600)
        except BaseException as error:
            error.add_note(f"transport={transport} seed={seed}")
            raise
        await site.end_devices()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_many_deaths_of_servers_and_devices(site: Site, transport: str):
    """Each message is said once, its turn has an end, and what is shown of an answer is how that begins."""
    for _ in range(25):
        seed = random.randrange(2**32)
        try:
            await check_dying(site, transport, random.Random(seed))
        except BaseException as error:
            error.add_note(f"transport={transport} seed={seed}")
            raise
        await site.end_devices()


async def check_dying(site: Site, transport: str, chance: random.Random) -> None:
    person, conversation = site.person(), new_id()
    site.proxy.fates = breaking(chance, transport, most=6)
    setup = site.setup(person, transport, file=site.file(), request={"model": "paced"})
    device = await site.begin(setup)
    texts = [f"{number} {WORDS}" for number in range(4)]
    for text in texts:
        await device.do("send", conversation=conversation, content=text)
        await asyncio.sleep(chance.uniform(0, 0.5))  # the random moment itself
        match chance.randrange(4):
            case 0 | 1:
                await site.crash(after_s=chance.uniform(0, 0.3))
            case 2:
                await device.kill()
                device = await site.begin(setup)
            case _:
                site.proxy.cut_all()
    await device.do("open", conversation=conversation)
    await device.do("until_client", timeout_s=300, unsent=0)
    view = await device.until_over(conversation, len(texts), timeout_s=300)

    shown = texts_of(view)
    assert [text for role, text in shown if role == "user"] == texts
    assert await site.said(person) == texts
    assert await site.asked(person) == len(texts)
    assert await device.do("wrong") == []
    for before, (role, text) in itertools.pairwise(shown):
        assert role == "user" or before[1].startswith(text)
