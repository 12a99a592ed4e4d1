"""Files as requests attach them: whole, in base64."""

from __future__ import annotations

import base64
from contextlib import aclosing

from frontdesk.core.errors import NotFound
from frontdesk.files.owner import owner_of
from frontdesk.files.service import Files
from frontdesk.policies.attachments import Attachment
from frontdesk.turn.turn import Caller


class OwnFiles:
    """The files of whoever asks; see `attachments.Library`."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def find(self, caller: Caller, file_id: str) -> Attachment | None:
        """The caller's own file of this id."""
        try:
            row = await self._files.find(owner_of(caller), file_id)
        except NotFound:
            return None
        return Attachment(row.id, row.filename, row.media_type, row.bytes)

    async def in_base64(self, caller: Caller, attachment: Attachment) -> str:
        """All of it, encoded a piece at a time. Raises NotFound where it was deleted meanwhile."""
        owner = owner_of(caller)
        row = await self._files.find(owner, attachment.id)
        async with aclosing(self._files.pieces(owner, row)) as pieces:
            return "".join([base64.b64encode(piece).decode() async for piece in pieces])
