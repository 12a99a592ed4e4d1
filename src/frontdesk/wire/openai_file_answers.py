"""Files and batches as the OpenAPI document describes them, as `openai_answers` does of all else.

Imported only to make that document.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from frontdesk.wire.media import FILE

_Count = Annotated[int, Meta(ge=0)]
_UnixTime = Annotated[int, Meta(ge=0, description="Seconds since 1970.")]


# --- files --------------------------------------------------------------------------------------


class FileForm(msgspec.Struct):
    """A file, and what it is for. It is kept as long as the server keeps any, or for these seconds."""

    file: FILE
    purpose: Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]
    expires_after_anchor: Literal["created_at"] | UnsetType = msgspec.field(default=UNSET, name="expires_after[anchor]")
    expires_after_seconds: Annotated[int, Meta(ge=3600, le=2_592_000)] | UnsetType = msgspec.field(
        default=UNSET, name="expires_after[seconds]"
    )


class File(msgspec.Struct):
    """A file that was uploaded, or that a batch made (`batch_output`)."""

    id: str
    object: Literal["file"]
    bytes: _Count
    created_at: _UnixTime
    filename: str
    purpose: Literal["assistants", "batch", "batch_output", "evals", "fine-tune", "user_data", "vision"]
    status: Literal["processed"]
    expires_at: _UnixTime | UnsetType = UNSET


class FileList(msgspec.Struct):
    """A page of the caller's own files."""

    object: Literal["list"]
    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(msgspec.Struct):
    """A file that is not there any more."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]


# --- batches ------------------------------------------------------------------------------------


class BatchError(msgspec.Struct):
    """What is wrong with a line of the file, counted from 1, or with all of it."""

    code: str
    message: str
    param: str | None
    line: int | None


class BatchErrors(msgspec.Struct):
    """Why a batch failed, or was ended."""

    object: Literal["list"]
    data: list[BatchError]


class BatchCounts(msgspec.Struct):
    """How many lines there are, and how many were answered well and otherwise."""

    total: _Count
    completed: _Count
    failed: _Count


class BatchInputTokens(msgspec.Struct):
    """Those of them that came from a provider's cache."""

    cached_tokens: _Count


class BatchOutputTokens(msgspec.Struct):
    """Those of them that were thought."""

    reasoning_tokens: _Count


class BatchUsage(msgspec.Struct):
    """What all answers used."""

    input_tokens: _Count
    input_tokens_details: BatchInputTokens
    output_tokens: _Count
    output_tokens_details: BatchOutputTokens
    total_tokens: _Count


class Batch(msgspec.Struct):
    """A batch. What has not happened yet is null."""

    id: str
    object: Literal["batch"]
    endpoint: str
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str
    status: Literal[
        "validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"
    ]
    output_file_id: str | None
    error_file_id: str | None
    created_at: _UnixTime
    in_progress_at: _UnixTime | None
    expires_at: _UnixTime
    finalizing_at: _UnixTime | None
    completed_at: _UnixTime | None
    failed_at: _UnixTime | None
    expired_at: _UnixTime | None
    cancelling_at: _UnixTime | None
    cancelled_at: _UnixTime | None
    request_counts: BatchCounts
    metadata: dict[str, str] | None
    model: Annotated[str, Meta(description="The one that all lines name.")] | None
    usage: BatchUsage | None


class BatchList(msgspec.Struct):
    """A page of the caller's own batches, the latest first."""

    object: Literal["list"]
    data: list[Batch]
    first_id: str | None
    last_id: str | None
    has_more: bool
