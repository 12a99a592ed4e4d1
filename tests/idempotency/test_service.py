"""What is sent with a key is done once: by one process, by several, across hang-ups, refusals, bugs and crashes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, delete, select, update

from frontdesk.core.errors import BadRequest, Conflict, FrontdeskError, Refused, Unavailable
from frontdesk.http.once import Claim, Keyed, Reply, Work
from frontdesk.http.requests import ClientGone
from frontdesk.idempotency.service import IdempotencyKeys, IdempotencyTimes
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import OutcomeUnknown, StorageBusy, StorageFailed
from frontdesk.storage.lanes import Lane, Results
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import idempotency_key, person, process
from frontdesk.turn.turn import Caller
from tests.fakes import HandClock
from tests.ledger.failing import FailingDatabase, Failure

ANN = Caller("user", "sess_1", "u_ann")
ROUTE = "/v1/conversations"
BODY, OTHER_BODY = b"b" * 16, b"o" * 16
REPLAYED = (b"idempotent-replayed", b"true")
TIMES = IdempotencyTimes(dead_after_s=30.0, patience_s=20.0, look_every_s=0.001, store_again_s=0.001)
KEEP_MS = 1000
NO_PATIENCE = TIMES._replace(patience_s=0.05)


def until_ms(now_ms: int) -> int:
    return now_ms + KEEP_MS


def keyed(
    key: bytes = b"k", caller: Caller = ANN, *, credential: bytes = b"", may_repeat: bool = False, route: str = ROUTE
) -> Keyed:
    return Keyed(caller, route, key, credential, may_repeat)


class Desk:
    """Work that is counted. Each of `says` is what one doing of it comes to; then it answers with its number.

    A shut `gate` holds whoever has claimed and not yet done anything.
    """

    def __init__(self, *says: Exception | Reply | None) -> None:
        self.says = list(says)
        self.begun = 0
        self.done = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.has_begun = asyncio.Event()

    def work(self, fingerprint: bytes = BODY) -> Work:
        async def work(claim: Claim) -> Reply:
            await claim(fingerprint)
            self.begun += 1
            self.has_begun.set()
            await self.gate.wait()
            said = self.says.pop(0) if self.says else None
            if isinstance(said, Exception):
                raise said
            self.done += 1
            return said or Reply(201, [(b"x-number", b"%d" % self.done)], b'{"id":"conv_%d"}' % self.done)

        return work


FIRST = Reply(201, [(b"x-number", b"1")], b'{"id":"conv_1"}')
AGAIN = FIRST._replace(headers=[*FIRST.headers, REPLAYED])
Opened = Callable[..., IdempotencyKeys]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def opened(database: Database, clock: HandClock) -> AsyncIterator[Opened]:
    """Opens what a process of a name has; all are closed in the end."""
    every: list[IdempotencyKeys] = []

    def open_one(
        name: str = "proc_1", times: IdempotencyTimes = TIMES, instead: Database | None = None
    ) -> IdempotencyKeys:
        every.append(IdempotencyKeys(instead or database, name, clock, until_ms, times))
        return every[-1]

    yield open_one
    for each in every:
        await each.close()


async def refusal_of(asked: Awaitable[Reply]) -> tuple[int, str, bool | None]:
    with pytest.raises(Refused) as refused:
        await asked
    return refused.value.status, refused.value.code, refused.value.should_retry


async def test_the_second_time_it_is_answered_as_the_first(opened: Opened) -> None:
    keys, desk = opened(), Desk()

    assert await keys.carry(keyed(), desk.work()) == FIRST
    assert await keys.carry(keyed(), desk.work()) == AGAIN
    assert await opened("proc_2").carry(keyed(), desk.work()) == AGAIN, "wherever it is sent"
    assert desk.done == 1


async def test_another_body_is_refused_whether_it_is_answered_or_under_way(opened: Opened) -> None:
    keys, desk = opened(), Desk()
    desk.gate.clear()
    first = asyncio.ensure_future(keys.carry(keyed(), desk.work()))
    await desk.has_begun.wait()
    meanwhile = asyncio.ensure_future(keys.carry(keyed(), desk.work(OTHER_BODY)))
    desk.gate.set()

    assert await first == FIRST
    assert await refusal_of(meanwhile) == (422, "idempotency_key_reused", None)
    assert await refusal_of(keys.carry(keyed(), desk.work(OTHER_BODY))) == (422, "idempotency_key_reused", None)
    assert desk.begun == 1


@pytest.mark.parametrize(
    "other",
    [keyed(b"K"), keyed(route="/v1/batches"), keyed(caller=Caller("user", "sess_9", "u_bob")),
     keyed(caller=Caller("user", "sess_9", "u_ann", tenant="other")), keyed(caller=Caller("server", "u_ann"))],
)  # fmt: skip
async def test_a_key_is_its_callers_and_its_routes(opened: Opened, other: Keyed) -> None:
    keys, desk = opened(), Desk()

    await keys.carry(keyed(), desk.work())
    await keys.carry(other, desk.work())

    assert desk.done == 2


async def test_a_person_is_known_by_any_of_their_sessions(opened: Opened) -> None:
    keys, desk = opened(), Desk()

    await keys.carry(keyed(), desk.work())

    assert await keys.carry(keyed(caller=Caller("user", "sess_2", "u_ann")), desk.work()) == AGAIN


async def test_a_key_may_be_used_again_when_it_has_expired(opened: Opened, clock: HandClock) -> None:
    keys, desk = opened(), Desk()
    await keys.carry(keyed(), desk.work())

    clock.move(KEEP_MS / 1000)

    assert (await keys.carry(keyed(), desk.work(OTHER_BODY))).body == b'{"id":"conv_2"}'


async def test_who_comes_meanwhile_waits_and_is_answered_the_same(opened: Opened) -> None:
    keys, desk = opened(), Desk()
    desk.gate.clear()
    asked = [asyncio.ensure_future(keys.carry(keyed(), desk.work())) for _ in range(10)]
    await desk.has_begun.wait()
    desk.gate.set()

    assert sorted(await asyncio.gather(*asked)) == sorted([FIRST, *[AGAIN] * 9])
    assert desk.begun == 1


async def test_what_another_process_does_is_waited_for(postgresql_database: Database, clock: HandClock) -> None:
    await beat(postgresql_database, "proc_1", clock)
    one, other = (IdempotencyKeys(postgresql_database, name, clock, until_ms, TIMES) for name in ("proc_1", "proc_2"))
    desk = Desk()
    desk.gate.clear()
    first = asyncio.ensure_future(one.carry(keyed(), desk.work()))
    await desk.has_begun.wait()
    asked = [asyncio.ensure_future(other.carry(keyed(), desk.work())) for _ in range(5)]
    await settled_but(asked)
    desk.gate.set()

    assert await first == FIRST
    assert await asyncio.gather(*asked) == [AGAIN] * 5
    assert desk.begun == 1
    await other.close()
    await one.close()


async def settled_but(waiting: list[asyncio.Task[Reply]] | list[asyncio.Future[Reply]]) -> None:
    """Let them come as far as they come."""
    await asyncio.wait(waiting, timeout=0.05)
    assert not [each for each in waiting if each.done()]


@pytest.mark.parametrize("is_in_another_process", [False, True])
async def test_nobody_waits_for_ever(
    postgresql_database: Database, clock: HandClock, is_in_another_process: bool
) -> None:
    await beat(postgresql_database, "proc_1", clock)
    one = IdempotencyKeys(postgresql_database, "proc_1", clock, until_ms, NO_PATIENCE)
    other = (
        IdempotencyKeys(postgresql_database, "proc_2", clock, until_ms, NO_PATIENCE) if is_in_another_process else one
    )
    desk = Desk()
    desk.gate.clear()
    first = asyncio.ensure_future(one.carry(keyed(), desk.work()))
    await desk.has_begun.wait()

    with pytest.raises(Conflict) as refused:
        await other.carry(keyed(), desk.work())
    desk.gate.set()

    assert (refused.value.code, refused.value.retry_after_s) == ("idempotency_key_in_use", 1.0)
    assert await first == FIRST
    assert await other.carry(keyed(), desk.work()) == AGAIN
    await other.close()
    await one.close()


async def test_a_hang_up_ends_nothing(opened: Opened) -> None:
    keys, desk = opened(), Desk()
    desk.gate.clear()
    first = asyncio.ensure_future(keys.carry(keyed(), desk.work()))
    await desk.has_begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    desk.gate.set()

    assert await keys.carry(keyed(), desk.work()) == AGAIN
    assert desk.begun == 1


@pytest.mark.parametrize(
    "error", [BadRequest("No."), Unavailable("Later."), StorageBusy("full"), ClientGone()], ids=repr
)
async def test_what_was_refused_may_be_tried_again(opened: Opened, error: Exception) -> None:
    keys, desk = opened(), Desk(error)

    with pytest.raises(type(error)):
        await keys.carry(keyed(), desk.work())

    assert await keys.carry(keyed(), desk.work(OTHER_BODY)) == FIRST


async def test_an_answer_that_refuses_may_be_tried_again(opened: Opened) -> None:
    keys, desk = opened(), Desk(Reply(404, [], b"{}"))

    assert (await keys.carry(keyed(), desk.work())).status == 404
    assert (await keys.carry(keyed(), desk.work())).status == 201


async def test_of_those_who_wait_one_tries_where_the_first_was_refused(opened: Opened) -> None:
    keys, desk = opened(), Desk(BadRequest("No."))
    desk.gate.clear()
    asked = [asyncio.ensure_future(keys.carry(keyed(), desk.work())) for _ in range(4)]
    await desk.has_begun.wait()
    desk.gate.set()

    ended = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(each) for each in ended].count(BadRequest) == 1
    assert (ended.count(FIRST), ended.count(AGAIN), desk.begun) == (1, 2, 2)


IN_DOUBT = (409, "idempotency_outcome_unknown", False)


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), ValueError("a bug")], ids=["lost commit", "bug"])
async def test_what_may_have_been_done_is_not_done_again(opened: Opened, error: Exception) -> None:
    keys, desk = opened(), Desk(error)
    desk.gate.clear()
    first = asyncio.ensure_future(keys.carry(keyed(), desk.work()))
    await desk.has_begun.wait()
    meanwhile = asyncio.ensure_future(keys.carry(keyed(), desk.work()))
    await asyncio.sleep(0)
    desk.gate.set()

    with pytest.raises(type(error)):
        await first
    assert await refusal_of(meanwhile) == IN_DOUBT
    assert await refusal_of(keys.carry(keyed(), desk.work())) == IN_DOUBT
    assert await refusal_of(opened("proc_2").carry(keyed(), desk.work(OTHER_BODY))) == (
        422, "idempotency_key_reused", None,
    )  # fmt: skip
    assert desk.begun == 1


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), ValueError("a bug")], ids=["lost commit", "bug"])
async def test_where_it_does_no_harm_it_is_done_again(opened: Opened, error: Exception) -> None:
    keys, desk = opened(), Desk(error)

    with pytest.raises(type(error)):
        await keys.carry(keyed(may_repeat=True), desk.work())

    assert await keys.carry(keyed(may_repeat=True), desk.work()) == FIRST


async def test_what_a_dead_process_left_is_in_doubt(opened: Opened) -> None:
    desk = Desk()
    await crashed(opened, desk)

    assert await refusal_of(opened("proc_2").carry(keyed(), desk.work())) == IN_DOUBT
    assert await refusal_of(opened("proc_3").carry(keyed(), desk.work())) == IN_DOUBT, "for as long as it is kept"
    assert desk.begun == 1


async def test_what_a_dead_process_left_is_done_again_by_one_where_that_does_no_harm(opened: Opened) -> None:
    desk = Desk()
    await crashed(opened, desk)
    keys = opened("proc_2")

    asked = [keys.carry(keyed(may_repeat=True), desk.work()) for _ in range(5)]

    assert sorted(await asyncio.gather(*asked)) == sorted([FIRST, *[AGAIN] * 4])
    assert (desk.begun, desk.done) == (2, 1)


async def crashed(opened: Opened, desk: Desk) -> None:
    """A process dies that has claimed, and has not yet kept what came of it."""
    keys = opened("proc_dead")
    desk.gate.clear()
    asked = asyncio.ensure_future(keys.carry(keyed(), desk.work()))
    await desk.has_begun.wait()
    await keys.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
    desk.gate.set()


async def test_closing_waits_for_what_is_under_way(opened: Opened) -> None:
    keys, desk = opened(), Desk()
    desk.gate.clear()
    asked = asyncio.ensure_future(keys.carry(keyed(), desk.work()))
    await desk.has_begun.wait()
    asyncio.get_running_loop().call_soon(desk.gate.set)
    await keys.close(20.0)

    assert await asked == FIRST


async def test_nothing_begins_when_it_is_closed(opened: Opened) -> None:
    keys, desk = opened(), Desk()
    await keys.close()

    with pytest.raises(Unavailable, match="restarting"):
        await keys.carry(keyed(), desk.work())

    assert desk.begun == 0


async def test_a_secret_is_told_again_to_who_was_told_alone(opened: Opened) -> None:
    keys, desk = opened(), Desk()
    desk.gate.clear()
    first = asyncio.ensure_future(keys.carry(keyed(credential=b"Bearer a"), desk.work()))
    await desk.has_begun.wait()
    meanwhile = asyncio.ensure_future(keys.carry(keyed(credential=b"Bearer b"), desk.work()))
    desk.gate.set()

    assert await first == FIRST
    not_kept = (409, "idempotency_answer_not_kept", False)
    assert await refusal_of(meanwhile) == not_kept
    assert await refusal_of(keys.carry(keyed(credential=b"Bearer b"), desk.work())) == not_kept
    assert await refusal_of(keys.carry(keyed(), desk.work())) == not_kept
    assert await keys.carry(keyed(credential=b"Bearer a"), desk.work()) == AGAIN
    assert desk.begun == 1


async def test_the_store_reads_nothing_of_keys_and_answers(opened: Opened, database: Database) -> None:
    key = b"a-key-that-is-told-nowhere"
    await opened().carry(keyed(key), Desk(Reply(200, [(b"set-cookie", b"a-secret")], b"a-text")).work())

    (row,) = await database.read(Query(select(idempotency_key)))

    kept = b"|".join(bytes(each) if isinstance(each, bytes) else str(each).encode() for each in row)
    assert not [told for told in (key, b"a-secret", b"a-text") if told in kept]


async def test_a_key_that_is_none_is_refused_before_anything_is_done(opened: Opened) -> None:
    desk = Desk()

    assert (await refusal_of(opened().carry(keyed(b""), desk.work())))[1] == "invalid_idempotency_key"
    assert desk.begun == 0


# --- a store that fails -------------------------------------------------------------------------


class Refusing:
    """A database whose next writes fail so, each before or behind what it stores."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.errors: list[StorageFailed] = []
        self.is_away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, *steps: Step, lane: Lane = Lane.MONEY) -> Results:
        if self.is_away:
            raise StorageBusy("The disk is full.")
        if not self.errors:
            return await self._database.write(*steps, lane=lane)
        error = self.errors.pop(0)
        if isinstance(error, OutcomeUnknown):
            await self._database.write(*steps, lane=lane)
        raise error


