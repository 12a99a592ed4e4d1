"""Batches as their owners see them: made of a file, told of, cancelled."""

from __future__ import annotations

import msgspec

from frontdesk.accounts.absent import caller_then
from frontdesk.batches.runner import BatchRunner
from frontdesk.batches.store import BatchRow, BatchStore
from frontdesk.core import config
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, NotFound, RateLimited
from frontdesk.core.ids import new_id
from frontdesk.files.owner import Owner, owner_of
from frontdesk.files.service import Files
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller

_DAY_MS = 86_400_000
_ASK_AGAIN_S = 60.0
_encode = msgspec.json.Encoder().encode


class NewBatch(msgspec.Struct, frozen=True):
    """What a batch is made of. `output_expires_s` is how long its results are kept."""

    endpoint: str
    input_file: str
    feature: str | None
    address: str
    metadata: dict[str, str] | None
    output_expires_s: int | None


class Batches:
    """The batches of everybody."""

    def __init__(
        self, database: Database, clock: Clock, files: Files, runner: BatchRunner, settings: config.Batches
    ) -> None:
        self._database = database
        self._clock = clock
        self._files = files
        self._runner = runner
        self._most_open = settings.per_user

    async def create(self, caller: Caller, new: NewBatch) -> BatchRow:
        """Make a batch, which begins by itself. Raises BadRequest, RateLimited where a person has too many."""
        owner = owner_of(caller)
        await self._check_file(owner, new.input_file)
        now_ms = unix_ms(self._clock)
        row = BatchRow(
            tenant=owner.tenant,
            id=new_id("batch_"),
            person=owner.person,
            credential=owner.credential,
            caller=_encode(caller_then(caller)).decode(),
            endpoint=new.endpoint,
            input_file=new.input_file,
            completion_window="24h",
            feature=new.feature,
            address=new.address,
            metadata=None if new.metadata is None else _encode(new.metadata).decode(),
            output_expires_s=new.output_expires_s,
            status="validating",
            errors=None,
            total=0,
            completed=0,
            failed=0,
            output_file=None,
            error_file=None,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + _DAY_MS,
            open_at_ms=now_ms,
        )
        most_open = self._most_open if owner.person else None
        if not await BatchStore(self._database, owner).create(row, most_open):
            raise RateLimited(
                f"You have {most_open} batches under way, which is all that you may have. Wait until one has ended, "
                "or cancel one.",
                code="too_many_batches",
                retry_after_s=_ASK_AGAIN_S,
            )
        self._runner.look()
        return row

    async def find(self, owner: Owner, batch_id: str) -> BatchRow:
        """The owner's batch of this id. Raises NotFound."""
        row = await BatchStore(self._database, owner).find(batch_id) if batch_id.isprintable() else None
        if row is None:
            raise NotFound(f"There is no batch {batch_id!r}.", code="batch_not_found")
        return row

    async def list(self, owner: Owner, after: str, limit: int) -> list[BatchRow]:
        """The owner's batches, the latest first, from behind the id `after`."""
        return await BatchStore(self._database, owner).list(after, limit)

    async def cancel(self, owner: Owner, batch_id: str) -> BatchRow:
        """Ask for a batch's end: lines under way are waited for. Raises NotFound, BadRequest where it has ended."""
        found = await self.find(owner, batch_id)
        row = await BatchStore(self._database, owner).cancel(batch_id, unix_ms(self._clock))
        if row is None:
            raise BadRequest(
                f"The batch {batch_id!r} is {found.status}. Only one that is validating or in_progress can be "
                "cancelled.",
                code="batch_not_cancellable",
            )
        self._runner.look()
        return row

    async def _check_file(self, owner: Owner, file_id: str) -> None:
        try:
            row = await self._files.find(owner, file_id)
        except NotFound as error:
            raise BadRequest(error.message, code="file_not_found", param="input_file_id") from None
        if row.purpose != "batch":
            raise BadRequest(
                f"The file {file_id!r} was uploaded for {row.purpose!r}. Upload it with the purpose 'batch'.",
                code="invalid_value",
                param="input_file_id",
            )
