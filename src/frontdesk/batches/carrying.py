"""One batch, from its validation to its files. What was done is in its rows, so it can be gone on with anywhere.

validating ──► in_progress ──► finalizing ──► completed | expired
    │ └─► failed     │
    └────────────────┴──► cancelling ──► cancelled
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from frontdesk.accounts.absent import CallerThen
from frontdesk.batches.lines import (
    Asked,
    Ended,
    Line,
    Problem,
    Validator,
    answered,
    cut_lines,
    read_line,
    response_of,
    unanswered,
)
from frontdesk.batches.slots import FairSlots, FundedLines
from frontdesk.batches.store import BatchRow, BatchWork, Claim, End, LineRow, Made
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import NotFound
from frontdesk.core.ids import new_id
from frontdesk.core.tasks import Tasks
from frontdesk.doors.absent import Answered, Asker, Interrupted, Outcome, Postponed, Unfunded
from frontdesk.files.form import MADE_FOR_BATCHES
from frontdesk.files.owner import Owner
from frontdesk.files.service import Files, Upload
from frontdesk.storage.errors import StorageError
from frontdesk.turn.turn import Caller

_log = logging.getLogger("frontdesk.batches")
_LOOK_EVERY_S = 1.0
_KNOWN_FOR_S = 2.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
# What a budget does not have for longer is spent, not put aside. A period that begins within it is waited for.
_SOON_S = 60.0
_STORE_PAUSE_S = 1.0
_JSONL = "application/jsonl"
_encode = msgspec.json.Encoder().encode


class AbsentCallers(Protocol):
    """Tells who a caller is by now who is not there."""

    async def caller_now(self, tenant: str, person: str, then: CallerThen, since_ms: int) -> Caller | None:
        """The caller; None where they may not ask any more."""
        ...

    async def is_there(self, tenant: str, person: str) -> bool:
        """Whether there is such a person."""
        ...


class Room(Protocol):
    """Knows what is left of callers' limits."""

    async def has_room(self, caller: Caller) -> bool:
        """Whether a request that nobody waits for may be sent, with enough left for those that somebody waits for."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What all batches of a process are carried with. `is_closing` says that no more lines are to be asked."""

    work: BatchWork
    files: Files
    asker: Asker
    callers: AbsentCallers
    room: Room
    slots: FairSlots
    funded: FundedLines
    clock: Clock
    tasks: Tasks
    max_lines: int
    max_line_bytes: int
    keep_ms: int
    is_closing: Callable[[], bool]