@pytest.mark.parametrize("failure", [Failure.AWAY, Failure.LOST, Failure.STORED])
async def test_where_a_claim_fails_nothing_is_done_and_it_may_be_tried_again(
    opened: Opened, database: Database, failure: Failure
) -> None:
    failing, desk = FailingDatabase(database), Desk()
    keys = opened(instead=cast("Database", failing))
    failing.next(failure)

    with pytest.raises(StorageFailed):
        await keys.carry(keyed(), desk.work())

    assert desk.begun == 0
    assert await keys.carry(keyed(), desk.work()) == FIRST
    assert desk.done == 1


async def test_a_claim_that_the_storage_runs_again_is_its_own(opened: Opened, database: Database) -> None:
    failing = FailingDatabase(database)
    failing.next(Failure.STORED_UNSEEN)

    assert await opened(instead=cast("Database", failing)).carry(keyed(), Desk().work()) == FIRST


@pytest.mark.parametrize("error", [StorageBusy("full"), OutcomeUnknown("lost")], ids=["away", "lost"])
async def test_what_was_done_is_told_and_kept_later_where_the_store_fails(
    opened: Opened, database: Database, error: StorageFailed
) -> None:
    failing, desk = Refusing(database), Desk()
    keys = opened(instead=cast("Database", failing))
    failing.errors = [error, StorageBusy("full")]

    assert await keys.carry(keyed(), desk.work()) == FIRST
    assert await keys.carry(keyed(), desk.work()) == AGAIN, "of memory, or of the store"
    await until(database, _ANSWERED, 1)
    assert await opened("proc_2").carry(keyed(), desk.work()) == AGAIN
    assert desk.begun == 1


