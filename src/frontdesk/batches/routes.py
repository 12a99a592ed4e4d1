"""/v1/batches: made, listed, told of and cancelled by who they belong to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import listed, missing, page_of, seconds, secret
from frontdesk.batches.lines import Problem
from frontdesk.batches.service import Batches, NewBatch
from frontdesk.batches.store import BatchRow
from frontdesk.doors.desk import ASKING, named_feature
from frontdesk.files.owner import owner_of
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.http.once import Idempotency, Once
from frontdesk.http.requests import Head
from frontdesk.http.starlette import with_body
from frontdesk.policies.access import Access
from frontdesk.turn.turn import Caller
from frontdesk.wire.reading import read_object, view
from frontdesk.wire.refusing import told, wrong

_MOST_PAIRS = 16


class OutputExpiresAfter(msgspec.Struct, forbid_unknown_fields=True):
    """How long a batch's files are kept once they are made."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3600, le=2_592_000)]


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """A batch that is to be made. `input_file_id` is a file for batches: a request a line."""

    input_file_id: str | msgspec.UnsetType = msgspec.UNSET
    endpoint: str | msgspec.UnsetType = msgspec.UNSET
    completion_window: Literal["24h"] | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]] | None = None
    output_expires_after: OutputExpiresAfter | None = None


class BatchRoutes:
    """The routes of batches. `endpoints` are what their lines may ask."""

    def __init__(
        self,
        batches: Batches,
        callers: Callers,
        access: Access,
        endpoints: list[str],
        idempotency: Idempotency | None = None,
    ) -> None:
        self._batches = batches
        self._callers = callers
        self._access = access
        self._endpoints = endpoints
        self._made_once = Once(idempotency)
        self._cancelled_once = Once(idempotency, may_repeat=True)

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/v1/batches", "POST", self.create, self._callers, self._made_once),
            guarded("/v1/batches", "GET", self.list_batches, self._callers),
            guarded("/v1/batches/{batch_id}", "GET", self.retrieve, self._callers),
            guarded("/v1/batches/{batch_id}/cancel", "POST", self.cancel, self._callers, self._cancelled_once),
        ]

    async def create(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Make a batch. Its lines are asked for the feature that the header names here, unless they name one."""
        body = await (await with_body(request)).body()
        asked = view(read_object(body or b"{}"), BatchBody)
        for name in ("input_file_id", "endpoint", "completion_window"):
            if getattr(asked, name) is msgspec.UNSET:
                raise missing(name)
        if asked.endpoint not in self._endpoints:
            known = ", ".join(map(repr, self._endpoints))
            words = f"Invalid value for 'endpoint': {told(asked.endpoint)}. It must be one of {known}."
            raise wrong("endpoint", words)
        if asked.metadata is not None and len(asked.metadata) > _MOST_PAIRS:
            raise wrong("metadata", f"'metadata' has {len(asked.metadata)} keys. It may have {_MOST_PAIRS}.")
        feature = named_feature(Head(request.scope).feature, {})
        if feature is not None:
            self._access.check_feature(caller, feature)
        after = asked.output_expires_after
        new = NewBatch(
            endpoint=str(asked.endpoint),
            input_file=str(asked.input_file_id),
            feature=feature,
            address="" if request.client is None else request.client.host,
            metadata=asked.metadata,
            output_expires_s=None if after is None else after.seconds,
        )
        return secret(told_of(await self._batches.create(caller, new)))

    async def list_batches(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """The caller's own batches, the latest first."""
        after, limit = page_of(request)
        rows = await self._batches.list(owner_of(caller), after, limit + 1)
        return secret(listed(rows, told_of, limit))

    async def retrieve(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One of them."""
        return secret(told_of(await self._batches.find(owner_of(caller), request.path_params["batch_id"])))

    async def cancel(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """End one of them."""
        return secret(told_of(await self._batches.cancel(owner_of(caller), request.path_params["batch_id"])))


def told_of(row: BatchRow) -> dict[str, Any]:
    """A batch as OpenAI tells it."""
    return {
        "id": row.id,
        "object": "batch",
        "endpoint": row.endpoint,
        "errors": _errors(row.errors),
        "input_file_id": row.input_file,
        "completion_window": row.completion_window,
        "status": row.status,
        "output_file_id": row.output_file,
        "error_file_id": row.error_file,
        "created_at": seconds(row.created_at_ms),
        "in_progress_at": seconds(row.in_progress_at_ms),
        "expires_at": seconds(row.expires_at_ms),
        "finalizing_at": seconds(row.finalizing_at_ms),
        "completed_at": seconds(row.completed_at_ms),
        "failed_at": seconds(row.failed_at_ms),
        "expired_at": seconds(row.expired_at_ms),
        "cancelling_at": seconds(row.cancelling_at_ms),
        "cancelled_at": seconds(row.cancelled_at_ms),
        "request_counts": {"total": row.total, "completed": row.completed, "failed": row.failed},
        "metadata": None if row.metadata is None else msgspec.json.decode(row.metadata),
        "model": row.model,
        "usage": None if row.in_progress_at_ms is None else _usage(row),
    }


def _usage(row: BatchRow) -> dict[str, Any]:
    return {
        "input_tokens": row.input_tokens,
        "input_tokens_details": {"cached_tokens": row.cached_tokens},
        "output_tokens": row.output_tokens,
        "output_tokens_details": {"reasoning_tokens": row.reasoning_tokens},
        "total_tokens": row.input_tokens + row.output_tokens,
    }


def _errors(errors: str | None) -> dict[str, Any] | None:
    if errors is None:
        return None
    problems = msgspec.json.decode(errors, type=list[Problem])
    return {"object": "list", "data": [msgspec.structs.asdict(problem) for problem in problems]}
