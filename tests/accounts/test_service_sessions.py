"""How sessions begin, go on and end. On both engines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.accounts.service import Accounts, Session
from frontdesk.accounts.store import AccountStore
from frontdesk.core.errors import BadRequest, Forbidden, NotFound, Unauthenticated
from frontdesk.storage.database import Database, open_beside, open_database
from tests.accounts.opened import CountingDatabase, bearer, begun, code_of, opened, refusal_of, use
from tests.accounts.rows import a_session
from tests.fakes import HandClock

DAY_S = 24 * 3600
YEAR_S = 366 * DAY_S


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def refresh_token_of(session: Session) -> str:
    assert session.refresh_token is not None
    return session.refresh_token


# --- how they begin -----------------------------------------------------------------------------


async def test_a_session_tells_what_its_person_holds(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    now = int(clock.now())

    plain = await begun(accounts, "u1", expires_in_s=60)
    refreshable = await begun(accounts, "u1", expires_in_s=60, is_refreshable=True)
    anonymous = await begun(accounts, None)

    assert (plain.person, plain.expires_at, plain.refresh_token, plain.refresh_expires_at, plain.is_anonymous) == (
        "u1",
        now + 60,
        None,
        None,
        False,
    )
    assert (refreshable.expires_at, refreshable.refresh_expires_at) == (now + 60, now + 30 * DAY_S)
    assert refresh_token_of(refreshable).startswith("fd_rt_")
    assert anonymous.is_anonymous
    assert (await accounts.identify(bearer(anonymous.token))).is_anonymous


async def test_anonymous_people_are_all_different(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)

    people = {(await begun(accounts, None)).person for _ in range(5)}

    assert len(people) == 5
    assert all(person.startswith("anon_") for person in people)


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"person": ""}, "user"),
        ({"person": "x" * 129}, "user"),
        ({"person": "a\nb"}, "user"),
        ({"person": "a\x00"}, "user"),
        ({"person": "\ud800"}, "user"),
        ({"expires_in_s": 0}, "expires_in"),
        ({"expires_in_s": YEAR_S + 1}, "expires_in"),
    ],
)
async def test_what_cannot_be_is_refused(database: Database, values: dict[str, Any], param: str) -> None:
    accounts = await opened(database, HandClock())

    with pytest.raises(BadRequest) as caught:
        await begun(accounts, **values)

    assert (caught.value.code, caught.value.param) == ("invalid_value", param)
    assert param in caught.value.message


async def test_a_token_carries_as_much_as_the_one_that_began_it(database: Database, clock: HandClock) -> None:
    """As many groups as an identity provider's token may have: fewer are for those that a key names alone."""
    accounts = await opened(database, clock)
    names = [f"{number:03}{'🙂' * 125}" for number in range(200)]
    session = await begun(accounts, "🙂" * 128, groups=tuple(names), features=frozenset(names), expires_in_s=YEAR_S)

    caller = await accounts.identify(bearer(session.token))

    assert (caller.groups, caller.features) == (tuple(names), frozenset(names))


async def test_a_session_ends_with_the_token_that_began_it(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts, not_after=clock.now() + 60.5, is_refreshable=True)
    assert (session.expires_at, session.refresh_expires_at) == (int(clock.now()) + 60, int(clock.now()) + 60)

    clock.move(50)
    session = await accounts.refresh_session(refresh_token_of(session))
    assert session.expires_at == int(clock.now()) + 10
    clock.move(10)

    assert await code_of(accounts, session.token) == "token_expired"
    assert await refusal_of(begun(accounts, not_after=clock.now())) == (401, "token_expired")


async def test_a_session_of_somebody_who_became_another_is_refused_by_name(
    database: Database, clock: HandClock
) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None)
    await accounts.upgrade(anonymous.token, "default", "u1")

    with pytest.raises(BadRequest, match=r"became 'u1'"):
        await begun(accounts, anonymous.person)


# --- how they go on -----------------------------------------------------------------------------


