"""An anonymous person signs in: all that is theirs becomes the user's, once. On both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam, select

from frontdesk.accounts.service import Accounts, Session
from frontdesk.accounts.store import AccountStore, moves
from frontdesk.accounts.tokens import Claims, RefreshClaims, TokenSigner
from frontdesk.changes.store import Change, ChangeStore, note
from frontdesk.core.errors import BadRequest
from frontdesk.storage.database import Database, open_beside, open_database
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import change, feedback, idempotency_key, metadata, session, sync_head, turn
from frontdesk.turn.turn import Caller
from frontdesk.usage.recorder import TurnRecorder
from frontdesk.usage.store import TurnReader, TurnStore
from tests.accounts.opened import CountingDatabase, begun, code_of, opened, refusal_of, use
from tests.accounts.rows import a_session
from tests.fakes import HandClock, make_turn

# Changes are numbered, and known by what they are of; a test of their own moves them.
OF_PERSONS = [table for table in metadata.sorted_tables if "person" in table.c and table not in (change, sync_head)]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["session token", "refresh token"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which of its tokens an anonymous session shows."""
    return request.param


def token_of(anonymous: Session, kind: str) -> str:
    assert anonymous.refresh_token is not None
    return anonymous.token if kind == "session token" else anonymous.refresh_token


# --- what is moved ------------------------------------------------------------------------------


def test_person_is_in_no_key_of_what_is_moved() -> None:
    """Two people's rows could not become one's by changing that name: such a table needs a rule of its own, as the keys
    of repeated requests and feedback have.
    """
    for table in moves.MOVED:
        if table in moves.NAMED_BY_PERSON:
            continue
        uniques = [
            table.primary_key.columns,
            *(index.columns for index in table.indexes if index.unique),
            *(each.columns for each in table.constraints if isinstance(each, sa.UniqueConstraint)),
        ]
        assert [columns for columns in uniques if "person" in columns] == [], table.name


def filled(table: sa.Table, **values: object) -> dict[str, object]:
    """A row with something in every column."""
    kinds: list[tuple[type, Any]] = [(sa.Boolean, True), (sa.Integer, 1), (sa.LargeBinary, b"x")]
    row = {
        column.name: next((value for kind, value in kinds if isinstance(column.type, kind)), "x") for column in table.c
    }
    return {**row, **values}


async def count(database: Database, table: sa.Table, tenant: str, person: str) -> int:
    query = Query(
        select(sa.func.count()).where(table.c.tenant == bindparam("tenant"), table.c.person == bindparam("person"))
    )
    return (await database.read(query, {"tenant": tenant, "person": person}))[0][0]


@pytest.mark.parametrize("table", OF_PERSONS, ids=lambda table: table.name)
async def test_everything_of_the_anonymous_person_becomes_the_users(
    database: Database, clock: HandClock, kind: str, table: sa.Table
) -> None:
    """Whatever table has people. Sessions alone stay with whom they were given, and end."""
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    namesake = await begun(accounts, anonymous.person, tenant="other")
    await accounts.assign_tier("default", "u1", "gold")
    add = Query(insert(table))
    for tenant, person, row_id in (
        ("default", anonymous.person, "1"),
        ("default", "u1", "2"),
        ("other", anonymous.person, "1"),
    ):
        ids = {name: row_id for name in ("id", "number", "key", "response", "conversation") if name in table.c}
        await database.write(Step(add, filled(table, tenant=tenant, person=person, **ids)))
    before = await count(database, table, "other", namesake.person)

    assert await accounts.upgrade(token_of(anonymous, kind), "default", "u1") == anonymous.person

    moved = 0 if table is session else 1
    assert await count(database, table, "default", anonymous.person) == (2 - 2 * moved)
    assert await count(database, table, "default", "u1") == 1 + moved
    assert await count(database, table, "other", namesake.person) == before
    assert await code_of(accounts, namesake.token) is None


async def test_their_changes_come_behind_the_users_own_also_those_that_come_late(
    database: Database, clock: HandClock
) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)

    async def change_something(person: str, name: str) -> None:
        def work() -> Generator[Step, list[Row], None]:
            yield note(Change("default", person, "", "fact", name))

        await database.transact(work)

    await change_something("u1", "fact_1")
    await change_something(anonymous.person, "fact_2")
    await accounts.upgrade(anonymous.token, "default", "u1")
    await change_something(anonymous.person, "fact_3")
    await accounts.sweep_upgrades()
    await change_something("u1", "fact_4")

    rows = await ChangeStore(database).after("default", "u1", 0, 10)
    assert [(row.seq, row.id) for row in rows] == [(1, "fact_1"), (2, "fact_2"), (3, "fact_3"), (4, "fact_4")]


