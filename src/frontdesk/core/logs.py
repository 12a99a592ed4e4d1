"""Logs: one line an event on standard error, as cheap as the standard library allows.

A line a turn is the rule, so its cost counts: lines are gathered for a moment and written together
(one system call was three quarters of a line's cost), the second is written once and kept, and what no
line shows (caller's file, thread, process, task) is not looked up (Python's "Logging HOWTO",
Optimization). A warning is written at once, with all before it; a kill -9 may lose the last moment's
lines of lesser weight.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from typing import TextIO

_LINGER_S = 0.05
_MOST_LINES = 1000  # are gathered while a busy loop has no time for its timers


def log_to_stderr() -> None:
    """Set logging up for a server: ours from info on, libraries' from warnings on."""
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    logging.raiseExceptions = False  # a closed standard error must not stop the server
    setattr(logging, "_srcfile", None)  # noqa: B010 - the HOWTO's own way to skip looking for the caller's file
    root = logging.getLogger()
    root.handlers[:] = [_GatheringHandler(sys.stderr)]
    root.setLevel(logging.WARNING)
    logging.getLogger("frontdesk").setLevel(logging.INFO)


class _GatheringHandler(logging.Handler):
    """Writes lines together while an event loop runs, and each by itself elsewhere. Times are UTC."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[str] = []
        self._timed_by: asyncio.AbstractEventLoop | None = None  # whose timer will write what is gathered
        self._second = 0
        self._written = ""
        self.setFormatter(logging.Formatter("%(message)s"))  # which adds the stack of an error

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            self._lines.append(self._line(record))
        except Exception:  # noqa: BLE001 - a line that cannot be made must not stop who wrote it
            self.handleError(record)
        if record.levelno >= logging.WARNING or len(self._lines) >= _MOST_LINES:
            self.flush()
        else:
            self._flush_soon()

    def flush(self) -> None:
        """Write what was gathered. A closed standard error is nobody's matter here."""
        with self.lock or contextlib.nullcontext():
            lines, self._lines = self._lines, []
            if lines:
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write("\n".join(lines) + "\n")
                    self._stream.flush()

    def _line(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._written = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        text = record.getMessage() if record.exc_info is None else self.format(record)
        return f"{self._written}.{record.msecs:03.0f} {record.levelname} {record.name} {text}"

    def _flush_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if loop is not self._timed_by:  # another loop may have ended, and its timer with it
            loop.call_later(_LINGER_S, self._on_time)
            self._timed_by = loop

    def _on_time(self) -> None:
        with self.lock or contextlib.nullcontext():
            self._timed_by = None
            self.flush()
