"""The client's processes: loads run there, so that measuring and asking do not disturb each other."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Self

from bench.load import Load, Outcome, run


class Generator:
    """Runs loads, as many at a time as it has processes. Used as a context."""

    def __init__(self, processes: int = 1) -> None:
        self._pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
        self._next_number = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start(self, load: Load, port: int, token: str) -> Future[Outcome]:
        """Start a load. No question's number is used twice."""
        first = self._next_number
        self._next_number += load.requests
        return self._pool.submit(run, load, port, token, first)