async def test_of_a_response_on_which_both_said_something_the_users_word_counts(
    database: Database, clock: HandClock
) -> None:
    """The anonymous one's may have been on its way when they signed in, and be moved by a sweep."""
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    add = Query(insert(feedback))

    async def say(person: str, response: str, comment: str, tenant: str = "default") -> None:
        ids = {"credential": "", "response": response, "id": f"fb_{tenant}_{comment}"}
        await database.write(Step(add, filled(feedback, tenant=tenant, person=person, comment=comment, **ids)))

    await say("u1", "resp_1", "the user's")
    await say(anonymous.person, "resp_1", "the anonymous one's")
    await say(anonymous.person, "resp_2", "only theirs")
    await say(anonymous.person, "resp_1", "another tenant's", "other")
    await say("u2", "resp_2", "a stranger's")

    await accounts.upgrade(anonymous.token, "default", "u1")
    await say(anonymous.person, "resp_2", "late")
    await say(anonymous.person, "resp_3", "late, and alone")
    await accounts.sweep_upgrades()

    of = feedback.c
    rows = await database.read(Query(select(of.person, of.response, of.comment).order_by(of.response, of.comment)))
    assert rows == [
        (anonymous.person, "resp_1", "another tenant's"),
        ("u1", "resp_1", "the user's"),
        ("u2", "resp_2", "a stranger's"),
        ("u1", "resp_2", "only theirs"),
        ("u1", "resp_3", "late, and alone"),
    ]
    assert (await database.read(Query(select(of.rating).where(of.comment == "only theirs"))))[0][0] == "x"


async def keys_of(database: Database) -> list[tuple[str, str, bytes, int]]:
    """Whose keys there are, and what was kept under each."""
    of = idempotency_key.c
    return await database.read(
        Query(select(of.person, of.key, of.answer, of.created_at_ms).order_by(of.key, of.person))
    )


@pytest.mark.parametrize(
    ("anonymous_ms", "users_ms", "expected"), [(5, 4, b"anonymous"), (4, 5, b"user"), (5, 5, b"user")]
)
async def test_of_a_key_that_both_have_used_the_later_counts(
    database: Database, clock: HandClock, anonymous_ms: int, users_ms: int, expected: bytes
) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    add = Query(insert(idempotency_key))
    both = [(anonymous.person, b"anonymous", anonymous_ms), ("u1", b"user", users_ms)]
    for person, answer, created_at_ms in both:
        row = filled(idempotency_key, tenant="default", person=person, answer=answer, created_at_ms=created_at_ms)
        await database.write(Step(add, {**row, "key": "same"}))
    other = filled(idempotency_key, tenant="default", person="u2", answer=b"other", created_at_ms=9)
    await database.write(Step(add, {**other, "key": "same"}))
    for route in ("a", "b"):
        mine = filled(idempotency_key, tenant="default", person=anonymous.person, answer=b"mine", created_at_ms=1)
        await database.write(Step(add, {**mine, "key": "alone", "route": route}))

    await accounts.upgrade(anonymous.token, "default", "u1")

    assert await keys_of(database) == [
        ("u1", "alone", b"mine", 1),
        ("u1", "alone", b"mine", 1),
        ("u1", "same", expected, max(anonymous_ms, users_ms)),
        ("u2", "same", b"other", 9),
    ]


async def test_a_key_moves_once_what_was_asked_under_it_is_done(database: Database, clock: HandClock) -> None:
    """Who does it finds its claim by the name that it was made with. That of a turn goes at once: a retry attaches."""
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    add = Query(insert(idempotency_key))
    states: dict[str, dict[str, object]] = {
        "being done": {"http_status": None, "response": None, "answer": None},
        "done": {"response": None},
        "in doubt": {"owner": None, "http_status": None, "response": None},
        "of a turn": {"http_status": None},
    }
    for key, state in states.items():
        row = filled(idempotency_key, tenant="default", person=anonymous.person, key=key)
        await database.write(Step(add, {**row, **state}))

    await accounts.upgrade(anonymous.token, "default", "u1")

    of = idempotency_key.c
    whose = Query(select(of.key, of.person).order_by(of.key))
    moved = dict.fromkeys(states, "u1")
    assert dict(await database.read(whose)) == {**moved, "being done": anonymous.person}

    done = Query(sa.update(idempotency_key).values(http_status=200))
    await database.write(Step(done))
    await accounts.sweep_upgrades()
    assert dict(await database.read(whose)) == moved


