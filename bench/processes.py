"""Servers under measurement: started, waited for, measured, ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 15.0
_CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process, in kB: all that is resident, and what of it backs no file: heap and stacks.

    Neither depends on who else has the same libraries open, as Pss and the private pages do.
    """

    resident_kb: int
    anonymous_kb: int


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server in a process of its own, on a port of its own. What it prints goes to a file of the folder.

    `command` is what Python is to run, from the project's root.
    """

    def __init__(
        self, name: str, port: int, folder: Path, command: tuple[str, ...], env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.port = port
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        try:
            self._wait_until_it_listens()
        except BaseException:  # however the wait ends, the process must not outlive it
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def cpu_s(self) -> float:
        """CPU seconds of the process so far: all threads, also those that ended, user and system.

        This is the clock of clock_getcpuclockid(3): nanoseconds, where /proc/PID/stat has hundredths.
        """
        return time.clock_gettime(~self._process.pid << 3 | _CPUCLOCK_SCHED)

    def memory(self) -> Memory:
        """Memory now."""
        text = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        sizes_kb = {
            name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in text.splitlines()[1:])
        }
        return Memory(sizes_kb["Rss"], sizes_kb["Anonymous"])

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended before it listened:\n{self._log.read_text()[-2000:]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not listen on port {self.port}:\n{self._log.read_text()[-2000:]}")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
