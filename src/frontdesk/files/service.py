"""Files: uploaded and read a piece at a time, each its owner's alone.

What is another's is as good as not there, and so is what has expired.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Callable
from typing import Literal

from frontdesk.core import config
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import NotFound, TooLarge, Unavailable
from frontdesk.core.ids import new_id
from frontdesk.files.owner import Owner
from frontdesk.files.store import AllFiles, Allowance, FileRow, FileStore
from frontdesk.storage.database import Database
from frontdesk.storage.query import Step

_log = logging.getLogger("frontdesk.files")

PIECE_BYTES = 252 * 1024
"""Of every piece of a file but the last. Divisible by 3: the base64 of the pieces is that of the file."""

_MEGABYTE = 1024 * 1024
_DAY_MS = 86_400_000
_KEPT_FOR_S = 1.0
# How long an upload may make no progress.
_LEASE_MS = 3_600_000


class Files:
    """The files of everybody."""

    def __init__(self, database: Database, clock: Clock, settings: config.Files) -> None:
        self._database = database
        self._clock = clock
        self._all = AllFiles(database)
        self._allowance = Allowance(settings.per_user, int(settings.per_user_mb * _MEGABYTE))
        self._total_bytes = int(settings.total_mb * _MEGABYTE)
        self._kept_bytes = 0  # by all, as it was looked up last, and what was begun here since
        self._kept_until = -math.inf
        self._keep_ms = int(settings.keep_days * _DAY_MS)
        self.max_bytes = int(settings.max_mb * _MEGABYTE)

    async def find(self, owner: Owner, file_id: str) -> FileRow:
        """The owner's file of this id. Raises NotFound."""
        store = FileStore(self._database, owner)
        row = await store.find(file_id, unix_ms(self._clock)) if file_id.isprintable() else None
        if row is None:
            raise NotFound(f"There is no file {file_id!r}.", code="file_not_found")
        return row

    async def list(
        self, owner: Owner, purpose: str, after: str, limit: int, order: Literal["asc", "desc"]
    ) -> list[FileRow]:
        """The owner's files, by the time of their making; of all purposes where it is ''."""
        return await FileStore(self._database, owner).list(purpose, after, limit, order, unix_ms(self._clock))

    async def pieces(self, owner: Owner, row: FileRow) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes, each piece read when it is asked for. Raises NotFound where it is removed meanwhile."""
        store = FileStore(self._database, owner)
        left = row.bytes
        number = 0
        while left > 0:
            piece = await store.piece(row.id, number)
            if piece is None:
                raise NotFound(f"The file {row.id!r} was deleted while it was read.", code="file_not_found")
            left -= len(piece)
            number += 1
            yield piece

    async def pieces_until_end(self, owner: Owner, file_id: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a file that was found once and that a batch keeps, deleted or not."""
        store = FileStore(self._database, owner)
        number = 0
        while (piece := await store.piece(file_id, number)) is not None:
            number += 1
            yield piece

    async def delete(self, owner: Owner, file_id: str) -> None:
        """End a file now. Raises NotFound."""
        await self.find(owner, file_id)
        await FileStore(self._database, owner).delete(file_id, unix_ms(self._clock))

    async def begin(self, owner: Owner, size_bytes: int | None) -> Upload:
        """Begin a file of at most this size, None for the largest that there may be.

        Raises TooLarge where it, or all of a person's files with it, or everybody's, passes what there may be.
        """
        self.check_size(size_bytes or 0)
        upload = self._upload(owner)
        allowance = self._allowance if owner.person else None
        room_bytes = self.max_bytes if size_bytes is None else size_bytes
        if await self._everybodys_bytes() + room_bytes > self._total_bytes:
            _log.warning("files_full limit_mb=%g", self._total_bytes / _MEGABYTE)
            raise TooLarge(
                "The server has no room for this file: everybody's files together have used it up. Try again later.",
                code="storage_full",
                param="file",
            )
        await upload.make_room(room_bytes, allowance)
        self._kept_bytes += room_bytes
        return upload

    async def _everybodys_bytes(self) -> int:
        """What all files hold together. Adding them up reads a row of each, so it is done once a second at most."""
        now = self._clock.monotonic()
        if now >= self._kept_until:
            self._kept_bytes = await self._all.kept_bytes()
            self._kept_until = now + _KEPT_FOR_S
        return self._kept_bytes

    async def begin_output(self, owner: Owner) -> Upload:
        """Begin a file that the server makes for somebody, whatever they have already."""
        upload = self._upload(owner)
        await upload.make_room(0, None)
        return upload

    def check_size(self, size_bytes: int) -> None:
        """Raise TooLarge for more than a file may have."""
        if size_bytes > self.max_bytes:
            raise TooLarge(
                f"The file is larger than {self.max_bytes / _MEGABYTE:g} MB, the most that this server takes.",
                code="file_too_large",
                param="file",
            )

    def expiry_ms(self, created_at_ms: int, after_s: int | None) -> int:
        """When a file expires that is to be kept so long, at most as long as any."""
        return created_at_ms + (self._keep_ms if after_s is None else min(self._keep_ms, after_s * 1000))

    async def sweep(self) -> int:
        """Remove files that have ended; returns how many. Cheap where there are none."""
        self._kept_until = -math.inf
        swept = 0
        while removed := await self._all.sweep(unix_ms(self._clock)):
            swept += removed
        return swept

    def _upload(self, owner: Owner) -> Upload:
        return Upload(FileStore(self._database, owner), self._clock, self.expiry_ms)