async def test_the_anonymous_sessions_end_and_the_user_comes_into_being(
    database: Database, clock: HandClock, kind: str
) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    phone = await begun(here, None)
    tablet = await begun(here, phone.person, is_anonymous=True, is_refreshable=True)
    for accounts in (here, elsewhere):
        assert await code_of(accounts, phone.token) is None

    await here.upgrade(token_of(phone, kind), "default", "u1")
    await elsewhere.refresh()

    for accounts in (here, elsewhere, await opened(database, clock)):
        for each in (phone, tablet):
            assert await code_of(accounts, each.token) == "token_revoked"
            refused = await refusal_of(accounts.refresh_session(token_of(each, "refresh token")))
            assert refused == (401, "token_revoked")
    user = await here.find_person("default", "u1")
    assert (user.id, user.tier, user.became) == ("u1", None, None)
    assert (await here.find_person("default", phone.person)).became == "u1"
    assert [row.id for row in await here.list_persons("default", "", 9)] == ["u1"]


# --- who may ------------------------------------------------------------------------------------


async def test_the_same_upgrade_again_is_harmless(database: Database, clock: HandClock, kind: str) -> None:
    """A reply that was lost is asked for again, maybe after the token has expired."""
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)

    for _ in range(3):
        assert await accounts.upgrade(token_of(anonymous, kind), "default", "u1") == anonymous.person
        clock.move(3600)

    user = await begun(accounts, "u1")
    assert await code_of(accounts, user.token) is None


async def test_nobody_takes_over_whom_another_has(database: Database, clock: HandClock, kind: str) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    await accounts.upgrade(token_of(anonymous, kind), "default", "u1")

    assert await refusal_of(accounts.upgrade(token_of(anonymous, kind), "default", "u2")) == (400, "not_anonymous")

    assert (await accounts.find_person("default", anonymous.person)).became == "u1"


async def test_a_user_is_nobodys_anonymous_person(database: Database, clock: HandClock, kind: str) -> None:
    accounts = await opened(database, clock)
    user = await begun(accounts, "u2", is_refreshable=True)
    anonymous = await begun(accounts, None)

    assert await refusal_of(accounts.upgrade(token_of(user, kind), "default", "u1")) == (400, "not_anonymous")
    itself = await refusal_of(accounts.upgrade(token_of(anonymous, kind), "default", anonymous.person))

    assert itself == (400, "not_anonymous")
    assert [await code_of(accounts, each.token) for each in (user, anonymous)] == [None, None]


async def test_nobody_becomes_whom_nobody_is_any_more(database: Database, clock: HandClock, kind: str) -> None:
    """What was theirs would lie with a person whom no token is of."""
    accounts = await opened(database, clock)
    first, second, third = [await begun(accounts, None) for _ in range(3)]
    await accounts.upgrade(token_of(second, kind), "default", "u1")

    with pytest.raises(BadRequest, match=rf"{second.person}' signed in and became 'u1'") as caught:
        await accounts.upgrade(token_of(first, kind), "default", second.person)

    assert (caught.value.code, caught.value.param) == ("invalid_value", "user")
    assert await code_of(accounts, first.token) is None
    assert (await accounts.find_person("default", first.person)).became is None
    assert await accounts.upgrade(token_of(first, kind), "default", third.person) == first.person
    assert await refusal_of(accounts.upgrade(token_of(third, kind), "default", first.person)) == (400, "invalid_value")
    assert await code_of(accounts, third.token) is None


@pytest.mark.parametrize("ends", ["by itself", "by its person", "by time", "by all of its tenant"])
async def test_a_token_that_does_not_hold_upgrades_nobody(
    database: Database, clock: HandClock, kind: str, ends: str
) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    if ends == "by itself":
        await accounts.end_session("default", anonymous.id)
    elif ends == "by its person":
        await accounts.end_sessions_of("default", anonymous.person)
    elif ends == "by all of its tenant":
        await accounts.end_all_sessions("default")
    else:
        clock.move(31 * 24 * 3600)

    with pytest.raises(BadRequest) as caught:
        await accounts.upgrade(token_of(anonymous, kind), "default", "u1")

    assert (caught.value.code, caught.value.param) == ("invalid_value", "anonymous_token")
    assert (await accounts.find_person("default", anonymous.person)).became is None