async def test_a_session_goes_on_with_a_new_pair(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    first = await begun(accounts, groups=("red",), features=frozenset({"b", "a"}), app="ios", is_refreshable=True)
    clock.move(500)

    second = await accounts.refresh_session(refresh_token_of(first))

    assert (second.id, second.person, second.expires_at) == (first.id, "u1", int(clock.now()) + 600)
    assert second.refresh_expires_at == int(clock.now()) + 30 * DAY_S
    assert second.token != first.token
    assert second.refresh_token != first.refresh_token
    caller = await accounts.identify(bearer(second.token))
    assert (caller.groups, caller.features, caller.app) == (("red",), frozenset({"a", "b"}), "ios")
    assert await code_of(accounts, first.token) is None  # until it expires


async def test_a_repeated_refresh_gets_the_same_pair_in_any_process(database: Database, clock: HandClock) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    first = await begun(here, features=frozenset(str(number) for number in range(20)), is_refreshable=True)
    clock.move(100)

    pairs = [await here.refresh_session(refresh_token_of(first))]
    clock.move(60)
    pairs.append(await elsewhere.refresh_session(refresh_token_of(first)))
    pairs.append(await here.refresh_session(refresh_token_of(first)))

    assert pairs[1:] == pairs[:1] * 2
    # A set has another order in each process.
    claims = here._signer.check(pairs[0].token)
    assert claims is not None
    assert claims.features == tuple(sorted(str(number) for number in range(20)))


@pytest.mark.parametrize("away_s", [61, 3600, 29 * DAY_S])
async def test_a_reply_that_nobody_got_can_be_asked_for_again_whenever(
    database: Database, clock: HandClock, away_s: int
) -> None:
    """And once more, for that reply may be lost as well. What is told counts from then."""
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    first = await begun(here, None)
    lost = await here.refresh_session(refresh_token_of(first))
    clock.move(away_s)
    await elsewhere.refresh_session(refresh_token_of(first))
    clock.move(away_s)

    told = await here.refresh_session(refresh_token_of(first))

    assert (told.refresh_token, told.expires_at) == (lost.refresh_token, int(clock.now()) + 600)
    assert told.refresh_expires_at == int(clock.now()) + 30 * DAY_S
    assert await code_of(elsewhere, told.token) is None
    await use(here, told)
    assert (await here.refresh_session(refresh_token_of(told))).person == first.person


@pytest.mark.parametrize("late_s", [60, 61])
async def test_once_the_reply_is_used_what_asked_for_it_is_good_for_a_minute(
    database: Database, clock: HandClock, late_s: int
) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    first = await begun(here, None)
    await here.refresh_session(refresh_token_of(first))
    clock.move(3600)
    told = await here.refresh_session(refresh_token_of(first))
    clock.move(10)
    await use(here, told)
    clock.move(late_s)

    late = elsewhere.refresh_session(refresh_token_of(first))

    if late_s <= 60:
        assert await late == told
    else:
        assert await refusal_of(late) == (401, "refresh_token_reused")


async def test_second_tabs_have_their_minute_though_another_process_noted_the_use_by_a_slow_clock(
    database: Database, clock: HandClock
) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, HandClock(clock.now() - 120))
    first = await begun(here, None)
    told = await here.refresh_session(refresh_token_of(first))
    await use(elsewhere, told)
    clock.move(59)

    assert await here.refresh_session(refresh_token_of(first)) == told
    clock.move(2)
    assert await refusal_of(here.refresh_session(refresh_token_of(first))) == (401, "refresh_token_reused")


async def test_a_use_that_is_kept_after_the_pair_was_told_again_ends_no_session_at_once(
    database: Database, clock: HandClock
) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    first = await begun(here, None)
    await here.identify(bearer((await here.refresh_session(refresh_token_of(first))).token))
    clock.move(61)
    told = await elsewhere.refresh_session(refresh_token_of(first))
    await here.refresh()
    await database.flush()

    assert await elsewhere.refresh_session(refresh_token_of(first)) == told
    clock.move(61)
    assert await refusal_of(elsewhere.refresh_session(refresh_token_of(first))) == (401, "refresh_token_reused")


async def test_of_two_who_have_one_refresh_token_neither_goes_on_for_long(database: Database, clock: HandClock) -> None:
    """Whoever of them comes first: both ask with what they are told."""
    accounts = await opened(database, clock)
    stolen = await begun(accounts, None)
    owners = await accounts.refresh_session(refresh_token_of(stolen))
    await use(accounts, owners)
    clock.move(61)

    assert await refusal_of(accounts.refresh_session(refresh_token_of(stolen))) == (401, "refresh_token_reused")
    assert await code_of(accounts, owners.token) == "token_revoked"