async def test_a_refusal_is_known_here_until_the_store_knows_it(opened: Opened, database: Database) -> None:
    failing, desk = Refusing(database), Desk(BadRequest("No."))
    keys = opened(instead=cast("Database", failing))
    failing.is_away = True

    with pytest.raises(BadRequest):
        await keys.carry(keyed(), desk.work())
    with pytest.raises(Unavailable, match="cannot store"):
        await keys.carry(keyed(), desk.work())
    failing.is_away = False
    await until(database, _CLAIMED, 0)

    assert await opened("proc_2").carry(keyed(), desk.work()) == FIRST


async def test_a_doubt_is_known_here_until_the_store_knows_it(opened: Opened, database: Database) -> None:
    failing, desk = Refusing(database), Desk(ValueError("a bug"))
    keys = opened(instead=cast("Database", failing))
    failing.is_away = True

    with pytest.raises(ValueError, match="a bug"):
        await keys.carry(keyed(), desk.work())
    assert await refusal_of(keys.carry(keyed(), desk.work())) == IN_DOUBT
    failing.is_away = False
    await until(database, _IN_DOUBT, 1)

    assert await refusal_of(keys.carry(keyed(), desk.work())) == IN_DOUBT
    assert desk.begun == 1


async def until(database: Database, query: Query, rows: int) -> None:
    """Wait until the store has so many rows of these."""
    async with asyncio.timeout(60.0):
        while len(await database.read(query)) != rows:
            await asyncio.sleep(0)