class Carrying:
    """One batch under way in this process."""

    def __init__(self, row: BatchRow, means: Means) -> None:
        self._row = row
        self._means = means
        self._then = msgspec.json.decode(row.caller, type=CallerThen)
        self._again: deque[_Waiting] = deque()
        self._unasked: set[Claim] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._not_before = 0.0
        self._caller: Caller | None = None
        self._known_until = 0.0
        self._changed = asyncio.Event()

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return self._row.owner

    def look(self) -> None:
        """Something may have changed: look at it now."""
        self._changed.set()

    async def run(self) -> None:
        """Go on with it to its end, or until the process stops or another one carries it. Raises StorageError."""
        try:
            await self._run()
        except Exception:
            await self._until_answered()
            raise
        await self._until_answered()

    async def _until_answered(self) -> None:
        """Wait for the lines that are under way: none is left without its answer, nor goes on beside what follows."""
        while self._asking:
            await asyncio.wait(self._asking)

    async def _run(self) -> None:
        while not self._means.is_closing():
            row = await self._means.work.find(self._row.tenant, self._row.id)
            if row is None:
                return
            self._row = row
            match row.status:
                case "validating":
                    await self._validate()
                case "in_progress":
                    await self._ask_all()
                    await self._until_answered()
                case "finalizing" | "cancelling":
                    await self._finalize()
                case "completed" | "failed" | "expired" | "cancelled":
                    await self._means.work.clear(row)
                    return

    # --- validating -------------------------------------------------------------------------

    async def _validate(self) -> None:
        row, work = self._row, self._means.work
        validator = Validator(row.endpoint, self._means.max_lines)
        try:
            await self._means.files.find(row.owner, row.input_file)
            async with aclosing(self._lines(self._means.max_line_bytes)) as lines:
                async for line in lines:
                    if not validator.take(line) or self._means.is_closing():
                        break
            validator.finish()
        except NotFound:
            words = f"The file {row.input_file!r} was deleted before the batch began."
            validator.problems.append(Problem("file_not_found", words, "input_file_id"))
        if self._means.is_closing():
            return
        now_ms = unix_ms(self._means.clock)
        if not validator.problems:
            await work.begin(row, validator.lines, validator.model, now_ms)
            return
        errors = _encode(validator.problems).decode()
        await work.fail(row, errors, now_ms, now_ms + self._means.keep_ms)
        _log.info("batch_failed id=%s errors=%d", row.id, len(validator.problems))

    def _lines(self, max_bytes: int = sys.maxsize) -> AsyncGenerator[Line, None]:
        """Yield its lines. Once they were found good their size counts no more: a new configuration may say less."""
        pieces = self._means.files.pieces_until_end(self._row.owner, self._row.input_file)
        return cut_lines(pieces, max_bytes)

    # --- asking -----------------------------------------------------------------------------

    async def _ask_all(self) -> None:
        """Ask the lines that were not asked yet, as far as it may be."""
        work = self._means.work
        for claim in list(self._unasked):
            await work.unclaim(self._row, claim)
            self._unasked.discard(claim)
        self._again.clear()
        asked = await work.asked_numbers(self._row)
        async with aclosing(self._lines()) as lines:
            while (waiting := await self._next(lines, asked)) is not None or self._asking:
                if waiting is None:
                    await asyncio.wait(self._asking, return_when=asyncio.FIRST_COMPLETED)
                elif not await self._ask(waiting):
                    return
        await work.finalize(self._row, unix_ms(self._means.clock))

    async def _next(self, lines: AsyncGenerator[Line, None], asked: set[int]) -> _Waiting | None:
        if self._again:
            return self._again.popleft()
        async for line in lines:
            if line.number in asked:
                continue
            found = read_line(line, self._row.endpoint)
            if isinstance(found, Asked):  # all were, when they were validated
                return _Waiting(line.number, found)
        return None

    async def _ask(self, waiting: _Waiting) -> bool:
        """Ask a line, once there is a place for it and nothing is in its way; False where no line is asked any more."""
        means, owner = self._means, self._row.owner
        while True:
            await means.slots.take(owner)
            try:
                verdict = await self._verdict()
                if verdict == "go" and await self._begin(waiting, owner):
                    return True
            except BaseException:
                means.slots.free(owner)
                raise
            means.slots.free(owner)
            if verdict != "wait":
                return verdict == "go"  # somebody asked it already, or it has ended just now: the next look will tell
            await self._pause()

    async def _verdict(self) -> Literal["go", "wait", "stop"]:
        """Whether a line may be asked now. Where none may be any more, what follows from it is done."""
        means = self._means
        row = await means.work.find(self._row.tenant, self._row.id)
        if row is None or row.status != "in_progress" or means.is_closing():
            return "stop"
        self._row = row
        if unix_ms(means.clock) >= row.expires_at_ms:
            await means.work.finalize(row, unix_ms(means.clock))
            return "stop"
        caller = await self._caller_now()
        if caller is None:
            await self._end_for_its_owner()
            return "stop"
        is_early = means.clock.monotonic() < self._not_before
        if is_early or not await means.room.has_room(caller):
            return "wait"
        return "go" if means.funded.may_begin(row.owner) else "wait"

    async def _begin(self, waiting: _Waiting, owner: Owner) -> bool:
        """Claim a line and begin to ask it, which gives this owner's place back; False where it must not be asked."""
        means, claim = self._means, Claim(waiting.number, new_id("batch_req_"))
        self._unasked.add(claim)
        if not await means.work.claim(self._row, claim, waiting.asked.custom_id):
            self._unasked.discard(claim)
            return False
        if self._caller is None or means.is_closing():
            await means.work.unclaim(self._row, claim)
            self._unasked.discard(claim)
            return False
        self._unasked.discard(claim)
        means.funded.begin(owner)
        task = means.tasks.start(claim.line_id, self._carry(waiting, claim, self._caller, owner))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return True

    async def _pause(self) -> None:
        """Wait until something has changed, or it is time to look again."""
        self._changed.clear()
        left_s = self._not_before - self._means.clock.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s if 0 < left_s < _LOOK_EVERY_S else _LOOK_EVERY_S):
                await self._changed.wait()

    async def _caller_now(self) -> Caller | None:
        now = self._means.clock.monotonic()
        if self._caller is None or now >= self._known_until:
            row = self._row
            self._caller = await self._means.callers.caller_now(row.tenant, row.person, self._then, row.created_at_ms)
            self._known_until = now + _KNOWN_FOR_S
        return self._caller

    async def _end_for_its_owner(self) -> None:
        words = "What this batch was made with was revoked, or its owner is not there any more."
        errors = _encode([Problem("credential_revoked", words)]).decode()
        await self._means.work.end(self._row, errors, unix_ms(self._means.clock))
        _log.info("batch_ended id=%s reason=credential_revoked", self._row.id)

    async def _carry(self, waiting: _Waiting, claim: Claim, caller: Caller, owner: Owner) -> None:
        row = self._row
        try:
            body = waiting.asked.body
            outcome = await self._means.asker.ask(row.endpoint, caller, row.feature, row.address, body)
        finally:
            self._means.funded.end(owner)
            self._means.slots.free(owner)  # who took it: the batch may have become somebody else's meanwhile
        again = self._again_of(waiting, owner, outcome)
        if again is None:
            await self._keep(claim, outcome.answer if isinstance(outcome, Unfunded) else outcome)
        else:
            row = self._row
            await _until_stored(lambda: self._means.work.unclaim(row, claim))
            self._again.append(again)
        self._changed.set()

    def _again_of(self, waiting: _Waiting, owner: Owner, outcome: Outcome) -> _Waiting | None:
        """The line as it waits to be asked again; None where this is what came of it."""
        match outcome:
            case Postponed(after_s):
                return self._postponed(waiting, after_s or 0.0)
            case Unfunded(_, after_s):
                if self._means.funded.refused(owner):
                    return waiting  # until one of those under way gives back what it did not use
                if after_s is not None and after_s <= _SOON_S:
                    return self._postponed(waiting, 0.0)  # somebody else's do, or those that have ended just now
            case Answered(status):
                if _is_good(status):
                    self._means.funded.answered(owner)
            case Interrupted():
                pass
        return None

    def _postponed(self, waiting: _Waiting, after_s: float) -> _Waiting:
        """Ask nothing more for as long as a refusal says, and longer each time that the same line is refused."""
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(waiting.refusals, 10), _LONGEST_PAUSE_S)
        self._not_before = max(self._not_before, self._means.clock.monotonic() + max(pause_s, after_s))
        return _Waiting(waiting.number, waiting.asked, waiting.refusals + 1)

    async def _keep(self, claim: Claim, outcome: Answered | Postponed | Interrupted) -> None:
        row, work = self._row, self._means.work
        if isinstance(outcome, Answered):
            response = response_of(outcome.status, outcome.request_id, outcome.body)
            status = "completed" if _is_good(outcome.status) else "failed"
            await _until_stored(lambda: work.answer(row, claim, status, response, outcome.usage))
        else:
            await _until_stored(lambda: work.answer(row, claim, "interrupted", None, None))

    # --- its files --------------------------------------------------------------------------

    async def _finalize(self) -> None:
        row, means = self._row, self._means
        results = _Results(means.files, row)
        why: Ended = "batch_cancelled" if row.status == "cancelling" else "batch_expired"
        was_begun = row.in_progress_at_ms is not None
        has_unasked = False
        if was_begun and await self._is_owner_there():
            has_unasked = await self._write_results(results, why)
        end: End = "cancelled" if row.status == "cancelling" else "expired" if has_unasked else "completed"
        now_ms = unix_ms(means.clock)
        output_file, error_file = await results.finished(row.output_expires_s)
        if await means.work.close(row, end, output_file, error_file, now_ms, now_ms + means.keep_ms):
            _log.info("batch_%s id=%s lines=%d completed=%d", end, row.id, row.total, row.completed)

    async def _is_owner_there(self) -> bool:
        """Whether somebody is there to read results: of who was erased nothing is written any more."""
        row = self._row
        return not row.person or await self._means.callers.is_there(row.tenant, row.person)

    async def _write_results(self, results: _Results, why: Ended) -> bool:
        """Write what came of each line, in their order; whether some were not asked."""
        row = self._row
        asked = _AskedLines(self._means.work, row)
        if row.completed + row.failed >= row.total:
            while (found := await asked.next()) is not None:
                await results.add(found)
            return False
        has_unasked = False
        async with aclosing(self._lines()) as lines:
            found = await asked.next()
            async for line in lines:
                if found is not None and found.number == line.number:
                    await results.add(found)
                    found = await asked.next()
                elif isinstance(request := read_line(line, row.endpoint), Asked):
                    has_unasked = True
                    await results.add_unasked(request.custom_id, why)
        return has_unasked


