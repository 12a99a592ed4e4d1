"""What an operator says and sees of people. On both engines."""

from __future__ import annotations

import pytest

from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.storage.database import Database
from tests.accounts.opened import begun, opened, tier_of
from tests.accounts.rows import a_person
from tests.fakes import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1.0)


async def test_a_tier_can_be_given_before_anybody_came(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)

    row = await accounts.assign_tier("default", "u1", "gold")
    session = await begun(accounts, "u1", tier="free")

    assert row == a_person("u1", assigned_tier="gold")
    assert await tier_of(accounts, session.token) == "gold"
    assert await accounts.assign_tier("default", "u1", None) == a_person("u1", tier="free")
    assert await tier_of(accounts, session.token) == "free"


async def test_a_tier_is_given_in_one_tenant(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    theirs = await begun(accounts, "u1", tenant="other")

    await accounts.assign_tier("default", "u1", "gold")

    assert await tier_of(accounts, theirs.token) is None
    assert await accounts.find_person("other", "u1") == a_person("u1", tenant="other")


@pytest.mark.parametrize("person", ["nobody", "", "x" * 200, "a\x00b", "\ud800", "theirs"])
async def test_who_is_not_there_is_not_found(database: Database, clock: HandClock, person: str) -> None:
    accounts = await opened(database, clock)
    await begun(accounts, "theirs", tenant="other")

    with pytest.raises(NotFound) as caught:
        await accounts.find_person("default", person)

    assert (caught.value.code, caught.value.message) == ("user_not_found", f"There is no user {person!r}.")


@pytest.mark.parametrize("person", ["", "x" * 129, "a\x00b", "\ud800"])
async def test_what_is_no_name_gets_no_tier_and_no_end(database: Database, clock: HandClock, person: str) -> None:
    accounts = await opened(database, clock)

    for work in (
        accounts.assign_tier("default", person, "gold"),
        accounts.end_sessions_of("default", person),
        accounts.sessions_of("default", person, "", 9),
    ):
        with pytest.raises(BadRequest, match="'user' must be"):
            await work


async def test_people_are_listed_a_page_at_a_time(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    for person in ("b", "a", "c"):
        await begun(accounts, person)
    await begun(accounts, "aa", tenant="other")

    assert [row.id for row in await accounts.list_persons("default", "", 2)] == ["a", "b"]
    assert [row.id for row in await accounts.list_persons("default", "b", 2)] == ["c"]
    with pytest.raises(BadRequest, match="after"):
        await accounts.list_persons("default", "a\x00", 2)