async def test_the_first_use_of_each_token_is_written_once(database: Database, clock: HandClock) -> None:
    class Noting(CountingDatabase):
        noted: list[Any]

        def enqueue_rows(self, query: Any, rows: Any, lane: Any) -> None:
            self.noted += [(row["of_id"], row["of_number"]) for row in rows]
            self._database.enqueue_rows(query, rows, lane)

    noting = Noting(database)
    noting.noted = []
    accounts = await opened(noting, clock)
    session = await begun(accounts, None)
    expected = []
    for number in range(3):
        for _ in range(3):
            await accounts.identify(bearer(session.token))
            await accounts.refresh()
            await accounts.end_all_sessions("other")  # then nothing is known any more
        expected += [(session.id, number)] if number else []  # nothing comes before the first
        session = await accounts.refresh_session(refresh_token_of(session))

    assert noting.noted == expected


@pytest.mark.parametrize("late_s", [0, 30, 61])
async def test_reuse_ends_the_session(
    database: Database, clock: HandClock, late_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the last one a minute after what it brought was used; of an older one at once."""
    accounts = await opened(database, clock)
    first = await begun(accounts, is_refreshable=True)
    second = await accounts.refresh_session(refresh_token_of(first))
    await use(accounts, second)
    if late_s <= 60:
        second = await accounts.refresh_session(refresh_token_of(second))
    clock.move(late_s)

    with caplog.at_level(logging.WARNING):
        reused = await refusal_of(accounts.refresh_session(refresh_token_of(first)))

    assert reused == (401, "refresh_token_reused")
    assert f"refresh_token_reused session={first.id}" in caplog.text
    assert refresh_token_of(first) not in caplog.text
    assert await code_of(accounts, second.token) == "token_revoked"
    assert await refusal_of(accounts.refresh_session(refresh_token_of(second))) == (401, "token_revoked")
    assert await refusal_of(accounts.refresh_session(refresh_token_of(first))) == (401, "token_revoked")


async def test_a_store_that_was_set_back_ends_the_session(database: Database, clock: HandClock) -> None:
    """A token that it does not know of yet says that the current one was used."""
    accounts = await opened(database, clock)
    first = await begun(accounts, is_refreshable=True)
    second = await accounts.refresh_session(refresh_token_of(first))
    twin = await begun(accounts, is_refreshable=True)
    claims = accounts._signer.check_refresh(refresh_token_of(second))
    assert claims is not None

    ahead = accounts._signer.sign_refresh(type(claims)(twin.id, 1, "default"))

    assert await refusal_of(accounts.refresh_session(ahead)) == (401, "refresh_token_reused")


async def test_a_refresh_token_holds_for_a_while_after_its_last_use(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock, refresh_ttl_s=1000.0)
    session = await begun(accounts, is_refreshable=True)
    for _ in range(3):
        clock.move(999)
        session = await accounts.refresh_session(refresh_token_of(session))

    clock.move(1000)

    refused = await refusal_of(accounts.refresh_session(refresh_token_of(session)))
    assert refused == (401, "refresh_token_expired")


async def test_no_session_goes_on_for_more_than_a_year(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts, expires_in_s=20 * DAY_S, is_refreshable=True)
    end = int(clock.now()) + YEAR_S
    while clock.now() + 20 * DAY_S < end:
        clock.move(20 * DAY_S)
        session = await accounts.refresh_session(refresh_token_of(session))

    assert (session.expires_at, session.refresh_expires_at) == (end, end)
    clock.move(end - clock.now())
    assert await code_of(accounts, session.token) == "token_expired"
    refused = await refusal_of(accounts.refresh_session(refresh_token_of(session)))
    assert refused == (401, "refresh_token_expired")


async def test_a_refresh_token_lives_at_least_as_long_as_its_session_token(
    database: Database, clock: HandClock
) -> None:
    accounts = await opened(database, clock, refresh_ttl_s=60.0)

    session = await begun(accounts, expires_in_s=DAY_S, is_refreshable=True)

    assert session.refresh_expires_at == session.expires_at == int(clock.now()) + DAY_S


@pytest.mark.parametrize(
    "token", ["", "fd_rt_", "fd_rt_x.y", "fd_sk_x", "fd_rt_\ud800.x", "fd_rt_é.x", "the session's own"]
)
async def test_what_is_no_refresh_token(database: Database, clock: HandClock, token: str) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts, is_refreshable=True)
    shown = session.token if token == "the session's own" else token

    assert await refusal_of(accounts.refresh_session(shown)) == (401, "invalid_token")


async def test_a_refresh_token_is_no_credential(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts, is_refreshable=True)

    with pytest.raises(Unauthenticated, match="/api/sessions/refresh") as caught:
        await accounts.identify(bearer(refresh_token_of(session)))

    assert caught.value.code == "invalid_token"


@pytest.mark.parametrize("ends", ["it", "all of its person", "all of its tenant"])
async def test_an_ended_session_does_not_go_on(database: Database, clock: HandClock, ends: str) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    session = await begun(here, is_refreshable=True)
    clock.move(5)

    if ends == "it":
        await here.end_session("default", session.id)
    elif ends == "all of its person":
        await here.end_sessions_of("default", "u1")
    else:
        await here.end_all_sessions("default")
    await elsewhere.refresh()

    for accounts in (here, elsewhere, await opened(database, clock)):
        refused = await refusal_of(accounts.refresh_session(refresh_token_of(session)))
        assert refused == (401, "token_revoked")


async def test_refreshing_makes_a_session_no_younger(database: Database, clock: HandClock) -> None:
    """A process that has not yet learnt of an end goes on with the session: its new token must not count either."""
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    session = await begun(here, is_refreshable=True)
    clock.move(5)
    await here.end_all_sessions("default")
    clock.move(1)

    refreshed = await elsewhere.refresh_session(refresh_token_of(session))

    assert await code_of(here, refreshed.token) == "token_revoked"
    await elsewhere.refresh()
    assert await code_of(elsewhere, refreshed.token) == "token_revoked"


async def test_who_may_not_go_on_changes_nothing(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts, app="ios", is_refreshable=True)
    asked: list[str | None] = []

    async def refuse(app: str | None) -> None:
        asked.append(app)
        raise Forbidden("No.", code="attestation_failed")

    refused = await refusal_of(accounts.refresh_session(refresh_token_of(session), refuse))

    assert (refused, asked) == ((403, "attestation_failed"), ["ios"])
    row = await AccountStore(database).find_session(session.id)
    assert row is not None
    assert row.refresh_number == 0


# --- at once ------------------------------------------------------------------------------------


@pytest.fixture
async def several(database_url: str, clock: HandClock) -> AsyncIterator[list[Accounts]]:
    """Processes on one database, each with its own connections."""
    databases = [await open_database(database_url), *[await open_beside(database_url) for _ in range(3)]]
    yield [await opened(database, clock) for database in databases]
    for database in reversed(databases):
        await database.close()


async def test_twenty_at_once_get_one_pair(several: list[Accounts], clock: HandClock) -> None:
    session = await begun(several[0], is_refreshable=True)
    clock.move(60)

    pairs = await asyncio.gather(
        *(several[number % 4].refresh_session(refresh_token_of(session)) for number in range(20))
    )

    assert pairs == pairs[:1] * 20
    row = await AccountStore(several[0]._database).find_session(session.id)
    assert row is not None
    assert row.refresh_number == 1


async def test_twenty_who_come_late_get_one_pair(several: list[Accounts], clock: HandClock) -> None:
    session = await begun(several[0], is_refreshable=True)
    lost = await several[0].refresh_session(refresh_token_of(session))
    clock.move(3600)

    pairs = await asyncio.gather(
        *(several[number % 4].refresh_session(refresh_token_of(session)) for number in range(20))
    )

    assert pairs == pairs[:1] * 20
    assert (pairs[0].refresh_token, pairs[0].expires_at) == (lost.refresh_token, int(clock.now()) + 600)


async def test_late_ones_beside_the_next_refresh_leave_one_chain(several: list[Accounts], clock: HandClock) -> None:
    """What they are told is what is current then, or they come too late and the session ends for all."""
    for round_ in range(10):
        first = await begun(several[0], is_refreshable=True)
        second = await several[0].refresh_session(refresh_token_of(first))
        clock.move(100)
        late = [asyncio.ensure_future(several[n].refresh_session(refresh_token_of(first))) for n in range(3)]
        for _ in range(round_):
            await asyncio.sleep(0)
        going_on = asyncio.ensure_future(several[3].refresh_session(refresh_token_of(second)))

        told = await asyncio.gather(going_on, *late, return_exceptions=True)

        row = await AccountStore(several[0]._database).find_session(first.id)
        assert row is not None
        codes = {each.code for each in told if isinstance(each, Unauthenticated)}
        assert codes <= {"refresh_token_reused", "token_revoked"}
        assert (row.revoked_at_ms is not None) == bool(codes)
        assert {each.refresh_token for each in told[1:] if isinstance(each, Session)} <= {second.refresh_token}


async def test_a_refresh_beside_an_end_never_brings_the_session_back(several: list[Accounts], clock: HandClock) -> None:
    for round_ in range(10):
        session = await begun(several[0], is_refreshable=True)
        refreshing = [
            asyncio.ensure_future(several[number % 4].refresh_session(refresh_token_of(session))) for number in range(4)
        ]
        for _ in range(round_):
            await asyncio.sleep(0)
        ending = asyncio.ensure_future(several[round_ % 4].end_session("default", session.id))

        told = await asyncio.gather(*refreshing, return_exceptions=True)
        await ending

        for accounts in several:
            await accounts.refresh()
            for each in told:
                if isinstance(each, Session):
                    assert await code_of(accounts, each.token) == "token_revoked"
                    refused = await refusal_of(accounts.refresh_session(refresh_token_of(each)))
                    assert refused == (401, "token_revoked")
                else:
                    assert isinstance(each, Unauthenticated)
                    assert each.code == "token_revoked"


class Chain:
    """The rules of refresh tokens, said a second time: which number answers how."""

    def __init__(self) -> None:
        self.current = 0
        self.refreshed_at = 0.0
        self.used_at: float | None = None
        self.has_ended = False

    def use(self, now: float) -> None:
        """Somebody asks with the newest session token."""
        if self.used_at is None:
            self.used_at = now

    def present(self, number: int, now: float) -> int | str:
        """The number that is told, or the code of the refusal."""
        if self.has_ended:
            return "token_revoked"
        if number == self.current:
            self.current += 1
            self.refreshed_at = now
            self.used_at = None
            return self.current
        if number == self.current - 1 and (self.used_at is None or now - self.used_at <= 60):
            if now - self.refreshed_at > 60 and self.used_at is None:
                self.refreshed_at = now
            return self.current
        self.has_ended = True
        return "refresh_token_reused"


@pytest.fixture
async def chained(database_url: str) -> AsyncIterator[Database]:
    # Opened here, not by the fixture of all: one database serves many examples.
    database = await open_database(database_url)
    yield database
    await database.close()


PRESENTED = st.lists(
    st.tuples(st.integers(0, 6) | st.just("use"), st.sampled_from([0, 1, 59, 60, 61, 599, 4000])), max_size=14
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(presented=PRESENTED)
async def test_whatever_is_presented_when_there_is_one_chain_at_most(
    chained: Database, presented: list[tuple[int | str, int]]
) -> None:
    """`presented`: how many tokens back from the newest one, and how long after the last. In two processes by turns.

    "use": a request comes with the newest session token.
    """
    clock = HandClock()
    processes = [await opened(chained, clock), await opened(chained, clock)]
    session = await begun(processes[0], is_refreshable=True)
    tokens = [refresh_token_of(session)]
    chain = Chain()
    told: dict[tuple[int, float], Session] = {}
    for turn, (back, after_s) in enumerate(presented):
        clock.move(after_s)
        accounts = processes[turn % 2]
        if isinstance(back, str):
            if await code_of(accounts, session.token) is None:
                await use(accounts, session)
                chain.use(clock.now())
            continue
        number = max(0, len(tokens) - 1 - back)
        expected = chain.present(number, clock.now())

        if isinstance(expected, str):
            assert await refusal_of(accounts.refresh_session(tokens[number])) == (401, expected)
            continue

        session = await accounts.refresh_session(tokens[number])

        assert told.setdefault((expected, chain.refreshed_at), session) == session
        if expected == len(tokens):
            tokens.append(refresh_token_of(session))
        assert refresh_token_of(session) == tokens[expected]
    for accounts in processes:
        await accounts.refresh()
        why_not = "token_revoked" if chain.has_ended else None
        if session.expires_at <= clock.now():
            why_not = "token_expired"
        assert await code_of(accounts, session.token) == why_not


# --- how they end -------------------------------------------------------------------------------


async def test_sessions_are_forgotten_a_day_after_nothing_of_them_holds(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock, refresh_ttl_s=1000.0)
    store = AccountStore(database)
    short, refreshed = await begun(accounts, expires_in_s=1), await begun(accounts, is_refreshable=True)
    ended = await begun(accounts, expires_in_s=1)
    await accounts.end_session("default", ended.id)
    clock.move(900)
    refreshed = await accounts.refresh_session(refresh_token_of(refreshed))

    async def are_there() -> list[bool]:
        return [await store.find_session(each.id) is not None for each in (short, ended, refreshed)]

    for moves_s, expected in ((DAY_S - 899, [True] * 3), (3600, [False, False, False])):
        clock.move(moves_s)
        await accounts.sweep_sessions()
        assert await are_there() == expected
    assert await refusal_of(accounts.refresh_session(refresh_token_of(refreshed))) == (401, "token_revoked")
    assert (await accounts.find_person("default", "u1")).id == "u1"


async def test_nobody_looks_for_an_hour_where_none_were_left(database: Database, clock: HandClock) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    store = AccountStore(database)
    await asyncio.gather(*(store.create_session(a_session(f"sess_{number}"), 1_000) for number in range(1_001)))

    left = []
    for _ in range(3):
        await accounts.sweep_sessions()
        left.append(len(await store.sessions_of("u1", 0, 2_000, "", 2_000)))
    asked = counting.reads, counting.writes
    clock.move(3599)
    await accounts.sweep_sessions()

    assert left == [501, 1, 0]
    assert (counting.reads, counting.writes) == asked
    clock.move(1)
    await accounts.sweep_sessions()
    assert counting.reads > asked[0]


async def test_a_session_that_never_was_and_one_of_another_answer_alike(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    of_another = await begun(accounts, "u2")
    of_another_tenant = await begun(accounts, "u1", tenant="other")
    ended = await begun(accounts, "u1")
    await accounts.end_session("default", ended.id, "u1")

    for session_id in (of_another.id, of_another_tenant.id, ended.id, "sess_0", "", "a\x00b"):
        with pytest.raises(NotFound) as caught:
            await accounts.end_session("default", session_id, "u1")
        assert (caught.value.code, caught.value.message) == (
            "session_not_found",
            f"There is no session {session_id!r}.",
        )

    assert [await code_of(accounts, each.token) for each in (of_another, of_another_tenant)] == [None, None]


async def test_all_sessions_of_a_person_end_and_no_others(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    mine = [await begun(accounts, "u1") for _ in range(3)]
    others = [await begun(accounts, "u2"), await begun(accounts, "u1", tenant="other")]

    assert await accounts.end_sessions_of("default", "u1") == 3
    again = await begun(accounts, "u1")

    assert [await code_of(accounts, session.token) for session in mine] == ["token_revoked"] * 3
    assert [await code_of(accounts, session.token) for session in [*others, again]] == [None] * 3


async def test_a_person_sees_the_sessions_that_hold(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    sessions = []
    for _ in range(4):
        sessions.append(await begun(accounts, "u1"))
        clock.move(1)
    await begun(accounts, "u2")
    await begun(accounts, "u1", tenant="other")
    await accounts.end_session("default", sessions[1].id)

    held = await accounts.sessions_of("default", "u1", "", 9)
    await accounts.end_all_sessions("default")

    assert [row.id for row in held] == [sessions[number].id for number in (3, 2, 0)]
    assert await accounts.sessions_of("default", "u1", "", 9) == []
