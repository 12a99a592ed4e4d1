"""An aside is asked as its person's own request would be: the same limits, budgets, guards and routes, the same books.

It has a feature of its own and comes after all whom somebody waits for. Where there is no room for it now it is put
off, for a while; what nobody gets an answer to by then is done without.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from frontdesk.accounts.absent import CallerThen
from frontdesk.core.clock import Clock
from frontdesk.doors.absent import Answered, Interrupted, Outcome, Postponed, Unfunded
from frontdesk.files.owner import Owner
from frontdesk.jobs.plan import Job, Retry
from frontdesk.turn.turn import Caller

_PATH = "/v1/chat/completions"
_PATIENCE_S = 600.0
_LATER_S = 15.0
_SOON_S = 60.0
_MOST_ASKED = 3
_encode = msgspec.json.Encoder().encode


class Question(NamedTuple):
    """What is asked of which model, as which feature, for an answer of so many tokens at most."""

    feature: str
    model: str
    text: str
    most_tokens: int


class Said(NamedTuple):
    """The words of an answer; `is_cut` where there was more to say than it could have tokens."""

    words: str
    is_cut: bool


class Asks(Protocol):
    """Asks at doors (`doors.absent`)."""

    async def ask(self, path: str, caller: Caller, feature: str | None, address: str, body: bytes) -> Outcome:
        """Ask, and return what came of it."""
        ...


class AbsentCallers(Protocol):
    """Tells who a caller is by now who is not there."""

    async def caller_now(self, tenant: str, person: str, then: CallerThen, since_ms: int) -> Caller | None:
        """The caller; None where they may not ask any more."""
        ...


class Room(Protocol):
    """Knows what is left of callers' limits."""

    async def has_room(self, caller: Caller) -> bool:
        """Whether a request that nobody waits for may be sent, with enough left for those that somebody waits for."""
        ...


class Aside:
    """Asks questions of our own for people who are not there."""

    def __init__(self, asker: Asks, callers: AbsentCallers, room: Room, clock: Clock) -> None:
        self._asker = asker
        self._callers = callers
        self._room = room
        self._clock = clock

    async def ask(self, job: Job, then: CallerThen, question: Question) -> str | None:
        """The words of the answer, for the caller of a job as they were `then`; None where none is to be had.

        Raises Retry where one may be had later.
        """
        said = await self.ask_at_length(job, then, question)
        return None if said is None else said.words

    async def ask_at_length(self, job: Job, then: CallerThen, question: Question) -> Said | None:
        """The same, for whom it matters whether the answer came to its end."""
        caller = await self._callers.caller_now(job.tenant, job.person, then, job.created_at_ms)
        if caller is None:
            return None
        if not await self._room.has_room(caller):
            return self._put_off(job, _LATER_S)
        outcome = await self._asker.ask(_PATH, caller, question.feature, "", _body(question))
        match outcome:
            case Answered():
                if outcome.status >= 500 and job.attempt < _MOST_ASKED:
                    raise Retry
                return _said(outcome.body) if outcome.status == 200 else None
            case Unfunded():  # what others have put aside may be free soon; a period that is spent is not waited for
                is_soon = outcome.after_s is not None and outcome.after_s <= _SOON_S
                return self._put_off(job, outcome.after_s) if is_soon else None
            case Postponed():
                return self._put_off(job, outcome.after_s)
            case Interrupted():
                if job.attempt < _MOST_ASKED:
                    raise Retry
                return None

    def _put_off(self, job: Job, after_s: float | None) -> None:
        """Raise Retry, unless it was put off for long."""
        after_s = _LATER_S if after_s is None else after_s
        if self._clock.now() + after_s < job.created_at_ms / 1000 + _PATIENCE_S:
            raise Retry(after_s, is_free=True)


def owner_then(job: Job, then: CallerThen) -> Owner:
    """Whose things a job is about: its person's, who may have become another since, or those of its key."""
    return Owner(job.tenant, job.person, "" if job.person else then.credential_id)


def _body(question: Question) -> bytes:
    # One message of a user's, for more than that not every feature allows its people.
    return _encode(
        {
            "model": question.model,
            "messages": [{"role": "user", "content": question.text}],
            "max_completion_tokens": question.most_tokens,
        }
    )


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_read: Any = msgspec.json.Decoder(_Completion).decode


def _said(body: bytes) -> Said | None:
    """What an answer says; None where it refuses, or says nothing."""
    choice = _read(body).choices[0]
    if choice.message.refusal or not choice.message.content:
        return None
    return Said(choice.message.content, choice.finish_reason == "length")
