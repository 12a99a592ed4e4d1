"""The shelf: what is kept is what the request wishes and what its caller's tier allows, and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, FrontdeskError, Unprocessable
from frontdesk.doors.desk import Visit
from frontdesk.doors.shelf import Shelf, Wish
from frontdesk.http.requests import Head
from frontdesk.keeping.plan import Plan
from frontdesk.keeping.retention import Retention
from frontdesk.policies.access import Access
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.turn import Turn
from tests.keeping.memory import MemoryDatabase
from tests.keeping.process import ANSWER, CONFIG, PATH, Client, Process, Speaker, keys, row_of, statuses, until

BODY = b'{"model":"fast","input":"hello"}'


class Room:
    """A shelf, a process that keeps what is put on it, and what was sent."""

    def __init__(self) -> None:
        self.speaker = Speaker(waits_at=0)
        self.process = Process(MemoryDatabase(), self.speaker)
        self.shelf = Shelf(self.process.keeper, Retention(CONFIG), Access(CONFIG))
        self.sent: list[dict[str, Any]] = []

    def visit(self, client: Client, key: str | None = None, body: bytes = BODY, **options: Any) -> Visit:
        headers = [(b"content-type", b"application/json"), (b"frontdesk-feature", b"chat")]
        if key is not None:
            headers.append((b"idempotency-key", key.encode()))
        scope = {"type": "http", "method": "POST", "scheme": "http", "path": PATH, "headers": headers}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        visit = Visit(self.process.turn().caller, Head(scope), body, scope, client.receive, send, **options)
        visit.asked = visit.take_body()
        return visit

    async def answer(self, wish: Wish, key: str | None = None, *, turn: Turn | None = None, **options: Any) -> Client:
        client = Client()
        await self.shelf.answer(turn or self.process.turn(), self.visit(client, key, **options), client.form, wish)
        return client

    async def accept(self, key: str | None = None, body: bytes = BODY, **fields: Any) -> dict[str, Any]:
        """Begin something in the background; returns what is answered."""
        client, turn = Client(), self.process.turn(**fields)
        wish = Wish(stores=True, is_background=True)
        self.sent.clear()
        await self.shelf.accept(turn, self.visit(client, key, body), _accepted, client.form, wish)
        if client.sinks:
            return {"replayed": client.is_replayed, "events": client.events}
        begun, sent = self.sent
        return {**json.loads(sent["body"]), **{name.decode(): value.decode() for name, value in begun["headers"]}}


def _accepted(facts: Any) -> bytes:
    return json.dumps({"id": facts.id}).encode()


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    yield made
    made.speaker.may_speak.set()
    await made.process.until_idle()
    assert made.process.holds_nothing()
    await made.process.close()


# --- what is kept -------------------------------------------------------------------------------


async def test_what_a_client_said_of_itself_is_kept_with_what_was_asked(room: Room) -> None:
    visit = room.visit(Client(), context='screen="cart"')

    assert room.shelf._plan(room.process.turn(), visit, Wish(stores=True)).asked.context == 'screen="cart"'


@pytest.mark.parametrize(
    ("wish", "tier", "key", "expected"),
    [
        (Wish(stores=True), "free", None, {"stores": True, "keeps_texts": True}),
        (Wish(stores=True), "secret", "k", {"stores": False, "keeps_texts": False}),
        (Wish(stores=False), "free", "k", {"stores": False, "keeps_texts": True}),
        (Wish(stores=False, is_secret=True), "free", "k", {"stores": False, "keeps_texts": False}),
        (Wish(conversation=ConversationNamed("conv_1")), "free", None, {"conversation": ConversationNamed("conv_1")}),
        (Wish(conversation=ConversationNamed("conv_1")), "secret", "k", {"conversation": None}),
    ],
)
async def test_what_is_kept_is_what_is_wished_and_allowed(
    room: Room, wish: Wish, tier: str, key: str | None, expected: dict[str, Any]
) -> None:
    turn = room.process.turn(tier=tier)

    plan = room.shelf._plan(turn, room.visit(Client(), key), wish)

    assert {name: getattr(plan, name) for name in expected} == expected
    assert (plan.claim is None) == (key is None)
    assert plan.owner == ("default", "u1", "")
    assert (plan.asked.body, plan.asked.path, plan.asked.feature) == (BODY, PATH, "chat")
    assert plan.asked.content_type == "application/json"


async def test_where_nothing_may_be_stored_nothing_can_be_in_the_background(room: Room) -> None:
    assert not room.shelf.keeps(room.process.turn(tier="secret"))

    with pytest.raises(BadRequest) as refused:
        await room.accept(tier="secret")

    assert (refused.value.code, refused.value.param) == ("nothing_is_stored", "background")


async def test_a_key_is_for_one_path_and_one_body_however_it_is_spelled(room: Room) -> None:
    def plan(body: bytes) -> Plan:
        return room.shelf._plan(room.process.turn(), room.visit(Client(), "k", body), Wish())

    one, same, other = plan(BODY), plan(b'{"input": "hello", "model": "fast", "stream": true}'), plan(b"{}")

    assert one.claim == same.claim != other.claim
    assert one.claim is not None
    assert (one.claim.route, one.claim.key) == (PATH, "k")
    with pytest.raises(BadRequest):
        room.shelf._plan(room.process.turn(), room.visit(Client(), ""), Wish())


# --- answering ----------------------------------------------------------------------------------


async def test_who_asks_again_is_answered_with_the_first(room: Room) -> None:
    room.speaker.may_speak.set()
    first = await room.answer(Wish(stores=True), "k")
    await room.process.until_idle()

    again = await room.answer(Wish(stores=True), "k")

    assert first.events == again.events == ANSWER
    assert (first.is_replayed, again.is_replayed, room.speaker.asked) == (False, True, 1)


async def test_what_is_asked_again_after_a_crash_is_carried_on_and_nobody_is_answered(room: Room) -> None:
    turn = room.process.turn()
    kept = room.process.keeper._new(turn, room.process.plan(turn, "k"))
    await kept.enter_alone()
    row = await row_of(room.process, turn)
    again = room.process.turn()
    again.id = row.id

    client = await room.answer(Wish(stores=True), turn=again, adopts=row)
    assert client.sinks == []
    assert room.process.keeper.find(row.id) is not None
    room.speaker.may_speak.set()
    await room.process.until_idle()

    assert (await statuses(room.process.database), room.speaker.asked) == ({row.id: "completed"}, 1)
    assert await keys(room.process.database) == [row.id]


# --- in the background --------------------------------------------------------------------------


async def test_it_is_accepted_once_it_is_on_the_disk_and_told_again_by_its_key(room: Room) -> None:
    first = await room.accept("k")
    assert await statuses(room.process.database) == {first["id"]: "in_progress"}
    second = await room.accept("k")
    with pytest.raises(Unprocessable):
        await room.accept("k", b'{"input":"other"}')

    assert second["id"] == first["id"] == second["x-request-id"]
    assert "idempotent-replayed" not in first
    assert second["idempotent-replayed"] == "true"
    room.speaker.may_speak.set()
    await room.process.until_idle()
    assert await room.accept("k") == {"replayed": True, "events": ANSWER}
    assert room.speaker.asked == 1


async def test_what_another_process_does_by_now_is_told_as_accepted(room: Room) -> None:
    first = await room.accept("k")
    other = Room()
    other.process.database = room.process.database
    other.process = Process(room.process.database, other.speaker, name="two")
    other.shelf = Shelf(other.process.keeper, Retention(CONFIG), Access(CONFIG))

    second = await other.accept("k")

    assert second["id"] == first["id"]
    assert second["idempotent-replayed"] == "true"
    assert other.speaker.asked == 0
    await other.process.until_idle()
    await other.process.close()


async def test_who_cannot_be_accepted_is_told_why(room: Room) -> None:
    await room.process.live.close(0)

    with pytest.raises(FrontdeskError) as refused:
        await room.accept("k")

    assert refused.value.code == "server_shutting_down"
    assert room.process.holds_nothing()


async def test_a_client_that_hangs_up_ends_nothing(room: Room) -> None:
    client = Client()
    turn = room.process.turn()
    answering = asyncio.ensure_future(room.shelf.answer(turn, room.visit(client, "k"), client.form, Wish(stores=True)))
    await until(lambda: room.speaker.asked)
    client.gone.set()
    await answering

    assert room.process.keeper.find(turn.id) is not None
    room.speaker.may_speak.set()
    await room.process.until_idle()
    assert await statuses(room.process.database) == {turn.id: "completed"}