@pytest.mark.parametrize("token", ["", "nonsense", "fd_st_x.y", "fd_rt_x.y", "a.b.c", "\ud800"])
async def test_what_is_no_token_upgrades_nobody(database: Database, clock: HandClock, token: str) -> None:
    accounts = await opened(database, clock)

    assert await refusal_of(accounts.upgrade(token, "default", "u1")) == (400, "invalid_value")


async def test_another_tenants_token_is_like_none(database: Database, clock: HandClock, kind: str) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None, tenant="other")
    await AccountStore(database, "default").ensure_person(anonymous.person, 1_000)

    assert await refusal_of(accounts.upgrade(token_of(anonymous, kind), "default", "u1")) == (400, "invalid_value")
    assert await code_of(accounts, anonymous.token) is None


async def test_another_tenants_token_is_like_none_though_its_session_has_a_namesake(
    database: Database, clock: HandClock
) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    signer = TokenSigner(await AccountStore(database).signing_secret())
    for token in (
        signer.sign(Claims(anonymous.id, anonymous.person, None, anonymous.expires_at, "other")),
        signer.sign_refresh(RefreshClaims(anonymous.id, 0, "other")),
    ):
        assert await refusal_of(accounts.upgrade(token, "default", "u1")) == (400, "invalid_value")


async def test_a_reused_refresh_token_upgrades_nobody_and_ends_its_session(
    database: Database, clock: HandClock
) -> None:
    accounts = await opened(database, clock)
    first = await begun(accounts, None)
    second = await accounts.refresh_session(token_of(first, "refresh token"))
    await use(accounts, second)
    clock.move(61)

    refused = await refusal_of(accounts.upgrade(token_of(first, "refresh token"), "default", "u1"))

    assert refused == (400, "invalid_value")
    assert await code_of(accounts, second.token) == "token_revoked"


async def test_who_lost_the_reply_of_a_refresh_upgrades_with_what_they_have(
    database: Database, clock: HandClock
) -> None:
    accounts = await opened(database, clock)
    first = await begun(accounts, None)
    await accounts.refresh_session(token_of(first, "refresh token"))
    clock.move(3600)

    assert await accounts.upgrade(token_of(first, "refresh token"), "default", "u1") == first.person


async def test_a_session_that_ends_while_it_is_looked_at_upgrades_nobody(
    database: Database, clock: HandClock, kind: str
) -> None:
    counting = CountingDatabase(database)
    accounts, elsewhere = await opened(counting, clock), await opened(database, clock)
    anonymous = await begun(accounts, None)

    counting.meanwhile = lambda: elsewhere.end_session("default", anonymous.id)

    assert await refusal_of(accounts.upgrade(token_of(anonymous, kind), "default", "u1")) == (400, "invalid_value")
    assert (await accounts.find_person("default", anonymous.person)).became is None


