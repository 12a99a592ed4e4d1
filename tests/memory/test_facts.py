"""Facts: a person's own, seen, changed and erased by them. On both engines."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from frontdesk.accounts.store.moves import move_all
from frontdesk.changes.store import ChangeStore
from frontdesk.core.errors import BadRequest, FrontdeskError, NotFound, TooLarge
from frontdesk.http.edge import Edge
from frontdesk.http.starlette import Routes
from frontdesk.memory.facts import MOST_CHARS, Facts, keeping, line_of, noticing
from frontdesk.memory.recall import Recall
from frontdesk.memory.routes import FactRoutes
from frontdesk.memory.store.told import MOST_FACTS
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import person
from frontdesk.turn.context import Past
from frontdesk.turn.turn import Caller
from tests.accounts.routes.desk import ADMIN_KEY, Desk, desk_of
from tests.accounts.rows import a_person
from tests.fakes import HandClock, make_turn
from tests.feedback.desk import token_of

ANN, BOB = Caller("user", "sess_1", "ann"), Caller("user", "sess_2", "bob")


@pytest.fixture
def facts(database: Database) -> Facts:
    return Facts(database, HandClock())


async def told(database: Database, caller: Caller = ANN, *, has_facts: bool = True) -> list[str]:
    recollection = await Recall(database).recall(make_turn(caller=caller), Past(), has_facts=has_facts)
    return list(recollection.facts)


async def changes(database: Database, of: str = "ann") -> list[tuple[str, str, bool]]:
    rows = await ChangeStore(database).after("default", of, 0, 100)
    return [(row.kind, row.id, row.is_deleted) for row in rows]


async def test_they_are_told_until_they_are_erased(database: Database, facts: Facts) -> None:
    tea = await facts.add("default", "ann", " I like\n tea.\u200b ")
    rome = await facts.add("default", "ann", "I live in Rome.")
    await facts.add("default", "bob", "I like coffee.")

    assert (tea.words, tea.response, tea.created_at_ms) == ("I like tea.", None, 1_800_000_000_000)
    assert await told(database) == ["I like tea.", "I live in Rome."]
    assert await told(database, has_facts=False) == []
    assert await told(database, Caller("server", "key_1", "ann")) == []
    assert (await facts.change("default", "ann", tea.id, "I like green tea.")).words == "I like green tea."
    await facts.erase("default", "ann", rome.id)
    assert await told(database) == ["I like green tea."]
    assert await changes(database) == [("fact", tea.id, False), ("fact", rome.id, True)]


async def test_pages_are_the_latest_first(facts: Facts) -> None:
    made = sorted([(await facts.add("default", "ann", f"Fact {number}.")).id for number in range(3)])

    assert [row.id for row in await facts.page("default", "ann", "", 2)] == made[:0:-1]
    assert [row.id for row in await facts.page("default", "ann", made[1], 2)] == made[:1]


@pytest.mark.parametrize("who", [("default", "bob"), ("other", "ann")])
async def test_anothers_are_not_there(database: Database, facts: Facts, who: tuple[str, str]) -> None:
    made = await facts.add("default", "ann", "I like tea.")

    for work in (facts.find(*who, made.id), facts.change(*who, made.id, "x"), facts.erase(*who, made.id)):
        with pytest.raises(NotFound) as refusal:
            await work
        assert refusal.value.code == "fact_not_found"
    assert await told(database) == ["I like tea."]


@pytest.mark.parametrize("words", ["", " \n", "\u200b", "x" * (MOST_CHARS + 1)])
async def test_what_is_no_fact_is_refused(facts: Facts, words: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        await facts.add("default", "ann", words)

    assert refusal.value.param == "words"
    assert len(line_of("x" * MOST_CHARS)) == MOST_CHARS


async def test_there_are_only_so_many(database: Database, facts: Facts) -> None:
    *_, made = [await facts.add("default", "ann", f"Fact {number}.") for number in range(MOST_FACTS)]

    with pytest.raises(TooLarge) as refusal:
        await facts.add("default", "ann", "One more.")

    assert refusal.value.code == "too_many_facts"
    assert len(await told(database)) == MOST_FACTS
    assert (await facts.change("default", "ann", made.id, "Changed.")).words == "Changed."
    await facts.erase("default", "ann", made.id)
    assert (await facts.add("default", "ann", "One more.")).words == "One more."


async def test_many_at_once_have_no_more_either(database: Database, facts: Facts) -> None:
    await database.write(Step(Query(insert(person)), {**dataclasses.asdict(a_person("ann")), "changed_at_ms": 1}))
    for number in range(MOST_FACTS - 3):
        await facts.add("default", "ann", f"Fact {number}.")

    added = [facts.add("default", "ann", f"At once {number}.") for number in range(12)]
    results = await asyncio.gather(*added, return_exceptions=True)

    assert sum(isinstance(result, FrontdeskError) for result in results) == 9
    assert len(await told(database)) == MOST_FACTS


async def test_a_device_may_say_the_same_again(database: Database, facts: Facts) -> None:
    fact_id = f"fact_{'1' * 32}"

    async def keep(line: str) -> FrontdeskError | None:
        return await database.transact(lambda: keeping("default", "ann", fact_id, line, 1))

    assert await keep("I like tea.") is None
    assert await keep("I like tea.") is None
    assert await keep("I like coffee.") is None

    (row,) = await facts.page("default", "ann", "", 9)
    assert (row.id, row.words) == (fact_id, "I like coffee.")


async def test_what_is_noticed_is_kept_once_and_with_its_response(database: Database, facts: Facts) -> None:
    await facts.add("default", "ann", "I like tea.")
    lines = [("fact_a", "I LIKE tea."), ("fact_b", "I live in Rome."), ("fact_c", "I live in  Rome.")]

    await database.transact(lambda: noticing("default", "ann", lines, "resp_1", 5))

    rows = await facts.page("default", "ann", "", 9)
    assert sorted((row.words, row.response) for row in rows) == [("I like tea.", None), ("I live in Rome.", "resp_1")]


async def test_they_become_the_users_whatever_was_on_its_way(database: Database, facts: Facts) -> None:
    for each in (a_person("anon_1", became="ann"), a_person("ann")):
        await database.write(Step(Query(insert(person)), {**dataclasses.asdict(each), "changed_at_ms": 1}))
    same = f"fact_{'2' * 32}"
    await database.transact(lambda: keeping("default", "ann", same, "The user's.", 1))
    await database.transact(lambda: keeping("default", "anon_1", same, "The anonymous one's.", 1))
    await facts.add("default", "anon_1", "Theirs alone.")

    await database.transact(lambda: move_all("default", "anon_1", "ann", 2))
    await database.transact(lambda: noticing("default", "anon_1", [("fact_l", "Late.")], "resp_1", 3))

    assert sorted(await told(database)) == ["Late.", "The user's.", "Theirs alone."]
    assert await told(database, Caller("user", "sess_9", "anon_1")) == []


# --- routes -------------------------------------------------------------------------------------


def routes_of(desk: Desk, database: Database) -> None:
    routes = FactRoutes(Facts(database, desk.clock), desk.gate, desk.idempotency).routes()
    desk.application = Edge({}, Routes(routes, Routes([], None)))  # type: ignore[arg-type]


async def test_a_person_sees_changes_and_erases_them(database: Database, tmp_path: Path) -> None:
    async with desk_of(database, tmp_path) as desk:
        routes_of(desk, database)
        token, others = await token_of(desk), await token_of(desk, "u2")

        async def ask(method: str, path: str, body: Any = None, bearer: str = token, **headers: str) -> Any:
            answer = await desk.ask(method, path, body, bearer=bearer, **headers)
            assert answer.headers.get("cache-control") == "no-store" or answer.status >= 400
            return answer

        made = (await ask("POST", "/api/facts", {"words": "I like tea."}, idempotency_key="k1")).body
        again = (await ask("POST", "/api/facts", {"words": "I like tea."}, idempotency_key="k1")).body
        listed = (await ask("GET", "/api/facts")).body
        changed = (await ask("PATCH", f"/api/facts/{made['id']}", {"words": "I like coffee."})).body
        found = (await ask("GET", f"/api/facts/{made['id']}")).body
        strangers = await ask("GET", f"/api/facts/{made['id']}", bearer=others)
        keys = await ask("GET", "/api/facts", bearer=ADMIN_KEY)
        wrong = await ask("POST", "/api/facts", {"words": "x", "mood": "fine"})
        erased = (await ask("DELETE", f"/api/facts/{made['id']}")).body
        gone = await ask("DELETE", f"/api/facts/{made['id']}")

    now = int(desk.clock.now())
    assert made == {
        "id": made["id"],
        "object": "fact",
        "words": "I like tea.",
        "response_id": None,
        "created_at": now,
        "changed_at": now,
    }
    assert again == made
    assert (listed["data"], listed["has_more"]) == ([made], False)
    assert changed == found == {**made, "words": "I like coffee."}
    assert (strangers.status, strangers.code) == (404, "fact_not_found")
    assert (keys.status, keys.code) == (403, "forbidden")
    assert (wrong.status, wrong.body["error"]["param"]) == (400, "mood")
    assert erased == {"id": made["id"], "object": "fact", "deleted": True}
    assert (gone.status, gone.code) == (404, "fact_not_found")
