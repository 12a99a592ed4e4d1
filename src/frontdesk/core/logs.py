"""Logs: one line an event on standard error, as cheap as the standard library allows.

A line a turn is the rule, so its cost counts: the second is written once and kept, and what no line
shows (caller's file, thread, process, task) is not looked up (Python's "Logging HOWTO",
Optimization).
"""

from __future__ import annotations

import logging
import sys
import time


def log_to_stderr() -> None:
    """Set logging up for a server: ours from info on, libraries' from warnings on."""
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    logging.raiseExceptions = False  # a closed standard error must not stop the server
    setattr(logging, "_srcfile", None)  # noqa: B010 - the HOWTO's own way to skip looking for the caller's file
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter("%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("frontdesk").setLevel(logging.INFO)


class _LineFormatter(logging.Formatter):
    """Writes the time in UTC, and each second only once."""

    def __init__(self, shape: str) -> None:
        super().__init__(shape)
        self._second = 0
        self._written = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802, V105 - logging calls it
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._written = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._written
