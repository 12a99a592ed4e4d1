"""Whom the tests of asides ask: doors that answer as they are told, callers, limits."""

from __future__ import annotations

import json
from collections.abc import Sequence

from frontdesk.accounts.absent import CallerThen
from frontdesk.core.clock import unix_ms
from frontdesk.doors.absent import Answered, Outcome
from frontdesk.jobs.plan import Job
from frontdesk.turn.turn import Caller
from tests.fakes import HandClock


class Asks:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes: Sequence[Outcome] = outcomes
        self.asked: list[tuple[str, Caller, str | None, str, bytes]] = []

    async def ask(self, path: str, caller: Caller, feature: str | None, address: str, body: bytes) -> Outcome:
        self.asked.append((path, caller, feature, address, body))
        first, *self.outcomes = self.outcomes
        return first

    @property
    def texts(self) -> list[str]:
        """What each question said."""
        return [json.loads(body)["messages"][0]["content"] for *_, body in self.asked]


class Callers:
    """Knows everybody, until they are gone."""

    def __init__(self) -> None:
        self.are_gone = False

    async def caller_now(self, tenant: str, person: str, then: CallerThen, since_ms: int) -> Caller | None:
        return None if self.are_gone else Caller(then.role, then.credential_id, person or None, tenant=tenant)


class Limits:
    """Have room, unless they are told not to."""

    def __init__(self) -> None:
        self.is_full = False

    async def has_room(self, caller: Caller) -> bool:
        return not self.is_full


class Silent:
    """Progress that nobody looks at."""

    def tell(self, done: int, total: int | None = None) -> None:
        """Say it to nobody."""


def answer(content: str | None, refusal: str | None = None, finish_reason: str = "stop") -> Answered:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return Answered(200, "chatcmpl-1", json.dumps({"choices": [choice]}).encode())


def job(clock: HandClock, payload: bytes = b"", *, attempt: int = 1, person: str = "u1", kind: str = "title") -> Job:
    return Job("default", "job_1", kind, person, payload, 0, attempt, unix_ms(clock))