_CLAIMED = Query(select(idempotency_key.c.key))
_ANSWERED = Query(select(idempotency_key.c.key).where(idempotency_key.c.http_status.is_not(None)))
_IN_DOUBT = Query(select(idempotency_key.c.key).where(idempotency_key.c.owner.is_(None)))


# --- persons who become users -------------------------------------------------------------------


async def test_what_is_under_way_is_not_done_again_for_who_they_have_become(opened: Opened, database: Database) -> None:
    keys, desk = opened(), Desk()
    bea = Caller("user", "sess_2", "u_bea")
    desk.gate.clear()
    first = asyncio.ensure_future(keys.carry(keyed(), desk.work()))
    await desk.has_begun.wait()
    await become(database, "u_ann", "u_bea")
    meanwhile = asyncio.ensure_future(keys.carry(keyed(caller=bea), desk.work()))
    await settled_but([meanwhile])
    desk.gate.set()

    assert await first == FIRST
    assert await meanwhile == AGAIN
    assert await keys.carry(keyed(caller=bea), desk.work()) == AGAIN
    assert desk.begun == 1


async def become(database: Database, anonymous: str, user: str) -> None:
    names = ("tier", "assigned_tier", "changed_at_ms", "revoked_before_ms")
    row = {"tenant": "default", "id": anonymous, "became": user, "created_at_ms": 0, **dict.fromkeys(names)}
    moved = update(idempotency_key).where(idempotency_key.c.person == anonymous).values(person=user)
    await database.write(Step(Query(insert(person)), row), Step(Query(moved)))


