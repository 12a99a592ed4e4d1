"""kill -9 at random moments while phones ask: nothing is lost, nothing is done twice, and what was said stays said."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.edges.kept_client import CONVERSATIONS, Told, ask, attach, get, request, text_of
from tests.edges.kept_phones import Asked, Message, Phone, key_row, make_phones, storm
from tests.edges.kept_serving import Site, alone, pair
from tests.edges.raw import RawConnection

BUDGETS: dict[str, Any] = {
    "prices": {"mock/*": {"input": 2, "output": 8}},
    "budgets": [{"scope": "app", "usd": 1000, "per": "total"}],
    "tiers": {"free": {"budget": {"usd": 1000, "per": "day"}}},
}
_AT_ONCE = 16


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    yield
    await RawConnection.close_all()


@pytest.mark.parametrize("more", [{}, BUDGETS], ids=["free", "budgets"])
async def test_nothing_is_lost_or_done_twice(tmp_path: Path, sqlite_template: Path, more: dict[str, Any]) -> None:
    async with alone(tmp_path, sqlite_template, **more) as site:
        await _crash(site, rounds=10, seed=20_261_123)
        await _check_money(site)
        assert await site.rows("pragma integrity_check") == [("ok",)]


async def test_nor_where_two_processes_share_the_work(tmp_path: Path, postgresql_url: str) -> None:
    async with pair(tmp_path, postgresql_url) as site:
        await _crash(site, rounds=5, seed=20_261_124)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("more", [{}, BUDGETS], ids=["free", "budgets"])
async def test_many_crashes(tmp_path: Path, sqlite_template: Path, more: dict[str, Any], seed: int) -> None:
    async with alone(tmp_path, sqlite_template, **more) as site:
        await _crash(site, rounds=50, seed=seed)
        await _check_money(site)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("more", [{}, BUDGETS], ids=["free", "budgets"])
async def test_many_crashes_of_two_processes(
    tmp_path: Path, postgresql_url: str, more: dict[str, Any], seed: int
) -> None:
    async with pair(tmp_path, postgresql_url, **more) as site:
        await _crash(site, rounds=50, seed=seed)
        await _check_money(site)


async def _crash(site: Site, rounds: int, seed: int) -> None:
    phones = await make_phones(site, 50)
    asked = await storm(site, phones, rounds, seed)
    said = [message for phone in phones for message in phone.said]
    # The run was one: much was asked in every way, and some of it was hit.
    assert len(said) > 10 * rounds
    assert {message.kind for message in said if message.status == "failed"} >= {"chat", "response", "background"}
    assert all("Traceback" not in served.log for served in site.servers), site.served.log[-5000:]

    await _check_rows(site, said, asked)
    await _check_conversations(site, phones)
    for number in range(0, len(phones), _AT_ONCE):
        await asyncio.gather(*(_check_texts(site, phone) for phone in phones[number : number + _AT_ONCE]))


async def _check_rows(site: Site, said: Sequence[Message], asked: Asked) -> None:
    """Each message has one row, which has ended, and the provider was asked for it once at most."""
    claims = dict(await _pairs(site, "select key, response from idempotency_key"))
    rows = {row[0]: row[1:] for row in await site.rows("select id, status, is_dispatched from response")}
    assert max(asked.count.values()) == 1, [each for each in asked.count.items() if each[1] > 1]
    keyed = [message for message in said if message.key is not None]
    for message in keyed:
        claimed = claims[key_row(message.key or "")]
        assert message.response in (None, claimed), message
        message.response = claimed
    ids = Counter(message.response for message in said if message.response is not None)
    assert max(ids.values()) == 1
    assert len(claims) == len(keyed)
    for message in said:
        if message.response is None:
            assert message.status == "lost"
            continue
        assert message.response in rows, message
        status, is_dispatched = rows[message.response]
        assert status in ("completed", "failed")
        assert message.status in (status, "unheard", "lost"), (message, status)
        if status == "completed":
            assert asked.count[message.question] == 1
        elif message.key is not None:
            assert is_dispatched
            assert message.code in ("server_crashed", "idempotency_answer_not_kept"), message
    # Nobody knows of these who asked: the reply with their id was lost, and there was no key.
    nameless = rows.keys() - ids.keys()
    assert len(nameless) <= sum(message.status == "lost" for message in said)
    # That a provider is asked is noted before it is, so that it is never asked twice: some die in between.
    crashed = [message for message in keyed if message.code == "server_crashed"]
    assert sum(asked.count[message.question] for message in crashed) >= 0.5 * len(crashed)


async def _check_conversations(site: Site, phones: Sequence[Phone]) -> None:
    """Each message is there once, in order, and its answer right behind it, as far as it came."""
    assert await site.rows("select count(*) from conversation where response is not null") == [(0,)]
    for phone in phones:
        items: list[tuple[str, str]] = []
        after = ""
        while True:
            path = f"{CONVERSATIONS}/{phone.conversation}/items?order=asc&limit=100{after}"
            page = (await ask(site.served, request("GET", path, token=phone.token))).json
            items += [(item["role"], item["content"][0]["text"]) for item in page["data"] if item["content"]]
            after = f"&after={page['last_id']}"
            if not page["has_more"]:
                break
        expected: list[tuple[str, str]] = []
        for message in phone.said:
            if message.kind == "conversation":
                expected.append(("user", message.question))
                text = text_of(await get(site.served, message.response or "", phone.token))
                expected += [("assistant", text)] if text else []
        assert items == expected


async def _check_texts(site: Site, phone: Phone) -> None:
    """What a reader was told over all its connections is what is kept, event by event."""
    for number, message in enumerate(phone.said):
        if message.status == "completed":
            assert message.text == message.question
        if not message.is_stored or message.response is None:
            continue
        served = site.servers[number % len(site.servers)]
        final = await get(served, message.response, phone.token)
        assert final["status"] in ("completed", "failed")
        assert message.question.startswith(text_of(final))
        if message.told.last >= 0 and isinstance(message.told, Told):
            whole = Told(message.response)
            await attach(served, whole, phone.token)
            assert whole.text == text_of(final)
            for told, kept in zip(message.told.events, whole.events, strict=False):
                assert told == kept
            # Who asks again for what has failed may be told so by a status instead of an event.
            assert message.told.end is not None or message.status == "failed"


async def _check_money(site: Site) -> None:
    """Nothing is put aside any more, nothing runs, and what was spent is what attempts cost."""
    async with asyncio.timeout(60):
        while (await site.rows("select count(*) from turn where status = 'running'"))[0][0]:
            await asyncio.sleep(0.05)
        while (await site.rows("select count(*) from hold where swept_at_ms is null"))[0][0]:
            await asyncio.sleep(0.05)
    for spent, held in await site.rows("select spent_micros, held_micros from budget_window where scope = 'app'"):
        assert held == 0
        assert spent == (await site.rows("select coalesce(sum(cost_micros), 0) from attempt"))[0][0] > 0
    assert (await site.rows("select coalesce(sum(abs(held_micros)), 0) from budget_window"))[0][0] == 0


async def _pairs(site: Site, statement: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in await site.rows(statement)]