class _Waiting(msgspec.Struct, frozen=True):
    """A line that is to be asked, and how often there was no room for it."""

    number: int
    asked: Asked
    refusals: int = 0


def _is_good(status: int) -> bool:
    return 200 <= status < 300


async def _until_stored(store: Callable[[], Awaitable[None]]) -> None:
    """Store what must not be lost, as soon as it can be."""
    while True:
        try:
            await store()
        except StorageError as error:
            _log.warning("store_unavailable work=batches reason=%s", error)
            await asyncio.sleep(_STORE_PAUSE_S)
        else:
            return


class _AskedLines:
    """The lines of a batch that were asked, one after the other."""

    def __init__(self, work: BatchWork, row: BatchRow) -> None:
        self._work = work
        self._row = row
        self._read: deque[LineRow] = deque()
        self._after = 0

    async def next(self) -> LineRow | None:
        """The next one; None where there is none."""
        if not self._read:
            self._read.extend(await self._work.lines(self._row, self._after))
        if not self._read:
            return None
        self._after = self._read[0].number
        return self._read.popleft()


class _Results:
    """The two files of a batch; one without a line is not made."""

    def __init__(self, files: Files, row: BatchRow) -> None:
        self._files = files
        self._row = row
        self._output: Upload | None = None
        self._errors: Upload | None = None

    async def add(self, line: LineRow) -> None:
        """Write down what came of a line."""
        if line.answer is None:
            await self._add_error(unanswered(line.id, line.custom_id, "interrupted"))
        elif line.status == "completed":
            if self._output is None:
                self._output = await self._files.begin_output(self._row.owner)
            await self._output.write(answered(line.id, line.custom_id, line.answer))
        else:
            await self._add_error(answered(line.id, line.custom_id, line.answer))

    async def add_unasked(self, custom_id: str, why: Ended) -> None:
        """Write down that a line was not asked."""
        await self._add_error(unanswered(new_id("batch_req_"), custom_id, why))

    async def finished(self, expires_after_s: int | None) -> tuple[Made | None, Made | None]:
        """Results and errors: the id of each file, and the step that makes it one."""
        return (
            await self._finish(self._output, "output", expires_after_s),
            await self._finish(self._errors, "error", expires_after_s),
        )

    async def _finish(self, upload: Upload | None, name: str, expires_after_s: int | None) -> Made | None:
        if upload is None:
            return None
        await upload.flush()
        return Made(
            upload.id, upload.finished(MADE_FOR_BATCHES, f"{self._row.id}_{name}.jsonl", _JSONL, expires_after_s)
        )

    async def _add_error(self, line: bytes) -> None:
        if self._errors is None:
            self._errors = await self._files.begin_output(self._row.owner)
        await self._errors.write(line)
