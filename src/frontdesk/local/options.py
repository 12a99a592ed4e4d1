"""What a model's process is told when it is started: one JSON argument, readable in a list of processes."""

from __future__ import annotations

import os
import sys

import msgspec

from frontdesk.local.catalogue import Kind
from frontdesk.local.models import LocalModel


class WorkerOptions(msgspec.Struct, frozen=True):
    """How to run a model. `files` are absolute; `parent_id` is the process that it must not outlive."""

    kind: Kind
    files: list[str]
    context_tokens: int
    slots: int
    threads: int
    parent_id: int


def worker_command(model: LocalModel) -> list[str]:
    """The command that runs a model as a child of this process."""
    options = WorkerOptions(
        kind=model.kind,
        files=[str(path.absolute()) for path in model.files],
        context_tokens=model.context_tokens,
        slots=model.slots,
        threads=model.threads,
        parent_id=os.getpid(),
    )
    # -P: a file numpy.py in the folder that the server was started in must not become numpy.
    return [sys.executable, "-P", "-m", "frontdesk.local.worker", msgspec.json.encode(options).decode()]