class Upload:
    """A file that is being written. Nobody sees it before it is whole; given up, it vanishes."""

    def __init__(self, store: FileStore, clock: Clock, expiry_ms: Callable[[int, int | None], int]) -> None:
        self.id = new_id("file-")
        self.size_bytes = 0
        self._store = store
        self._clock = clock
        self._expiry_ms = expiry_ms
        self._began_at_ms = unix_ms(clock)
        self._unwritten = bytearray()
        self._pieces = 0

    async def make_room(self, size_bytes: int, allowance: Allowance | None) -> None:
        """Begin. Raises TooLarge where all of a person's files would pass this allowance."""
        until_ms = self._began_at_ms + _LEASE_MS
        kept = await self._store.begin(self.id, size_bytes, allowance, self._began_at_ms, until_ms)
        if kept is not None and allowance is not None:
            raise _full(*kept, allowance)

    async def write(self, data: bytes) -> None:
        """Add some bytes; returns when less than a piece of them is in memory. Raises Unavailable."""
        self.size_bytes += len(data)
        self._unwritten += data
        while len(self._unwritten) >= PIECE_BYTES:
            await self._store_piece(bytes(self._unwritten[:PIECE_BYTES]))
            del self._unwritten[:PIECE_BYTES]

    async def flush(self) -> None:
        """Store what is left; nothing may be written any more."""
        if self._unwritten:
            await self._store_piece(bytes(self._unwritten))
            self._unwritten.clear()

    def finished(self, purpose: str, filename: str, media_type: str, expires_after_s: int | None) -> Step:
        """The step that makes it a file, for who writes it with something else; everything is flushed."""
        expires_at_ms = self._expiry_ms(self._began_at_ms, expires_after_s)
        now_ms = unix_ms(self._clock)
        return self._store.finished(self.id, self.size_bytes, purpose, filename, media_type, now_ms, expires_at_ms)

    async def finish(self, purpose: str, filename: str, media_type: str, expires_after_s: int | None) -> FileRow:
        """Make it a file. Raises Unavailable where it was given up meanwhile."""
        await self.flush()
        row = await self._store.finish(self.finished(purpose, filename, media_type, expires_after_s))
        if row is None:
            raise _given_up()
        return row

    async def drop(self) -> None:
        """Give it up. Does nothing where it is a file already."""
        await self._store.give_up(self.id, unix_ms(self._clock))

    async def _store_piece(self, piece: bytes) -> None:
        now_ms = unix_ms(self._clock)
        if not await self._store.add_piece(self.id, self._pieces, piece, now_ms, now_ms + _LEASE_MS):
            raise _given_up()
        self._pieces += 1


def _full(files: int, kept_bytes: int, allowance: Allowance) -> TooLarge:
    return TooLarge(
        f"You have {files:,} of {allowance.files:,} files, which hold {kept_bytes / _MEGABYTE:.1f} of "
        f"{allowance.bytes / _MEGABYTE:g} MB, and this one does not fit in. Delete some, or wait until they expire.",
        code="storage_full",
        param="file",
    )


def _given_up() -> Unavailable:
    return Unavailable("This upload took too long and was given up. Send it again.", code="upload_given_up")
