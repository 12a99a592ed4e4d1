"""What routes served by Starlette share: JSON in, errors out, who calls."""

from __future__ import annotations

import logging
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from frontdesk.core.errors import BadRequest, FrontdeskError, MethodNotAllowed, NotFound, TooLarge, store_unavailable
from frontdesk.core.ids import new_id

_log = logging.getLogger("frontdesk.http")
_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_MAX_BODY_BYTES = 1024 * 1024


async def read_json(request: Request, shape: type[_Shape]) -> _Shape:
    """Read a small JSON body; an empty one counts as an empty object. Raises BadRequest, TooLarge."""
    pieces: list[bytes] = []
    size_bytes = 0
    async for piece in request.stream():
        size_bytes += len(piece)
        if size_bytes > _MAX_BODY_BYTES:
            raise TooLarge("The request's body is larger than 1 MB.")
        pieces.append(piece)
    try:
        return msgspec.json.decode(b"".join(pieces) or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body is wrong: {error}.", code="invalid_value") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not valid JSON.", code="invalid_json") from None


async def answer_refusal(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's shape
    """Answer a FrontdeskError in OpenAI's shape."""
    assert isinstance(error, FrontdeskError)
    return _error_response(error)


async def answer_store_failure(request: Request, error: Exception) -> Response:
    """Log that the store failed, and answer 503."""
    _log.error("store_failed path=%s reason=%s", request.url.path, error)
    return _error_response(store_unavailable())


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == _NOT_FOUND:
        return _error_response(NotFound(f"There is no {request.method} {path} here.", code="unknown_url"))
    if error.status_code == _METHOD_NOT_ALLOWED:
        response = _error_response(MethodNotAllowed(f"{path} does not answer {request.method}."))
        response.headers.update(error.headers or {})
        return response
    return _error_response(BadRequest(str(error.detail), status=error.status_code))


async def answer_bug(request: Request, error: Exception) -> Response:
    """Log a bug once and answer 500."""
    if not isinstance(error, ClientDisconnect):
        _log.error("route_broke path=%s", request.url.path, exc_info=error)
    return _error_response(FrontdeskError("Something went wrong here. It was logged; try again."))


_NOT_FOUND = 404
_METHOD_NOT_ALLOWED = 405


def _error_response(error: FrontdeskError) -> Response:
    headers = {"x-request-id": new_id("req_")}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    return JSONResponse(error.body(), error.status, headers)