# --- any interleaving ---------------------------------------------------------------------------

Ending = Literal["answers", "refuses", "breaks before", "breaks behind", "crashes before", "crashes behind"]


@dataclass(frozen=True)
class Sent:
    """A request: to which process, what comes of it where it is the one that is carried, and how its client is."""

    place: int
    ending: Ending
    pauses: int  # turns of the loop before the next one is sent
    work_pauses: int
    hangs_up_after: int | None


SENT = st.builds(
    Sent,
    place=st.integers(0, 2),
    ending=st.sampled_from(
        ["answers", "answers", "refuses", "breaks before", "breaks behind", "crashes before", "crashes behind"]
    ),
    pauses=st.integers(0, 4),
    work_pauses=st.integers(0, 6),
    hangs_up_after=st.sampled_from([None, None, 0, 1, 3, 10]),
)


class Cluster:
    """Processes that serve from one database; one that crashes is another one from then on."""

    def __init__(self, database: Database, clock: HandClock) -> None:
        self._database = database
        self._clock = clock
        self._numbers = itertools.count()
        self._crashing: set[asyncio.Task[None]] = set()
        self._processes: list[tuple[str, IdempotencyKeys]] = []

    async def start(self) -> None:
        self._processes = [await self._process() for _ in range(1 if self._database.is_alone else 3)]

    async def at(self, place: int) -> tuple[str, IdempotencyKeys]:
        """A process that lives: a dead one takes no requests."""
        await self.settle()
        return self._processes[place % len(self._processes)]

    async def crash(self, name: str) -> None:
        """The process of this name dies, with all that it does; returns to nobody of those."""
        dying = asyncio.ensure_future(self._die(name))
        self._crashing.add(dying)
        dying.add_done_callback(self._crashing.discard)
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        await self.settle()
        for _, keys in self._processes:
            await keys.close()

    async def settle(self) -> None:
        while self._crashing:
            await asyncio.wait(self._crashing)  # and lets go of the loop, where they have ended just now

    async def _die(self, name: str) -> None:
        for place, (each, keys) in enumerate(self._processes):
            if each == name:
                await keys.close()
                await self._database.write(Step(_STOP_HEART, {"of_id": name}))
                self._processes[place] = await self._process()

    async def _process(self) -> tuple[str, IdempotencyKeys]:
        name = f"proc_{next(self._numbers)}"
        await beat(self._database, name, self._clock)
        return name, IdempotencyKeys(self._database, name, self._clock, until_ms, TIMES)


