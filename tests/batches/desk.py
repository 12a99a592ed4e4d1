"""Batches over a real database, with lines that are answered as a test likes."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from frontdesk.accounts.absent import CallerThen
from frontdesk.batches.routes import told_of
from frontdesk.batches.runner import BatchRunner
from frontdesk.batches.service import Batches, NewBatch
from frontdesk.batches.store import BatchRow
from frontdesk.core import config
from frontdesk.core.clock import unix_ms
from frontdesk.core.ids import new_id
from frontdesk.doors.absent import Answered, Asker, Outcome, Unfunded
from frontdesk.files.owner import Owner, owner_of
from frontdesk.files.service import Files
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import process
from frontdesk.turn.turn import Caller
from tests.fakes import HandClock

CHAT = "/v1/chat/completions"
USER = Caller("user", "sess_1", "u1")
TIMEOUT_S = 20.0
SPENT = Answered(429, "req_1", b'{"error":{"code":"insufficient_quota"}}')


def line(custom_id: str, **body: Any) -> bytes:
    """A line of a batch of chats."""
    asked = {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": {"say": custom_id, **body}}
    return json.dumps(asked).encode()


def lines(count: int) -> bytes:
    """Some of them, called l1, l2 and so on."""
    return b"\n".join(line(f"l{number}") for number in range(1, count + 1))


class Provider:
    """Answers lines. `outcomes` are given first, by what a line says.

    A shut `gate` holds all that are asked, one of `gates` what says this. There is money for as many at once as it
    `covers`.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.callers: list[Caller] = []
        self.outcomes: dict[str, list[Outcome]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.gates: dict[str, asyncio.Event] = {}
        self.covers: float = math.inf
        self.running = 0
        self.most_running = 0

    async def ask(self, path: str, caller: Caller, feature: str | None, address: str, body: bytes) -> Outcome:
        said = json.loads(body)["say"]
        self.asked.append(said)
        self.callers.append(caller)
        if self.running >= self.covers:
            return Unfunded(SPENT, None)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
            if said in self.gates:
                await self.gates[said].wait()
        finally:
            self.running -= 1
        given = self.outcomes.get(said)
        return given.pop(0) if given else Answered(200, f"chatcmpl-{said}", json.dumps({"said": said}).encode())


class Callers:
    """Knows absent callers, until somebody is taken away."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        self.gone: set[str] = set()

    async def caller_now(self, tenant: str, person: str, then: CallerThen, since_ms: int) -> Caller | None:
        if {person, then.credential_id} & (self.revoked | self.gone):
            return None
        return Caller(then.role, then.credential_id, person or None, tenant=tenant)

    async def is_there(self, tenant: str, person: str) -> bool:
        return person not in self.gone


class Limits:
    """Has room, unless it is told not to."""

    def __init__(self) -> None:
        self.is_full = False

    async def has_room(self, caller: Caller) -> bool:
        return not self.is_full


class BatchDesk:
    """One process that carries batches."""

    def __init__(self, database: Database, clock: HandClock, *, max_line_bytes: int = 10_000, **settings: Any) -> None:
        self.database = database
        self.clock = clock
        self.process = new_id("proc_")
        self.provider = Provider()
        self.callers = Callers()
        self.limits = Limits()
        self.files = Files(database, clock, config.Files())
        batches = config.Batches(**settings)
        self.runner = BatchRunner(
            database,
            self.process,
            self.files,
            cast("Asker", self.provider),
            self.callers,
            self.limits,
            clock,
            batches,
            max_line_bytes=max_line_bytes,
            dead_after_s=30,
        )
        self.batches = Batches(database, clock, self.files, self.runner, batches)

    @property
    def places_taken(self) -> dict[Any, int]:
        """How many places for lines under way each owner has."""
        return dict(self.runner._means.slots._taken)

    async def heartbeat(self) -> None:
        """Say that this process lives."""
        now_ms = unix_ms(self.clock)
        beat = insert(process).on_conflict_do_update(index_elements=[process.c.id], set_={"heartbeat_at_ms": now_ms})
        await self.database.write(
            Step(
                Query(beat),
                {"id": self.process, "started_at_ms": now_ms, "heartbeat_at_ms": now_ms, "fenced_at_ms": None},
            )
        )

    async def upload(self, content: bytes, caller: Caller = USER, purpose: str = "batch") -> str:
        upload = await self.files.begin(owner_of(caller), None)
        await upload.write(content)
        return (await upload.finish(purpose, "b.jsonl", "application/jsonl", None)).id

    async def create(self, content: bytes, caller: Caller = USER, **said: Any) -> BatchRow:
        file_id = await self.upload(content, caller)
        new = {"feature": None, "address": "", "metadata": None, "output_expires_s": None, **said}
        return await self.batches.create(caller, NewBatch(endpoint=CHAT, input_file=file_id, **new))

    async def find(self, row: BatchRow, caller: Caller = USER) -> BatchRow:
        return await self.batches.find(owner_of(caller), row.id)

    async def until(self, row: BatchRow, *statuses: str, caller: Caller = USER) -> BatchRow:
        """The batch once it is in one of these states, and its lines are cleared away where it has ended."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                found = await self.find(row, caller)
                has_ended = found.status in ("completed", "failed", "expired", "cancelled")
                if found.status in statuses and (not has_ended or found.open_at_ms is None):
                    return found
                await asyncio.sleep(0.005)

    async def when(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not is_so():
                await asyncio.sleep(0.002)

    async def content(self, file_id: str | None, owner: Owner) -> list[dict[str, Any]]:
        """The lines of a result; none where there is none."""
        if file_id is None:
            return []
        row = await self.files.find(owner, file_id)
        whole = b"".join([piece async for piece in self.files.pieces(owner, row)])
        assert len(whole) == row.bytes
        return [json.loads(each) for each in whole.splitlines()]

    async def results(self, row: BatchRow, caller: Caller = USER) -> tuple[dict[str, Any], dict[str, Any]]:
        """What came of each line, by its custom id: an answer's body or status, or why there is none."""
        owner = owner_of(caller)
        output = await self.content(row.output_file, owner)
        errors = await self.content(row.error_file, owner)
        told = [each["custom_id"] for each in (*output, *errors)]
        assert len(told) == len(set(told)), "a line stands twice"
        assert told_of(row)["request_counts"] == {"total": row.total, "completed": len(output), "failed": len(errors)}
        return (
            {each["custom_id"]: each["response"]["body"] for each in output},
            {
                each["custom_id"]: each["error"]["code"]
                if each["response"] is None
                else each["response"]["status_code"]
                for each in errors
            },
        )

    async def die(self) -> None:
        """End as a process does that is killed: nothing is said any more, and its heart has stopped."""
        await self.runner._tasks.close()
        await self.runner._lines.close()


@asynccontextmanager
async def batch_desk(database: Database, clock: HandClock, **settings: Any) -> AsyncIterator[BatchDesk]:
    """A process that carries batches, for the length of a block."""
    desk = BatchDesk(database, clock, **settings)
    await desk.heartbeat()
    desk.runner.start()
    try:
        yield desk
    finally:
        for gate in (desk.provider.gate, *desk.provider.gates.values()):
            gate.set()
        await desk.runner.close()
