"""What is done to one thing is done in order, also where the store fails in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from frontdesk.storage.errors import StorageFailed
from tests.sync.desk import entry, opened


async def test_what_follows_on_a_fact_that_waits_waits_as_well(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fact, other = "fact_" + "a" * 32, "fact_" + "b" * 32
    first, second = entry("fact", fact=fact, words="one"), entry("fact", fact=fact, words="two")
    async with opened(sqlite_url) as app:
        token = await app.token()
        database = app.frontdesk._database
        whole = database.transact

        def fails_once(*args: Any) -> Any:
            monkeypatch.setattr(database, "transact", whole)
            raise StorageFailed("The disk is full.")

        failing: Callable[..., Any] = fails_once
        monkeypatch.setattr(database, "transact", failing)

        results = await app.pushed(token, first, second, entry("fact", fact=other, words="three"))

        assert [result["status"] for result in results] == ["waiting", "waiting", "done"]
        assert [each["status"] for each in await app.pushed(token, first, second)] == ["done", "done"]
        facts = (await app.ask(token, "GET", "/api/facts")).body["data"]
        assert {each["id"]: each["words"] for each in facts} == {fact: "two", other: "three"}
