"""/v1/files: uploaded, listed, read and deleted by who they belong to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from frontdesk.accounts.routes.answers import listed, seconds, secret
from frontdesk.core.errors import BadRequest, TooLarge, Unauthenticated
from frontdesk.core.multipart import boundary_of
from frontdesk.doors.desk import ASKING
from frontdesk.files.form import MADE_FOR_BATCHES, OVERHEAD_BYTES, PURPOSES, UploadForm
from frontdesk.files.owner import Owner, owner_of
from frontdesk.files.service import Files, Upload
from frontdesk.files.store import FileRow
from frontdesk.http.callers import Admission, Callers, GuardedRoute, guarded, guarded_upload
from frontdesk.http.once import Idempotency, Once
from frontdesk.http.requests import ClientGone, Head
from frontdesk.turn.turn import Caller

_LIST_PARAMETERS = ("purpose", "limit", "order", "after")
_MOST_LISTED = 10_000
_MAX_TEXT_CHARS = 128
_LISTED_PURPOSES = (*PURPOSES, MADE_FOR_BATCHES)


class FileRoutes:
    """The routes of files."""

    def __init__(self, files: Files, callers: Callers, idempotency: Idempotency | None = None) -> None:
        self._files = files
        self._callers = callers
        self._kept_once = Once(idempotency)

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded_upload("/v1/files", self.upload, self._callers, self._kept_once),
            guarded("/v1/files", "GET", self.list_files, self._callers),
            guarded("/v1/files/{file_id}", "GET", self.retrieve, self._callers),
            guarded("/v1/files/{file_id}/content", "GET", self.content, self._callers),
            guarded("/v1/files/{file_id}", "DELETE", self.delete, self._callers),
        ]

    async def upload(self, request: Request, caller: Annotated[Caller, ASKING], admission: Admission) -> Response:
        """Keep a file. Its bytes go to the store as they come."""
        owner = owner_of(caller)
        boundary = boundary_of(request.headers.get("content-type", "").encode("latin-1"))
        told = Head(request.scope).content_length
        size_bytes = int(told) if told is not None and told.isdigit() else None
        if size_bytes is not None:
            # Of the form, which is a little more than its file.
            self._files.check_size(size_bytes - OVERHEAD_BYTES)
            size_bytes = min(size_bytes, self._files.max_bytes)
        upload = await self._files.begin(owner, size_bytes)
        try:
            row = await self._receive(request, owner, admission, boundary, upload)
        except Exception:
            await upload.drop()
            raise
        return secret(told_of(row))

    async def list_files(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """The caller's own files, the latest first."""
        purpose, after, limit, order = _page_of(request)
        rows = await self._files.list(owner_of(caller), purpose, after, limit + 1, order)
        return secret(listed(rows, told_of, limit))

    async def retrieve(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One of them."""
        return secret(told_of(await self._files.find(owner_of(caller), request.path_params["file_id"])))

    async def content(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Its bytes: to be saved, never to be shown, for a page of this origin could be in it."""
        owner = owner_of(caller)
        row = await self._files.find(owner, request.path_params["file_id"])
        headers = {
            "cache-control": "no-store",
            "content-length": str(row.bytes),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(row.filename, safe='')}",
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
        }
        if request.method == "HEAD":
            return Response(headers=headers, media_type="application/octet-stream")
        body = self._sent(owner, row)
        return StreamingResponse(body, media_type="application/octet-stream", headers=headers)

    async def delete(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Delete one of them."""
        file_id = request.path_params["file_id"]
        await self._files.delete(owner_of(caller), file_id)
        return secret({"id": file_id, "object": "file", "deleted": True})

    async def _receive(
        self, request: Request, owner: Owner, admission: Admission, boundary: bytes, upload: Upload
    ) -> FileRow:
        form = UploadForm(boundary, upload, self._files)
        received_bytes = 0
        has_more = True
        while has_more:
            message = await request.receive()
            if message["type"] != "http.request":
                raise ClientGone
            data: bytes = message.get("body", b"")
            has_more = message.get("more_body", False)
            received_bytes += len(data)
            if received_bytes - OVERHEAD_BYTES > self._files.max_bytes:
                self._files.check_size(upload.size_bytes)
                raise TooLarge(f"The form is larger than its file by more than {OVERHEAD_BYTES} bytes.")
            await form.feed(data)
        asked = form.finish()
        if owner_of(await admission()) != owner:
            raise Unauthenticated("This credential is another one's since the upload began.", code="token_revoked")
        return await upload.finish(asked.purpose, asked.filename, asked.media_type, asked.expires_after_s)

    async def _sent(self, owner: Owner, row: FileRow) -> AsyncIterator[bytes]:
        async with aclosing(self._files.pieces(owner, row)) as pieces:
            async for piece in pieces:
                yield piece


def told_of(row: FileRow) -> dict[str, Any]:
    """A file as OpenAI tells it."""
    told = {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": seconds(row.created_at_ms),
        "filename": row.filename,
        "purpose": row.purpose,
        "status": "processed",
    }
    return told if row.expires_at_ms is None else {**told, "expires_at": seconds(row.expires_at_ms)}


def _page_of(request: Request) -> tuple[str, str, int, Literal["asc", "desc"]]:
    asked = request.query_params
    for name in asked:
        if name not in _LIST_PARAMETERS:
            known = ", ".join(_LIST_PARAMETERS)
            raise BadRequest(f"Unknown parameter: {name!r}. Known: {known}.", code="invalid_value", param=name)
    limit = asked.get("limit", str(_MOST_LISTED))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 5 and 1 <= int(limit) <= _MOST_LISTED):
        raise BadRequest(f"'limit' must be from 1 to {_MOST_LISTED}.", code="invalid_value", param="limit")
    order = asked.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("'order' must be 'asc' or 'desc'.", code="invalid_value", param="order")
    after = asked.get("after", "")
    if len(after) > _MAX_TEXT_CHARS or not after.isprintable():
        raise BadRequest("'after' is no id of a file.", code="invalid_value", param="after")
    purpose = asked.get("purpose", "")
    if purpose and purpose not in _LISTED_PURPOSES:
        known = ", ".join(map(repr, _LISTED_PURPOSES))
        words = f"Invalid value for 'purpose': {purpose[:_MAX_TEXT_CHARS]!r}. It must be one of {known}."
        raise BadRequest(words, code="invalid_value", param="purpose")
    return purpose, after, int(limit), order