async def test_an_upgrade_that_comes_second_moves_and_ends_nothing(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    store = AccountStore(database)
    anonymous = await begun(accounts, None)
    row = await store.find_session(anonymous.id)
    assert row is not None
    await accounts.upgrade(anonymous.token, "default", "u1")
    late = a_session("sess_late", person=anonymous.person, is_anonymous=True)
    await store.create_session(late, 1_000)
    await database.write(Step(Query(insert(turn)), filled(turn, tenant="default", id="1", person=anonymous.person)))

    assert await store.upgrade(late, "u2", 2_000) is None
    await store.move_rest(anonymous.person, "u2", 2_000)

    assert await count(database, turn, "default", anonymous.person) == 1
    assert await store.find_session("sess_late") == late


# --- at once ------------------------------------------------------------------------------------


@pytest.fixture
async def several(database_url: str, clock: HandClock) -> AsyncIterator[list[Accounts]]:
    """Processes on one database, each with its own connections."""
    databases = [await open_database(database_url), *[await open_beside(database_url) for _ in range(3)]]
    yield [await opened(database, clock) for database in databases]
    for database in reversed(databases):
        await database.close()


async def test_of_many_users_at_once_one_wins(several: list[Accounts], clock: HandClock) -> None:
    for _ in range(5):
        anonymous = await begun(several[0], None)

        told = await asyncio.gather(
            *(several[number % 4].upgrade(anonymous.token, "default", f"u{number // 2}") for number in range(12)),
            return_exceptions=True,
        )

        became = (await several[0].find_person("default", anonymous.person)).became
        winner = None if became is None else int(became.removeprefix("u"))
        assert [number for number, each in enumerate(told) if each == anonymous.person] == [
            number for number in range(12) if number // 2 == winner
        ]
        assert {each.code for each in told if isinstance(each, BadRequest)} == {"not_anonymous"}
        assert await code_of(several[0], anonymous.token) == "token_revoked"


async def test_of_two_who_become_each_other_one_does(several: list[Accounts], clock: HandClock) -> None:
    for _ in range(20):
        one, other = await begun(several[0], None), await begun(several[1], None)

        told = await asyncio.gather(
            several[2].upgrade(one.token, "default", other.person),
            several[3].upgrade(other.token, "default", one.person),
            return_exceptions=True,
        )

        became = {(await several[0].find_person("default", each.person)).became for each in (one, other)}
        assert len(became - {None}) == 1
        assert [each.code for each in told if isinstance(each, BadRequest)] == ["invalid_value"]
        assert {each for each in told if isinstance(each, str)} == {one.person, other.person} - became


async def test_an_upgrade_beside_a_refresh_leaves_no_anonymous_session(
    several: list[Accounts], clock: HandClock
) -> None:
    for round_ in range(8):
        anonymous = await begun(several[0], None)
        refreshing = [
            asyncio.ensure_future(several[number % 4].refresh_session(token_of(anonymous, "refresh token")))
            for number in range(4)
        ]
        for _ in range(round_):
            await asyncio.sleep(0)
        await several[round_ % 4].upgrade(anonymous.token, "default", "u1")

        for told in await asyncio.gather(*refreshing, return_exceptions=True):
            for accounts in several:
                await accounts.refresh()
                if isinstance(told, Session):
                    assert await code_of(accounts, told.token) == "token_revoked"
                    refused = await refusal_of(accounts.refresh_session(token_of(told, "refresh token")))
                    assert refused == (401, "token_revoked")


# --- turns that still run -----------------------------------------------------------------------


async def test_turns_that_end_after_the_upgrade_are_the_users_too(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    store = TurnStore(database, owner="proc_1", clock=clock)
    recorder, reader = TurnRecorder(store, database), TurnReader(database, "default")
    anonymous = await begun(accounts, None)
    caller = Caller("user", anonymous.id, anonymous.person, is_anonymous=True)
    long, short, late = (make_turn(clock, caller=caller) for _ in range(3))
    recorder.started(long)
    await written(store, database)

    recorder.started(short)
    await accounts.upgrade(anonymous.token, "default", "u1")
    for each in (long, short, late):
        each.status = "completed"
        recorder.settled(each)
    await written(store, database)
    assert [await person_of(reader, each.id) for each in (long, short, late)] == [
        "u1",
        anonymous.person,
        anonymous.person,
    ]

    await accounts.sweep_upgrades()

    assert [await person_of(reader, each.id) for each in (long, short, late)] == ["u1", "u1", "u1"]
    recorder.settled(late)
    await written(store, database)
    assert await person_of(reader, late.id) == "u1"


async def test_a_sweep_stays_within_tenants_and_upgrades(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    await accounts.upgrade(anonymous.token, "default", "u1")
    other = await begun(accounts, None)
    add = Query(insert(turn))
    kept = [("other", anonymous.person), ("default", other.person), ("default", "u2")]
    for tenant, person in kept:
        await database.write(Step(add, filled(turn, tenant=tenant, id=person, person=person)))

    await accounts.sweep_upgrades()

    assert [await count(database, turn, tenant, person) for tenant, person in kept] == [1, 1, 1]


async def test_nothing_is_written_where_nothing_is_left_behind(database: Database, clock: HandClock) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    await accounts.upgrade((await begun(accounts, None)).token, "default", "u1")
    writes = counting.writes

    await accounts.sweep_upgrades()

    assert counting.writes == writes


async def test_what_turns_up_a_day_later_is_moved_and_later_nobody_looks(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    await accounts.upgrade(anonymous.token, "default", "u1")
    add = Query(insert(turn))

    for row_id, moves_s, expected in (("1", 24 * 3600, "u1"), ("2", 2 * 3600, anonymous.person)):
        clock.move(moves_s)
        await database.write(Step(add, filled(turn, tenant="default", id=row_id, person=anonymous.person)))
        await accounts.sweep_upgrades()
        assert await count(database, turn, "default", expected) == 1


async def written(store: TurnStore, database: Database) -> None:
    store.close()
    await database.flush()


async def person_of(reader: TurnReader, turn_id: str) -> str | None:
    found = await reader.find(turn_id)
    assert found is not None
    return found.person