async def beat(database: Database, name: str, clock: HandClock) -> None:
    now_ms = int(clock.now() * 1000)
    values = {"id": name, "started_at_ms": now_ms, "heartbeat_at_ms": now_ms, "fenced_at_ms": None}
    await database.write(Step(Query(insert(process)), values))


_STOP_HEART = Query(delete(process).where(process.c.id == bindparam("of_id")))
_FORGET = Query(delete(process))
_FORGET_KEYS = Query(delete(idempotency_key))


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[Database]:
    # Opened here, not by the fixture of all: one database serves many examples.
    database = await open_database(database_url)
    yield database
    await database.close()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(sent=st.lists(SENT, min_size=1, max_size=12), may_repeat=st.booleans())
async def test_whatever_happens_it_is_done_once_and_all_are_told_the_same(
    shared: Database, sent: list[Sent], may_repeat: bool
) -> None:
    await shared.write(Step(_FORGET), Step(_FORGET_KEYS))
    cluster = Cluster(shared, HandClock())
    await cluster.start()
    effects: list[str] = []
    harms: list[str] = []

    async def send(each: Sent) -> Reply | Exception | None:
        name, keys = await cluster.at(each.place)

        async def work(claim: Claim) -> Reply:
            await claim(BODY)
            await turns(each.work_pauses)
            if each.ending == "refuses":
                raise BadRequest("No.")
            if each.ending == "breaks before":
                raise ValueError("a bug")
            if each.ending == "crashes before":
                await cluster.crash(name)
            effects.append(each.ending)
            await turns(each.work_pauses)
            if each.ending != "answers":
                harms.append(each.ending)
            if each.ending == "breaks behind":
                raise ValueError("a bug")
            if each.ending == "crashes behind":
                await cluster.crash(name)
            return Reply(201, [], b'{"id":"conv_%d"}' % len(effects))

        asked = asyncio.ensure_future(keys.carry(keyed(may_repeat=may_repeat), work))
        if each.hangs_up_after is not None:
            await turns(each.hangs_up_after)
            asked.cancel()
        try:
            return await asked
        except Unavailable:
            return None  # the process died
        except (FrontdeskError, ValueError) as error:
            return error
        except asyncio.CancelledError:
            return None  # it hung up, or the process died

    asked: list[asyncio.Task[Reply | Exception | None]] = []
    for each in sent:
        asked.append(asyncio.ensure_future(send(each)))
        await turns(each.pauses)
    answers = await asyncio.gather(*asked)
    while (last := await send(Sent(0, "answers", 0, 0, None))) is None:
        await cluster.settle()  # one whose client had hung up was still under way, and crashed
    await cluster.close()

    told = [answer for answer in [*answers, last] if isinstance(answer, Reply)]
    assert len({reply.body for reply in told}) <= 1
    if may_repeat:
        assert isinstance(last, Reply), "nothing keeps it from being done in the end"
        assert effects.count("answers") == 1
    else:
        assert len(effects) <= 1
        assert not told or not harms
        if not isinstance(last, Reply):
            assert isinstance(last, Conflict)
            assert last.code == "idempotency_outcome_unknown"


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
